"""Queues: list, look, set up, pause, resume, drop (`api/queues.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from lambdaqueue.commands import MAX_PAYLOAD, Page, Purged, QueueInfo
from lambdaqueue.errors import Conflict, InvalidRequest
from lambdaqueue.job import State
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.rendering import queue_render, render
from lambdaqueue.rendering.paths import check_queue_name
from lambdaqueue.sdk.transport import Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import LIST_QUERY, PURGE, QUEUE_SETTINGS
from lambdaqueue.testing.loading import loaded
from lambdaqueue.testing.problems import answer
from lambdaqueue.testing.queues import QueueState, shown
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.world import World

__all__ = ["QueueCalls"]

DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(QueueSettings)}


class QueueCalls:
    """Answers about queues."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs = world.jobs
        self._queues = world.jobs.queues

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        one = "/queues/{queue}"
        yield Route("GET", "/queues", self.list_queues)
        yield Route("POST", f"{one}/pause", self.pause)
        yield Route("POST", f"{one}/resume", self.resume)
        yield Route("POST", f"{one}/purge", self.purge)
        yield Route("GET", f"{one}/secret", self.show_secret)
        yield Route("GET", one, self.show)
        yield Route("PUT", one, self.replace_settings)
        yield Route("PATCH", one, self.change_settings)
        yield Route("DELETE", one, self.drop)

    def list_queues(self, call: Call) -> Response:
        query = call.asked(LIST_QUERY)
        after = query["cursor"] or ""
        _check_cursor(after or "none")
        infos = [self._info(each) for each in self._queues if each.name > after]
        limit = query["limit"]
        cursor = infos[limit - 1].name if len(infos) > limit else None
        page = Page(tuple(infos[:limit]), cursor)
        return answer(render.page("queues", page, queue_render.queue))

    def show(self, call: Call, queue: str) -> Response:
        found = self._queues.info(queue)
        return answer(queue_render.queue(self._info(found), found.stats(self._world.now()), ()))

    def replace_settings(self, call: Call, queue: str) -> Response:
        return self._configure(call, queue, QueueSettings())

    def change_settings(self, call: Call, queue: str) -> Response:
        return self._configure(call, queue, None)

    def drop(self, call: Call, queue: str) -> Response:
        self._queues.info(queue)
        if any(record.queue == queue for record in self._jobs.records.values()):
            raise Conflict("the queue has items that wait or run")
        self._queues.drop(queue)
        return Response(204)

    def pause(self, call: Call, queue: str) -> Response:
        self._queues.made(queue).paused = True
        return self._shown(queue)

    def resume(self, call: Call, queue: str) -> Response:
        self._queues.made(queue).paused = False
        return self._shown(queue)

    def purge(self, call: Call, queue: str) -> Response:
        named = loaded(PURGE, call.optional_object(MAX_PAYLOAD))["state"]
        purged = self._jobs.purge(queue, State(named) if named else None)
        return answer(queue_render.purged(Purged(purged, more=False)))

    def show_secret(self, call: Call, queue: str) -> Response:
        secret = self._queues.info(queue).secret
        return answer(render.queue_secret(secret), cache_control="no-store")

    def _configure(self, call: Call, queue: str, base: QueueSettings | None) -> Response:
        given = loaded(QUEUE_SETTINGS, call.object(MAX_PAYLOAD))
        changes = {
            name: DEFAULTS[name] if value is None else value for name, value in given.items()
        }
        state = self._queues.made(queue)
        state.settings = replace(base or state.settings, **changes)
        return self._shown(queue)

    def _shown(self, queue: str) -> Response:
        return answer(queue_render.queue(self._info(self._queues.made(queue))))

    def _info(self, state: QueueState) -> QueueInfo:
        mine = [each.state for each in self._jobs.records.values() if each.queue == state.name]
        running = mine.count(State.RUNNING)
        return shown(state, len(mine) - running, running)


def _check_cursor(name: str) -> None:
    try:
        check_queue_name(name)
    except InvalidRequest as error:
        rule = "must be the nextCursor of an earlier page"
        raise InvalidRequest.of("cursor", "invalid_cursor", rule) from error
