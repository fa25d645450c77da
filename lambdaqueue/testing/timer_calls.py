"""Timers: those that run again and again, and those that run once (`api/timers.py`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.reading.orders import MAX_PAYLOAD, compact
from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.sdk.transport import Response
from lambdaqueue.spec import Spec
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import PERIODIC, TIMER_ID, Fields
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import answer
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.schedules import Schedules
from lambdaqueue.testing.world import World
from lambdaqueue.timetable import parse_interval

__all__ = ["TimerCalls"]

QUEUE = "periodic"
HOUR, MINUTE = 3_600_000, 60_000


class TimerCalls:
    """Answers about timers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._timer: Fields = world.orders.fields

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        yield Route("PUT", "/periodic/{key}", self.set_periodic)
        yield Route("PUT", "/timers/{key}", self.set_once)
        for path, timers in (
            ("/periodic/{key}", self._world.periodic),
            ("/timers/{key}", self._world.timers),
        ):
            yield Route("GET", path, _Show(timers))
            yield Route("DELETE", path, _Drop(timers))

    def set_periodic(self, call: Call, key: str) -> Response:
        loaded(TIMER_ID, {"id": key})
        wanted = loaded(PERIODIC, call.optional_object())
        spec = _spec(wanted, {"id": key, "type": "hourlyPeriodic"})
        every, minute, now = wanted["every"], wanted["minute"], self._world.now()
        length = parse_interval(every, "every")
        known = _known(self._world.periodic, key)
        notes = json.dumps([wanted.get("shard", "shard0"), minute, length])
        if known is not None and json.loads(known.notes)[1:] == [minute, length]:
            return _set(self._world.periodic, replace(known, spec=spec, notes=notes))
        first = now + length if minute is None else _next_minute(now, minute)
        recurrence = Recurrence(f"every({every})", starts_at=first, misfire="all")
        return _begin(self._world.periodic, key, recurrence, (spec, notes))

    def set_once(self, call: Call, key: str) -> Response:
        loaded(TIMER_ID, {"id": key})
        wanted = loaded(self._timer.timer, call.object())
        at, delay, now = wanted["at"], wanted["delay"], self._world.now()
        if at is None and delay is None:
            raise InvalidRequest.of("at", "required", "is required, or else a delay")
        if at is not None and delay is not None:
            raise InvalidRequest.of("at", "delay_and_at", "must not be given with a delay")
        spec = _spec(wanted, {"id": key, "type": "timer"})
        instant = now + delay if at is None else max(now, at)
        recurrence = Recurrence("every(1d)", starts_at=instant, ends_at=instant, misfire="all")
        notes = json.dumps([wanted.get("shard", "shard0")])
        return _begin(self._world.timers, key, recurrence, (spec, notes))


class _Show:
    """Answers with a timer of one kind."""

    def __init__(self, timers: Schedules) -> None:
        self._timers = timers

    def __call__(self, call: Call, key: str) -> Response:
        try:
            return _answer(self._timers.by_key(key))
        except NotFound:
            return answer(strict_json.dumps(key), 404)


class _Drop:
    """Forgets a timer of one kind."""

    def __init__(self, timers: Schedules) -> None:
        self._timers = timers

    def __call__(self, call: Call, key: str) -> Response:
        known = _known(self._timers, key)
        if known is not None:
            self._timers.drop(known.id)
        return answer(strict_json.dumps(key))


def _begin(timers: Schedules, key: str, recurrence: Recurrence, what: tuple[Spec, str]) -> Response:
    """Make a timer, or let one begin anew."""
    first = recurrence.starts_at
    assert first is not None
    known = _known(timers, key) or timers.blank(key, QUEUE, recurrence)
    spec, notes = what
    begun = replace(known, recurrence=recurrence, anchor=first, next_run=first)
    return _set(timers, replace(begun, spec=spec, notes=notes))


def _set(timers: Schedules, timer: Schedule) -> Response:
    spec = replace(timer.spec, schedule_id=timer.id, schedule_key=timer.key)
    return _answer(timers.keep(replace(timer, spec=spec)))


def _known(timers: Schedules, key: str) -> Schedule | None:
    return next((each for each in timers.known.values() if each.key == key), None)


def _spec(wanted: dict[str, Any], default: dict[str, str]) -> Spec:
    data = compact(wanted.get("data", default), "timerCallbackData", MAX_PAYLOAD)
    return Spec(data, target=wanted.get("target"))


def _next_minute(now: int, minute: int) -> int:
    this_hour = now // HOUR * HOUR + minute * MINUTE
    return this_hour if this_hour > now else this_hour + HOUR


def _answer(timer: Schedule) -> Response:
    shard = json.loads(timer.notes)[0]
    time_shard = f"{timer.anchor // MINUTE % 60:02d}:{timer.key}"
    head = {"id": timer.key, "shardId": shard, "timeShardId": time_shard}
    body = strict_json.dumps(head)[:-1] + b',"timerCallbackData":' + timer.spec.payload + b"}"
    return answer(body)
