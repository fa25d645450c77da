"""The rules of what services say and of how their jobs are defined. Lengths of time are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.ids import is_job_id
from lambdaqueue.instants import LAST_INSTANT
from lambdaqueue.reading.rules import Always, Choice, Digits, Rule, Text, Whole, refused
from lambdaqueue.service_job import check_schedule

__all__ = [
    "AGREED",
    "CORRELATION_ID",
    "EXPRESSION",
    "EXTENSION",
    "HEARTBEAT",
    "INVOCATION_TYPE",
    "MAX_SUMMARY",
    "MORE",
    "PROGRESS",
    "REASON",
    "SINCE",
    "STATUS",
    "SUMMARY",
    "TTL",
    "VALUE",
    "Expression",
    "More",
    "Percentage",
    "Reason",
    "Summary",
    "Value",
]

MAX_TTL = MAX_DELAY // 1_000
"""Seconds that an execution may take: a leap year."""

MAX_SUMMARY = 4_096
MAX_VALUE = 65_536
"""Bytes of a callback's `state` or `error`, as compact JSON."""


@dataclass(frozen=True)
class Expression(Rule):
    """When a service job runs. Anything else is answered 400, as is text that isn't one."""

    def __call__(self, value: Any) -> str:
        return check_schedule(value if type(value) is str else "")


@dataclass(frozen=True)
class Percentage(Rule):
    """A number from 0 to 100."""

    def __call__(self, value: Any) -> float:
        if type(value) not in (int, float):
            raise refused("not_number", "must be a number from 0 to 100")
        if not 0 <= value <= 100:
            raise refused("out_of_range", "must be a number from 0 to 100")
        return float(value) if type(value) is float else int(value)


@dataclass(frozen=True)
class Summary(Rule):
    """Text of a few lines; control characters other than line breaks show nothing."""

    def __call__(self, value: Any) -> str:
        if type(value) is not str:
            raise refused("not_text", "must be text")
        if len(value.encode()) > MAX_SUMMARY:
            raise refused("too_large", f"must have at most {MAX_SUMMARY} bytes")
        Text(0, MAX_SUMMARY)(value.replace("\n", "").replace("\r", ""))
        return value


@dataclass(frozen=True)
class Value(Rule):
    """Any JSON value of a certain size."""

    def __call__(self, value: Any) -> Any:
        if len(strict_json.dumps(value)) > MAX_VALUE:
            raise refused("too_large", f"must have at most {MAX_VALUE} bytes as JSON")
        return value


@dataclass(frozen=True)
class Reason(Value):
    """Why something failed: text, or an object."""

    def __call__(self, value: Any) -> Any:
        if type(value) not in (str, dict):
            raise refused("not_text_or_object", "must be text or an object")
        return super().__call__(value)


@dataclass(frozen=True)
class More(Rule):
    """Where the next page of a search begins."""

    def __call__(self, value: Any) -> str:
        if type(value) is not str or not is_job_id(value):
            raise refused("invalid_cursor", "must be the `more` of an earlier page")
        return value


# The definition of a service job.
AGREED = Always()
INVOCATION_TYPE = Choice(("http",))
EXPRESSION = Expression()
TTL = Whole(0, MAX_TTL)
HEARTBEAT = Whole(5, 3_600)

# Searches; `SINCE` is Unix ms.
SINCE = Digits(0, LAST_INSTANT)
MORE = More()

# What a service says of an execution.
STATUS = Choice(("processing", "success", "fail"))
PROGRESS = Percentage()
EXTENSION = Whole(1, MAX_TTL)
SUMMARY = Summary()
VALUE = Value()
REASON = Reason()
CORRELATION_ID = Text(0, 255)
