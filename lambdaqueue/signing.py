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
    "entries",
    "fresh_timestamp",
    "sign",
    "signature",
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
    return b" ".join([signature(secret.key, content) for secret in secrets]).decode()


def signature(key: bytes, content: bytes) -> bytes:
    """Return `v1,<base64>` of the HMAC-SHA256 over `content`.

    Only one spelling of the right 32 bytes is equal to it, so comparing it checks prefix and
    base64 as well.
    """
    return b"v1," + binascii.b2a_base64(hmac.digest(key, content, "sha256"), newline=False)


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
    timestamp = fresh_timestamp(lower.get("webhook-timestamp", ""), now, tolerance)
    received = entries("webhook-signature", lower.get("webhook-signature", ""))
    content = f"{message_id}.{timestamp}.".encode() + body
    expected = [signature(secret.key, content) for secret in secrets]
    if not any(hmac.compare_digest(e, r) for e in expected for r in received):
        raise InvalidSignature("no signature matches")


def fresh_timestamp(value: str, now: float, tolerance: float = TOLERANCE) -> str:
    """Return `value`, a `webhook-timestamp`, as it stands: the text is what is signed.

    Raises:
        InvalidSignature: not whole Unix seconds, or more than `tolerance` seconds off `now`.
    """
    if TIMESTAMP.fullmatch(value) is None:
        raise InvalidSignature("webhook-timestamp is missing or not whole seconds")
    # Written so that a NaN on either side refuses.
    if not abs(now - int(value)) <= tolerance:
        raise InvalidSignature("webhook-timestamp is too far from the present")
    return value


def entries(header: str, value: str) -> list[bytes]:
    """Return the signatures that a header's value lists, separated by spaces.

    Raises:
        InvalidSignature: none, more than MAX_SIGNATURES, or not ASCII.
    """
    if not value or not value.isascii():
        raise InvalidSignature(f"{header} is missing or not ASCII")
    listed = value.encode().split(b" ", MAX_SIGNATURES)
    if len(listed) > MAX_SIGNATURES:
        raise InvalidSignature(f"{header} has more than {MAX_SIGNATURES} entries")
    return listed


def _message_id(value: str) -> str:
    if not value or not value.isascii():
        raise InvalidSignature("webhook-id is missing or not ASCII")
    if "." in value:
        # It ends the id in what is signed; with another one, id and time could be cut elsewhere.
        raise InvalidSignature("webhook-id contains a dot")
    return value


def _strict_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ConfigurationError("a signature secret is strict, padded base64") from None
