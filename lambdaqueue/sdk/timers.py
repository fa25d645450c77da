"""Timers, which the application names itself: periodic ones, and those that fire once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lambdaqueue.sdk.calling import path_of
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.durations import Duration, instant, milliseconds
from lambdaqueue.sdk.places import resolved

__all__ = ["Periodic", "Timer", "Timers"]

UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A timer as it is set. `data` is the body of its jobs."""

    id: str
    data: Any
    shard: str
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Timer:
        """Read the API's JSON."""
        shard = str(raw.get("shardId", ""))
        return cls(id=str(raw["id"]), data=raw.get("timerCallbackData"), shard=shard, raw=raw)


@dataclass(frozen=True, slots=True)
class _Named:
    """What both kinds have. Every call raises `ApiError`."""

    connection: Connection

    def _get(self, kind: str, id: str) -> Timer:
        return Timer.read(self.connection.api.get(path_of(kind, id)))

    def _set(self, kind: str, id: str, given: Mapping[str, Any]) -> Timer:
        body = {name: value for name, value in given.items() if value is not None}
        if "target" in body:
            body["target"] = resolved(body["target"], self.connection.settings)
        return Timer.read(self.connection.api.call("PUT", path_of(kind, id), json=body).json)

    def _delete(self, kind: str, id: str) -> None:
        self.connection.api.call("DELETE", path_of(kind, id))


class Timers(_Named):
    """Timers that fire once."""

    def set(
        self,
        id: str,
        data: Any = None,
        *,
        at: datetime | None = None,
        delay: Duration | None = None,
        target: str | None = None,
        shard: str | None = None,
    ) -> Timer:
        """Set it anew, also one that has fired: either `at` an instant, or after a `delay`.

        Without a `target` (a URL, or a path here) it goes to that of the queue `periodic`.
        """
        if (at is None) == (delay is None):
            raise TypeError("say when: either at=, or delay=")
        given = {
            "timerCallbackData": data,
            "at": None if at is None else instant(at),
            "delay": None if delay is None else milliseconds(delay),
            "target": target,
            "shardId": shard,
        }
        return self._set("timers", id, given)

    def get(self, id: str) -> Timer:
        """Return it; `NotFound` once it has fired."""
        return self._get("timers", id)

    def delete(self, id: str) -> None:
        """Delete it, if it's there."""
        self._delete("timers", id)


class Periodic(_Named):
    """Timers that fire again and again."""

    def set(
        self,
        id: str,
        data: Any = None,
        *,
        every: Duration | None = None,
        minute_of_hour: int | None = None,
        target: str | None = None,
        shard: str | None = None,
    ) -> Timer:
        """Set it; may be called at every start. `every` is an hour where it isn't given.

        The first run is at the next `minute_of_hour` (UTC), else one `every` from now.
        """
        given = {
            "timerCallbackData": data,
            "every": None if every is None else _interval(every),
            "minuteOfHour": minute_of_hour,
            "target": target,
            "shardId": shard,
        }
        return self._set("periodic", id, given)

    def get(self, id: str) -> Timer:
        """Return it."""
        return self._get("periodic", id)

    def delete(self, id: str) -> None:
        """Delete it, if it's there."""
        self._delete("periodic", id)


def _interval(every: Duration) -> str:
    ms = milliseconds(every)
    for unit, name in UNITS:
        if ms and ms % unit == 0:
            return f"{ms // unit}{name}"
    raise ValueError(f"every: must be whole seconds, at least one, not {every!r}")
