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
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.identity import Scope
from lambdaqueue.reading.orders import compact
from lambdaqueue.timers import Timer, TimerSpec

__all__ = ["blueprint"]

blueprint = Blueprint("timers", __name__, url_prefix="/api/v1")

PERIODIC = PeriodicSchema()
TIMER = TimerSchema()
ID = TimerIdSchema()


@blueprint.put("/periodic/<key:timer_id>")
@needs(Scope.PUSH)
def set_periodic(timer_id: str) -> Response:
    wanted = _checked(timer_id, PERIODIC, read_optional_object(_max_body()))
    spec = _spec(wanted, {"id": timer_id, "type": "hourlyPeriodic"})
    every, minute = wanted["every"], wanted["minute"]
    return answer(_render(timers().set_periodic(environment(), timer_id, spec, every, minute)))


@blueprint.get("/periodic/<key:timer_id>")
@needs(Scope.READ)
def show_periodic(timer_id: str) -> Response:
    try:
        return answer(_render(timers().periodic(environment(), timer_id)))
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
    at, delay = wanted["at"], wanted["delay"]
    if at is None and delay is None:
        raise InvalidRequest.of("at", "required", "is required, or else a delay")
    if at is not None and delay is not None:
        raise InvalidRequest.of("at", "delay_and_at", "must not be given with a delay")
    spec = _spec(wanted, {"id": timer_id, "type": "timer"})
    made = timers().set_once(environment(), timer_id, spec, at=at, delay=delay or 0)
    return answer(_render(made))


@blueprint.get("/timers/<key:timer_id>")
@needs(Scope.READ)
def show_once(timer_id: str) -> Response:
    try:
        return answer(_render(timers().once(environment(), timer_id)))
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


def _spec(wanted: dict[str, Any], default: dict[str, str]) -> TimerSpec:
    limit = current_app.config["MAX_PAYLOAD"]
    data = compact(wanted.get("data", default), "timerCallbackData", limit)
    rest = {name: wanted[name] for name in ("target", "shard") if name in wanted}
    return TimerSpec(data, **rest)


def _render(timer: Timer) -> bytes:
    """Return the JSON of a timer, with its data as the bytes that its jobs carry."""
    head = {"id": timer.id, "shardId": timer.shard, "timeShardId": timer.time_shard}
    return strict_json.dumps(head)[:-1] + b',"timerCallbackData":' + timer.data + b"}"


def _max_body() -> int:
    return int(current_app.config["MAX_BATCH"])
