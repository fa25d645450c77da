"""What requests may contain: the fields of `api/schemas.py`, in its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.envelope import check_extra_headers
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import State
from lambdaqueue.messages import ATTEMPTS
from lambdaqueue.rate import MAX_CONCURRENCY, Breaker, FlowLimits, Rate
from lambdaqueue.rendering.paths import check_queue_name, check_schedule_key
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import FollowUp
from lambdaqueue.statuses import StatusRange
from lambdaqueue.targets import TargetRules
from lambdaqueue.testing.rules import (
    REQUIRED,
    Field,
    Schema,
    anything,
    choice,
    cursor,
    digits,
    flag,
    instant,
    loaded,
    media_type,
    moment,
    parsed,
    plain,
    refused,
    text,
    whole,
)

__all__ = [
    "EXPORT_QUERY",
    "HISTORY_QUERY",
    "ITEMS_QUERY",
    "ITEM_QUERY",
    "LIST_QUERY",
    "MESSAGE",
    "PERIODIC",
    "PREVIEW_QUERY",
    "PURGE",
    "QUEUE_SETTINGS",
    "REPLAY",
    "REPLAYS",
    "RUNS_QUERY",
    "SCHEDULE",
    "SCHEDULES_QUERY",
    "SCHEDULE_CHANGE",
    "Fields",
]

TARGETS = TargetRules(loopback=True)
"""As `lambdaqueue up` has them: this machine may be a target as well."""

OBJECT_OR_NONE = 'must be an object or "none"'

ENDED = tuple(state for state in State if state.ended)
UNFINISHED = tuple(state for state in State if not state.ended)


def _extra_headers(headers: dict[str, str]) -> dict[str, str]:
    check_extra_headers(headers)
    return headers


def _unnamed(check: Callable[[str], str]) -> Callable[[str], str]:
    """Leave the field's own name to whoever uses the rule."""

    def checked(value: str) -> str:
        try:
            return check(value)
        except InvalidRequest as error:
            raise refused(error.issues[0].code, error.issues[0].message) from error

    return checked


def _even_rate(value: dict[str, Any]) -> Rate:
    rate = Rate.from_json(value)
    if rate.burst is not None:
        raise InvalidRequest.of("burst", "unknown_field", "is no field here")
    return rate


def _schedule_key(value: object) -> str:
    key: str = text(1, 255)(value)
    return _unnamed(check_schedule_key)(key)


def _follow_up(value: Any) -> FollowUp:
    if type(value) is not dict:
        raise refused("not_object", "must be an object")
    return FollowUp(**loaded(FOLLOW_UP, value))


def _own_follow_up(value: Any) -> FollowUp | Literal["none"]:
    if value == "none":
        return "none"
    if type(value) is not dict:
        raise refused("not_object", OBJECT_OR_NONE)
    return _follow_up(value)


TARGET = parsed(_unnamed(TARGETS.check), str)
QUEUE = parsed(_unnamed(check_queue_name), str)
RETRY = parsed(RetryPolicy.from_json, dict)
TTL = whole(1_000, MAX_DELAY)
HEARTBEAT = whole(5_000, 3_600_000)
TIMEOUT = whole(1_000, 900_000)

FOLLOW_UP: Schema = {
    "queue": Field("queue", QUEUE, default=REQUIRED),
    "target": Field("target", TARGET, default=REQUIRED),
    "format": Field("format", choice("json", "slack"), default="json"),
}

DELIVERY: Schema = {
    "payload": Field("payload", anything, nullable=True),
    "payloadEncoding": Field("payload_encoding", choice("base64")),
    "contentType": Field("content_type", media_type),
    "target": Field("target", TARGET),
    "method": Field("method", choice("GET", "POST", "PUT", "PATCH", "DELETE")),
    "headers": Field("headers", parsed(_extra_headers, dict)),
    "retry": Field("retry", RETRY),
    "timeout": Field("timeout", TIMEOUT),
    "maxAge": Field("max_age", whole(1, MAX_DELAY)),
    "priority": Field("priority", whole(0, 9)),
    "eventType": Field("event_type", text(0, 128)),
    "flowKey": Field("flow_key", text(1, 255)),
    "async": Field("ttl", TTL),
    "heartbeat": Field("heartbeat", HEARTBEAT),
    "onSuccess": Field("on_success", _own_follow_up, null=OBJECT_OR_NONE),
    "onFailure": Field("on_failure", _own_follow_up, null=OBJECT_OR_NONE),
}

LIST_QUERY: Schema = {
    "limit": Field("limit", digits(1, 1_000), default=100),
    "cursor": Field("cursor", text(1, 512), default=None),
}

SCHEDULE: Schema = {
    **DELIVERY,
    "queue": Field("queue", QUEUE, default=REQUIRED),
    "schedule": Field("schedule", plain, default=REQUIRED),
    "timezone": Field("timezone", plain),
    "key": Field("key", _schedule_key),
    "startsAt": Field("starts_at", instant()),
    "endsAt": Field("ends_at", instant()),
    "maxRuns": Field("max_runs", whole(1, 1_000_000_000)),
    "jitter": Field("jitter", whole(0, 86_400_000)),
    "misfire": Field("misfire", choice("once", "skip", "all")),
    "overlap": Field("overlap", choice("allow", "skip")),
}

