"""What requests may contain: declared fields with their bounds.

Headers and JSON pass the same rules: a header's text becomes the JSON value it stands for first
(`pushes.py`).
"""

from __future__ import annotations

import re

from api.loading import Checked, Strict, field_loaded, loaded
from api.rules import (
    EXPIRY,
    FOLLOW,
    INSTANT,
    OWN_FOLLOW,
    SCOPES,
    TARGET,
    TOKEN_NAME,
    VALIDATION,
)
from lambdaqueue.administration import OVERLAP
from lambdaqueue.reading import fields
from lambdaqueue.reading.rules import Cursor, Whole

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

MAX_OVERLAP = 7 * 86_400_000
"""ms for which an old signature secret may still count: a week."""

AUDIT_CURSOR = Cursor(re.compile(r"(?!0+-0+\Z)[0-9]{1,15}-[0-9]{1,10}"))
"""The id of an entry. Nothing can come before 0-0, and Redis calls that an error."""

TOKENS_CURSOR = Cursor(re.compile(r"[0-9]{15}\.[A-Za-z0-9_-]{8}"))


class DeliverySchema(Strict):
    """What to deliver, where to, and how."""

    payload = Checked(fields.ANYTHING, allow_none=True)
    payload_encoding = Checked(fields.PAYLOAD_ENCODING, data_key="payloadEncoding")
    content_type = Checked(fields.CONTENT_TYPE, data_key="contentType")
    target = Checked(TARGET)
    method = Checked(fields.METHOD)
    headers = Checked(fields.HEADERS)
    retry = Checked(fields.RETRY)
    timeout = Checked(fields.TIMEOUT)
    max_age = Checked(fields.MAX_AGE, data_key="maxAge")
    priority = Checked(fields.PRIORITY)
    event_type = Checked(fields.EVENT_TYPE, data_key="eventType")
    flow_key = Checked(fields.FLOW_KEY, data_key="flowKey")
    ttl = Checked(fields.TTL, data_key="async")
    heartbeat = Checked(fields.HEARTBEAT)
    on_success = Checked(OWN_FOLLOW, data_key="onSuccess")
    on_failure = Checked(OWN_FOLLOW, data_key="onFailure")


class ItemSchema(DeliverySchema):
    """An item of a batch; a single push has the same options in its headers."""

    key = Checked(fields.KEY)
    if_exists = Checked(fields.IF_EXISTS, data_key="ifExists")
    delay = Checked(fields.DELAY)
    on = Checked(INSTANT)


class ChangeSchema(ItemSchema):
    """A PATCH of an item: what a batch's item has, but for its key and what the key does."""

    class Meta(Strict.Meta):
        exclude = ("key", "if_exists")


class BatchSchema(Strict):
    """The body of a batch."""

    items = Checked(fields.ITEMS, required=True)


class ScheduleSchema(DeliverySchema):
    """A schedule. The core reads `schedule` and `timezone`, because it takes both to do so."""

    queue = Checked(fields.QUEUE, required=True)
    schedule = Checked(fields.PLAIN, required=True)
    timezone = Checked(fields.PLAIN)
    key = Checked(fields.SCHEDULE_KEY)
    starts_at = Checked(fields.TIME, data_key="startsAt")
    ends_at = Checked(fields.TIME, data_key="endsAt")
    max_runs = Checked(fields.MAX_RUNS, data_key="maxRuns")
    jitter = Checked(fields.JITTER)
    misfire = Checked(fields.MISFIRE)
    overlap = Checked(fields.OVERLAP)


class ScheduleChangeSchema(ScheduleSchema):
    """A PATCH of a schedule: anything but its key; null takes an option away."""

    class Meta(Strict.Meta):
        exclude = ("key",)

    queue = Checked(fields.QUEUE)
    schedule = Checked(fields.PLAIN)
    target = Checked(TARGET, allow_none=True)
    retry = Checked(fields.RETRY, allow_none=True)
    timeout = Checked(fields.TIMEOUT, allow_none=True)
    max_age = Checked(fields.MAX_AGE, allow_none=True, data_key="maxAge")
    event_type = Checked(fields.EVENT_TYPE, allow_none=True, data_key="eventType")
    flow_key = Checked(fields.FLOW_KEY, allow_none=True, data_key="flowKey")
    ttl = Checked(fields.TTL, allow_none=True, data_key="async")
    heartbeat = Checked(fields.HEARTBEAT, allow_none=True)
    on_success = Checked(OWN_FOLLOW, allow_none=True, data_key="onSuccess")
    on_failure = Checked(OWN_FOLLOW, allow_none=True, data_key="onFailure")
    starts_at = Checked(fields.TIME, allow_none=True, data_key="startsAt")
    ends_at = Checked(fields.TIME, allow_none=True, data_key="endsAt")
    max_runs = Checked(fields.MAX_RUNS, allow_none=True, data_key="maxRuns")


