"""History: the jobs of a queue that have ended. Look, take along, push again."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from itertools import chain

from flask import Blueprint, Response, current_app, g

from api.access import needs
from api.answers import answer, read_query
from api.bodies import read_optional_object
from api.current import actor, environment, replaying, service
from api.history_schemas import ExportQuery, HistoryQuery, ReplaySchema, ReplaysSchema
from api.idempotency import Reply, once, read_idempotency
from api.schemas import loaded
from lambdaqueue.commands import HistoryFilter
from lambdaqueue.errors import LambdaQueueError
from lambdaqueue.identity import Scope
from lambdaqueue.job import Job, State
from lambdaqueue.logs import Log
from lambdaqueue.rendering import render
from lambdaqueue.rendering.paths import check_queue_name
from lambdaqueue.replaying import ReplayOrder

__all__ = ["blueprint"]

log = Log("lambdaqueue.api")

blueprint = Blueprint("history", __name__, url_prefix="/api/v1")

HISTORY_QUERY = HistoryQuery()
EXPORT_QUERY = ExportQuery()
REPLAY = ReplaySchema()
REPLAYS = ReplaysSchema()

PIECE = 65_536
"""Bytes after which lines are sent."""

NO_BREAKS = bytes.maketrans(b"\r\n", b"  ")

BROKEN_OFF = b'{"error":"the export breaks off here'
"""The last line then: no reader of JSON takes it, even where a proxy has hidden the cut."""


@blueprint.get("/queues/<queue:queue>/history")
@needs(Scope.READ)
def list_entries(queue: str) -> Response:
    check_queue_name(queue)
    query = read_query(HISTORY_QUERY)
    limit, cursor = query.pop("limit"), query.pop("cursor")
    found = service().history(environment(), queue, HistoryFilter(**query), limit, cursor)
    return answer(render.page("entries", found, render.entry))


@blueprint.get("/queues/<queue:queue>/history.jsonl")
@needs(Scope.READ)
def export(queue: str) -> Response:
    check_queue_name(queue)
    where = HistoryFilter(**read_query(EXPORT_QUERY))
    pieces = _pieces(service().whole_history(environment(), queue, where))
    # What goes wrong up to here is answered as usual.
    first = next(pieces, b"")
    response = Response(
        _until_it_breaks(chain([first], pieces), g.request_id), content_type="application/x-ndjson"
    )
    name = queue.replace("/", "_")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.history.jsonl"'
    return response


@blueprint.post("/queues/<queue:queue>/history/<entry>/replay")
@needs(Scope.MANAGE)
def replay(queue: str, entry: str) -> Response:
    check_queue_name(queue)
    body = read_optional_object(current_app.config["MAX_PAYLOAD"])
    target = loaded(REPLAY, body.value).get("target")

    def carry_out(request_id: str | None) -> Reply:
        made = replaying().replay(actor(), queue, entry, target=target, request_id=request_id)
        return render.item(made), 201

    return once(read_idempotency(body.raw), carry_out)


@blueprint.post("/queues/<queue:queue>/history/replay")
@needs(Scope.MANAGE)
def replay_many(queue: str) -> Response:
    check_queue_name(queue)
    body = read_optional_object(current_app.config["MAX_PAYLOAD"])
    values = loaded(REPLAYS, body.value)
    named = {name: values.pop(name) for name in ("key", "since", "until") if name in values}
    where = HistoryFilter(state=State(values.pop("state")), **named)
    order = ReplayOrder(where, **values)

    def carry_out(request_id: str | None) -> Reply:
        return render.replays(replaying().replay_many(actor(), queue, order, request_id)), 201

    return once(read_idempotency(body.raw), carry_out)


def _pieces(entries: Iterable[Job]) -> Iterator[bytes]:
    piece = bytearray()
    for job in entries:
        # A payload is shown as it was pushed: line breaks between its values would end the line.
        piece += render.entry(job).translate(NO_BREAKS) + b"\n"
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _until_it_breaks(pieces: Iterator[bytes], request_id: str) -> Iterator[bytes]:
    """Yield what there is; after an error the answer must not end like a whole one."""
    try:
        yield from pieces
    except LambdaQueueError as error:
        log.error("export_broke_off", request=request_id, reason=error)
        yield BROKEN_OFF
        # The web server takes it for a client that left: it ends neither chunks nor a traceback.
        raise ConnectionResetError(errno.ECONNRESET, "the export breaks off") from error
