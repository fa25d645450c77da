"""What the sample endpoint of `lambdaqueue listen` decides: no sockets, no printing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lambdaqueue.legacy_signing import HEADER as V1_HEADER
from lambdaqueue.legacy_signing import proves_v1, sign_v1
from lambdaqueue.proofs import VALIDATION_HEADER, OtherUrl, answer_challenge
from lambdaqueue.signing import InvalidSignature, Secret, verify

__all__ = ["Endpoint", "Verdict"]

REMEMBERED = 10_000
"""Deliveries whose attempts are counted for --fail-first."""

NO_SECRET = "give one with --secret or LQ_SECRET"
SET_URL = "set LQ_BASE_URL"
OWN_SECRET = "without validation it is the queue's own secret: lambdaqueue secret show --queue"

FAILURE, UNTRUSTED = 400, 401


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer, and why, in a few words for the line that is printed."""

    status: int
    words: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Endpoint:
    """Decides what a request gets. `delay` is seconds; both methods get lower-case header names.

    With `v1` it's an endpoint built with the published JavaScript SDK: it proves and verifies by
    `x-lq-signature` alone.
    """

    secrets: list[Secret]
    status: int = 200
    delay: float = 0.0
    fail_first: int = 0
    v1: bool = False
    _attempts: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        """Verify the delivery, received at `now` (Unix s), and choose its answer."""
        words = "unverified (no secret known)"
        if self.secrets:
            try:
                words = self._verify(headers, body, now)
            except InvalidSignature as error:
                needed = V1_HEADER if self.v1 else "webhook-signature"
                unsigned = "UNSIGNED" if needed not in headers else ""
                # One that is to fail anyway fails in the way that was asked for.
                status = self.status if self.status >= FAILURE else UNTRUSTED
                return Verdict(status, unsigned or f"WRONG SIGNATURE ({error}); {OWN_SECRET}")
        if self._count(headers.get("webhook-id", "")) <= self.fail_first:
            return Verdict(500, f"{words}, failed on purpose")
        return Verdict(self.status, words)

    def asked_to_prove(self, method: str, headers: Mapping[str, str]) -> bool:
        """Tell whether the request is a validation; the JavaScript SDK takes every HEAD for one."""
        return method == "HEAD" and (self.v1 or VALIDATION_HEADER in headers)

    def prove(
        self, headers: Mapping[str, str], now: float, urls: Collection[str] | None
    ) -> Verdict:
        """Answer a validation, received at `now` (Unix s).

        `urls` are the spellings of this endpoint's own URL, None where it doesn't know them.
        """
        if not self.secrets:
            return Verdict(401, f"validation REFUSED (no secret known: {NO_SECRET})")
        if self.v1:
            proof = sign_v1(self.secrets[0], b"", int(now * 1_000))
            return Verdict(200, f"validation proven by {V1_HEADER} (v1)", ((V1_HEADER, proof),))
        try:
            proof = answer_challenge(self.secrets, headers, now, urls)
        except OtherUrl as error:
            return Verdict(401, f"validation REFUSED ({error}; if it has that one, {SET_URL})")
        except InvalidSignature as error:
            return Verdict(401, f"validation REFUSED ({error})")
        checked = "" if urls is not None else f" (its own URL is unknown: {SET_URL})"
        return Verdict(200, f"validation proven{checked}", ((VALIDATION_HEADER, proof),))

    def _verify(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """Return the words for a genuine delivery; raise InvalidSignature for others."""
        if not self.v1:
            verify(self.secrets, headers, body, now)
            return "verified"
        value, now_ms = headers.get(V1_HEADER, ""), int(now * 1_000)
        if not any(proves_v1(secret, value, body, now_ms) for secret in self.secrets):
            raise InvalidSignature(f"{V1_HEADER} is malformed, too old or another's")
        return f"verified by {V1_HEADER} (v1)"

    def _count(self, message_id: str) -> int:
        with self._lock:
            count = self._attempts.pop(message_id, 0) + 1
            self._attempts[message_id] = count
            if len(self._attempts) > REMEMBERED:
                self._attempts.popitem(last=False)
        return count
