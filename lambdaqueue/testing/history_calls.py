"""History: what ended in a queue. Look, take along, push again (`api/history.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lambdaqueue.commands import MAX_DELAY, MAX_PAYLOAD, HistoryFilter, Page, Push, Replayed
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.job import Job, State
from lambdaqueue.rendering import render
from lambdaqueue.replay import check_replayable, due_at, replayed, too_far
from lambdaqueue.sdk.transport import Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import EXPORT_QUERY, HISTORY_QUERY, REPLAY, REPLAYS
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import answer
from lambdaqueue.testing.queues import position
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.world import World

__all__ = ["HistoryCalls"]

CURSOR = re.compile(r"[1-9][0-9]{0,14}-[0-9]{1,15}-[cf]")

NO_BREAKS = bytes.maketrans(b"\r\n", b"  ")


class HistoryCalls:
    """Answers about what ended in queues."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs = world.jobs
        self._queues = world.jobs.queues

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        history = "/queues/{queue}/history"
        yield Route("GET", history, self.history)
        yield Route("GET", f"{history}.jsonl", self.export)
        yield Route("POST", f"{history}/replay", self.replay_many)
        yield Route("POST", f"{history}/{{entry}}/replay", self.replay)

    def history(self, call: Call, queue: str) -> Response:
        query = call.asked(HISTORY_QUERY)
        limit, cursor = query.pop("limit"), query.pop("cursor")
        after = _position(cursor)
        found = [
            job
            for job in self._queues.history(queue, _filter(query))
            if after is None or position(job) < after
        ]
        cursor = _cursor(found[limit - 1]) if len(found) > limit else None
        return _page(Page(tuple(found[:limit]), cursor))

    def export(self, call: Call, queue: str) -> Response:
        where = _filter(call.asked(EXPORT_QUERY))
        lines = [
            render.entry(job).translate(NO_BREAKS) + b"\n"
            for job in self._queues.history(queue, where)
        ]
        name = queue.replace("/", "_")
        headers = {
            "content-type": "application/x-ndjson",
            "content-disposition": f'attachment; filename="{name}.history.jsonl"',
        }
        return Response(200, headers, b"".join(lines))

    def replay(self, call: Call, queue: str, entry: str) -> Response:
        target = loaded(REPLAY, call.optional_object(MAX_PAYLOAD)).get("target")

        def carry_out() -> Response:
            found = self._queues.found(queue)
            old = found.ended.get(entry) if found else None
            if old is None:
                raise NotFound("there is no such entry")
            check_replayable(old)
            return answer(render.item(self._again(old, target)), 201)

        return self._world.once(call, carry_out)

    def replay_many(self, call: Call, queue: str) -> Response:
        order = loaded(REPLAYS, call.optional_object(MAX_PAYLOAD))

        def carry_out() -> Response:
            self._queues.info(queue)
            return answer(render.replays(self._replay_all(queue, order)), 201)

        return self._world.once(call, carry_out)

    def _replay_all(self, queue: str, order: dict[str, Any]) -> Replayed:
        now, rate = self._world.now(), order.get("rate")
        entry, _, begin = (order.get("cursor") or "").partition(".")
        after, start = _position(entry or None), max(now, int(begin or 0)) if rate else now
        found = [
            job
            for job in self._queues.history(queue, _filter(order))
            if job.spec.service is None and (after is None or position(job) < after)
        ]
        latest, wanted = now + MAX_DELAY, enumerate(found[: order["limit"]])
        todo = [job for number, job in wanted if due_at(start, number, rate) <= latest]
        if found and not todo:
            raise too_far()
        for number, job in enumerate(todo):
            due = due_at(start, number, rate) if rate else None
            self._again(job, order.get("target"), due)
        last = due_at(start, len(todo) - 1, rate) if todo and rate else None
        if len(todo) == len(found):
            return Replayed(len(todo), last_due_at=last)
        ahead = f".{due_at(start, len(todo), rate)}" if rate else ""
        return Replayed(len(todo), _cursor(todo[-1]) + ahead, last)

    def _again(self, old: Job, target: str | None, due: int | None = None) -> Job:
        spec = replayed(old, target)
        self._jobs.check_target(old.queue, spec)
        return self._jobs.push(old.queue, [Push(spec, on=due, priority=old.priority)])[0].job


def _filter(query: dict[str, Any]) -> HistoryFilter:
    state = query.get("state")
    return HistoryFilter(
        state=State(state) if state else None,
        key=query.get("key"),
        since=query.get("since"),
        until=query.get("until"),
    )


def _page(found: Page[Job]) -> Response:
    return answer(render.page("entries", found, render.entry))


def _position(cursor: str | None) -> tuple[int, int, str] | None:
    if cursor is None:
        return None
    if not CURSOR.fullmatch(cursor):
        raise InvalidRequest.of("cursor", "invalid_cursor", "must come from an earlier page")
    ms, number, kind = cursor.split("-")
    return int(ms), int(number), kind


def _cursor(job: Job) -> str:
    return "{}-{}-{}".format(*position(job))
