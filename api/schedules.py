"""Schedules: set, look, change, delete, pause, resume, run, what they pushed, and a preview."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from api.access import needs
from api.answers import answer, read_query
from api.bodies import content_type, read_body, read_object
from api.current import environment, scheduling, service
from api.idempotency import Reply, once, read_idempotency
from api.schedule_requests import read_change, read_headers, read_json
from api.schemas import PreviewQuery, RunsQuery, SchedulesQuery
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.identity import Scope
from lambdaqueue.reading.option_headers import SCHEDULE_HEADERS
from lambdaqueue.reading.schedule_orders import WantedSchedule, is_schedule
from lambdaqueue.rendering import render, schedule_render
from lambdaqueue.schedule import Schedule
from lambdaqueue.scheduling import minted_at
from lambdaqueue.service import NO_TARGET

__all__ = ["blueprint"]

blueprint = Blueprint("schedules", __name__, url_prefix="/api/v1/schedules")

BY_KEY = "/byKey/<schedule_key:key>"

SCHEDULES_QUERY = SchedulesQuery()
RUNS_QUERY = RunsQuery()
PREVIEW_QUERY = PreviewQuery()


@blueprint.post("")
@needs(Scope.PUSH)
def create() -> Response:
    media_type = content_type()
    if is_schedule(media_type):
        return _set_from_json(None)
    payload = read_body(_max_payload())
    asked, idempotency = read_headers(media_type, payload), read_idempotency(payload)
    with SCHEDULE_HEADERS.named():
        return once(idempotency, lambda own_id: _set(asked, own_id))


@blueprint.put(BY_KEY)
@needs(Scope.PUSH)
def put(key: str) -> Response:
    return _set_from_json(key)


@blueprint.get("")
@needs(Scope.READ)
def list_schedules() -> Response:
    found = scheduling().schedules(environment(), **read_query(SCHEDULES_QUERY))
    return answer(render.page("schedules", found, schedule_render.schedule))


@blueprint.get("/preview")
@needs(Scope.READ)
def preview() -> Response:
    query = read_query(PREVIEW_QUERY)
    runs = scheduling().preview(query["schedule"], query["tz"], query["from"], query["count"])
    return answer(schedule_render.preview(runs))


@blueprint.get("/<schedule_id>", endpoint="show")
@blueprint.get(BY_KEY, endpoint="show")
@needs(Scope.READ)
def show(schedule_id: str | None = None, key: str | None = None) -> Response:
    return answer(schedule_render.schedule(_named(schedule_id, key)))


@blueprint.patch("/<schedule_id>")
@blueprint.patch(BY_KEY)
@needs(Scope.PUSH)
def change(schedule_id: str | None = None, key: str | None = None) -> Response:
    known = _named(schedule_id, key)
    wanted = read_change(read_object(_max_body()).value, _max_payload())
    if wanted.queue is not None or "target" in wanted.spec:
        target = wanted.spec.get("target", known.spec.target)
        _check_target(wanted.queue or known.queue, target)
    changed = scheduling().change(environment(), known.id, wanted)
    return answer(schedule_render.schedule(changed))


@blueprint.delete("/<schedule_id>")
@blueprint.delete(BY_KEY)
@needs(Scope.PUSH)
def drop(schedule_id: str | None = None, key: str | None = None) -> Response:
    dropped = scheduling().drop(environment(), _named(schedule_id, key).id)
    return answer(schedule_render.schedule(dropped))


@blueprint.post("/<schedule_id>/pause")
@blueprint.post(f"{BY_KEY}/pause")
@needs(Scope.PUSH)
def pause(schedule_id: str | None = None, key: str | None = None) -> Response:
    paused = scheduling().pause(environment(), _named(schedule_id, key).id)
    return answer(schedule_render.schedule(paused))


@blueprint.post("/<schedule_id>/resume")
@blueprint.post(f"{BY_KEY}/resume")
@needs(Scope.PUSH)
def resume(schedule_id: str | None = None, key: str | None = None) -> Response:
    resumed = scheduling().resume(environment(), _named(schedule_id, key).id)
    return answer(schedule_render.schedule(resumed))


@blueprint.post("/<schedule_id>/run")
@blueprint.post(f"{BY_KEY}/run")
@needs(Scope.PUSH)
def run(schedule_id: str | None = None, key: str | None = None) -> Response:
    def push(own_id: str | None) -> Reply:
        known = _named(schedule_id, key)
        at = minted_at(own_id) if own_id else None
        return render.item(scheduling().run(environment(), known.id, at)), 201

    return once(read_idempotency(), push)


@blueprint.get("/<schedule_id>/history")
@blueprint.get(f"{BY_KEY}/history")
@needs(Scope.READ)
def history(schedule_id: str | None = None, key: str | None = None) -> Response:
    known = _named(schedule_id, key)
    found = scheduling().history(environment(), known.id, **read_query(RUNS_QUERY))
    return answer(render.page("entries", found, render.item))


def _named(schedule_id: str | None, key: str | None) -> Schedule:
    if key is not None:
        return scheduling().by_key(environment(), key)
    return scheduling().schedule(environment(), schedule_id or "")


def _set_from_json(key: str | None) -> Response:
    body = read_object(_max_body())
    asked = read_json(body.value, _max_payload(), key)
    return once(read_idempotency(body.raw), lambda own_id: _set(asked, own_id))


def _set(asked: WantedSchedule, own_id: str | None) -> Reply:
    _check_target(asked.wanted.queue, asked.wanted.spec.target)
    made, is_new = scheduling().set(environment(), asked.key, asked.wanted, own_id)
    return schedule_render.schedule(made), 201 if is_new else 200


def _check_target(queue: str, target: str | None) -> None:
    """Refuse what could never be delivered as things are."""
    if target is not None:
        return
    try:
        default = service().queue(environment(), queue).settings.target
    except NotFound:
        default = None
    if default is None:
        raise InvalidRequest([NO_TARGET])


def _max_payload() -> int:
    return int(current_app.config["MAX_PAYLOAD"])


def _max_body() -> int:
    return int(current_app.config["MAX_BATCH"])
