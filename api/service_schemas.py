"""What requests about service jobs may contain: definitions, searches and callbacks."""

from __future__ import annotations

from typing import Any

from api.message_schemas import Url
from api.rules import Choice, Digits, Flag, Parsed, Plain, Rule, Text, Whole, broken
from api.schemas import Strict
from lambdaqueue import strict_json
from lambdaqueue.execution import DEFAULT_HEARTBEAT
from lambdaqueue.ids import is_job_id
from lambdaqueue.instants import LAST_INSTANT
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.service_job import check_schedule

__all__ = [
    "MAX_TTL",
    "CallbackSchema",
    "ExecutionQuery",
    "ExecutionSearch",
    "JobSearch",
    "ServiceJobSchema",
]

MAX_TTL = 31_622_400
"""Seconds that an execution may take: a leap year."""

HEARTBEAT_SECONDS = (5, 3_600)
MAX_CORRELATION_ID = 255
MAX_SUMMARY = 4_096
MAX_VALUE = 65_536
"""Bytes of a callback's `state` or `error`, as compact JSON."""

MAX_NAMES = 100
"""Names or guids in one search."""


class Always(Flag):
    """A flag that has to be set: whoever sends it knows what he agrees to."""

    def checked(self, value: Any) -> bool:
        if not super().checked(value):
            raise broken("not_true", "must be true")
        return True


class Expression(Rule):
    """When a service job runs. Anything else is answered 400, as is text that isn't one."""

    def checked(self, value: Any) -> str:
        return check_schedule(value if type(value) is str else "")


class Percentage(Rule):
    """A number from 0 to 100."""

    def checked(self, value: Any) -> float:
        if type(value) not in (int, float):
            raise broken("not_number", "must be a number from 0 to 100")
        if not 0 <= value <= 100:
            raise broken("out_of_range", "must be a number from 0 to 100")
        return float(value) if type(value) is float else int(value)


class Summary(Rule):
    """Text of a few lines; control characters other than line breaks show nothing."""

    def checked(self, value: Any) -> str:
        if type(value) is not str:
            raise broken("not_text", "must be text")
        if len(value.encode()) > MAX_SUMMARY:
            raise broken("too_large", f"must have at most {MAX_SUMMARY} bytes")
        Text(0, MAX_SUMMARY).checked(value.replace("\n", "").replace("\r", ""))
        return value


class Value(Rule):
    """Any JSON value of a certain size."""

    def checked(self, value: Any) -> Any:
        if len(strict_json.dumps(value)) > MAX_VALUE:
            raise broken("too_large", f"must have at most {MAX_VALUE} bytes as JSON")
        return value


class Reason(Value):
    """Why something failed: text, or an object."""

    def checked(self, value: Any) -> Any:
        if type(value) not in (str, dict):
            raise broken("not_text_or_object", "must be text or an object")
        return super().checked(value)


class Names(Rule):
    """One text or a list of some; which names there can be, is judged where they meet."""

    def checked(self, value: Any) -> list[Any]:
        found = value if type(value) is list else [value]
        if len(found) > MAX_NAMES:
            raise broken("bad_length", f"must have at most {MAX_NAMES} entries")
        return found


class Guids(Names):
    """One guid or a list of some; one that is no guid names nothing."""

    def checked(self, value: Any) -> list[Any]:
        found = super().checked(value)
        if not found or not all(type(each) is str for each in found):
            raise broken("not_text", "must be text, or a list of texts")
        return found


class More(Rule):
    """Where the next page of a search begins."""

    def checked(self, value: Any) -> str:
        if type(value) is not str or not is_job_id(value):
            raise broken("invalid_cursor", "must be the `more` of an earlier page")
        return value


class ServiceJobSchema(Strict):
    """The definition of a service job."""

    is_async = Always(required=True, data_key="async")
    enabled = Flag(load_default=True)
    exclusive = Flag(load_default=False)
    target = Url(required=True, data_key="invocation_target")
    invocation_type = Choice("http", load_default="http")
    schedule = Expression(required=True)
    ttl = Whole(0, MAX_TTL, required=True, data_key="ttl_seconds")
    payload = Plain(allow_none=True, load_default=None)
    heartbeat = Whole(
        *HEARTBEAT_SECONDS,
        data_key="heartbeat_interval_seconds",
        load_default=DEFAULT_HEARTBEAT // 1_000,
    )
    retry = Parsed(RetryPolicy.from_json, dict, allow_none=True, load_default=None)


class _Search(Strict):
    """What all searches have."""

    service_name = Names()
    job_name = Names()


class JobSearch(_Search):
    """A search for service jobs."""

    job_guid = Guids()


class ExecutionSearch(_Search):
    """A search for executions; `since` is Unix ms."""

    since = Whole(0, LAST_INSTANT)
    more = More()


class ExecutionQuery(ExecutionSearch):
    """The same in a query."""

    since = Digits(0, LAST_INSTANT)


class CallbackSchema(Strict):
    """What a service says of an execution. A field that is null is not given."""

    status = Choice("processing", "success", "fail", required=True)
    progress = Percentage(allow_none=True)
    extend = Whole(1, MAX_TTL, allow_none=True, data_key="extend_seconds")
    summary = Summary(allow_none=True)
    state = Value(allow_none=True)
    error = Reason(allow_none=True)
    correlation_id = Text(0, MAX_CORRELATION_ID, allow_none=True)
