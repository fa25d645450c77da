"""A clock that stands still until it is moved by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from lambdaqueue.instants import parse_instant
from lambdaqueue.sdk.durations import Duration, instant, milliseconds

__all__ = ["Clock"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """The time of the in-memory LambdaQueue: `clock.advance("10m")`.

    It stands still until it's moved, and then everything that becomes due on the way is done at
    its time: deliveries, retries, schedules, deadlines.

    It begins at `start`. Without one it begins at the present, and whenever it's moved the time
    that the test itself has taken is added: so what is pushed for `datetime.now(UTC) + ten_minutes`
    is due after `advance("10m")`, not some ms later.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._goes_along = start is None
        real = _real()
        self._ms = real if start is None else _ms(start)
        self._ahead = self._ms - real
        self._next: Callable[[], int | None] = _nothing
        self._work: Callable[[], object] = _no_work

    def __repr__(self) -> str:
        return f"Clock({self.now.isoformat()})"

    @property
    def now(self) -> datetime:
        """The present, in UTC."""
        return EPOCH + timedelta(milliseconds=self._ms)

    @property
    def ms(self) -> int:
        """The present in Unix ms."""
        return self._ms

    def advance(self, by: Duration) -> None:
        """Let time pass: a timedelta, seconds, or text like "10m".

        Raises:
            ValueError: it is no duration, or negative.
        """
        self._move(self.after(by))

    def move_to(self, when: datetime) -> None:
        """Let time pass until `when`, which has a zone.

        Raises:
            ValueError: that is in the past.
        """
        target = _ms(when)
        if target < self._ms:
            raise ValueError(f"time doesn't go back: it is {self.now.isoformat()}")
        self._ahead = target - _real()
        self._move(target)

    def after(self, by: Duration) -> int:
        """Return where `advance` moves to, in Unix ms; for `stops`."""
        length = milliseconds(by)
        self._ahead += length
        target = self._ms + length
        return max(target, _real() + self._ahead) if self._goes_along else target

    def stops(self, target: int) -> Iterator[None]:
        """Move to `target` (Unix ms), and stop wherever something is due on the way."""
        while (at := self._next()) is not None and at <= target:
            self._ms = max(self._ms, at)
            yield
        self._ms = max(self._ms, target)

    def drive(self, upcoming: Callable[[], int | None], work: Callable[[], object]) -> None:
        """Let `work` be done at every time (Unix ms) that `upcoming` names while it's moved."""
        self._next, self._work = upcoming, work

    def _move(self, target: int) -> None:
        self._work()
        for _ in self.stops(target):
            self._work()


def _real() -> int:
    return time.time_ns() // 1_000_000


def _ms(when: datetime) -> int:
    return parse_instant(instant(when))


def _nothing() -> None:
    return None


def _no_work() -> None:
    """There is none yet."""
