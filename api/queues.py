"""Queues: list, look, set up, pause, resume, drop; the secret that one may have of its own."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from flask import Blueprint, Response, current_app

from api.access import needs
from api.answers import answer, confidential, read_query
from api.bodies import read_object, read_optional_object
from api.current import actor, administration, environment, purging, service
from api.schemas import ListQuery, PurgeSchema, QueueSchema, loaded
from lambdaqueue.identity import Scope
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.rendering import queue_render, render
from lambdaqueue.rendering.paths import check_queue_cursor, check_queue_name

__all__ = ["blueprint"]

blueprint = Blueprint("queues", __name__, url_prefix="/api/v1")

LIST_QUERY = ListQuery()
SETTINGS = QueueSchema()
PURGE = PurgeSchema()
DEFAULTS = {field.name: field.default for field in fields(QueueSettings)}


@blueprint.get("/queues")
@blueprint.get("/queues/")
@needs(Scope.READ)
def list_queues() -> Response:
    query = read_query(LIST_QUERY)
    check_queue_cursor(query["cursor"])
    return answer(
        render.page("queues", service().queues(environment(), **query), queue_render.queue)
    )


@blueprint.get("/queues/<queue:queue>")
@needs(Scope.READ)
def show(queue: str) -> Response:
    check_queue_name(queue)
    info = service().queue(environment(), queue)
    stats = service().queue_stats(environment(), queue)
    return answer(queue_render.queue(info, stats, service().endpoints(environment(), queue)))


@blueprint.put("/queues/<queue:queue>")
@needs(Scope.MANAGE)
def replace_settings(queue: str) -> Response:
    check_queue_name(queue)
    return answer(queue_render.queue(service().configure(actor(), queue, _settings(), True)))


@blueprint.patch("/queues/<queue:queue>")
@needs(Scope.MANAGE)
def change_settings(queue: str) -> Response:
    check_queue_name(queue)
    return answer(queue_render.queue(service().configure(actor(), queue, _settings(), False)))


@blueprint.delete("/queues/<queue:queue>")
@needs(Scope.MANAGE)
def drop(queue: str) -> Response:
    check_queue_name(queue)
    service().drop_queue(actor(), queue)
    return Response(status=204)


@blueprint.post("/queues/<queue:queue>/pause")
@needs(Scope.MANAGE)
def pause(queue: str) -> Response:
    check_queue_name(queue)
    return answer(queue_render.queue(service().pause(actor(), queue)))


@blueprint.post("/queues/<queue:queue>/resume")
@needs(Scope.MANAGE)
def resume(queue: str) -> Response:
    check_queue_name(queue)
    return answer(queue_render.queue(service().resume(actor(), queue)))


@blueprint.post("/queues/<queue:queue>/purge")
@needs(Scope.MANAGE)
def purge(queue: str) -> Response:
    check_queue_name(queue)
    state = loaded(PURGE, read_optional_object(current_app.config["MAX_PAYLOAD"]).value)["state"]
    return answer(queue_render.purged(purging().purge(actor(), queue, state)))


@blueprint.get("/queues/<queue:queue>/secret")
@needs(Scope.MANAGE)
def show_secret(queue: str) -> Response:
    check_queue_name(queue)
    return confidential(render.queue_secret(administration().queue_secret(actor(), queue)))


def _settings() -> dict[str, Any]:
    """Return the settings in the body; those given as null are back at their defaults."""
    body = read_object(current_app.config["MAX_PAYLOAD"])
    given = loaded(SETTINGS, body.value)
    return {name: DEFAULTS[name] if value is None else value for name, value in given.items()}
