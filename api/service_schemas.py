"""What requests about service jobs may contain: definitions, searches and callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.loading import Checked
from api.rules import TARGET
from api.schemas import Strict
from lambdaqueue.execution import DEFAULT_HEARTBEAT
from lambdaqueue.instants import LAST_INSTANT
from lambdaqueue.reading import fields, service_rules
from lambdaqueue.reading.rules import Rule, Whole, refused

__all__ = [
    "CallbackSchema",
    "ExecutionQuery",
    "ExecutionSearch",
    "JobSearch",
    "ServiceJobSchema",
]

MAX_NAMES = 100
"""Names or guids in one search."""


@dataclass(frozen=True)
class Names(Rule):
    """One text or a list of some; which names there can be, is judged where they meet."""

    def __call__(self, value: Any) -> list[Any]:
        found = value if type(value) is list else [value]
        if len(found) > MAX_NAMES:
            raise refused("bad_length", f"must have at most {MAX_NAMES} entries")
        return found


@dataclass(frozen=True)
class Guids(Names):
    """One guid or a list of some; one that is no guid names nothing."""

    def __call__(self, value: Any) -> list[Any]:
        found = super().__call__(value)
        if not found or not all(type(each) is str for each in found):
            raise refused("not_text", "must be text, or a list of texts")
        return found


class ServiceJobSchema(Strict):
    """The definition of a service job."""

    is_async = Checked(service_rules.AGREED, required=True, data_key="async")
    enabled = Checked(fields.FLAG, load_default=True)
    exclusive = Checked(fields.FLAG, load_default=False)
    target = Checked(TARGET, required=True, data_key="invocation_target")
    invocation_type = Checked(service_rules.INVOCATION_TYPE, load_default="http")
    schedule = Checked(service_rules.EXPRESSION, required=True)
    ttl = Checked(service_rules.TTL, required=True, data_key="ttl_seconds")
    payload = Checked(fields.PLAIN, allow_none=True, load_default=None)
    heartbeat = Checked(
        service_rules.HEARTBEAT,
        data_key="heartbeat_interval_seconds",
        load_default=DEFAULT_HEARTBEAT // 1_000,
    )
    retry = Checked(fields.RETRY, allow_none=True, load_default=None)


class _Search(Strict):
    """What all searches have."""

    service_name = Checked(Names())
    job_name = Checked(Names())


class JobSearch(_Search):
    """A search for service jobs."""

    job_guid = Checked(Guids())


class ExecutionSearch(_Search):
    """A search for executions; `since` is Unix ms."""

    since = Checked(Whole(0, LAST_INSTANT))
    more = Checked(service_rules.MORE)


class ExecutionQuery(ExecutionSearch):
    """The same in a query."""

    since = Checked(service_rules.SINCE)


class CallbackSchema(Strict):
    """What a service says of an execution. A field that is null is not given."""

    status = Checked(service_rules.STATUS, required=True)
    progress = Checked(service_rules.PROGRESS, allow_none=True)
    extend = Checked(service_rules.EXTENSION, allow_none=True, data_key="extend_seconds")
    summary = Checked(service_rules.SUMMARY, allow_none=True)
    state = Checked(service_rules.VALUE, allow_none=True)
    error = Checked(service_rules.REASON, allow_none=True)
    correlation_id = Checked(service_rules.CORRELATION_ID, allow_none=True)
