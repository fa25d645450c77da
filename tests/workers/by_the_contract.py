"""Proofs and signatures from the contract's words (sections 3 and 4), with hashlib and hmac only.

Nothing of `lambdaqueue` is used here: what it signs and proves is checked by somebody else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

__all__ = ["key_of", "proof", "request_proof", "signature", "signature_v1", "url_hash"]


def key_of(secret: str) -> bytes:
    """The base64-decoded part of a secret."""
    return base64.b64decode(secret.removeprefix("whsec_"))


def _hmac(key: bytes, text: bytes) -> str:
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def _side(secret: str, label: bytes) -> bytes:
    return hmac.new(key_of(secret), label, hashlib.sha256).digest()


def request_proof(secret: str, message_id: str, timestamp: str) -> str:
    """What LambdaQueue proves in its HEAD."""
    key = _side(secret, b"lambdaqueue endpoint validation request")
    return "v1," + _hmac(key, f"{message_id}.{timestamp}".encode())


def proof(secret: str, message_id: str, timestamp: str) -> str:
    """What the endpoint proves in its answer."""
    key = _side(secret, b"lambdaqueue endpoint validation")
    return "v1," + _hmac(key, f"{message_id}.{timestamp}".encode())


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Standard Webhooks' signature of a delivery."""
    return "v1," + _hmac(key_of(secret), f"{message_id}.{timestamp}.".encode() + body)


def signature_v1(secret: str, body: bytes, now_ms: int) -> str:
    """LambdaQueue's v1 signature, as the published JavaScript SDK makes it."""
    made = hmac.new(secret.encode(), body + str(now_ms).encode(), hashlib.sha256).hexdigest()
    return f"v=1,t={now_ms},s={made}"


def url_hash(url: str) -> str:
    """The last part of a validation's id."""
    return hashlib.sha256(url.partition("?")[0].encode()).hexdigest()[:32]
