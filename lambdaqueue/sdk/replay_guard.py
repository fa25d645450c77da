"""What remembers deliveries, so that a handler doesn't do the same work twice.

LambdaQueue delivers at least once, and every attempt of a job has the same `webhook-id`. Three
things bring an id back: a retry after a failure, which must reach the handler; a retry although
the handler had succeeded, because the answer was lost; and somebody who recorded a delivery and
sends it again while its signature holds (5 minutes). So an id counts as done only once the handler
has succeeded, and one that is under way is put off, not dropped: should it fail, LambdaQueue comes
again.

What a guard can't do: when a process dies between the work and `done`, the work is done again.
Only the work itself can rule that out, with the id in the same transaction.

A job that ends by callbacks has succeeded in *beginning* when its handler returns. The work may
fail after that, and the next attempt must begin anew, under the same id. There the key is the id
with the time of the signature, which every attempt has afresh: a recorded delivery is known, a new
attempt isn't.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Protocol

__all__ = ["MemoryGuard", "ReplayGuard", "Seen"]

KEPT = 86_400.0
"""Seconds that a done delivery is remembered: LambdaQueue may wait that long before a retry."""

MOST = 100_000
"""Deliveries that are remembered; some 20 MB."""


class Seen(Enum):
    """What a guard knows of a delivery that comes in."""

    NEW = "new"
    UNDER_WAY = "under way"
    DONE = "done"


class ReplayGuard(Protocol):
    """Remembers deliveries by a key of at most 300 printable ASCII characters.

    Called by several threads at the same time. A guard in a database or in Redis, which all
    processes share, gives what is under way an expiry that is longer than the work takes: a
    process that dies never says how it ended.
    """

    def begin(self, key: str) -> Seen:
        """Return what is known of `key`; if that is NEW, it's under way from now on.

        In one step: of two that ask at the same time, one is told NEW.
        """
        ...

    def done(self, key: str) -> None:
        """Remember that the handler has succeeded, for `KEPT` seconds or so."""
        ...

    def failed(self, key: str) -> None:
        """Forget what was under way: the next attempt is NEW again."""
        ...


class MemoryGuard:
    """A guard for one process. What other processes do, or did before it started, it can't know.

    Done deliveries are kept for `kept` seconds, and at most `most`, the newest. `clock` is in
    seconds and never goes back.
    """

    def __init__(
        self,
        kept: float = KEPT,
        most: int = MOST,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._done_at: OrderedDict[str, float] = OrderedDict()

    def begin(self, key: str) -> Seen:
        """See `ReplayGuard.begin`."""
        with self._lock:
            self._forget_old()
            if key in self._done_at:
                return Seen.DONE
            if key in self._under_way:
                return Seen.UNDER_WAY
            self._under_way.add(key)
            return Seen.NEW

    def done(self, key: str) -> None:
        """See `ReplayGuard.done`."""
        with self._lock:
            self._under_way.discard(key)
            self._done_at[key] = self._clock()
            self._done_at.move_to_end(key)
            self._forget_old()

    def failed(self, key: str) -> None:
        """See `ReplayGuard.failed`."""
        with self._lock:
            self._under_way.discard(key)

    def _forget_old(self) -> None:
        before = self._clock() - self._kept
        while self._done_at:
            oldest = next(iter(self._done_at))
            if len(self._done_at) <= self._most and self._done_at[oldest] > before:
                return
            del self._done_at[oldest]
