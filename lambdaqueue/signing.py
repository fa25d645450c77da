"""Standard Webhooks 1.0.0: signing what is sent, verifying what was received.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import binascii
import hmac
import re
import secrets as randomness
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lambdaqueue.errors import ConfigurationError, LambdaQueueError

__all__ = [
    "MAX_SIGNATURES",
    "PREFIX",
    "SECRET_BYTES",
    "TOLERANCE",
    "InvalidSignature",
    "Secret",
    "sign",
    "verify",
]

PREFIX = "whsec_"
SECRET_BYTES = (24, 64)
"""How many random bytes a secret may have; fewer are too weak, more add nothing."""

GENERATED_BYTES = 32

TOLERANCE = 300.0
"""Seconds by which the signature's time may differ from ours, either way."""

MAX_SIGNATURES = 5
"""Entries of a signature list: two during a rotation; a longer list only costs time."""

TIMESTAMP = re.compile(r"[0-9]{1,15}")


class InvalidSignature(LambdaQueueError):
    """Raised when a delivery isn't signed by a holder of the secret, or not at this time."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A signature secret; only `reveal` shows it. Made by `parse` and `generate`."""

    key: bytes

    @classmethod
    def parse(cls, text: str) -> Secret:
        """Read the form `whsec_<base64>`.

        Raises:
            ConfigurationError: naming the broken rule, never the secret.
        """
        if not text.startswith(PREFIX):
            raise ConfigurationError(f"a signature secret begins with {PREFIX}")
        secret = cls(_strict_base64(text.removeprefix(PREFIX)))
        if secret.reveal() != text:
            raise ConfigurationError("a signature secret has no unused bits in its base64")
        fewest, most = SECRET_BYTES
        if not fewest <= len(secret.key) <= most:
            raise ConfigurationError(f"a signature secret has {fewest} to {most} bytes")
        return secret

    @classmethod
    def generate(cls) -> Secret:
        """Make a new random secret."""
        return cls(randomness.token_bytes(GENERATED_BYTES))

    def reveal(self) -> str:
        """Return the secret as text, for those who may see it."""
        return PREFIX + binascii.b2a_base64(self.key, newline=False).decode()

    def __repr__(self) -> str:
        return "Secret(…)"


def sign(secrets: Sequence[Secret], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature for each secret, newest first.

    `timestamp` is Unix seconds. Without a secret there is no signature: ValueError.
    """
    if not secrets:
        raise ValueError("nothing can be signed without a secret")
    content = f"{message_id}.{timestamp}.".encode() + body
    return b" ".join([_signature(secret, content) for secret in secrets]).decode()


def verify(
    secrets: Sequence[Secret],
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    tolerance: float = TOLERANCE,
) -> None:
    """Check that a delivery was signed with one of the secrets at about this time.

    `body` is exactly what was received, `now` Unix seconds, `tolerance` seconds. Header names
    may be in any case. A delivery repeated within the tolerance passes again: whoever must not
    act twice remembers the `webhook-id`.

    Raises:
        InvalidSignature: a header is missing or malformed, the time is off, nothing matches.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    message_id = _message_id(lower.get("webhook-id", ""))
    timestamp = _timestamp(lower.get("webhook-timestamp", ""), now, tolerance)
    signatures = _entries(lower.get("webhook-signature", ""))
    content = f"{message_id}.{timestamp}.".encode() + body
    # Only one spelling of the right 32 bytes is equal, so prefix and base64 are checked as well.
    expected = [_signature(secret, content) for secret in secrets]
    if not any(hmac.compare_digest(e, s) for e in expected for s in signatures):
        raise InvalidSignature("no signature matches")


def _signature(secret: Secret, content: bytes) -> bytes:
    digest = hmac.digest(secret.key, content, "sha256")
    return b"v1," + binascii.b2a_base64(digest, newline=False)


def _message_id(value: str) -> str:
    if not value or not value.isascii():
        raise InvalidSignature("webhook-id is missing or not ASCII")
    if "." in value:
        # It ends the id in what is signed; with another one, id and time could be cut elsewhere.
        raise InvalidSignature("webhook-id contains a dot")
    return value


def _timestamp(value: str, now: float, tolerance: float) -> str:
    if TIMESTAMP.fullmatch(value) is None:
        raise InvalidSignature("webhook-timestamp is missing or not whole seconds")
    # Written so that a NaN on either side refuses.
    if not abs(now - int(value)) <= tolerance:
        raise InvalidSignature("webhook-timestamp is too far from the present")
    return value


def _entries(value: str) -> list[bytes]:
    if not value or not value.isascii():
        raise InvalidSignature("webhook-signature is missing or not ASCII")
    entries = value.encode().split(b" ", MAX_SIGNATURES)
    if len(entries) > MAX_SIGNATURES:
        raise InvalidSignature(f"webhook-signature has more than {MAX_SIGNATURES} entries")
    return entries


def _strict_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ConfigurationError("a signature secret is strict, padded base64") from None
