"""What the bodies of messages and timers may contain, and the JSON that they bring along."""

from __future__ import annotations

from typing import Any

from api.rules import Instant, Rule, Target, Text, Whole
from api.schemas import Strict
from lambdaqueue import strict_json
from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.messages import ATTEMPTS
from lambdaqueue.timers import DEFAULT_EVERY

__all__ = ["MessageSchema", "PeriodicSchema", "TimerIdSchema", "TimerSchema", "compact"]


class Anything(Rule):
    """Any JSON value, null too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)

    def checked(self, value: Any) -> Any:
        return value


class Url(Target):
    """A target under another name."""

    def _below(self, issue: Issue) -> Issue:
        return Issue((), issue.code, issue.message)


class MessageSchema(Strict):
    """A direct message."""

    payload = Anything(required=True)
    url = Url(required=True)
    event_type = Text(0, 128, data_key="eventType", load_default=None)
    attempt = Whole(1, ATTEMPTS, load_default=1)


class TimerIdSchema(Strict):
    """The id in the path of a timer."""

    id = Text(1, 255)


class _AnyTimerSchema(Strict):
    """What timers of both kinds have."""

    data = Anything(data_key="timerCallbackData")
    shard = Text(1, 255, data_key="shardId")
    target = Target()


class PeriodicSchema(_AnyTimerSchema):
    """A timer that runs again and again; the core reads `every`."""

    minute = Whole(0, 59, data_key="minuteOfHour", load_default=None)
    every = Text(1, 32, load_default=DEFAULT_EVERY)


class TimerSchema(_AnyTimerSchema):
    """A timer that runs once, at a time or after one."""

    at = Instant(load_default=None)
    delay = Whole(0, MAX_DELAY, load_default=None)


def compact(value: Any, field: str, limit: int) -> bytes:
    """Return `value` as compact JSON.

    Raises:
        InvalidRequest: for `field`: it has more than `limit` bytes.
    """
    payload = strict_json.dumps(value)
    if len(payload) > limit:
        raise InvalidRequest.of(field, "too_large", f"must have at most {limit} bytes")
    return payload