NULLABLE = frozenset(
    {
        *("target", "retry", "timeout", "maxAge", "eventType", "flowKey"),
        *("async", "heartbeat", "onSuccess", "onFailure"),
        *("startsAt", "endsAt", "maxRuns", "payload"),
    }
)


SCHEDULES_QUERY: Schema = {
    **LIST_QUERY,
    "cursor": Field("cursor", cursor("[0-9a-z]{16}"), default=None),
}
RUNS_QUERY: Schema = {
    **LIST_QUERY,
    "cursor": Field("cursor", cursor("[0-9]{1,15}"), default=None),
}
ITEMS_QUERY: Schema = {**LIST_QUERY, "state": Field("state", choice(*UNFINISHED), default=None)}
HISTORY_QUERY: Schema = {
    **LIST_QUERY,
    "state": Field("state", choice(*ENDED), default=None),
    "key": Field("key", text(1, 255), default=None),
    "since": Field("since", moment, default=None),
    "until": Field("until", moment, default=None),
}
EXPORT_QUERY: Schema = {name: HISTORY_QUERY[name] for name in ("state", "key", "since", "until")}
ITEM_QUERY: Schema = {"wait": Field("wait", digits(0, 20), default=0)}
PURGE: Schema = {
    "state": Field("state", choice(*(s for s in State if s is not State.RUNNING)), default=None)
}
REPLAY: Schema = {"target": Field("target", TARGET)}
REPLAYS: Schema = {
    "state": Field("state", choice(State.FAILED, State.CANCELLED), default=State.FAILED),
    "key": Field("key", text(1, 255)),
    "since": Field("since", instant()),
    "until": Field("until", instant()),
    "target": Field("target", TARGET),
    "rate": Field("rate", parsed(_even_rate, dict)),
    "limit": Field("limit", whole(1, 10_000), default=1_000),
    "cursor": Field("cursor", cursor(r"[1-9][0-9]{0,14}-[0-9]{1,15}-f(?:\.[0-9]{1,15})?")),
}
QUEUE_SETTINGS: Schema = {
    "target": Field("target", TARGET, nullable=True),
    "retry": Field("retry", RETRY, nullable=True),
    "timeout": Field("timeout", TIMEOUT, nullable=True),
    "successStatus": Field("success_status", parsed(StatusRange.parse, str), nullable=True),
    "historyLimit": Field("history_limit", whole(0, 2_000_000), nullable=True),
    "failedLimit": Field("failed_limit", whole(0, 2_000_000), nullable=True),
    "historyDays": Field("history_days", whole(1, 30), nullable=True),
    "resultBytes": Field("result_bytes", whole(0, 65_536), nullable=True),
    "validation": Field("validation", choice("required", "none"), nullable=True),
    "concurrency": Field("concurrency", whole(1, MAX_CONCURRENCY), nullable=True),
    "rate": Field("rate", parsed(Rate.from_json, dict), nullable=True),
    "flow": Field("flow", parsed(FlowLimits.from_json, dict), nullable=True),
    "ordered": Field("ordered", flag, nullable=True),
    "breaker": Field("breaker", parsed(Breaker.from_json, dict), nullable=True),
    "onSuccess": Field("on_success", _follow_up, nullable=True),
    "onFailure": Field("on_failure", _follow_up, nullable=True),
}
SCHEDULE_CHANGE: Schema = {
    name: Field(field.name, field.rule, nullable=name in NULLABLE)
    for name, field in SCHEDULE.items()
    if name != "key"
}
PREVIEW_QUERY: Schema = {
    "schedule": Field("schedule", plain, default=REQUIRED),
    "tz": Field("tz", plain, default="UTC"),
    "from": Field("from", moment, default=None),
    "count": Field("count", digits(1, 100), default=5),
}
MESSAGE: Schema = {
    "payload": Field("payload", anything, nullable=True, default=REQUIRED),
    "url": Field("url", TARGET, default=REQUIRED),
    "eventType": Field("event_type", text(0, 128), default=None),
    "attempt": Field("attempt", whole(1, ATTEMPTS), default=1),
}
PERIODIC: Schema = {
    "timerCallbackData": Field("data", anything, nullable=True),
    "shardId": Field("shard", text(1, 255)),
    "target": Field("target", TARGET),
    "minuteOfHour": Field("minute", whole(0, 59), default=None),
    "every": Field("every", text(1, 32), default="1h"),
}


class Fields:
    """The schemas that know the time; `now` returns Unix ms."""

    def __init__(self, now: Callable[[], int]) -> None:
        soon = instant(lambda: now() + MAX_DELAY)
        self.change: Schema = {
            **DELIVERY,
            "delay": Field("delay", whole(0, MAX_DELAY)),
            "on": Field("on", soon),
        }
        self.item: Schema = {
            **self.change,
            "key": Field("key", text(1, 255)),
            "ifExists": Field("if_exists", choice("replace", "keep")),
        }
        self.timer: Schema = {
            "timerCallbackData": Field("data", anything, nullable=True),
            "shardId": Field("shard", text(1, 255)),
            "target": Field("target", TARGET),
            "at": Field("at", soon, default=None),
            "delay": Field("delay", whole(0, MAX_DELAY), default=None),
        }
