"""Timers: those that run again and again, and those that run once."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app

from api.access import needs
from api.answers import answer
from api.bodies import JsonBody, read_object, read_optional_object
from api.current import environment, timers
from api.message_schemas import PeriodicSchema, TimerIdSchema, TimerSchema
from api.schemas import loaded
from lambdaqueue import strict_json
from lambdaqueue.errors import NotFound
from lambdaqueue.identity import Scope
from lambdaqueue.reading.timer_orders import read_once, read_periodic
from lambdaqueue.rendering import schedule_render

__all__ = ["blueprint"]

blueprint = Blueprint("timers", __name__, url_prefix="/api/v1")

PERIODIC = PeriodicSchema()
TIMER = TimerSchema()
ID = TimerIdSchema()


@blueprint.put("/periodic/<key:timer_id>")
@needs(Scope.PUSH)
def set_periodic(timer_id: str) -> Response:
    wanted = _checked(timer_id, PERIODIC, read_optional_object(_max_body()))
    spec = read_periodic(wanted, _max_payload(), timer_id)
    every, minute = wanted["every"], wanted["minute"]
    return answer(
        schedule_render.timer(timers().set_periodic(environment(), timer_id, spec, every, minute))
    )


@blueprint.get("/periodic/<key:timer_id>")
@needs(Scope.READ)
def show_periodic(timer_id: str) -> Response:
    try:
        return answer(schedule_render.timer(timers().periodic(environment(), timer_id)))
    except NotFound:
        return answer(strict_json.dumps(timer_id), 404)


@blueprint.delete("/periodic/<key:timer_id>")
@needs(Scope.PUSH)
def drop_periodic(timer_id: str) -> Response:
    timers().drop_periodic(environment(), timer_id)
    return answer(strict_json.dumps(timer_id))


@blueprint.put("/timers/<key:timer_id>")
@needs(Scope.PUSH)
def set_once(timer_id: str) -> Response:
    wanted = _checked(timer_id, TIMER, read_object(_max_body()))
    spec, plan = read_once(wanted, _max_payload(), timer_id)
    made = timers().set_once(environment(), timer_id, spec, at=plan.at, delay=plan.delay)
    return answer(schedule_render.timer(made))


@blueprint.get("/timers/<key:timer_id>")
@needs(Scope.READ)
def show_once(timer_id: str) -> Response:
    try:
        return answer(schedule_render.timer(timers().once(environment(), timer_id)))
    except NotFound:
        return answer(strict_json.dumps(timer_id), 404)


@blueprint.delete("/timers/<key:timer_id>")
@needs(Scope.PUSH)
def drop_once(timer_id: str) -> Response:
    timers().drop_once(environment(), timer_id)
    return answer(strict_json.dumps(timer_id))


def _checked(timer_id: str, schema: TimerSchema | PeriodicSchema, body: JsonBody) -> dict[str, Any]:
    loaded(ID, {"id": timer_id})
    return loaded(schema, body.value)


def _max_payload() -> int:
    return int(current_app.config["MAX_PAYLOAD"])


def _max_body() -> int:
    return int(current_app.config["MAX_BATCH"])
