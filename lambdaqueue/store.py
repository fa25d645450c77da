"""The jobs that have not ended: one method for each script or read that the API needs.

Decides nothing: what a script answers is turned into values or errors here, and nowhere else.
Where `by` is given and something was changed, the audit names them; `by` is None for programs.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import Idempotency, Push, Pushed
from lambdaqueue.connection import scripts_of, translated
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound
from lambdaqueue.identity import Actor, named
from lambdaqueue.job import Job, State
from lambdaqueue.job_rows import job_of, order_of, pushed_of, when_of
from lambdaqueue.queue_settings import Policies
from lambdaqueue.spec import Spec

__all__ = ["JobStore", "TargetMissing", "VersionChanged", "request_id"]

REMEMBER_IDEMPOTENCY = 86_400
"""Seconds for which a client's Idempotency-Key is remembered."""


class VersionChanged(Exception):
    """Raised when a job got a new version between reading and changing it: read again."""


class TargetMissing(Exception):
    """Raised when neither a job nor its queue has a target; `index` tells which of a batch."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def request_id() -> str:
    """Mint the id by which a script knows a request that it has seen before."""
    return secrets.token_urlsafe(12)


class JobStore:
    """Jobs in Redis. `now` (Unix ms) replaces Redis' clock in tests."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def push(
        self,
        environment: str,
        queue: str,
        pushes: Sequence[Push],
        idempotency: Idempotency | None = None,
    ) -> list[Pushed]:
        """Store `pushes`, all or none, and return what became of each, in order.

        Raises:
            TargetMissing: a job without a target, in a queue without one.
            InvalidRequest: the idempotency key was used for another request.
            StorageUnavailable, StorageFull
        """
        return self._push("push", (environment, queue), pushes, idempotency)

    def replay(
        self,
        actor: Actor,
        queue: str,
        pushes: Sequence[Push],
        what: str,
        *,
        idempotency: Idempotency | None,
    ) -> list[Pushed]:
        """Store the first jobs of a replay; the audit gets an entry that names `what` is replayed.

        Raises:
            As `push`.
        """
        words = (actor.name, actor.address, what)
        return self._push("replay", (actor.environment, queue), pushes, idempotency, *words)

    def _push(
        self,
        script: str,
        place: tuple[str, str],
        pushes: Sequence[Push],
        idempotency: Idempotency | None,
        *words: str,
    ) -> list[Pushed]:
        environment, queue = place
        args: list[Any] = [*words]
        for push in pushes:
            args += order_of(push)
        known = idempotency and keys.idempotent(environment, idempotency.key)
        status, *answer = self._scripts.run(
            script,
            [keys.request(request_id()), known or ""],
            self._now(),
            keys.queue_ref(environment, queue),
            idempotency.fingerprint if idempotency else "",
            REMEMBER_IDEMPOTENCY,
            *args,
        )
        if status == b"mismatch":
            raise _mismatch()
        if status == b"closed":
            raise NotFound("the environment has ended")
        if status == b"no_target":
            raise TargetMissing(int(answer[0]))
        policies = Policies.unpack(answer[0], answer[1])
        replayed = status == b"replayed"
        return [
            pushed_of(queue, push, row, policies, replayed=replayed)
            for push, row in zip(pushes, answer[2:], strict=True)
        ]

    def read(self, job_id: str) -> Job | None:
        """Return the job with that id, or None when it ended or never was."""
        return next(iter(self.read_many([job_id])), None)

    def read_by_key(self, environment: str, queue: str, key: str) -> Job | None:
        """Return the unprocessed job with that unique key, or None."""
        (row,) = self._scripts.run("read", [], keys.queue_ref(environment, queue), key)
        return None if row[0] == b"absent" else job_of(row)

    def read_many(self, job_ids: Sequence[str]) -> list[Job]:
        """Return those of the jobs that have not ended, in order."""
        rows = self._scripts.run("read", [], "", "", *job_ids)
        return [job_of(row) for row in rows if row[0] != b"absent"]

    def cancel(
        self, environment: str, queue: str, job_id: str, key: str, *, by: Actor | None = None
    ) -> Job | None:
        """Cancel the job with that id, or (where it's "") that key; None when there is none."""
        row = self._cancel(job_id, keys.queue_ref(environment, queue), key, "", *named(by))
        if row[0] == b"absent":
            return None
        job = job_of(row)
        return job if job.state is State.RUNNING else replace(job, state=State.CANCELLED)

    def cancel_at_once(self, job_id: str, *, by: Actor | None = None) -> Job | None:
        """End a job whatever it does; returns it, cancelled, or None when there is none."""
        row = self._cancel(job_id, "", "", "at once", *named(by))
        return None if row[0] == b"absent" else replace(job_of(row), state=State.CANCELLED)

    def _cancel(self, *args: str) -> Any:
        return self._scripts.run("cancel", [keys.request(request_id())], self._now(), *args)

    def change(
        self,
        job: Job,
        spec: Spec,
        *,
        delay: int | None,
        on: int | None,
        priority: int,
        by: Actor | None = None,
    ) -> Job:
        """Give `job`, as it was read, a new version.

        Raises:
            VersionChanged: it has another version by now.
            NotFound: it ended meanwhile.
            TargetMissing: neither it nor its queue has a target.
        """
        row = self._scripts.run(
            "change",
            [keys.request(request_id())],
            self._now(),
            job.id,
            job.version,
            when_of(delay, on),
            priority,
            spec.max_age or "",
            "target" if spec.target else "",
            spec.pack(),
            spec.flow,
            *named(by),
        )
        if row[0] == b"conflict":
            raise VersionChanged
        if row[0] == b"absent":
            raise NotFound("there is no such item")
        if row[0] == b"no_target":
            raise TargetMissing(0)
        return job_of(row)

    def run_now(
        self,
        job_id: str,
        environment: str,
        idempotency: Idempotency | None,
        *,
        by: Actor | None = None,
    ) -> Any:
        """Make a waiting job due now; returns the job and whether this is an earlier answer.

        Raises:
            Conflict: it runs. NotFound: it ended or never was. InvalidRequest: see `push`.
        """
        known = idempotency and keys.idempotent(environment, idempotency.key)
        row = self._scripts.run(
            "run_now",
            [keys.request(request_id()), known or ""],
            self._now(),
            job_id,
            idempotency.fingerprint if idempotency else "",
            REMEMBER_IDEMPOTENCY,
            *named(by),
        )
        if row[0] == b"mismatch":
            raise _mismatch()
        if row[0] == b"running":
            raise Conflict("the item runs already")
        if row[0] == b"absent":
            raise NotFound("there is no such item")
        return job_of(row), row[0] == b"replayed"

    def active(self, environment: str, queue: str) -> list[str]:
        """Return the ids of a queue's ready and running jobs, sorted."""
        ids = self._scripts.run("active", [], keys.queue_ref(environment, queue))
        return sorted(job_id.decode() for job_id in ids)

    def waiting(
        self, environment: str, queue: str, level: str, start: int, count: int
    ) -> list[tuple[str, int]]:
        """Return up to `count` waiting jobs of one level with their due times, from `start`."""
        return self._places(keys.waiting(environment, queue, level), start, count)

    def lanes(self, environment: str, queue: str) -> list[str]:
        """Return the flows of a queue that have jobs in their backlogs, sorted."""
        with translated():
            found: Any = self._client.zrange(keys.flows(environment, queue), 0, -1)
        return sorted(flow.decode() for flow in found)

    def backlog(
        self, environment: str, queue: str, flow: str, start: int, count: int
    ) -> list[tuple[str, int]]:
        """Return up to `count` jobs of a lane's backlog with their places in it, from `start`."""
        return self._places(keys.backlog(environment, queue, flow), start, count)

    def resting(self, environment: str, queue: str) -> list[str]:
        """Return the digests of a queue's endpoints that have jobs set aside, sorted."""
        with translated():
            found: Any = self._client.zrange(keys.resting(environment, queue), 0, -1)
            digests = sorted(digest.decode() for digest in found)
            pipeline = self._client.pipeline(transaction=False)
            for digest in digests:
                pipeline.zcard(keys.aside(environment, queue, digest))
            counts = pipeline.execute()
        return [digest for digest, count in zip(digests, counts, strict=True) if count]

    def aside(
        self, environment: str, queue: str, endpoint: str, start: int, count: int
    ) -> list[tuple[str, int]]:
        """Return up to `count` jobs set aside for an endpoint with their places, from `start`."""
        return self._places(keys.aside(environment, queue, endpoint), start, count)

    def _places(self, key: str, start: int, count: int) -> list[tuple[str, int]]:
        with translated():
            rows: Any = self._client.zrangebyscore(key, start, "+inf", 0, count, withscores=True)
        return [(job_id.decode(), int(place)) for job_id, place in rows]

    def awaiting(self, environment: str, queue: str) -> list[str]:
        """Return the ids of a queue's jobs that await a callback, sorted.

        All of them: their places move with each heartbeat, so pages could not be cut by these.
        """
        with translated():
            found: Any = self._client.zrange(keys.awaiting(environment, queue), 0, -1)
        return sorted(job_id.decode() for job_id in found)

    def _now(self) -> str:
        return "" if self.now is None else str(self.now)


def _mismatch() -> InvalidRequest:
    return InvalidRequest.of(
        "Idempotency-Key", "idempotency_mismatch", "was used for another request"
    )
