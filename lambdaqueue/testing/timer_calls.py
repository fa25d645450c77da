"""Timers: those that run again and again, and those that run once (`api/timers.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from lambdaqueue import strict_json
from lambdaqueue.commands import MAX_PAYLOAD
from lambdaqueue.errors import NotFound
from lambdaqueue.reading.timer_orders import read_once, read_periodic
from lambdaqueue.rendering import schedule_render
from lambdaqueue.schedule import Schedule
from lambdaqueue.sdk.transport import Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import PERIODIC, TIMER_ID, Fields
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import answer
from lambdaqueue.testing.records import ENVIRONMENT
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.schedules import Schedules
from lambdaqueue.testing.world import World
from lambdaqueue.timer import Once, Periodic, Timer, TimerSpec, blank, revised

__all__ = ["TimerCalls"]


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
        spec = read_periodic(wanted, MAX_PAYLOAD, key)
        return self._set(
            self._world.periodic, key, spec, Periodic.of(wanted["every"], wanted["minute"])
        )

    def set_once(self, call: Call, key: str) -> Response:
        loaded(TIMER_ID, {"id": key})
        spec, plan = read_once(loaded(self._timer.timer, call.object()), MAX_PAYLOAD, key)
        return self._set(self._world.timers, key, spec, plan)

    def _set(self, timers: Schedules, key: str, spec: TimerSpec, plan: Periodic | Once) -> Response:
        known, now = _known(timers, key), self._world.now()
        base = known or blank(timers.mint(), ENVIRONMENT, key, now)
        return _answer(timers.keep(revised(base, spec, plan, plan.recurrence(known, now))))


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


def _known(timers: Schedules, key: str) -> Schedule | None:
    return next((each for each in timers.known.values() if each.key == key), None)


def _answer(timer: Schedule) -> Response:
    return answer(schedule_render.timer(Timer.of(timer)))