class QueueSchema(Strict):
    """The settings of a queue; null sets one back to its default."""

    target = Checked(TARGET, allow_none=True)
    retry = Checked(fields.RETRY, allow_none=True)
    timeout = Checked(fields.TIMEOUT, allow_none=True)
    success_status = Checked(fields.SUCCESS_STATUS, allow_none=True, data_key="successStatus")
    history_limit = Checked(fields.HISTORY_LIMIT, allow_none=True, data_key="historyLimit")
    failed_limit = Checked(fields.HISTORY_LIMIT, allow_none=True, data_key="failedLimit")
    history_days = Checked(fields.HISTORY_DAYS, allow_none=True, data_key="historyDays")
    result_bytes = Checked(fields.RESULT_BYTES, allow_none=True, data_key="resultBytes")
    validation = Checked(VALIDATION, allow_none=True)
    concurrency = Checked(fields.CONCURRENCY, allow_none=True)
    rate = Checked(fields.RATE, allow_none=True)
    flow = Checked(fields.FLOW, allow_none=True)
    ordered = Checked(fields.FLAG, allow_none=True)
    breaker = Checked(fields.BREAKER, allow_none=True)
    on_success = Checked(FOLLOW, allow_none=True, data_key="onSuccess")
    on_failure = Checked(FOLLOW, allow_none=True, data_key="onFailure")


class PurgeSchema(Strict):
    """What to delete of a queue: jobs or entries of one state, else all jobs that wait."""

    state = Checked(fields.PURGEABLE, load_default=None)


class EnvironmentSchema(Strict):
    """What an environment's owner may set; null sets it back to its default."""

    retry = Checked(fields.RETRY, allow_none=True)


class TokenSchema(Strict):
    """A token to make."""

    name = Checked(TOKEN_NAME, required=True)
    scopes = Checked(SCOPES, required=True)
    expires = Checked(EXPIRY, allow_none=True, load_default=None)


class RotationSchema(Strict):
    """How a signature secret is replaced."""

    overlap = Checked(Whole(0, MAX_OVERLAP), load_default=OVERLAP)


class ListQuery(Strict):
    """The query of every list."""

    limit = Checked(fields.LIMIT, load_default=100)
    cursor = Checked(fields.CURSOR, load_default=None)


class ItemQuery(Strict):
    """The query of one item: for how many seconds to wait for its end."""

    wait = Checked(fields.WAIT, load_default=0)


class ItemsQuery(ListQuery):
    """The query of the list of a queue's items."""

    state = Checked(fields.UNFINISHED, load_default=None)


class AuditQuery(ListQuery):
    """The query of the audit."""

    cursor = Checked(AUDIT_CURSOR, load_default=None)


class SchedulesQuery(ListQuery):
    """The query of the list of schedules."""

    cursor = Checked(fields.SCHEDULES_CURSOR, load_default=None)


class RunsQuery(ListQuery):
    """The query of a schedule's history."""

    cursor = Checked(fields.RUNS_CURSOR, load_default=None)


PreviewQuery = Strict.from_dict(
    {
        "schedule": Checked(fields.PLAIN, required=True),
        "tz": Checked(fields.PLAIN, load_default="UTC"),
        "from": Checked(fields.MOMENT, load_default=None),
        "count": Checked(fields.PREVIEWED, load_default=5),
    },
    name="PreviewQuery",
)
"""The query of a preview; made so because `from` can be no attribute."""


class TokensQuery(ListQuery):
    """The query of the list of tokens."""

    cursor = Checked(TOKENS_CURSOR, load_default=None)
