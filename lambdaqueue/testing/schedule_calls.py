"""Schedules: set, look, change, delete, pause, run, what they pushed (`api/schedules.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from lambdaqueue.commands import MAX_PAYLOAD, Page
from lambdaqueue.reading.option_headers import SCHEDULE_HEADERS
from lambdaqueue.reading.schedule_orders import (
    WantedSchedule,
    is_schedule,
    read_schedule,
    read_schedule_change,
    wanted_schedule,
)
from lambdaqueue.rendering import render, schedule_render
from lambdaqueue.schedule import Schedule
from lambdaqueue.sdk.transport import Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import (
    PREVIEW_QUERY,
    RUNS_QUERY,
    SCHEDULE,
    SCHEDULE_CHANGE,
    SCHEDULES_QUERY,
)
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import answer
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.world import World
from lambdaqueue.timetable import Timetable

__all__ = ["ScheduleCalls"]

Shown = Callable[[Call, Schedule], Response]


class ScheduleCalls:
    """Answers about schedules."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._schedules = world.schedules

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        yield Route("POST", "/schedules", self.create)
        yield Route("GET", "/schedules", self.list_schedules)
        yield Route("GET", "/schedules/preview", self.preview)
        yield Route("PUT", "/schedules/byKey/{schedule_key}", self.put)
        for named in ("/schedules/byKey/{schedule_key}", "/schedules/{id}"):
            yield Route("GET", named, self._of(self.show))
            yield Route("PATCH", named, self._of(self.change))
            yield Route("DELETE", named, self._of(self.drop))
            yield Route("POST", f"{named}/pause", self._of(self.pause))
            yield Route("POST", f"{named}/resume", self._of(self.resume))
            yield Route("POST", f"{named}/run", self._of(self.run))
            yield Route("GET", f"{named}/history", self._of(self.history))

    def create(self, call: Call) -> Response:
        media_type = call.content_type()
        if is_schedule(media_type):
            return self._set_from_json(call, None)
        values, payload = SCHEDULE_HEADERS.values(call.options()), call.payload()
        with SCHEDULE_HEADERS.named():
            given = {**loaded(SCHEDULE, values), "payload": payload, "content_type": media_type}
            asked = wanted_schedule(given)
            return self._world.once(call, lambda: self._set(asked))

    def put(self, call: Call, schedule_key: str) -> Response:
        return self._set_from_json(call, schedule_key)

    def list_schedules(self, call: Call) -> Response:
        query = call.asked(SCHEDULES_QUERY)
        after, limit = query["cursor"] or "", query["limit"]
        found = [each for each in self._schedules.known.values() if each.id > after]
        cursor = found[limit - 1].id if len(found) > limit else None
        page = Page(tuple(found[:limit]), cursor)
        return answer(render.page("schedules", page, schedule_render.schedule))

    def preview(self, call: Call) -> Response:
        query = call.asked(PREVIEW_QUERY)
        begin = self._world.now() if query["from"] is None else query["from"]
        timetable = Timetable.parse(query["schedule"], query["tz"])
        return answer(schedule_render.preview(timetable.preview(begin, query["count"], begin)))

    def show(self, call: Call, known: Schedule) -> Response:
        return _answer(known)

    def change(self, call: Call, known: Schedule) -> Response:
        wanted = read_schedule_change(loaded(SCHEDULE_CHANGE, call.object()), MAX_PAYLOAD)
        return _answer(self._schedules.change(known.id, wanted))

    def drop(self, call: Call, known: Schedule) -> Response:
        return _answer(self._schedules.drop(known.id))

    def pause(self, call: Call, known: Schedule) -> Response:
        return _answer(self._schedules.toggle(known.id, paused=True))

    def resume(self, call: Call, known: Schedule) -> Response:
        return _answer(self._schedules.toggle(known.id, paused=False))

    def run(self, call: Call, known: Schedule) -> Response:
        def push() -> Response:
            return answer(render.item(self._schedules.run(known.id)), 201)

        return self._world.once(call, push)

    def history(self, call: Call, known: Schedule) -> Response:
        query = call.asked(RUNS_QUERY)
        before, limit = int(query["cursor"] or 2**53), query["limit"]
        found = [pair for pair in self._schedules.pushed(known.id) if pair[0] < before]
        cursor = str(found[limit - 1][0]) if len(found) > limit else None
        page = Page(tuple(job for _, job in found[:limit]), cursor)
        return answer(render.page("entries", page, render.item))

    def _of(self, handler: Shown) -> Callable[..., Response]:
        """Find the schedule that a path names by key or by id."""

        def named(call: Call, schedule_key: str | None = None, id: str = "") -> Response:
            if schedule_key is not None:
                return handler(call, self._schedules.by_key(schedule_key))
            return handler(call, self._schedules.schedule(id))

        return named

    def _set_from_json(self, call: Call, key: str | None) -> Response:
        asked = read_schedule(partial(loaded, SCHEDULE), call.object(), MAX_PAYLOAD, key)
        return self._world.once(call, lambda: self._set(asked))

    def _set(self, asked: WantedSchedule) -> Response:
        made, is_new = self._schedules.set(asked.key, asked.wanted)
        return _answer(made, 201 if is_new else 200)


def _answer(shown: Schedule, status: int = 200) -> Response:
    return answer(schedule_render.schedule(shown), status)
