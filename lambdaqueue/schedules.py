"""Schedules as they are stored: one method for each script or read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import Page
from lambdaqueue.connection import redis_clock, scripts_of, translated
from lambdaqueue.errors import NotFound
from lambdaqueue.identity import Actor, named
from lambdaqueue.schedule import Round, Schedule
from lambdaqueue.schedule_rows import (
    Unreadable,
    collection_of,
    read_schedule,
    schedule_or_why_not,
)
from lambdaqueue.store import request_id

__all__ = ["Due", "ScheduleChanged", "ScheduleStore"]


class ScheduleChanged(Exception):
    """Raised when a schedule got another revision between reading and writing it: read again."""


@dataclass(frozen=True, slots=True)
class Due:
    """The schedules whose run has come, what is due next, and Redis' clock.

    `now` is Unix ms with a fraction; `next` (ms) is the run of the first one that is not among
    them, None when nothing else waits. `gone` names entries without a schedule.
    """

    now: float
    next: int | None
    schedules: tuple[Schedule, ...]
    gone: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


class ScheduleStore:
    """One method for each script or read. `now` (Unix ms) replaces Redis' clock.

    It sees the schedules of its collection alone; `due` and `fire` are about those of all. `by` is
    whom the audit names, if anybody.
    """

    def __init__(
        self,
        client: redis.Redis,
        now: int | None = None,
        collection: keys.Collection = "schedules",
    ) -> None:
        self._client = client
        self._collection: keys.Collection = collection
        self._scripts = scripts_of(client)
        self.now = now

    def clock(self) -> int:
        """Return Redis' time in Unix ms."""
        return redis_clock(self._client, self.now)

    def read(self, environment: str, schedule_id: str) -> Schedule | None:
        """Return a schedule, or None."""
        return next(iter(self.read_many(environment, [schedule_id])), None)

    def read_by_key(self, environment: str, key: str) -> Schedule | None:
        """Return the schedule with a unique key, or None."""
        with translated():
            found: Any = self._client.hget(keys.schedule_keys(environment, self._collection), key)
        return self.read(environment, found.decode()) if found else None

    def read_many(self, environment: str, ids: Sequence[str]) -> list[Schedule]:
        """Return those of the schedules that there are, in order."""
        refs = [f"{environment}:{schedule_id}" for schedule_id in ids]
        rows = self._scripts.run("read_schedules", [], *refs) if refs else []
        return [
            read_schedule(ref, row)
            for ref, row in zip(refs, rows, strict=True)
            if row and collection_of(row) == self._collection
        ]

    def page(self, environment: str, limit: int, after: str | None) -> Page[Schedule]:
        """Return an environment's schedules in the order of their making, from behind `after`."""
        start = f"({after}" if after else "-"
        with translated():
            found: Any = self._client.zrangebylex(
                keys.schedules(environment, self._collection), start, "+", 0, limit + 1
            )
        ids = [schedule_id.decode() for schedule_id in found]
        rows = self.read_many(environment, ids[:limit])
        return Page(tuple(rows), ids[limit - 1] if len(ids) > limit else None)

    def put(
        self, schedule: Schedule, made_from: int, *, action: str = "", by: Actor | None = None
    ) -> None:
        """Write a schedule that was made from revision `made_from`, 0 for a new one.

        `action` is what the audit says that `by` did.

        Raises:
            ScheduleChanged: it, or the schedule with its key, is another one by now.
            NotFound: its environment has ended.
        """
        env, spec = schedule.environment, schedule.spec
        fields: Mapping[str, Any] = {
            "queue": schedule.queue,
            "spec": spec.pack(),
            "recurrence": schedule.recurrence.pack(),
            "overlap": schedule.recurrence.overlap,
            "max_runs": schedule.recurrence.max_runs or "",
            "created": schedule.created,
            "anchor": schedule.anchor,
            "priority": schedule.priority,
            "max_age": spec.max_age or "",
            "paused": int(schedule.paused) or "",
            "collection": "" if self._collection == "schedules" else self._collection,
            "notes": schedule.notes,
            "exclusive": int(schedule.exclusive) or "",
            "flow": spec.flow,
        }
        row = self._scripts.run(
            "set_schedule",
            [
                keys.request(request_id()),
                keys.schedule(env, schedule.id),
                keys.schedules(env, self._collection),
                keys.schedule_keys(env, self._collection),
                keys.due_schedules,
            ],
            self._now(),
            env,
            schedule.id,
            schedule.key or "",
            made_from,
            "" if schedule.next_run is None or schedule.paused else schedule.next_run,
            *named(by),
            action,
            *(part for pair in fields.items() for part in pair),
        )
        if row[0] == b"conflict":
            raise ScheduleChanged
        if row[0] == b"closed":
            raise NotFound("the environment has ended")

    def ids(self, environment: str, most: int) -> list[str]:
        """Return the ids of the first of an environment's schedules."""
        with translated():
            name = keys.schedules(environment, self._collection)
            found: Any = self._client.zrangebylex(name, "-", "+", 0, most)
        return [schedule_id.decode() for schedule_id in found]

    def ids_of(self, environment: str, unique_keys: Sequence[str]) -> list[str]:
        """Return the ids of the schedules with these unique keys, sorted."""
        if not unique_keys:
            return []
        with translated():
            name = keys.schedule_keys(environment, self._collection)
            found: Any = self._client.hmget(name, list(unique_keys))
        return sorted({schedule_id.decode() for schedule_id in found if schedule_id})

    def ids_with(self, environment: str, prefix: str, after: str, count: int) -> list[str]:
        """Return ids that begin with `prefix`, sorted, from behind `after`."""
        start = f"({after}" if after else f"[{prefix}" if prefix else "-"
        end = f"({prefix}\xff" if prefix else "+"
        with translated():
            found: Any = self._client.zrangebylex(
                keys.schedules(environment, self._collection),
                start,
                end.encode("latin-1"),
                0,
                count,
            )
        return [schedule_id.decode() for schedule_id in found]

    def drop(self, environment: str, schedule_id: str, *, by: Actor | None = None) -> None:
        """Forget a schedule; raises NotFound."""
        row = self._scripts.run(
            "drop_schedule",
            [
                keys.request(request_id()),
                keys.schedule(environment, schedule_id),
                keys.schedules(environment, self._collection),
                keys.schedule_keys(environment, self._collection),
                keys.due_schedules,
                keys.schedule_runs(environment, schedule_id),
                keys.last_success(environment, schedule_id),
            ],
            self._now(),
            environment,
            schedule_id,
            *named(by),
        )
        if row[0] == b"absent":
            raise NotFound("there is no such schedule")

    def due(self, most: int) -> Due:
        """Return the schedules whose next run has come, the longest overdue first."""
        micros, after, *rows = self._scripts.run(
            "due_schedules", [keys.due_schedules], self._now(), most
        )
        found = [(row[0].decode(), row[1:]) for row in rows]
        read = [schedule_or_why_not(ref, fields) for ref, fields in found if fields]
        return Due(
            now=int(micros) / 1e3,
            next=int(float(after)) if after else None,
            schedules=tuple(each for each in read if isinstance(each, Schedule)),
            gone=tuple(ref for ref, fields in found if not fields),
            unreadable=tuple(each for each in read if isinstance(each, Unreadable)),
        )

    def fire(self, rounds: Iterable[Round], gone: Iterable[str] = ()) -> list[list[str]]:
        """Push what the rounds say and write the next runs; returns the ids of the jobs.

        A round that came too late, because another scheduler fired it, or the schedule was
        changed meanwhile, does nothing.
        """
        args: list[str | int] = []
        for each in rounds:
            schedule = each.schedule
            args += (_ref(schedule), schedule.revision, schedule.next_run or 0)
            args += ("" if each.next_run is None else each.next_run, len(each.occurrences))
            for occurrence in each.occurrences:
                args += (occurrence.at, occurrence.due)
        for ref in gone:
            args += (ref, "", "0", "", 0)
        rows = self._scripts.run("fire", [keys.due_schedules], self._now(), *args) if args else []
        return [_ids(row) for row in rows]

    def postpone(self, unreadable: Iterable[Unreadable], until: int) -> None:
        """Look at schedules again at `until` (Unix ms); nothing else of them changes."""
        args: list[str | int] = []
        for each in unreadable:
            args += (each.ref, each.revision, each.next_run, until, "later")
        if args:
            self._scripts.run("fire", [keys.due_schedules], self._now(), *args)

    def run(self, schedule: Schedule, at: int, *, by: Actor | None = None) -> str | None:
        """Push one occurrence by hand, due now whatever `at`; None where `overlap` forbids it.

        Raises:
            ScheduleChanged
        """
        (row,) = self._scripts.run(
            "fire", [keys.due_schedules, keys.request(request_id())],
            self._now(), _ref(schedule), schedule.revision, "", "", 1, at, 0, *named(by),
        )  # fmt: skip
        if row == b"stale":
            raise ScheduleChanged
        return next(iter(_ids(row)), None)

    def runs(
        self, environment: str, schedule_id: str, count: int, before: int | None
    ) -> list[tuple[str, int]]:
        """Return jobs that a schedule pushed, the newest first, each with the ms of its run."""
        newest = f"({before}" if before is not None else "+inf"
        with translated():
            rows: Any = self._client.zrevrangebyscore(
                keys.schedule_runs(environment, schedule_id),
                newest, "-inf", 0, count, withscores=True,
            )  # fmt: skip
        return [(job_id.decode(), int(at)) for job_id, at in rows]

    def _now(self) -> str:
        return "" if self.now is None else str(self.now)


def _ref(schedule: Schedule) -> str:
    return f"{schedule.environment}:{schedule.id}"


def _ids(row: bytes) -> list[str]:
    return [] if row == b"stale" else row.decode().split()
