"""What requests may contain: the schemas that read them, and the values that the core reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from api.history_schemas import ReplaySchema, ReplaysSchema
from api.message_schemas import MessageSchema, PeriodicSchema, TimerSchema
from api.openapi.derive import PLAIN_TEXT, derived
from api.openapi.vocabulary import (
    Schema,
    choice,
    flag,
    listed,
    nullable,
    number,
    record,
    ref,
    text,
    whole,
)
from api.schemas import (
    BatchSchema,
    ChangeSchema,
    EnvironmentSchema,
    ItemSchema,
    PurgeSchema,
    QueueSchema,
    RotationSchema,
    ScheduleChangeSchema,
    ScheduleSchema,
    TokenSchema,
)
from api.service_schemas import CallbackSchema, ExecutionSearch, JobSearch, ServiceJobSchema
from lambdaqueue.envelope import MAX_HEADERS, TOKEN
from lambdaqueue.rate import BOUNDS, LEAST_RATIO, MAX_CONCURRENCY
from lambdaqueue.reading.service_orders import CALLBACK_FIELDS
from lambdaqueue.rendering.paths import RESERVED, SCHEDULE_ACTIONS
from lambdaqueue.retry import DELAY_BOUNDS, MAX_DELAYS, NUMBER_BOUNDS, WHOLE_BOUNDS, PolicyType
from lambdaqueue.statuses import MAX_RANGES
from lambdaqueue.targets import MAX_BYTES

__all__ = ["REQUESTS", "VALUES"]

CLOSED = {"additionalProperties": False}
BASE64 = {"type": "string", "contentEncoding": "base64"}

_WORDS = "|".join(word.replace(".", r"\.") for word in RESERVED)
_STATUS = "[1-5][0-9]{2}(-[1-5][0-9]{2})?"

FOLLOW_UP = record(
    {
        "queue": ref("QueueName", "Queue to push to."),
        "target": text("URL to call.", format="uri", maxLength=MAX_BYTES),
        "format?": choice(("json", "slack"), "A report for programs, or a line for people."),
    },
    "An item that is pushed when another has ended.",
    **CLOSED,
)

RATE = record(
    {
        "limit": whole(*BOUNDS["limit"], "Attempts in a period."),
        "period": whole(*BOUNDS["period"], "ms"),
        "burst?": whole(*BOUNDS["burst"], "So many may come at once after a pause."),
    },
    "In no `period`, wherever it begins, do more than `limit` attempts start.",
    **CLOSED,
)

RETRY = record(
    {
        "type?": choice(get_args(PolicyType), "How the delay grows; `exponential` by default."),
        "delay?": whole(*WHOLE_BOUNDS["delay"], "ms, 10 000 by default."),
        "factor?": number(*NUMBER_BOUNDS["factor"], "Of `exponential`, 3 by default."),
        "exponent?": number(*NUMBER_BOUNDS["exponent"], "Of `power`, 3 by default."),
        "delays?": listed(
            whole(*DELAY_BOUNDS),
            "ms after each attempt; of `list`.",
            minItems=1,
            maxItems=MAX_DELAYS,
        ),
        "max?": whole(*WHOLE_BOUNDS["max"], "ms, the cap: 900 000; none for `constant`, `list`."),
        "retries?": whole(*WHOLE_BOUNDS["retries"], "Attempts that may follow the first: 5."),
        "jitter?": number(*NUMBER_BOUNDS["jitter"], "Share of the delay that chance adds: 0.1."),
    },
    "When a failed item is tried again.",
    **{
        **CLOSED,
        "if": {"properties": {"type": {"const": "list"}}, "required": ["type"]},
        "then": {"required": ["delays"]},
    },
)

VALUES: Mapping[str, Schema] = {
    "QueueName": text(
        "1–128 of `A-Z a-z 0-9 . _ - /`, beginning with a letter or digit; no `..`, no empty "
        f"part, no part named {', '.join(RESERVED)}.",
        pattern=rf"^(?!.*(\.\.|//|/$))(?!(.*/)?({_WORDS})(/|$))[A-Za-z0-9][A-Za-z0-9._/-]{{0,127}}$",
        examples=["welcome", "mail/eu"],
    ),
    "ScheduleKey": text(
        "Unique among the environment's schedules.",
        minLength=1,
        maxLength=255,
        pattern=rf"^(?!.*/({'|'.join(SCHEDULE_ACTIONS)})$){PLAIN_TEXT.removeprefix('^')}",
    ),
    "ScheduleExpression": text(
        "Five cron fields, `@daily` and its like, `rate()`, `every()`, `at()`, or AWS `cron()`.",
        minLength=1,
        maxLength=128,
        examples=["0 9 * * 1-5", "every(10s)", "cron(0 9 ? * MON-FRI *)"],
    ),
    "ServiceExpression": text(
        "`rate()` of minutes, hours or days, or the six fields of AWS `cron()`; in UTC.",
        maxLength=128,
        pattern=r"^(rate|cron)\(",
        examples=["rate(5 minutes)", "cron(0 6 * * ? *)"],
    ),
    "TimeZone": text(
        "A name of the tz database, spelt exactly.", examples=["UTC", "Europe/Warsaw"]
    ),
    "StatusRange": text(
        "Statuses and ascending ranges of them.",
        pattern=f"^{_STATUS}(,{_STATUS}){{0,{MAX_RANGES - 1}}}$",
        examples=["200-299", "200-299,304"],
    ),
    "ExtraHeaders": {
        "type": "object",
        "description": "Values are printable ASCII; together 8 KiB. Not those that the delivery "
        "sets itself, or that belong to the connection.",
        "maxProperties": MAX_HEADERS,
        "propertyNames": {"pattern": f"^{TOKEN.pattern}$"},
        "additionalProperties": text(pattern="^([!-~]([ -~]*[!-~])?)?$"),
    },
    "RetryPolicy": RETRY,
    "Rate": RATE,
    "EvenRate": record(
        {name: RATE["properties"][name] for name in ("limit", "period")},
        "So many in each period, evenly.",
        **CLOSED,
    ),
    "FlowLimits": record(
        {
            "concurrency?": whole(1, MAX_CONCURRENCY, "Most attempts at once."),
            "rate?": ref("Rate"),
            "ordered?": flag("One at a time."),
        },
        "What holds for each flow key of a queue by itself.",
        **CLOSED,
    ),
    "Breaker": record(
        {
            "ratio": number(LEAST_RATIO, 1, "Share of the attempts."),
            "window": whole(1_000, 3_600_000, "ms"),
        },
        "A target rests when that share of its attempts in so many ms failed.",
        **CLOSED,
    ),
    "FollowUp": FOLLOW_UP,
}
"""Values that stand in requests and answers alike."""

_DELIVERED: Mapping[str, Any] = {
    "dependentRequired": {"heartbeat": ["async"], "payloadEncoding": ["payload"]},
    "if": {"required": ["payloadEncoding"]},
    "then": {"properties": {"payload": BASE64}},
}
_TIMED: Mapping[str, Any] = {**_DELIVERED, "not": {"required": ["delay", "on"]}}


def _only_with(status: str) -> Schema:
    """Return the rule that fields which say nothing beside `status` are null or missing."""
    known = {field for fields in CALLBACK_FIELDS.values() for field in fields}
    foreign = sorted(known - CALLBACK_FIELDS[status])
    return {
        "if": {"properties": {"status": {"const": status}}},
        "then": {"properties": {name: {"type": "null"} for name in foreign}},
    }


def _alone(name: str, other: str) -> Schema:
    """Return the rule that one field is given and another isn't; null is not given."""
    given = {name: {"not": {"type": "null"}}, other: {"type": "null"}}
    return {"required": [name], "properties": given}


