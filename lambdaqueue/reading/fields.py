"""The fields that requests have, each with its rule: limits, formats, choices.

Which of them a request has is declared beside its reader: `api/schemas.py`, `testing/fields.py`.
Lengths of time are ms.
"""

from __future__ import annotations

import re
from typing import Any

from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.envelope import check_extra_headers
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import State
from lambdaqueue.messages import ATTEMPTS
from lambdaqueue.rate import MAX_CONCURRENCY, Breaker, FlowLimits, Rate
from lambdaqueue.reading.named_rules import QueueName, ScheduleKey
from lambdaqueue.reading.rules import (
    Anything,
    Choice,
    ContentType,
    Cursor,
    Digits,
    Flag,
    Moment,
    Named,
    Parsed,
    Plain,
    Rows,
    States,
    Text,
    Time,
    Whole,
)
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.statuses import StatusRange

__all__ = [
    "ANYTHING",
    "ATTEMPT",
    "BREAKER",
    "CONCURRENCY",
    "CONTENT_TYPE",
    "CURSOR",
    "DELAY",
    "ENDED",
    "EVENT_TYPE",
    "EVERY",
    "FLAG",
    "FLOW",
    "FLOW_KEY",
    "FOLLOW_UP_FORMAT",
    "HEADERS",
    "HEARTBEAT",
    "HISTORY_DAYS",
    "HISTORY_LIMIT",
    "IF_EXISTS",
    "ITEMS",
    "JITTER",
    "KEY",
    "LIMIT",
    "MAX_AGE",
    "MAX_RUNS",
    "METHOD",
    "MINUTE_OF_HOUR",
    "MISFIRE",
    "MOMENT",
    "OVERLAP",
    "PAYLOAD_ENCODING",
    "PLAIN",
    "PREVIEWED",
    "PRIORITY",
    "PURGEABLE",
    "QUEUE",
    "RATE",
    "REPLAYABLE",
    "REPLAYS_CURSOR",
    "REPLAYS_LIMIT",
    "REPLAYS_RATE",
    "RESULT_BYTES",
    "RETRY",
    "RUNS_CURSOR",
    "SCHEDULES_CURSOR",
    "SCHEDULE_KEY",
    "SHARD",
    "SUCCESS_STATUS",
    "TIME",
    "TIMEOUT",
    "TTL",
    "UNFINISHED",
    "WAIT",
]

MAX_ROWS = 1_000
"""Items in one batch, rows in one page."""

MAX_REPLAYS = 10_000
"""Jobs that one request pushes again."""


def _extra_headers(headers: dict[str, Any]) -> dict[str, str]:
    check_extra_headers(headers)
    return headers


def _even_rate(value: dict[str, Any]) -> Rate:
    """Read a rate by which due times are spread: nothing is saved up for a burst."""
    rate = Rate.from_json(value)
    if rate.burst is not None:
        raise InvalidRequest.of("burst", "unknown_field", "is no field here")
    return rate


ANYTHING = Anything()
FLAG = Flag()
PLAIN = Plain()
"""Text that the core reads, and says what is wrong with it."""

TIME = Time()
MOMENT = Moment()
QUEUE = QueueName()

# What to deliver, and how.
PAYLOAD_ENCODING = Choice(("base64",))
CONTENT_TYPE = ContentType()
METHOD = Choice(("GET", "POST", "PUT", "PATCH", "DELETE"))
HEADERS = Named(_extra_headers, dict)
RETRY = Parsed(RetryPolicy.from_json, dict)
TIMEOUT = Whole(1_000, 900_000)
MAX_AGE = Whole(1, MAX_DELAY)
PRIORITY = Whole(0, 9)
EVENT_TYPE = Text(0, 128)
FLOW_KEY = Text(1, 255)
TTL = Whole(1_000, MAX_DELAY)
HEARTBEAT = Whole(5_000, 3_600_000)
FOLLOW_UP_FORMAT = Choice(("json", "slack"))

# Pushes.
KEY = Text(1, 255)
IF_EXISTS = Choice(("replace", "keep"))
DELAY = Whole(0, MAX_DELAY)
ITEMS = Rows(MAX_ROWS)

# Schedules.
SCHEDULE_KEY = ScheduleKey()
MAX_RUNS = Whole(1, 1_000_000_000)
JITTER = Whole(0, 86_400_000)
MISFIRE = Choice(("once", "skip", "all"))
OVERLAP = Choice(("allow", "skip"))
PREVIEWED = Digits(1, 100)

# Messages and timers.
ATTEMPT = Whole(1, ATTEMPTS)
SHARD = Text(1, 255)
MINUTE_OF_HOUR = Whole(0, 59)
EVERY = Text(1, 32)

# Settings of queues.
SUCCESS_STATUS = Named(StatusRange.parse, str)
HISTORY_LIMIT = Whole(0, 2_000_000)
HISTORY_DAYS = Whole(1, 30)
RESULT_BYTES = Whole(0, 65_536)
CONCURRENCY = Whole(1, MAX_CONCURRENCY)
RATE = Parsed(Rate.from_json, dict)
FLOW = Parsed(FlowLimits.from_json, dict)
BREAKER = Parsed(Breaker.from_json, dict)

# Lists.
LIMIT = Digits(1, MAX_ROWS)
CURSOR = Text(1, 512)
SCHEDULES_CURSOR = Cursor(re.compile(r"[0-9a-z]{16}"))
RUNS_CURSOR = Cursor(re.compile(r"[0-9]{1,15}"))
WAIT = Digits(0, 20)
"""s for which an answer may be held back: less than proxies usually have patience for."""

UNFINISHED = States(tuple(state for state in State if not state.ended))
ENDED = States(tuple(state for state in State if state.ended))
PURGEABLE = States(tuple(state for state in State if state is not State.RUNNING))
"""What can be deleted: what runs can't."""

# What is pushed again.
REPLAYABLE = States((State.FAILED, State.CANCELLED))
REPLAYS_RATE = Parsed(_even_rate, dict)
REPLAYS_LIMIT = Whole(1, MAX_REPLAYS)
REPLAYS_CURSOR = Cursor(re.compile(r"[1-9][0-9]{0,14}-[0-9]{1,15}-f(?:\.[0-9]{1,15})?"))
