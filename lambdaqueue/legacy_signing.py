"""LambdaQueue v1 signature, for endpoints built with the published JavaScript SDK.

It is `v=1,t=<Unix ms>,s=<hex>`: HMAC-SHA256, keyed with the whole text of the secret, over the
body directly followed by `t` in decimal. It is weak, because nothing separates the two: a
signature over the body `…1` at the time 614265330000 is also one over `…` at 1614265330000, and
one over an empty body is the same whatever it was made for. So it's used in two places only:

- in a validation's answer, as a proof that the endpoint knows the secret (`proofs`);
- beside the Standard Webhooks headers of deliveries to targets that gave this proof.

Our own SDK never accepts a delivery by it. The secret's text and its bytes are different keys, so
a v1 signature never passes as one of `signing`, nor the other way round.
"""

from __future__ import annotations

import hmac
import re

from lambdaqueue.signing import Secret

__all__ = ["HEADER", "TOLERANCE", "proves_v1", "sign_v1"]

HEADER = "x-lq-signature"

TOLERANCE = 120_000
"""Milliseconds by which the signature's time may differ from ours, either way."""

# A leading zero would let zeros at a body's end move into the time without changing it.
VALUE = re.compile(r"v=1,t=(0|[1-9][0-9]{0,14}),s=([0-9a-f]{64})")


def sign_v1(secret: Secret, body: bytes, now_ms: int) -> str:
    """Return the value of `x-lq-signature` for `body` at `now_ms` (Unix ms)."""
    return f"v=1,t={now_ms},s={_signature(secret, body, str(now_ms)).decode()}"


def proves_v1(secret: Secret, value: str, body: bytes, now_ms: int) -> bool:
    """Tell whether `value`, a received `x-lq-signature`, was made with `secret` over `body`.

    False as well when it isn't exactly of this form, or made more than TOLERANCE from `now_ms`.
    """
    read = VALUE.fullmatch(value)
    # Written so that a NaN refuses.
    if read is None or not abs(now_ms - int(read[1])) <= TOLERANCE:
        return False
    return hmac.compare_digest(_signature(secret, body, read[1]), read[2].encode())


def _signature(secret: Secret, body: bytes, time: str) -> bytes:
    digest = hmac.digest(secret.reveal().encode(), body + time.encode(), "sha256")
    return digest.hex().encode()
