"""Items: push one or many, look, change, cancel, run now."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from api.access import confirm_identity, needs
from api.answers import answer, read_query
from api.bodies import content_type, read_body, read_object
from api.current import environment, service, waiters
from api.idempotency import read_idempotency
from api.pushes import read_batch, read_change, read_push
from api.schemas import ItemQuery, ItemsQuery
from lambdaqueue.commands import Change
from lambdaqueue.identity import Scope
from lambdaqueue.job import Place
from lambdaqueue.reading.option_headers import PUSH_HEADERS
from lambdaqueue.rendering import render
from lambdaqueue.rendering.paths import check_queue_name

__all__ = ["blueprint"]

blueprint = Blueprint("items", __name__, url_prefix="/api/v1")

ITEM_QUERY = ItemQuery()
ITEMS_QUERY = ItemsQuery()


@blueprint.post("/queues/<queue:queue>/items")
@needs(Scope.PUSH)
def push(queue: str) -> Response:
    check_queue_name(queue)
    media_type = content_type()
    payload = read_body(_max_payload())
    order = read_push(media_type, payload)
    idempotency = read_idempotency(payload)
    with PUSH_HEADERS.named():
        pushed = service().push(environment(), queue, order, idempotency)
    status = 201 if pushed.place is Place.CREATED else 200
    return answer(render.item(pushed.job), status, replayed=pushed.replayed)


@blueprint.post("/queues/<queue:queue>/items/batch")
@needs(Scope.PUSH)
def push_many(queue: str) -> Response:
    check_queue_name(queue)
    body = read_object(current_app.config["MAX_BATCH"])
    orders = read_batch(body.value, _max_payload())
    idempotency = read_idempotency(body.raw)
    pushed, replayed = service().push_many(environment(), queue, orders, idempotency)
    return answer(render.items([each.job for each in pushed]), 201, replayed=replayed)


@blueprint.get("/queues/<queue:queue>/items")
@needs(Scope.READ)
def list_items(queue: str) -> Response:
    check_queue_name(queue)
    found = service().items(environment(), queue, **read_query(ITEMS_QUERY))
    return answer(render.page("items", found, render.item))


@blueprint.get("/items/<item_id>")
@needs(Scope.READ)
def show(item_id: str) -> Response:
    seconds = read_query(ITEM_QUERY)["wait"]
    job = waiters().wait(item_id, seconds, lambda: service().item(environment(), item_id))
    confirm_identity()
    return answer(render.item(job))


@blueprint.patch("/items/<item_id>")
@needs(Scope.PUSH)
def change(item_id: str) -> Response:
    return answer(render.item(service().change(environment(), item_id, _change())))


@blueprint.delete("/items/<item_id>")
@needs(Scope.PUSH)
def cancel(item_id: str) -> Response:
    return answer(render.item(service().cancel(environment(), item_id)))


@blueprint.post("/items/<item_id>/run")
@needs(Scope.PUSH)
def run_now(item_id: str) -> Response:
    job, replayed = service().run_now(environment(), item_id, read_idempotency())
    return answer(render.item(job), replayed=replayed)


@blueprint.get("/queues/<queue:queue>/items/byKey/<key:key>")
@needs(Scope.READ)
def show_by_key(queue: str, key: str) -> Response:
    check_queue_name(queue)
    return answer(render.item(service().item_by_key(environment(), queue, key)))


@blueprint.patch("/queues/<queue:queue>/items/byKey/<key:key>")
@needs(Scope.PUSH)
def change_by_key(queue: str, key: str) -> Response:
    check_queue_name(queue)
    return answer(render.item(service().change_by_key(environment(), queue, key, _change())))


@blueprint.delete("/queues/<queue:queue>/items/byKey/<key:key>")
@needs(Scope.PUSH)
def cancel_by_key(queue: str, key: str) -> Response:
    check_queue_name(queue)
    return answer(render.item(service().cancel_by_key(environment(), queue, key)))


def _change() -> Change:
    body = read_object(current_app.config["MAX_BATCH"])
    return read_change(body.value, _max_payload())


def _max_payload() -> int:
    return int(current_app.config["MAX_PAYLOAD"])
