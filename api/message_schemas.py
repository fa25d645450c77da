"""What the bodies of messages and timers may contain, and the JSON that they bring along."""

from __future__ import annotations

from api.loading import Checked
from api.rules import INSTANT, TARGET
from api.schemas import Strict
from lambdaqueue.reading import fields
from lambdaqueue.timer import DEFAULT_EVERY

__all__ = ["MessageSchema", "PeriodicSchema", "TimerIdSchema", "TimerSchema"]


class MessageSchema(Strict):
    """A direct message."""

    payload = Checked(fields.ANYTHING, required=True, allow_none=True)
    url = Checked(TARGET, required=True)
    event_type = Checked(fields.EVENT_TYPE, data_key="eventType", load_default=None)
    attempt = Checked(fields.ATTEMPT, load_default=1)


class TimerIdSchema(Strict):
    """The id in the path of a timer."""

    id = Checked(fields.KEY)


class _AnyTimerSchema(Strict):
    """What timers of both kinds have."""

    data = Checked(fields.ANYTHING, allow_none=True, data_key="timerCallbackData")
    shard = Checked(fields.SHARD, data_key="shardId")
    target = Checked(TARGET)


class PeriodicSchema(_AnyTimerSchema):
    """A timer that runs again and again; the core reads `every`."""

    minute = Checked(fields.MINUTE_OF_HOUR, data_key="minuteOfHour", load_default=None)
    every = Checked(fields.EVERY, load_default=DEFAULT_EVERY)


class TimerSchema(_AnyTimerSchema):
    """A timer that runs once, at a time or after one."""

    at = Checked(INSTANT, load_default=None)
    delay = Checked(fields.DELAY, load_default=None)
