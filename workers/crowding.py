"""A host that hangs must not take all of a worker's slots."""

from __future__ import annotations

import time
from collections import Counter
from functools import lru_cache
from urllib.parse import urlsplit

from lambdaqueue.attempts import Kind, Settlement
from lambdaqueue.claims import Claim
from lambdaqueue.outcome import Answer

__all__ = ["Crowding"]

SOON, LATER = 50, 500
"""ms until a job is claimed again whose host had no place: where that answers, where it hangs."""

MANY = 20
"""Slots from which on some are kept for others."""

LIVELY = 2.0
"""Seconds since its last answer for which a host counts as one that answers."""

MOST_KNOWN = 10_000
"""Hosts whose last answer is remembered."""


class Crowding:
    """Counts the calls that are out, by host and port.

    None may have more than `limit`. Without one a host that answers may have all slots, but one of
    which nothing was heard for `LIVELY` seconds three quarters, where there are not just a few.
    """

    def __init__(self, slots: int, limit: int = 0) -> None:
        self._most = limit or slots - (slots // 4 if slots >= MANY else 0)
        self._is_strict = bool(limit)
        self._out: Counter[str] = Counter()
        self._answered: dict[str, float] = {}

    def enter(self, claim: Claim) -> bool:
        """Count a call, unless its host has as many as it may have."""
        host = _host(claim.target or "")
        if self._out[host] >= self._most and (self._is_strict or not self._is_lively(host)):
            return False
        self._out[host] += 1
        return True

    def leave(self, claim: Claim, _: object = None) -> None:
        """Count it no more; fit to be called when its task is done."""
        host = _host(claim.target or "")
        self._out[host] -= 1
        if not self._out[host]:
            del self._out[host]

    def hear(self, claim: Claim, answer: Answer) -> None:
        """Take note of what a call brought: any answer is one."""
        if answer.status is None or answer.failure is not None:
            return
        if len(self._answered) >= MOST_KNOWN:
            self._answered.clear()
        self._answered[_host(claim.target or "")] = time.monotonic()

    def put_off(self, claim: Claim) -> Settlement:
        """Return what gives a job back for a while whose host has no place; no retry is used.

        Where the host hangs, its endpoint rests: the other jobs would find no place either.
        """
        lively = self._is_lively(_host(claim.target or ""))
        delay, rest = (SOON, None) if lively else (LATER, LATER)
        log = claim.attempts_log.decode()
        return Settlement(claim, Kind.UNSENT, delay=delay, log=log, asked=rest)

    def _is_lively(self, host: str) -> bool:
        return time.monotonic() - self._answered.get(host, -LIVELY) < LIVELY


@lru_cache(maxsize=10_000)
def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower().removesuffix(":443")
    except ValueError:  # the sender will say what is wrong with it
        return ""
