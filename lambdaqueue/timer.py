"""The timer: a schedule in a collection of its own, by an id that its owner has chosen.

A periodic timer runs again and again on a grid of plain intervals, the other kind once. Pure: the
time is an argument, Unix milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import ClassVar

from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.spec import Spec
from lambdaqueue.timetable import parse_interval

__all__ = ["DEFAULT_EVERY", "QUEUE", "Once", "Periodic", "Timer", "TimerSpec", "blank", "revised"]

QUEUE = "periodic"
"""The queue that timers push to, those that run once too."""

DEFAULT_EVERY = "1h"

HOUR, MINUTE = 3_600_000, 60_000


@dataclass(frozen=True, slots=True)
class TimerSpec:
    """What a timer is for: the JSON that its jobs carry, where they go (None: to the queue's
    default target), and a shard that only its owner cares about."""

    data: bytes
    target: str | None = None
    shard: str = "shard0"


@dataclass(frozen=True, slots=True)
class _Notes:
    """What is kept beside the schedule of a timer."""

    shard: str
    minute: int | None = None

    def pack(self) -> str:
        return json.dumps([self.shard, self.minute])

    @classmethod
    def unpack(cls, stored: str) -> _Notes:
        return cls(*json.loads(stored))


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as its owner sees it; `first_run` is Unix ms."""

    id: str
    shard: str
    data: bytes
    first_run: int

    @property
    def time_shard(self) -> str:
        """The minute of the hour of its first run, and its id."""
        return f"{self.first_run // MINUTE % 60:02d}:{self.id}"

    @classmethod
    def of(cls, stored: Schedule) -> Timer:
        """Read it back from the schedule that it's stored as."""
        assert stored.key is not None
        return cls(
            id=stored.key,
            shard=_Notes.unpack(stored.notes).shard,
            data=stored.spec.payload,
            first_run=stored.anchor,
        )


@dataclass(frozen=True, slots=True)
class Periodic:
    """Runs every interval, the first time at the next `minute` of an hour (UTC), or one interval
    from now. `length` is ms."""

    every: str
    length: int
    minute: int | None

    @classmethod
    def of(cls, every: str, minute: int | None) -> Periodic:
        """Build it; raises InvalidRequest for `every`, which is an interval like `1h`."""
        return cls(every, parse_interval(every, "every"), minute)

    def recurrence(self, known: Schedule | None, now: int) -> Recurrence:
        """Return when it runs; the phase stays unless `every` or `minute` is another one."""
        if known is not None and self._has_phase_of(known):
            return known.recurrence
        first = now + self.length if self.minute is None else _next_minute(now, self.minute)
        return Recurrence(f"every({self.every})", starts_at=first, misfire="all")

    def _has_phase_of(self, known: Schedule) -> bool:
        same_minute = _Notes.unpack(known.notes).minute == self.minute
        return same_minute and known.recurrence.timetable.shortest_interval() == self.length


@dataclass(frozen=True, slots=True)
class Once:
    """Runs once: `at` (Unix ms; the past means now), or else `delay` ms from now."""

    minute: ClassVar[None] = None

    at: int | None
    delay: int

    def recurrence(self, known: Schedule | None, now: int) -> Recurrence:
        """Return when it runs."""
        instant = now + self.delay if self.at is None else max(now, self.at)
        # A grid that begins and ends at the instant has one run; at(…) knows no milliseconds.
        return Recurrence("every(1d)", starts_at=instant, ends_at=instant, misfire="all")


def blank(id: str, environment: str, key: str, now: int) -> Schedule:
    """Return a new timer that has no run yet, for `revised`; its owner knows it by `key`."""
    return Schedule(
        id=id,
        environment=environment,
        queue=QUEUE,
        spec=Spec(),
        recurrence=Recurrence(""),
        created=now,
        anchor=now,
        key=key,
    )


def revised(
    known: Schedule, wanted: TimerSpec, plan: Periodic | Once, recurrence: Recurrence
) -> Schedule:
    """Return a timer as it is wanted; one whose `recurrence` is another than before begins anew."""
    spec = Spec(wanted.data, target=wanted.target, schedule_id=known.id, schedule_key=known.key)
    changed = replace(known, spec=spec, notes=_Notes(wanted.shard, plan.minute).pack())
    if recurrence == known.recurrence:
        return changed
    first = recurrence.starts_at
    assert first is not None
    return replace(changed, recurrence=recurrence, anchor=first, next_run=first)


def _next_minute(now: int, minute: int) -> int:
    """Return the first instant after `now` that is the beginning of that minute of an hour."""
    this_hour = now // HOUR * HOUR + minute * MINUTE
    return this_hour if this_hour > now else this_hour + HOUR
