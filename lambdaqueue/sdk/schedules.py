"""Schedules that are there: read, changed, paused, run, deleted. `Queue.schedule` sets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Unpack

from lambdaqueue.sdk.calling import path_of
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.durations import instant, moment
from lambdaqueue.sdk.items import UNCHANGED, changes
from lambdaqueue.sdk.models import Entry, Item, Schedule
from lambdaqueue.sdk.options import ScheduleChanges

__all__ = ["Schedules", "set_schedule"]

SCHEDULE_TYPE = "application/vnd.lambdaqueue.schedule+json"


@dataclass(frozen=True, slots=True)
class Schedules:
    """The schedules of the environment, whatever their queues; each by its id, or `key=`.

    Every call raises `ApiError`; `NotFound` where there is no such schedule.
    """

    connection: Connection

    def __iter__(self) -> Iterator[Schedule]:
        """Yield all of them, in the order of their making."""
        return map(Schedule.read, self.connection.api.pages("/schedules", "schedules"))

    def get(self, id: str | None = None, *, key: str | None = None) -> Schedule:
        """Return one."""
        return Schedule.read(self.connection.api.get(_path(id, key)))

    def change(
        self,
        id: str | None = None,
        *,
        key: str | None = None,
        payload: Any = UNCHANGED,
        **options: Unpack[ScheduleChanges],
    ) -> Schedule:
        """Change what is named; None takes an option away. It's about future items only."""
        body = changes(self.connection, payload, options)
        answer = self.connection.api.call("PATCH", _path(id, key), json=body, repeatable=True)
        return Schedule.read(answer.json)

    def delete(self, id: str | None = None, *, key: str | None = None) -> None:
        """Delete it; items that it pushed go on."""
        self.connection.api.call("DELETE", _path(id, key))

    def pause(self, id: str | None = None, *, key: str | None = None) -> Schedule:
        """Push nothing until it's resumed; what is missed in between isn't made up for."""
        return self._do("pause", _path(id, key))

    def resume(self, id: str | None = None, *, key: str | None = None) -> Schedule:
        """Go on."""
        return self._do("resume", _path(id, key))

    def run(self, id: str | None = None, *, key: str | None = None) -> Item:
        """Push one item now; the next run stays where it is.

        Raises:
            Conflict: its `overlap` forbids it while the last item is unfinished.
        """
        path = f"{_path(id, key)}/run"
        return Item.read(self.connection.api.call("POST", path, idempotency_key="").json)

    def history(self, id: str | None = None, *, key: str | None = None) -> list[Item]:
        """Return the newest 1000 items that it pushed, newest run first, unfinished ones too."""
        rows = self.connection.api.get(f"{_path(id, key)}/history")["entries"]
        return [Entry.read(raw) if "entry" in raw else Item.read(raw) for raw in rows]

    def preview(
        self,
        schedule: str,
        *,
        tz: str | None = None,
        start: datetime | None = None,
        count: int | None = None,
    ) -> list[datetime]:
        """Return the runs of an expression after `start` (default: now), 5 where none are asked
        for, 100 at most; fewer where there are no more."""
        query = {
            "schedule": schedule,
            "tz": tz,
            "from": None if start is None else instant(start),
            "count": count,
        }
        return [moment(run) for run in self.connection.api.get("/schedules/preview", query)["next"]]

    def _do(self, action: str, path: str) -> Schedule:
        answer = self.connection.api.call("POST", f"{path}/{action}", repeatable=True)
        return Schedule.read(answer.json)


def set_schedule(connection: Connection, fields: Mapping[str, Any]) -> Schedule:
    """Make the schedule of these fields; with a key, change the one that has it."""
    told = dict(fields)
    key = told.pop("key", None)
    if key is not None:
        path = path_of("schedules", "byKey", key)
        return Schedule.read(connection.api.call("PUT", path, json=told, idempotency_key="").json)
    answer = connection.api.call(
        "POST", "/schedules", json=told, content_type=SCHEDULE_TYPE, idempotency_key=""
    )
    return Schedule.read(answer.json)


def _path(id: str | None, key: str | None) -> str:
    if (id is None) == (key is None):
        raise TypeError("name the schedule: either its id, or key=")
    return path_of("schedules", id) if id is not None else path_of("schedules", "byKey", key or "")
