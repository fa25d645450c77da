"""What requests may contain: the fields of the server's schemas (`api/schemas.py` and others).

Rules, and the words in which they refuse, are the server's own (`lambdaqueue/reading`). Which
fields there are is declared once more, because the server declares it to marshmallow, which comes
with no SDK; tests/sdk/testing/test_same_fields.py finds every difference.
"""

from __future__ import annotations

from collections.abc import Callable

from lambdaqueue.execution import DEFAULT_HEARTBEAT
from lambdaqueue.job import State
from lambdaqueue.reading import fields, service_rules
from lambdaqueue.reading.named_rules import Follow, OwnFollow, Validation
from lambdaqueue.reading.rules import Instant, Target
from lambdaqueue.targets import TargetRules
from lambdaqueue.testing.loading import MISSING, Field, Schema, loaded
from lambdaqueue.timer import DEFAULT_EVERY

__all__ = [
    "BATCH",
    "CALLBACK",
    "EXECUTIONS_QUERY",
    "EXPORT_QUERY",
    "FOLLOW_UP",
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
    "SERVICE_JOB",
    "TIMER_ID",
    "Fields",
]

TARGET = Target(TargetRules(loopback=True).check)
"""As `lambdaqueue up` has them: this machine may be a target as well."""

FOLLOW_UP: Schema = {
    "queue": Field("queue", fields.QUEUE, default=MISSING),
    "target": Field("target", TARGET, default=MISSING),
    "format": Field("format", fields.FOLLOW_UP_FORMAT, default="json"),
}

FOLLOW = Follow(lambda value: loaded(FOLLOW_UP, value))
OWN_FOLLOW = OwnFollow(lambda value: loaded(FOLLOW_UP, value))

DELIVERY: Schema = {
    "payload": Field("payload", fields.ANYTHING, nullable=True),
    "payloadEncoding": Field("payload_encoding", fields.PAYLOAD_ENCODING),
    "contentType": Field("content_type", fields.CONTENT_TYPE),
    "target": Field("target", TARGET),
    "method": Field("method", fields.METHOD),
    "headers": Field("headers", fields.HEADERS),
    "retry": Field("retry", fields.RETRY),
    "timeout": Field("timeout", fields.TIMEOUT),
    "maxAge": Field("max_age", fields.MAX_AGE),
    "priority": Field("priority", fields.PRIORITY),
    "eventType": Field("event_type", fields.EVENT_TYPE),
    "flowKey": Field("flow_key", fields.FLOW_KEY),
    "async": Field("ttl", fields.TTL),
    "heartbeat": Field("heartbeat", fields.HEARTBEAT),
    "onSuccess": Field("on_success", OWN_FOLLOW),
    "onFailure": Field("on_failure", OWN_FOLLOW),
}

BATCH: Schema = {"items": Field("items", fields.ITEMS, default=MISSING)}

SCHEDULE: Schema = {
    **DELIVERY,
    "queue": Field("queue", fields.QUEUE, default=MISSING),
    "schedule": Field("schedule", fields.PLAIN, default=MISSING),
    "timezone": Field("timezone", fields.PLAIN),
    "key": Field("key", fields.SCHEDULE_KEY),
    "startsAt": Field("starts_at", fields.TIME),
    "endsAt": Field("ends_at", fields.TIME),
    "maxRuns": Field("max_runs", fields.MAX_RUNS),
    "jitter": Field("jitter", fields.JITTER),
    "misfire": Field("misfire", fields.MISFIRE),
    "overlap": Field("overlap", fields.OVERLAP),
}

NULLABLE = frozenset(
    {
        *("target", "retry", "timeout", "maxAge", "eventType", "flowKey"),
        *("async", "heartbeat", "onSuccess", "onFailure"),
        *("startsAt", "endsAt", "maxRuns", "payload"),
    }
)

SCHEDULE_CHANGE: Schema = {
    name: Field(field.name, field.rule, nullable=name in NULLABLE)
    for name, field in SCHEDULE.items()
    if name != "key"
}

QUEUE_SETTINGS: Schema = {
    "target": Field("target", TARGET, nullable=True),
    "retry": Field("retry", fields.RETRY, nullable=True),
    "timeout": Field("timeout", fields.TIMEOUT, nullable=True),
    "successStatus": Field("success_status", fields.SUCCESS_STATUS, nullable=True),
    "historyLimit": Field("history_limit", fields.HISTORY_LIMIT, nullable=True),
    "failedLimit": Field("failed_limit", fields.HISTORY_LIMIT, nullable=True),
    "historyDays": Field("history_days", fields.HISTORY_DAYS, nullable=True),
    "resultBytes": Field("result_bytes", fields.RESULT_BYTES, nullable=True),
    "validation": Field("validation", Validation(may_go_without=lambda: True), nullable=True),
    "concurrency": Field("concurrency", fields.CONCURRENCY, nullable=True),
    "rate": Field("rate", fields.RATE, nullable=True),
    "flow": Field("flow", fields.FLOW, nullable=True),
    "ordered": Field("ordered", fields.FLAG, nullable=True),
    "breaker": Field("breaker", fields.BREAKER, nullable=True),
    "onSuccess": Field("on_success", FOLLOW, nullable=True),
    "onFailure": Field("on_failure", FOLLOW, nullable=True),
}

