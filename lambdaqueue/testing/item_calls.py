"""Items: push one or many, look, change, cancel, run now (`api/items.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lambdaqueue.commands import Page
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.job import Job, Place, State
from lambdaqueue.reading.option_headers import PUSH_HEADERS
from lambdaqueue.rendering import render
from lambdaqueue.sdk.transport import Response
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.fields import ITEM_QUERY, ITEMS_QUERY
from lambdaqueue.testing.problems import NotInMemory, answer
from lambdaqueue.testing.records import Record
from lambdaqueue.testing.routing import Route
from lambdaqueue.testing.world import World

__all__ = ["ItemCalls"]

CURSOR = re.compile(r"a\.([0-9a-z]{14,29})|w([0-9])\.([0-9]{1,16})\.([0-9a-z]{14,29})")

Position = tuple[int, int, int, str]
"""Where an item stands in its queue's list: those ready or out first, then by level and time."""


class ItemCalls:
    """Answers about items."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs = world.jobs

    def routes(self) -> Iterator[Route]:
        """Yield what is answered here."""
        items, by_key = "/queues/{queue}/items", "/queues/{queue}/items/byKey/{key}"
        yield Route("POST", items, self.push)
        yield Route("POST", f"{items}/batch", self.push_many)
        yield Route("GET", items, self.list_items)
        yield Route("GET", "/items/{item}", self.show)
        yield Route("PATCH", "/items/{item}", self.change)
        yield Route("DELETE", "/items/{item}", self.cancel)
        yield Route("POST", "/items/{item}/run", self.run_now)
        yield Route("GET", by_key, self.show_by_key)
        yield Route("PATCH", by_key, self.change_by_key)
        yield Route("DELETE", by_key, self.cancel_by_key)

    def push(self, call: Call, queue: str) -> Response:
        order = self._world.orders.push(call)

        def carry_out() -> Response:
            try:
                pushed = self._world.push(queue, [order])[0]
            except InvalidRequest as error:
                alone = [Issue(i.path[2:], i.code, i.message) for i in error.issues]
                raise InvalidRequest(alone) from error
            status = 201 if pushed.place is Place.CREATED else 200
            return answer(render.item(pushed.job), status)

        with PUSH_HEADERS.named():
            return self._world.once(call, carry_out)

    def push_many(self, call: Call, queue: str) -> Response:
        orders = self._world.orders.batch(call)

        def carry_out() -> Response:
            pushed = self._world.push(queue, orders)
            return answer(render.items([each.job for each in pushed]), 201)

        return self._world.once(call, carry_out)

    def list_items(self, call: Call, queue: str) -> Response:
        query = call.asked(ITEMS_QUERY)
        after, limit = _position(query["cursor"]), query["limit"]
        rows: list[Job] = []
        for position, record in self._standing(queue):
            if position <= after or record.state != (query["state"] or record.state):
                continue
            rows.append(self._jobs.shown(record))
            if len(rows) == limit:
                return _page(Page(tuple(rows), _cursor(position)))
        return _page(Page(tuple(rows)))

    def show(self, call: Call, item: str) -> Response:
        seconds = call.asked(ITEM_QUERY)["wait"]
        job = self._jobs.item(item)
        if seconds and not job.state.ended:
            raise NotInMemory(
                f"item {item} would be waited for in vain: nothing happens in the in-memory "
                "LambdaQueue by itself; use run_due() or clock.advance() and look then"
            )
        return answer(render.item(job))

    def change(self, call: Call, item: str) -> Response:
        return answer(render.item(self._jobs.change(item, self._world.orders.change(call))))

    def cancel(self, call: Call, item: str) -> Response:
        return answer(render.item(self._jobs.cancel(item)))

    def run_now(self, call: Call, item: str) -> Response:
        return self._world.once(call, lambda: answer(render.item(self._jobs.run_now(item))))

    def show_by_key(self, call: Call, queue: str, key: str) -> Response:
        return answer(render.item(self._jobs.item_by_key(queue, key)))

    def change_by_key(self, call: Call, queue: str, key: str) -> Response:
        wanted = self._world.orders.change(call)
        return answer(render.item(self._jobs.change_by_key(queue, key, wanted)))

    def cancel_by_key(self, call: Call, queue: str, key: str) -> Response:
        return answer(render.item(self._jobs.cancel_by_key(queue, key)))

    def _standing(self, queue: str) -> list[tuple[Position, Record]]:
        mine = (record for record in self._jobs.records.values() if record.queue == queue)
        return sorted(((self._place(record), record) for record in mine), key=lambda each: each[0])

    def _place(self, record: Record) -> Position:
        paused = self._jobs.queues.made(record.queue).paused
        is_ready = record.due <= self._world.now() and not paused
        if record.state is State.RUNNING or is_ready:
            return 0, 0, 0, record.id
        return 1, 9 - record.version.priority, record.due, record.id


def _page(found: Page[Job]) -> Response:
    return answer(render.page("items", found, render.item))


def _cursor(position: Position) -> str:
    waits, level, due, item = position
    return f"w{9 - level}.{due}.{item}" if waits else f"a.{item}"


def _position(cursor: str | None) -> Position:
    if cursor is None:
        return -1, 0, 0, ""
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequest.of("cursor", "invalid_cursor", "must come from an earlier page")
    if found[1]:
        return 0, 0, 0, found[1]
    return 1, 9 - int(found[2]), int(found[3]), found[4]
