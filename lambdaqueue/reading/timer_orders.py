"""What requests order of timers, from fields whose rules hold already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.reading.orders import compact
from lambdaqueue.timer import Once, TimerSpec

__all__ = ["read_once", "read_periodic"]


def read_periodic(values: Mapping[str, Any], max_payload: int, timer_id: str) -> TimerSpec:
    """Return what a periodic timer is for.

    Raises:
        InvalidRequest: its data is too large.
    """
    return _spec(values, max_payload, {"id": timer_id, "type": "hourlyPeriodic"})


def read_once(values: Mapping[str, Any], max_payload: int, timer_id: str) -> tuple[TimerSpec, Once]:
    """Return what a timer that runs once is for, and when that is.

    Raises:
        InvalidRequest: its data is too large, or it has no time, or two.
    """
    at, delay = values["at"], values["delay"]
    if at is None and delay is None:
        raise InvalidRequest.of("at", "required", "is required, or else a delay")
    if at is not None and delay is not None:
        raise InvalidRequest.of("at", "delay_and_at", "must not be given with a delay")
    spec = _spec(values, max_payload, {"id": timer_id, "type": "timer"})
    return spec, Once(at, delay or 0)


def _spec(values: Mapping[str, Any], max_payload: int, default: Mapping[str, str]) -> TimerSpec:
    data = compact(values.get("data", default), "timerCallbackData", max_payload)
    rest = {name: values[name] for name in ("target", "shard") if name in values}
    return TimerSpec(data, **rest)
