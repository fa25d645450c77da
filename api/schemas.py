"""What requests may contain: declared fields with their bounds.

Headers and JSON pass the same rules: a header's text becomes the JSON value it stands for first
(`pushes.py`).
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from api.follow_up_rules import Follow, OwnFollow
from api.loading import Strict, field_loaded, loaded
from api.named_rules import QueueName, ScheduleKey, Validation
from api.rules import (
    MAX_ROWS,
    Choice,
    ContentType,
    Cursor,
    Digits,
    Ended,
    Expiry,
    Flag,
    Instant,
    Moment,
    Parsed,
    Plain,
    Printable,
    Purgeable,
    Rows,
    Rule,
    Scopes,
    Target,
    Text,
    Time,
    Whole,
)
from lambdaqueue.administration import OVERLAP
from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.envelope import check_extra_headers
from lambdaqueue.rate import MAX_CONCURRENCY, Breaker, FlowLimits, Rate
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.statuses import StatusRange

__all__ = [
    "AuditQuery",
    "BatchSchema",
    "ChangeSchema",
    "EnvironmentSchema",
    "ItemQuery",
    "ItemSchema",
    "ItemsQuery",
    "ListQuery",
    "PreviewQuery",
    "QueueSchema",
    "RotationSchema",
    "RunsQuery",
    "ScheduleChangeSchema",
    "ScheduleSchema",
    "SchedulesQuery",
    "Strict",
    "TokenSchema",
    "TokensQuery",
    "field_loaded",
    "loaded",
]

TIMEOUT_BOUNDS = (1_000, 900_000)
TTL_BOUNDS = (1_000, MAX_DELAY)
HEARTBEAT_BOUNDS = (5_000, 3_600_000)
HISTORY_LIMIT_MAX = 2_000_000
MAX_CURSOR = 512

MAX_OVERLAP = 7 * 86_400_000
"""ms for which an old signature secret may still count: a week."""

AUDIT_CURSOR = r"(?!0+-0+\Z)[0-9]{1,15}-[0-9]{1,10}"
"""The id of an entry. Nothing can come before 0-0, and Redis calls that an error."""

SCHEDULES_CURSOR = r"[0-9a-z]{16}"
RUNS_CURSOR = r"[0-9]{1,15}"

MAX_RUNS = 1_000_000_000
MAX_JITTER = 86_400_000
"""ms: a day."""

MAX_WAIT = 20
"""s for which an answer may be held back: less than proxies usually have patience for."""

TOKENS_CURSOR = r"[0-9]{15}\.[A-Za-z0-9_-]{8}"


def _extra_headers(headers: dict[str, Any]) -> dict[str, str]:
    check_extra_headers(headers)
    return headers


class DeliverySchema(Strict):
    """What to deliver, where to, and how."""

    payload = fields.Raw(allow_none=True)
    payload_encoding = Choice("base64", data_key="payloadEncoding")
    content_type = ContentType(data_key="contentType")
    target = Target()
    method = Choice("GET", "POST", "PUT", "PATCH", "DELETE")
    headers = Parsed(_extra_headers, dict)
    retry = Parsed(RetryPolicy.from_json, dict)
    timeout = Whole(*TIMEOUT_BOUNDS)
    max_age = Whole(1, MAX_DELAY, data_key="maxAge")
    priority = Whole(0, 9)
    event_type = Text(0, 128, data_key="eventType")
    flow_key = Text(1, 255, data_key="flowKey")
    ttl = Whole(*TTL_BOUNDS, data_key="async")
    heartbeat = Whole(*HEARTBEAT_BOUNDS)
    on_success = OwnFollow(data_key="onSuccess")
    on_failure = OwnFollow(data_key="onFailure")


class ItemSchema(DeliverySchema):
    """An item of a batch; a single push has the same options in its headers."""

    key = Text(1, 255)
    if_exists = Choice("replace", "keep", data_key="ifExists")
    delay = Whole(0, MAX_DELAY)
    on = Instant()


class ChangeSchema(ItemSchema):
    """A PATCH of an item: what a batch's item has, but for its key and what the key does."""

    class Meta(Strict.Meta):
        exclude = ("key", "if_exists")


class BatchSchema(Strict):
    """The body of a batch."""

    items = Rows(required=True)


class ScheduleSchema(DeliverySchema):
    """A schedule. The core reads `schedule` and `timezone`, because it takes both to do so."""

    queue = QueueName(required=True)
    schedule = Plain(required=True)
    timezone = Plain()
    key = ScheduleKey()
    starts_at = Time(data_key="startsAt")
    ends_at = Time(data_key="endsAt")
    max_runs = Whole(1, MAX_RUNS, data_key="maxRuns")
    jitter = Whole(0, MAX_JITTER)
    misfire = Choice("once", "skip", "all")
    overlap = Choice("allow", "skip")


