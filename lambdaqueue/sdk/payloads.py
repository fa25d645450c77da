"""What is pushed, as the bytes that are delivered and their content type."""

from __future__ import annotations

import base64
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.media_types import is_json

__all__ = ["BYTES_TYPE", "JSON_TYPE", "dumps", "encoded", "in_json"]

JSON_TYPE = "application/json"
BYTES_TYPE = "application/octet-stream"
TEXT_TYPE = "text/"

Bytes = bytes | bytearray | memoryview


def encoded(payload: Any, content_type: str | None = None) -> tuple[bytes, str]:
    """Return the body and the content type of a payload.

    Bytes stay as they are (`application/octet-stream` where no type is given), a str with a
    content type that isn't JSON is sent as UTF-8, and everything else as compact JSON.

    Raises:
        ValueError: it can't be JSON: NaN, half a surrogate pair, an object that contains itself.
        TypeError: it holds something that JSON doesn't have.
    """
    if isinstance(payload, Bytes):
        return bytes(payload), content_type or BYTES_TYPE
    if content_type is None or is_json(content_type):
        return dumps(payload), content_type or JSON_TYPE
    if isinstance(payload, str):
        return payload.encode(), _with_charset(content_type)
    raise TypeError(
        f"a payload of the type {content_type} is a str or bytes, not {type(payload).__name__}"
    )


def in_json(payload: Any, content_type: str | None = None) -> dict[str, Any]:
    """Return the fields that say the same in JSON, as a batch, a PATCH and a schedule take them.

    Raises as `encoded`.
    """
    if isinstance(payload, Bytes):
        text = base64.b64encode(payload).decode()
        told = {"contentType": content_type} if content_type else {}
        return {"payload": text, "payloadEncoding": "base64", **told}
    encoded(payload, content_type)
    if content_type is None:
        return {"payload": payload}
    typed = content_type if is_json(content_type) else _with_charset(content_type)
    return {"payload": payload, "contentType": typed}


def dumps(value: Any) -> bytes:
    """Return `value` as compact JSON in UTF-8; raises as `encoded`."""
    try:
        return strict_json.dumps(value)
    except RecursionError:
        raise ValueError("a payload contains itself, or is nested too deep for JSON") from None


def _with_charset(content_type: str) -> str:
    """Say that text is UTF-8 where nothing is said: for text/* the old default is another one."""
    if content_type.lower().startswith(TEXT_TYPE) and "charset" not in content_type.lower():
        return f"{content_type}; charset=utf-8"
    return content_type
