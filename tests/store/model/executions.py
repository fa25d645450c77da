"""The model of callbacks, deadlines and service jobs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.store.model.records import Job, Settled, Version
from tests.store.model.reference import Reference

__all__ = ["Concluded", "Definition", "ExecutionReference"]


@dataclass(slots=True)
class Definition:
    """A service job, as far as its executions depend on it. `next_run` is "" where it has none."""

    queue: str
    spec: str
    exclusive: bool
    enabled: bool
    revision: int
    next_run: str
    created: int


@dataclass(frozen=True, slots=True)
class Concluded:
    """How a callback, or the clock where `token` is "", ends an attempt."""

    outcome: Settled
    token: str
    attempt: int
    digest: str
    left: str


@dataclass(slots=True)
class ExecutionReference(Reference):
    """A Reference that knows service jobs. What has their names is by environment and job."""

    definitions: dict[tuple[str, str], Definition] = field(default_factory=dict)
    left: dict[tuple[str, str], str] = field(default_factory=dict)
    retried: dict[str, str] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    """Executions that began under the lock of an exclusive job."""

    def unfinished(self, environment: str, service_job: str) -> Iterator[Job]:
        return (
            job
            for job in self.jobs.values()
            if job.service == service_job and job.queue.startswith(f"{environment}:")
        )

    # What workers and services do

    def invoke(
        self, job_id: str, token: str, digest: str, terms: tuple[int, int], service_job: str
    ) -> list[bytes]:
        job = self.jobs.get(job_id)
        if job is None or not job.running or job.token != token or job.course.awaiting is not None:
            return [b"stale"]
        if job.course.callback != digest:
            job.course = job.course.registered(digest, terms, job.attempt)
        left = self.left.get((job.queue.partition(":")[0], service_job), "")
        return [b"registered", left.encode() if service_job else b""]

    def heartbeat(
        self, now: int, job_id: str, token: str, progress: str, extend: int | None, most: int
    ) -> list[bytes]:
        job = self.jobs.get(job_id)
        if job is None or job.course.callback != token:
            return [b"unknown"]
        course = job.course
        assert course.ttl is not None
        if extend is not None and extend > course.ttl:
            return [b"too_long", str(course.ttl).encode()]
        lately = tuple(itertools.takewhile(lambda at: now - 1_000 < at <= now, course.rate))
        if len(lately) >= most:
            return [b"too_many", str(lately[most - 1] + 1_000 - now).encode()]
        self._take_back_claim(job)
        self._revive(job)
        course.heard, course.rate = now, (now, *lately)
        course.progress = progress or course.progress
        course.hear(now, self.lease)
        if extend is not None and now + extend > course.ends:
            course.ends = now + extend
            course.watch(now, self.lease)
        return [b"heard"]

    def conclude(self, now: int, how: Concluded) -> bytes:
        job = self.jobs.get(how.outcome.id)
        if job is None or not self._may_end(job, how, now):
            return b"gone"
        goes_on = how.outcome.kind == "retry" and not job.dropped
        self._take_back_claim(job)
        self._revive(job)
        self.detach(job)
        job.suspect, job.losses = False, 0
        names = (job.queue.partition(":")[0], job.service or "")
        definition = self.definitions.get(names)
        if how.outcome.kind == "completed" and how.left and definition:
            due = job.current.due if job.first is None else job.first
            if definition.created <= due:
                self.left[names] = how.left
        self.apply(job, how.outcome, now)
        if goes_on and not job.next:
            job.course = job.course.over(how.digest or "-")
        return b"ended"

    def _may_end(self, job: Job, how: Concluded, now: int) -> bool:
        if (job.course.called or job.attempt) != how.attempt:
            return False
        if how.token:
            return job.course.callback == how.token
        return job.course.awaiting is not None and bool(job.course.overdue(now, self.lease))

    def _take_back_claim(self, job: Job) -> None:
        """What was claimed since the invoked attempt is none."""
        course = job.course
        if job.running and course.awaiting is None and course.called not in (None, job.attempt):
            assert course.called is not None
            job.attempt = course.called
            job.failures -= course.failed == job.attempt

    def _revive(self, job: Job) -> None:
        if job.running:
            return
        job.state = "RUNNING"
        if job.course.failed == job.attempt:
            job.failures -= 1
        job.suspect, job.losses = False, 0

    # What the scheduler does

    def due(self, now: int) -> dict[str, str]:
        """The executions whose time is over, and why; those that it is not get a new deadline."""
        found = {}
        for job in self.jobs.values():
            if job.course.awaiting is None or job.course.deadline > now:
                continue
            why = job.course.overdue(now, self.lease)
            if why:
                found[job.id] = why
            else:
                job.course.watch(now, self.lease)
        return found

    # What owners of service jobs do

    def drop(self, environment: str, service_job: str) -> None:
        del self.definitions[environment, service_job]
        self.left.pop((environment, service_job), None)

    def execute(
        self, new_id: str, names: tuple[str, str], due: int, event: int, *, repeats: str = ""
    ) -> None:
        """An execution of the service job with these names begins."""
        definition = self.definitions[names]
        refused = definition.exclusive and any(self.unfinished(*names))
        job = self._add(new_id, definition.queue, definition.spec, due)
        job.service, job.occurrence = names[1], f"{names[1]}_{event}"
        job.retry_of = repeats or None
        if refused:
            error = "exclusive_lock: another execution of the job is unfinished"
            self.end(job, "FAILED", error)
        elif definition.exclusive:
            self.locked.add(new_id)

    def fire(
        self,
        answer: str,
        names: tuple[str, str],
        stood: tuple[str, str, str],
        runs: Sequence[tuple[int, int]],
        now: int,
    ) -> None:
        """A round: `stood` is the revision, the run and the next run it was planned with."""
        definition = self.definitions.get(names)
        if definition is None or (str(definition.revision), definition.next_run) != stood[:2]:
            assert answer == "stale", f"{names} fired {answer} once more"
            return
        for new_id, (event, due) in zip(answer.split(), runs, strict=True):
            self.execute(new_id, names, max(now, due), event)
        definition.revision += 1
        definition.next_run = stood[2]

    def start_by_hand(
        self,
        answer: list[Any],
        names: tuple[str, str],
        kind: str,
        how: tuple[str, str, str],
        now: int,
    ) -> None:
        """`how`: the event's ms, the execution that is repeated, the spec; each "" without one."""
        definition = self.definitions.get(names)
        if definition is None:
            assert answer == [b"absent"]
            return
        if not definition.enabled and kind != "test":
            assert answer == [b"disabled"]
            return
        event, repeats, spec = how
        assert answer[0] == b"started"
        new_id = answer[1].decode()
        at = int(event) if event else now
        if kind == "test":
            job = self._add(new_id, definition.queue, spec, now)
            job.occurrence = f"{names[1]}_{at}"
        else:
            self.execute(new_id, names, now, at, repeats=repeats)
        if repeats:
            self.retried[repeats] = new_id

    def _add(self, new_id: str, ref: str, spec: str, due: int) -> Job:
        assert new_id not in self.jobs
        self.queue(ref)
        job = self.jobs[new_id] = Job(new_id, ref, None, Version(1, due, 0, None, spec))
        return job