def _null_is_not_given(schema: Schema) -> Schema:
    """Return the schema of an object in which a field that is null counts as missing."""
    properties = {name: nullable(each) for name, each in schema["properties"].items()}
    return {**schema, "properties": properties}


REQUESTS: Mapping[str, Schema] = {
    "BatchItem": derived(ItemSchema(), required=["payload"], **_TIMED),
    "Batch": derived(BatchSchema()),
    "ItemChange": derived(ChangeSchema(), **_TIMED),
    "ScheduleRequest": derived(ScheduleSchema(), **_DELIVERED),
    "ScheduleChange": derived(ScheduleChangeSchema(), **_DELIVERED),
    "QueueSettings": derived(QueueSchema()),
    "Purge": derived(PurgeSchema()),
    "EnvironmentChange": derived(EnvironmentSchema()),
    "NewToken": derived(TokenSchema()),
    "Rotation": derived(RotationSchema()),
    "PeriodicTimer": derived(PeriodicSchema()),
    "OnceTimer": derived(TimerSchema(), oneOf=[_alone("at", "delay"), _alone("delay", "at")]),
    "Message": derived(MessageSchema()),
    "Replay": derived(ReplaySchema()),
    "Replays": derived(ReplaysSchema()),
    "ServiceJobRequest": derived(ServiceJobSchema()),
    "JobSearch": _null_is_not_given(derived(JobSearch())),
    "ExecutionSearch": _null_is_not_given(derived(ExecutionSearch())),
    "Callback": derived(CallbackSchema(), allOf=[_only_with(status) for status in CALLBACK_FIELDS]),
}
"""Bodies of requests."""