PURGE: Schema = {"state": Field("state", fields.PURGEABLE, default=None)}

LIST_QUERY: Schema = {
    "limit": Field("limit", fields.LIMIT, default=100),
    "cursor": Field("cursor", fields.CURSOR, default=None),
}
ITEM_QUERY: Schema = {"wait": Field("wait", fields.WAIT, default=0)}
ITEMS_QUERY: Schema = {**LIST_QUERY, "state": Field("state", fields.UNFINISHED, default=None)}
SCHEDULES_QUERY: Schema = {
    **LIST_QUERY,
    "cursor": Field("cursor", fields.SCHEDULES_CURSOR, default=None),
}
RUNS_QUERY: Schema = {**LIST_QUERY, "cursor": Field("cursor", fields.RUNS_CURSOR, default=None)}
PREVIEW_QUERY: Schema = {
    "schedule": Field("schedule", fields.PLAIN, default=MISSING),
    "tz": Field("tz", fields.PLAIN, default="UTC"),
    "from": Field("from", fields.MOMENT, default=None),
    "count": Field("count", fields.PREVIEWED, default=5),
}
EXPORT_QUERY: Schema = {
    "state": Field("state", fields.ENDED, default=None),
    "key": Field("key", fields.KEY, default=None),
    "since": Field("since", fields.MOMENT, default=None),
    "until": Field("until", fields.MOMENT, default=None),
}
HISTORY_QUERY: Schema = {**EXPORT_QUERY, **LIST_QUERY}

REPLAY: Schema = {"target": Field("target", TARGET)}
REPLAYS: Schema = {
    "state": Field("state", fields.REPLAYABLE, default=State.FAILED),
    "key": Field("key", fields.KEY),
    "since": Field("since", fields.TIME),
    "until": Field("until", fields.TIME),
    "target": Field("target", TARGET),
    "rate": Field("rate", fields.REPLAYS_RATE),
    "limit": Field("limit", fields.REPLAYS_LIMIT, default=1_000),
    "cursor": Field("cursor", fields.REPLAYS_CURSOR),
}

MESSAGE: Schema = {
    "payload": Field("payload", fields.ANYTHING, nullable=True, default=MISSING),
    "url": Field("url", TARGET, default=MISSING),
    "eventType": Field("event_type", fields.EVENT_TYPE, default=None),
    "attempt": Field("attempt", fields.ATTEMPT, default=1),
}

TIMER_ID: Schema = {"id": Field("id", fields.KEY)}

ANY_TIMER: Schema = {
    "timerCallbackData": Field("data", fields.ANYTHING, nullable=True),
    "shardId": Field("shard", fields.SHARD),
    "target": Field("target", TARGET),
}
PERIODIC: Schema = {
    **ANY_TIMER,
    "minuteOfHour": Field("minute", fields.MINUTE_OF_HOUR, default=None),
    "every": Field("every", fields.EVERY, default=DEFAULT_EVERY),
}

SERVICE_JOB: Schema = {
    "async": Field("is_async", service_rules.AGREED, default=MISSING),
    "enabled": Field("enabled", fields.FLAG, default=True),
    "exclusive": Field("exclusive", fields.FLAG, default=False),
    "invocation_target": Field("target", TARGET, default=MISSING),
    "invocation_type": Field("invocation_type", service_rules.INVOCATION_TYPE, default="http"),
    "schedule": Field("schedule", service_rules.EXPRESSION, default=MISSING),
    "ttl_seconds": Field("ttl", service_rules.TTL, default=MISSING),
    "payload": Field("payload", fields.PLAIN, default=None),
    "heartbeat_interval_seconds": Field(
        "heartbeat", service_rules.HEARTBEAT, default=DEFAULT_HEARTBEAT // 1_000
    ),
    "retry": Field("retry", fields.RETRY, default=None),
}
EXECUTIONS_QUERY: Schema = {
    "since": Field("since", service_rules.SINCE),
    "more": Field("more", service_rules.MORE),
}
CALLBACK: Schema = {
    "status": Field("status", service_rules.STATUS, default=MISSING),
    "progress": Field("progress", service_rules.PROGRESS, nullable=True),
    "extend_seconds": Field("extend", service_rules.EXTENSION, nullable=True),
    "summary": Field("summary", service_rules.SUMMARY, nullable=True),
    "state": Field("state", service_rules.VALUE, nullable=True),
    "error": Field("error", service_rules.REASON, nullable=True),
    "correlation_id": Field("correlation_id", service_rules.CORRELATION_ID, nullable=True),
}


class Fields:
    """The schemas that know the time; `now` returns Unix ms."""

    def __init__(self, now: Callable[[], int]) -> None:
        soon = Instant(now)
        self.change: Schema = {
            **DELIVERY,
            "delay": Field("delay", fields.DELAY),
            "on": Field("on", soon),
        }
        self.item: Schema = {
            **DELIVERY,
            "key": Field("key", fields.KEY),
            "ifExists": Field("if_exists", fields.IF_EXISTS),
            "delay": Field("delay", fields.DELAY),
            "on": Field("on", soon),
        }
        self.timer: Schema = {
            **ANY_TIMER,
            "at": Field("at", soon, default=None),
            "delay": Field("delay", fields.DELAY, default=None),
        }
