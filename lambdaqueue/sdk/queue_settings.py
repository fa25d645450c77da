"""What the server keeps of a queue: its settings, as `Queue.configure` takes them, and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict

from lambdaqueue.sdk.durations import Duration, milliseconds
from lambdaqueue.sdk.models import time_of
from lambdaqueue.sdk.options import FollowUp, Retry, as_json

__all__ = [
    "Breaker",
    "Flow",
    "QueueInfo",
    "QueueSettings",
    "Rate",
    "TroubledEndpoint",
    "rate_as_json",
    "settings_as_json",
]


class _Rate(TypedDict):
    limit: int
    period: Duration


class Rate(_Rate, total=False):
    """At most `limit` attempts in each `period`; with `burst` a bucket that holds so many."""

    burst: int


class Flow(TypedDict, total=False):
    """The limits of each flow key by itself."""

    concurrency: int
    rate: Rate
    ordered: bool


class Breaker(TypedDict):
    """Rest when the share `ratio` (above 0 to 1) of the attempts within `window` failed."""

    ratio: float
    window: Duration


class QueueSettings(TypedDict, total=False):
    """The settings of a queue; None sets one back to its default. See "Queues" in the API's docs.

    `target`, `retry`, `timeout`, `on_success` and `on_failure` are for items without one of their
    own; targets may be paths of this application.
    """

    target: str | None
    retry: Retry | None
    timeout: Duration | None
    concurrency: int | None
    rate: Rate | None
    ordered: bool | None
    flow: Flow | None
    breaker: Breaker | None
    on_success: FollowUp | None
    on_failure: FollowUp | None
    success_status: str | None
    validation: Literal["required", "none"] | None
    history_limit: int | None
    failed_limit: int | None
    history_days: int | None
    result_bytes: int | None


@dataclass(frozen=True, slots=True)
class TroubledEndpoint:
    """A target that isn't called as usual. `state` is resting, recovering, open or half-open.

    It's called again at `rests_until`, `aside` items wait for that; its breaker has opened `opened`
    times in a row.
    """

    url: str
    state: str
    rests_until: datetime | None
    opened: int
    aside: int

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> TroubledEndpoint:
        """Read the API's JSON."""
        return cls(
            url=str(raw.get("url", "")),
            state=str(raw.get("state", "")),
            rests_until=time_of(raw, "restsUntil"),
            opened=int(raw.get("opened", 0)),
            aside=int(raw.get("aside", 0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """A queue's numbers and settings; `settings` are as the API has them, durations in ms.

    `waiting` and `running` are now, the others count all that ever ended. Of its targets
    `endpoints` has those in trouble; `Queue.info` alone tells of them.
    """

    name: str
    paused: bool = False
    waiting: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    last_error: str | None = None
    endpoints: tuple[TroubledEndpoint, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> QueueInfo:
        """Read the API's JSON."""
        counts = {name: int(raw.get(name, 0)) for name in COUNTS}
        error = raw.get("lastError") or {}
        return cls(
            name=str(raw["name"]),
            paused=bool(raw.get("paused")),
            **counts,
            last_error=error.get("error"),
            endpoints=tuple(map(TroubledEndpoint.read, raw.get("endpoints") or ())),
            settings={name: value for name, value in raw.items() if name not in STATE},
            raw=raw,
        )


COUNTS = ("waiting", "running", "completed", "failed", "cancelled")
STATE = frozenset(
    {"name", "paused", *COUNTS, "lastError", "lastHour", "today", "breakerState", "endpoints"}
)


def rate_as_json(rate: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rate as the API takes it; raises as `durations.milliseconds`."""
    return _in_ms(rate, "period")


def _flow(flow: Mapping[str, Any]) -> dict[str, Any]:
    return {**flow, "rate": rate_as_json(flow["rate"])} if flow.get("rate") else dict(flow)


def _breaker(breaker: Mapping[str, Any]) -> dict[str, Any]:
    return _in_ms(breaker, "window")


def _in_ms(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return `told` with its duration `name` in ms; that it's missing is for the server to say."""
    return {**told, name: milliseconds(told[name])} if name in told else dict(told)


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "rate": rate_as_json,
    "flow": _flow,
    "breaker": _breaker,
}
"""Settings that are objects, and how these are written."""

AS_OPTIONS = frozenset({"target", "retry", "timeout", "on_success", "on_failure"})


def settings_as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as the API takes them; None becomes null.

    Raises:
        ValueError, TypeError: a duration is none, or there is no such setting.
    """
    fields = as_json({name: value for name, value in settings.items() if name in AS_OPTIONS})
    for name, value in settings.items():
        if name in AS_OPTIONS:
            continue
        if name not in QueueSettings.__annotations__:
            known = ", ".join(QueueSettings.__annotations__)
            raise TypeError(f"there is no setting {name!r}; there are {known}")
        write = WRITERS.get(name)
        fields[_camel(name)] = value if value is None or write is None else write(value)
    return fields


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
