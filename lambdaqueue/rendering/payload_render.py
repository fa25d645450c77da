"""How a payload is shown: JSON as the bytes that were pushed, other text as text, or base64.

Neither numbers nor spacing change on the way. That is why what renders a job returns bytes.
"""

from __future__ import annotations

import base64
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.errors import RequestError
from lambdaqueue.media_types import is_json
from lambdaqueue.spec import Spec

__all__ = ["with_payload"]


def with_payload(fields: dict[str, Any], spec: Spec) -> bytes:
    """Return the JSON of `fields` and of how the payload is shown, if there is one."""
    payload = spec.payload
    if not payload:
        return strict_json.dumps(fields)
    encoding, shown = _payload(payload, spec.content_type)
    fields["payloadEncoding"] = encoding
    return strict_json.dumps(fields)[:-1] + b',"payload":' + shown + b"}"


def _payload(payload: bytes, content_type: str) -> tuple[str, bytes]:
    """Return how the payload is shown (`json`, `text` or `base64`), and its JSON."""
    if is_json(content_type) and _is_strict_json(payload):
        return "json", payload
    try:
        return "text", strict_json.dumps(payload.decode())
    except UnicodeDecodeError:
        return "base64", strict_json.dumps(base64.b64encode(payload).decode())


def _is_strict_json(payload: bytes) -> bool:
    try:
        strict_json.parse(payload)
    except RequestError:
        return False
    return True
