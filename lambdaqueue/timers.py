"""The use cases around timers: set, look, drop. A timer is a schedule in a collection of its own.

A periodic timer runs again and again on a grid of plain intervals, the other kind once: it's gone
with its run. Whoever sets one that is there as it is moves nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from lambdaqueue.connection import Redis
from lambdaqueue.errors import NotFound
from lambdaqueue.ids import ALPHABET
from lambdaqueue.schedule import Schedule
from lambdaqueue.schedules import ScheduleChanged, ScheduleStore
from lambdaqueue.timer import Once, Periodic, Timer, TimerSpec, blank, revised

__all__ = ["Timers"]

ID_LENGTH = 16


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
        place = _Place(environment, timer_id)
        return self._set(self._periodic, place, wanted, Periodic.of(every, minute))

    def set_once(
        self, environment: str, timer_id: str, wanted: TimerSpec, *, at: int | None, delay: int
    ) -> Timer:
        """Make or change a timer that runs once: `at` (Unix ms; the past means now), or else
        `delay` ms from now."""
        place = _Place(environment, timer_id)
        return self._set(self._once, place, wanted, Once(at, delay))

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
        self, store: ScheduleStore, place: _Place, wanted: TimerSpec, plan: Periodic | Once
    ) -> Timer:
        while True:
            known = store.read_by_key(place.environment, place.id)
            now = store.clock()
            base = known or blank(_new_id(), place.environment, place.id, now)
            schedule = revised(base, wanted, plan, plan.recurrence(known, now))
            if schedule != known:
                try:
                    store.put(schedule, known.revision if known else 0)
                except ScheduleChanged:
                    continue
            return Timer.of(schedule)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a timer is: its environment, and its id there."""

    environment: str
    id: str


def _new_id() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def _found(schedule: Schedule | None) -> Timer:
    if schedule is None:
        raise NotFound("there is no such timer")
    return Timer.of(schedule)


def _drop(store: ScheduleStore, environment: str, timer_id: str) -> None:
    schedule = store.read_by_key(environment, timer_id)
    if schedule is None:
        return
    try:
        store.drop(environment, schedule.id)
    except NotFound:  # it fired, or somebody else dropped it, meanwhile
        return
