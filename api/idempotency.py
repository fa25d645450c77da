"""A client's Idempotency-Key, and the fingerprint by which the same request is known again."""

from __future__ import annotations

import hashlib
import re

from flask import request

from lambdaqueue import strict_json
from lambdaqueue.commands import Idempotency
from lambdaqueue.errors import InvalidRequest

__all__ = ["OURS", "read_idempotency"]

OURS = "HTTP_X_LQ_"
"""How WSGI's names of our headers begin."""

IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")


def read_idempotency(body: bytes = b"") -> Idempotency | None:
    """Return the request's Idempotency-Key with its fingerprint, or None without one."""
    environ = request.environ
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest.of(
            "Idempotency-Key", "bad_length", "must have 1 to 255 printable ASCII characters"
        )
    meant = [environ.get("CONTENT_TYPE", "")]
    meant += sorted(f"{name}:{environ[name]}" for name in environ if name.startswith(OURS))
    head = strict_json.dumps([request.method, request.path, meant])
    return Idempotency(key, hashlib.sha256(head + b"\n" + body).hexdigest())
