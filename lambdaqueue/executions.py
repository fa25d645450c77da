"""Executions as they are stored: one method for each script or read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis

from lambdaqueue import ids, keys
from lambdaqueue.connection import scripts_of, translated
from lambdaqueue.endings import Ending, Underway
from lambdaqueue.identity import Actor, named
from lambdaqueue.job import Job
from lambdaqueue.queue_settings import Policies
from lambdaqueue.spec import Spec
from lambdaqueue.store import REMEMBER_IDEMPOTENCY, request_id

__all__ = ["HEARTBEATS", "DueExecutions", "ExecutionStore", "Heard"]

HEARTBEATS = 10
"""Heartbeats that an execution may send in a second."""

Kind = Literal["run", "retry", "test"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a heartbeat; `number` is the ms until another is taken, or its terms' ttl."""

    status: Literal["heard", "too_many", "too_long", "unknown"]
    number: int = 0


@dataclass(frozen=True, slots=True)
class DueExecutions:
    """The executions whose time is over, each with why, by Redis' clock `now` (Unix ms).

    `next` is the next deadline, None when none is watched.
    """

    now: int
    next: int | None
    executions: tuple[tuple[Underway, str], ...]


class ExecutionStore:
    """Executions in Redis. `now` (Unix ms) replaces Redis' clock in tests."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def read(self, name: str) -> Underway | None:
        """Return an unfinished execution, or None."""
        now, row = self._scripts.run("read_execution", [], self._now(), name)
        return None if row[0] == b"absent" else _underway(row, int(now))

    def start(
        self,
        environment: str,
        service_job: str,
        kind: Kind,
        *,
        event: int | None = None,
        retry_of: str = "",
        spec: Spec | None = None,
        request: str | None = None,
        by: Actor | None = None,
    ) -> str | None:
        """Start an execution of a service job by hand; returns its name.

        `event` (Unix ms) is the occurrence that it stands for, now where it's left out; `request`
        is the id of who may ask again, `by` whom the audit names. None: the job is disabled. "":
        there is no such job.
        """
        status, *name = self._scripts.run(
            "start_execution",
            [keys.request(request or request_id())],
            self._now(),
            environment,
            service_job,
            kind,
            "" if event is None else event,
            retry_of,
            "" if spec is None else spec.pack(),
            REMEMBER_IDEMPOTENCY if request else "",
            *named(by),
        )
        if status == b"disabled":
            return None
        return name[0].decode() if status == b"started" else ""

    def heartbeat(self, name: str, token: str, progress: str, extend: int | None) -> Heard:
        """Note that an execution's service still works on it.

        `token` is a digest, `progress` a number as text or "", `extend` ms from now.
        """
        status, *number = self._scripts.run(
            "heartbeat",
            [],
            self._now(),
            name,
            token,
            progress,
            "" if extend is None else extend,
            HEARTBEATS,
        )
        return Heard(status.decode(), int(number[0]) if number else 0)

    def end(self, endings: Sequence[Ending], token: str = "") -> list[bool]:
        """Commit endings; False where somebody else was first.

        `token` is the digest of the callback's; without one each must still be overdue.
        """
        args: list[str | int] = []
        for each in endings:
            args += (each.underway.job.id, token, each.underway.attempt, each.kind, each.delay)
            args += (each.error, each.log, each.underway.max_attempts)
            final = each.final
            args += (final.pack(), final.digest) if final else ("", "")
            args.append(each.left)
        answer = self._scripts.run("end_executions", [], self._now(), *args) if args else []
        return [status == b"ended" for status in answer]

    def due(self, most: int) -> DueExecutions:
        """Return executions whose time is over."""
        now, after, *rows = self._scripts.run("due_executions", [], self._now(), most)
        return DueExecutions(
            now=int(now),
            next=int(float(after)) if after else None,
            executions=tuple((_underway(row, int(now)), row[0].decode()) for row in rows),
        )

    def names(
        self, environment: str, scope: str, since: int, after: str | None, count: int
    ) -> list[str]:
        """Return executions of `scope` that began at `since` (Unix ms) or later, oldest first.

        Of a later page only those behind the one named `after`.
        """
        first = ids.clock_part(since)
        start = f"[{first}" if after is None or after < first else f"({after}"
        with translated():
            found: Any = self._client.zrangebylex(
                keys.executions(environment, scope), start, "+", 0, count
            )
        return [name.decode() for name in found]

    def retried_by(self, environment: str, names: Iterable[str]) -> list[str | None]:
        """Return for each ended execution the newest one that repeats it."""
        with translated():
            found: Any = self._client.hmget(keys.retried(environment), list(names))
        return [name.decode() if name else None for name in found]

    def _now(self) -> str:
        return "" if self.now is None else str(self.now)


def _counted(fields: Mapping[bytes, bytes]) -> bool:
    """Tell whether the invoked attempt counts as a failure so far; `awaiting.lua` undoes that."""
    return b"awaiting" not in fields and fields.get(b"failed") == fields.get(b"called", b"0")


def _is_claimed_anew(fields: Mapping[bytes, bytes]) -> bool:
    """Tell whether a worker has claimed the next attempt, and not invoked it yet."""
    called = fields.get(b"called")
    return fields[b"state"] == b"RUNNING" and called is not None and called != fields[b"attempt"]


def _underway(row: Sequence[bytes], now: int) -> Underway:
    # Of the version that runs, not of the one that is to follow it.
    pairs = zip(row[4::2], row[5::2], strict=True)
    fields = {name: value for name, value in pairs if not name.startswith(b"next_")}
    policies = Policies.unpack(row[2], row[3])
    job = Job.from_fields(row[1].decode(), fields, policies)

    def number(name: bytes) -> int | None:
        return int(fields[name]) if name in fields else None

    return Underway(
        job=job,
        attempt=number(b"called") or number(b"attempt") or 0,
        failures=(number(b"failures") or 0) - _counted(fields),
        policy=policies.retry(job.spec.retry),
        log=fields.get(b"log", b""),
        invoked_at=None if _is_claimed_anew(fields) else number(b"started"),
        expires_at=number(b"expires"),
        token=fields.get(b"callback", b"").decode(),
        seen_at=now,
    )