class ScheduleChangeSchema(ScheduleSchema):
    """A PATCH of a schedule: anything but its key; null takes an option away."""

    class Meta(Strict.Meta):
        exclude = ("key",)

    queue = QueueName()
    schedule = Plain()
    target = Target(allow_none=True)
    retry = Parsed(RetryPolicy.from_json, dict, allow_none=True)
    timeout = Whole(*TIMEOUT_BOUNDS, allow_none=True)
    max_age = Whole(1, MAX_DELAY, allow_none=True, data_key="maxAge")
    event_type = Text(0, 128, allow_none=True, data_key="eventType")
    flow_key = Text(1, 255, allow_none=True, data_key="flowKey")
    ttl = Whole(*TTL_BOUNDS, allow_none=True, data_key="async")
    heartbeat = Whole(*HEARTBEAT_BOUNDS, allow_none=True)
    on_success = OwnFollow(allow_none=True, data_key="onSuccess")
    on_failure = OwnFollow(allow_none=True, data_key="onFailure")
    starts_at = Time(allow_none=True, data_key="startsAt")
    ends_at = Time(allow_none=True, data_key="endsAt")
    max_runs = Whole(1, MAX_RUNS, allow_none=True, data_key="maxRuns")


class QueueSchema(Strict):
    """The settings of a queue; null sets one back to its default."""

    target = Target(allow_none=True)
    retry = Parsed(RetryPolicy.from_json, dict, allow_none=True)
    timeout = Whole(*TIMEOUT_BOUNDS, allow_none=True)
    success_status = Parsed(StatusRange.parse, str, allow_none=True, data_key="successStatus")
    history_limit = Whole(0, HISTORY_LIMIT_MAX, allow_none=True, data_key="historyLimit")
    failed_limit = Whole(0, HISTORY_LIMIT_MAX, allow_none=True, data_key="failedLimit")
    history_days = Whole(1, 30, allow_none=True, data_key="historyDays")
    result_bytes = Whole(0, 65_536, allow_none=True, data_key="resultBytes")
    validation = Validation(allow_none=True)
    concurrency = Whole(1, MAX_CONCURRENCY, allow_none=True)
    rate = Parsed(Rate.from_json, dict, allow_none=True)
    flow = Parsed(FlowLimits.from_json, dict, allow_none=True)
    ordered = Flag(allow_none=True)
    breaker = Parsed(Breaker.from_json, dict, allow_none=True)
    on_success = Follow(allow_none=True, data_key="onSuccess")
    on_failure = Follow(allow_none=True, data_key="onFailure")


class PurgeSchema(Strict):
    """What to delete of a queue: jobs or entries of one state, else all jobs that wait."""

    state = Purgeable(load_default=None)


class EnvironmentSchema(Strict):
    """What an environment's owner may set; null sets it back to its default."""

    retry = Parsed(RetryPolicy.from_json, dict, allow_none=True)


class TokenSchema(Strict):
    """A token to make."""

    name = Printable(1, 64, required=True)
    scopes = Scopes(required=True)
    expires = Expiry(allow_none=True, load_default=None)


class RotationSchema(Strict):
    """How a signature secret is replaced."""

    overlap = Whole(0, MAX_OVERLAP, load_default=OVERLAP)


class ListQuery(Strict):
    """The query of every list."""

    limit = Digits(1, MAX_ROWS, load_default=100)
    cursor: Rule = Text(1, MAX_CURSOR, load_default=None)


class ItemQuery(Strict):
    """The query of one item: for how many seconds to wait for its end."""

    wait = Digits(0, MAX_WAIT, load_default=0)


class ItemsQuery(ListQuery):
    """The query of the list of a queue's items."""

    state = Ended(ended=False, load_default=None)


class AuditQuery(ListQuery):
    """The query of the audit."""

    cursor = Cursor(AUDIT_CURSOR, load_default=None)


class SchedulesQuery(ListQuery):
    """The query of the list of schedules."""

    cursor = Cursor(SCHEDULES_CURSOR, load_default=None)


class RunsQuery(ListQuery):
    """The query of a schedule's history."""

    cursor = Cursor(RUNS_CURSOR, load_default=None)


PreviewQuery = Strict.from_dict(
    {
        "schedule": Plain(required=True),
        "tz": Plain(load_default="UTC"),
        "from": Moment(load_default=None),
        "count": Digits(1, 100, load_default=5),
    },
    name="PreviewQuery",
)
"""The query of a preview; made so because `from` can be no attribute."""


class TokensQuery(ListQuery):
    """The query of the list of tokens."""

    cursor = Cursor(TOKENS_CURSOR, load_default=None)
