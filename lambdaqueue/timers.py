"""The use cases around timers: set, look, drop. A timer is a schedule in a collection of its own.

A periodic timer runs again and again on a grid of plain intervals, the other kind once: it's gone
with its run. Whoever sets one that is there as it is moves nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from lambdaqueue.connection import Redis
from lambdaqueue.errors import NotFound
from lambdaqueue.ids import ALPHABET
from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.schedules import ScheduleChanged, ScheduleStore
from lambdaqueue.spec import Spec
from lambdaqueue.timetable import parse_interval

__all__ = ["DEFAULT_EVERY", "QUEUE", "Timer", "TimerSpec", "Timers"]

QUEUE = "periodic"
"""The queue that timers push to, those that run once too."""

DEFAULT_EVERY = "1h"

ID_LENGTH = 16

HOUR, MINUTE = 3_600_000, 60_000


@dataclass(frozen=True, slots=True)
class TimerSpec:
    """What a timer is for: the JSON that its jobs carry, where they go (None: to the queue's
    default target), and a shard that only its owner cares about."""

    data: bytes
    target: str | None = None
    shard: str = "shard0"


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


class Timers:
    """Everything that can be asked of timers. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._periodic = ScheduleStore(client, now, "periodic")
        self._once = ScheduleStore(client, now, "timers")

    def set_periodic(
        self, environment: str, timer_id: str, wanted: TimerSpec, every: str, minute: int | None
    ) -> Timer:
        """Make or change a periodic timer.

        Its first run is at the next `minute` of an hour (UTC), or one interval from now. The phase
        stays unless `every` or `minute` is another one than before.

        Raises:
            InvalidRequest: for `every`, which is an interval like `1h`.
        """
        length, notes = parse_interval(every, "every"), _Notes(wanted.shard, minute)

        def plan(known: Schedule | None, now: int) -> Recurrence:
            if known is not None and _same_phase(known, length, minute):
                return known.recurrence
            first = now + length if minute is None else _next_minute(now, minute)
            return Recurrence(f"every({every})", starts_at=first, misfire="all")

        return self._set(self._periodic, _Place(environment, timer_id), wanted, notes, plan)

    def set_once(
        self, environment: str, timer_id: str, wanted: TimerSpec, *, at: int | None, delay: int
    ) -> Timer:
        """Make or change a timer that runs once: `at` (Unix ms; the past means now), or else
        `delay` ms from now."""

        def plan(known: Schedule | None, now: int) -> Recurrence:
            instant = now + delay if at is None else max(now, at)
            # A grid that begins and ends at the instant has one run; at(…) knows no milliseconds.
            return Recurrence("every(1d)", starts_at=instant, ends_at=instant, misfire="all")

        place = _Place(environment, timer_id)
        return self._set(self._once, place, wanted, _Notes(wanted.shard), plan)

    def periodic(self, environment: str, timer_id: str) -> Timer:
        """Return a periodic timer; raises NotFound."""
        return _found(self._periodic.read_by_key(environment, timer_id))

    def once(self, environment: str, timer_id: str) -> Timer:
        """Return a timer that runs once; raises NotFound, also when it has fired."""
        return _found(self._once.read_by_key(environment, timer_id))

    def drop_periodic(self, environment: str, timer_id: str) -> None:
        """Forget a periodic timer, if there is one; jobs that it pushed go on."""
        _drop(self._periodic, environment, timer_id)

    def drop_once(self, environment: str, timer_id: str) -> None:
        """Forget a timer that runs once, if there is one."""
        _drop(self._once, environment, timer_id)

    def _set(
        self, store: ScheduleStore, place: _Place, wanted: TimerSpec, notes: _Notes, plan: _Plan
    ) -> Timer:
        while True:
            known = store.read_by_key(place.environment, place.id)
            now = store.clock()
            recurrence = plan(known, now)
            schedule = _revised(known or _new(place, now), wanted, notes, recurrence)
            if schedule != known:
                try:
                    store.put(schedule, known.revision if known else 0)
                except ScheduleChanged:
                    continue
            return _timer(schedule)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a timer is: its environment, and its id there."""

    environment: str
    id: str


_Plan = Callable[[Schedule | None, int], Recurrence]
"""Tells when a timer runs, from what it was and the time (Unix ms)."""


def _new(place: _Place, now: int) -> Schedule:
    return Schedule(
        id="".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH)),
        environment=place.environment,
        queue=QUEUE,
        spec=Spec(),
        recurrence=Recurrence(""),
        created=now,
        anchor=now,
        key=place.id,
    )


def _revised(known: Schedule, wanted: TimerSpec, notes: _Notes, recurrence: Recurrence) -> Schedule:
    spec = Spec(wanted.data, target=wanted.target, schedule_id=known.id, schedule_key=known.key)
    changed = replace(known, spec=spec, notes=notes.pack())
    if recurrence == known.recurrence:
        return changed
    first = recurrence.starts_at
    assert first is not None
    return replace(changed, recurrence=recurrence, anchor=first, next_run=first)


def _same_phase(known: Schedule, length: int, minute: int | None) -> bool:
    same_minute = _Notes.unpack(known.notes).minute == minute
    return same_minute and known.recurrence.timetable.shortest_interval() == length


def _next_minute(now: int, minute: int) -> int:
    """Return the first instant after `now` that is the beginning of that minute of an hour."""
    this_hour = now // HOUR * HOUR + minute * MINUTE
    return this_hour if this_hour > now else this_hour + HOUR


def _timer(schedule: Schedule) -> Timer:
    assert schedule.key is not None
    return Timer(
        id=schedule.key,
        shard=_Notes.unpack(schedule.notes).shard,
        data=schedule.spec.payload,
        first_run=schedule.anchor,
    )


def _found(schedule: Schedule | None) -> Timer:
    if schedule is None:
        raise NotFound("there is no such timer")
    return _timer(schedule)


def _drop(store: ScheduleStore, environment: str, timer_id: str) -> None:
    schedule = store.read_by_key(environment, timer_id)
    if schedule is None:
        return
    try:
        store.drop(environment, schedule.id)
    except NotFound:  # it fired, or somebody else dropped it, meanwhile
        return
