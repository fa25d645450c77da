"""The options of a push, a change and a schedule: how each is called here, in headers, in JSON.

`Options` and the others are what `push(payload, **options)` takes; None is as good as not given,
and takes away a queue's default. Durations are timedeltas, seconds or text like "10m"; instants
datetimes with a zone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict, cast

from lambdaqueue.sdk.durations import Duration, instant, milliseconds
from lambdaqueue.sdk.payloads import dumps

__all__ = [
    "DeliveryOptions",
    "FollowUp",
    "ItemOptions",
    "PushOptions",
    "Retry",
    "ScheduleChanges",
    "ScheduleOptions",
    "as_headers",
    "as_json",
    "merged",
]


class Retry(TypedDict, total=False):
    """A retry policy; it replaces the queue's whole. See "Retry policies" in the API's docs.

    `delay`, `delays` and `max` are durations: numbers are seconds here.
    """

    type: Literal["exponential", "quadratic", "power", "linear", "constant", "list"]
    delay: Duration
    factor: float
    exponent: float
    delays: list[Duration]
    max: Duration
    retries: int
    jitter: float


class _FollowUp(TypedDict):
    queue: str
    target: str


class FollowUp(_FollowUp, total=False):
    """A job that is pushed when another has ended: into which queue, to which URL.

    `target` may be a path of this application. `format` is that of its payload: "json" is a report,
    "slack" a line of text as chat services take it. See "Follow-ups" in the API's docs.
    """

    format: Literal["json", "slack"]


class DeliveryOptions(TypedDict, total=False):
    """How an item is delivered; these are also a queue's defaults.

    `target` is a URL, or a path of this application; `headers` are extra ones for the target;
    `timeout` is that of one attempt; after `max_age` beyond the due time none starts;
    `priority` is 0 to 9, higher first; `async_ttl` makes a callback end the job, within that time
    of its start, with a heartbeat in each `heartbeat`. `on_success` and `on_failure` say what is
    pushed when the item has ended, in place of what its queue's settings say; "none": nothing.
    """

    target: str | None
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None
    headers: Mapping[str, str] | None
    retry: Retry | None
    timeout: Duration | None
    max_age: Duration | None
    priority: int | None
    event_type: str | None
    flow_key: str | None
    async_ttl: Duration | None
    heartbeat: Duration | None
    on_success: FollowUp | Literal["none"] | None
    on_failure: FollowUp | Literal["none"] | None
    content_type: str | None


class ItemOptions(DeliveryOptions, total=False):
    """What an item may have when it's changed: also when it's due, by `delay` or `on`."""

    delay: Duration | None
    on: datetime | None


class PushOptions(ItemOptions, total=False):
    """What a new item may have.

    `key` is unique among the queue's unprocessed items; an item with it is replaced, or with
    `if_exists="keep"` returned as it is. `traceparent` is passed on (W3C trace context). An
    `idempotency_key` of your own makes a repeat by another process safe, too.
    """

    key: str | None
    if_exists: Literal["replace", "keep"] | None
    traceparent: str | None
    idempotency_key: str | None


class Timing(TypedDict, total=False):
    """When a schedule runs, beside its expression."""

    tz: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    max_runs: int | None
    jitter: Duration | None
    misfire: Literal["once", "skip", "all"] | None
    overlap: Literal["allow", "skip"] | None


class ScheduleOptions(DeliveryOptions, Timing, total=False):
    """What a schedule may have. `tz` is a name like "Europe/Warsaw" (default UTC).

    `key` is unique among all schedules of the environment: with it, setting it again changes it,
    or nothing where it's the same.
    """

    key: str | None


class ScheduleChanges(DeliveryOptions, Timing, total=False):
    """What can be changed of a schedule; None takes an option away."""

    schedule: str
    queue: str


@dataclass(frozen=True, slots=True)
class _Option:
    """How an option is called in JSON and as a header, and what turns it into JSON."""

    field: str
    header: str
    write: Callable[[Any], Any]


def _as_it_is(value: Any) -> Any:
    return value


def _policy(retry: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(retry)
    for name in ("delay", "max"):
        if name in told:
            told[name] = milliseconds(told[name])
    if "delays" in told:
        told["delays"] = [milliseconds(each) for each in told["delays"]]
    return told


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(headers)


def _follow_up(wanted: object) -> Any:
    if isinstance(wanted, Mapping):
        return dict(wanted)
    if wanted == "none":
        return wanted
    raise TypeError('a follow-up is {"queue": ..., "target": ...}, or "none"')


OPTIONS: Mapping[str, _Option] = {
    "key": _Option("key", "x-lq-key", _as_it_is),
    "if_exists": _Option("ifExists", "x-lq-if-exists", _as_it_is),
    "delay": _Option("delay", "x-lq-delay", milliseconds),
    "on": _Option("on", "x-lq-on", instant),
    "target": _Option("target", "x-lq-target", _as_it_is),
    "method": _Option("method", "x-lq-method", _as_it_is),
    "headers": _Option("headers", "x-lq-headers", _headers),
    "retry": _Option("retry", "x-lq-retry", _policy),
    "timeout": _Option("timeout", "x-lq-timeout", milliseconds),
    "max_age": _Option("maxAge", "x-lq-max-age", milliseconds),
    "priority": _Option("priority", "x-lq-priority", _as_it_is),
    "event_type": _Option("eventType", "x-lq-event-type", _as_it_is),
    "flow_key": _Option("flowKey", "x-lq-flow-key", _as_it_is),
    "async_ttl": _Option("async", "x-lq-async", milliseconds),
    "heartbeat": _Option("heartbeat", "x-lq-heartbeat", milliseconds),
    "on_success": _Option("onSuccess", "x-lq-on-success", _follow_up),
    "on_failure": _Option("onFailure", "x-lq-on-failure", _follow_up),
    "traceparent": _Option("", "traceparent", _as_it_is),
    "queue": _Option("queue", "x-lq-queue", _as_it_is),
    "schedule": _Option("schedule", "x-lq-schedule", _as_it_is),
    "tz": _Option("timezone", "x-lq-tz", _as_it_is),
    "starts_at": _Option("startsAt", "x-lq-starts-at", instant),
    "ends_at": _Option("endsAt", "x-lq-ends-at", instant),
    "max_runs": _Option("maxRuns", "x-lq-max-runs", _as_it_is),
    "jitter": _Option("jitter", "x-lq-jitter", milliseconds),
    "misfire": _Option("misfire", "x-lq-misfire", _as_it_is),
    "overlap": _Option("overlap", "x-lq-overlap", _as_it_is),
}
"""Those that are sent as they are told."""

ON_THEIR_OWN = ("content_type", "idempotency_key")
"""Those that are known, and have ways of their own."""

DUE = ("delay", "on")


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given over the defaults, without those that are None."""
    both = {**defaults, **given}
    for mine, other in (DUE, DUE[::-1]):
        # A default delay isn't meant where an instant was given, nor the other way round.
        if given.get(mine) is not None and given.get(other) is None:
            both.pop(other, None)
    return {name: value for name, value in both.items() if value is not None}


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as fields of a batch's item, a PATCH or a schedule; None becomes null.

    Raises:
        ValueError, TypeError: a duration or an instant is none, see `durations`.
        TypeError: there is no such option here.
    """
    fields = {}
    for name, value in options.items():
        option = _option(name)
        if not option.field:
            raise TypeError(f"{name} goes with a single push only")
        fields[option.field] = None if value is None else _written(name, option, value)
    return fields


def as_headers(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options as headers of a push; raises as `as_json`."""
    headers = {}
    for name, value in options.items():
        option = _option(name, PushOptions.__annotations__)
        headers[option.header] = _header(name, _written(name, option, value))
    return headers


def _option(name: str, known: Collection[str] = OPTIONS) -> _Option:
    if name not in OPTIONS or name not in known:
        listed = [each for each in (*OPTIONS, *ON_THEIR_OWN) if each in known]
        raise TypeError(f"there is no option {name!r} here; there are {', '.join(listed)}")
    return OPTIONS[name]


def _written(name: str, option: _Option, value: Any) -> Any:
    try:
        return option.write(value)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{name}: {error}") from None


def _header(name: str, value: Any) -> str:
    if isinstance(value, str):
        if value != value.strip() or not value:
            raise ValueError(f"{name}: can't be empty, nor begin or end with a space")
        return value
    return dumps(value).decode() if isinstance(value, dict) else str(cast(object, value))
