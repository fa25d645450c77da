"""The use cases around executions: run, try out, repeat, cancel, look, search."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lambdaqueue import ids
from lambdaqueue.commands import Execution, Page
from lambdaqueue.connection import Redis
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.history import PAGE_BYTES, HistoryStore
from lambdaqueue.identity import Actor
from lambdaqueue.job import Job
from lambdaqueue.services import ServiceJobs
from lambdaqueue.store import JobStore

__all__ = ["MOST_LISTED", "Execution", "ExecutionFilter", "Executions"]

MOST_LISTED = 100
"""Executions on one page."""

CHUNK = 25
"""Executions that are read with one call; each may hold 64 KiB of its service's."""


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions to list: of any of the scopes, from `since` (Unix ms) on.

    A scope is a service or `service/job`; "" stands for all. `more` is where an earlier page ended.
    """

    scopes: tuple[str, ...] = ("",)
    since: int = 0
    more: str | None = None


class Executions:
    """Everything that can be asked of executions. `now` (Unix ms) replaces Redis' clock.

    `by` is whom the audit names, None for a program.
    """

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._executions = ExecutionStore(client, now)
        self._services = ServiceJobs(client, now)
        self._jobs = JobStore(client, now)
        self._history = HistoryStore(client)

    def run(
        self,
        environment: str,
        service: str,
        job: str,
        request: str | None = None,
        *,
        by: Actor | None = None,
    ) -> str:
        """Start an execution now, beside the timetable; returns its name.

        For a day the same `request` (16 characters) starts no second one.

        Raises:
            NotFound
            Conflict: the job is disabled.
        """
        name = self._executions.start(
            environment, f"{service}/{job}", "run", request=request, by=by
        )
        if name is None:
            raise Conflict("the service job is disabled")
        return _named(name)

    def try_out(
        self,
        environment: str,
        service: str,
        job: str,
        request: str | None = None,
        *,
        by: Actor | None = None,
    ) -> str:
        """Deliver a marked webhook, as an execution that is no run of the job; returns its name.

        `request` is as for `run`.

        Raises:
            NotFound
        """
        known = self._services.job(environment, service, job)
        name = self._executions.start(
            environment, known.id, "test", spec=known.test_spec, request=request, by=by
        )
        return _named(name or "")

    def retry(
        self, environment: str, name: str, request: str | None = None, *, by: Actor | None = None
    ) -> str:
        """Repeat an ended execution, as its job is defined now; returns the new one's name.

        `request` is as for `run`.

        Raises:
            NotFound: there is no such execution of a service job, or no such job any more.
            Conflict: it is unfinished, or the job is disabled.
        """
        job = self._found(environment, name)
        run = job.spec.service
        if run is None or run.test:
            raise NotFound("there is no such execution of a service job")
        if not job.state.ended:
            raise Conflict("the execution is unfinished")
        repeated = self._executions.start(
            environment,
            f"{run.service}/{run.job}",
            "retry",
            event=job.event_ms,
            retry_of=name,
            request=request,
            by=by,
        )
        if repeated is None:
            raise Conflict("the service job is disabled")
        return _named(repeated)

    def cancel(self, environment: str, name: str, *, by: Actor | None = None) -> Job:
        """End an execution, whatever its service does; its callbacks find it ended.

        Raises:
            NotFound
            Conflict: it has ended.
        """
        job = self._found(environment, name)
        if not job.state.ended:
            cancelled = self._jobs.cancel_at_once(name, by=by)
            if cancelled is not None:
                # Its entry knows more, unless its queue keeps none.
                return self._history.newest(environment, name) or cancelled
        raise Conflict("the execution has ended")

    def execution(self, environment: str, name: str) -> Execution:
        """Return an execution; raises NotFound."""
        job = self._found(environment, name)
        return Execution(job, self._executions.retried_by(environment, [name])[0])

    def search(self, environment: str, where: ExecutionFilter) -> Page[Job]:
        """List executions of service jobs, the oldest first, also those unfinished.

        A page ends early when what it holds grows too large.
        """
        lists = [self._names(environment, scope, where) for scope in sorted(set(where.scopes))]
        names = _distinct(heapq.merge(*lists))
        found = [name for name, _ in zip(names, range(MOST_LISTED + 1), strict=False)]
        rows: list[Job] = []
        size = 0
        for job in self._read(environment, found[:MOST_LISTED]):
            rows.append(job)
            size += _size(job)
            if size > PAGE_BYTES and job.id != found[-1]:
                return Page(tuple(rows), job.id)
        more = found[MOST_LISTED - 1] if len(found) > MOST_LISTED else None
        return Page(tuple(rows), more)

    def _read(self, environment: str, names: Sequence[str]) -> Iterator[Job]:
        """Yield the executions of these names; one whose entry was trimmed just now is left out."""
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            unfinished = {job.id: job for job in self._jobs.read_many(chunk)}
            rest = [name for name in chunk if name not in unfinished]
            ended = {job.id: job for job in self._history.newest_of(environment, rest)}
            found = unfinished | ended
            yield from (found[name] for name in chunk if name in found)

    def _names(self, environment: str, scope: str, where: ExecutionFilter) -> list[str]:
        return self._executions.names(environment, scope, where.since, where.more, MOST_LISTED + 1)

    def _found(self, environment: str, name: str) -> Job:
        if ids.is_job_id(name) and ids.environment_of(name) == environment:
            # Of a job that has a newer version waiting: the one that runs.
            underway = self._executions.read(name)
            job = underway.job if underway else self._history.newest(environment, name)
            if job is not None and job.spec.terms is not None:
                return job
        raise NotFound("there is no such execution")


def _named(name: str) -> str:
    if not name:
        raise NotFound("there is no such service job")
    return name


def _distinct(names: Iterator[str]) -> Iterator[str]:
    """Yield each of the sorted names once: a service and one of its jobs may both be asked for."""
    last = ""
    for name in names:
        if name != last:
            yield name
        last = name


def _size(job: Job) -> int:
    """Bytes that an execution adds to a page, about."""
    return len(job.final.pack()) if job.final else 0
