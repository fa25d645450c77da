"""What the scripts must do, once more, in plain Python and without any index.

The model test makes every call on Redis and on a `Reference`, and compares them job by job.
What callbacks, deadlines and service jobs add is in `executions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.store.model.course import Course
from tests.store.model.records import (
    Ending,
    Job,
    Order,
    QueueModel,
    Settled,
    Version,
    Worker,
    ending_of,
)

__all__ = ["Reference"]

SILENCE = 10_000
LEASE = 30_000
LONGEST_STEP = 1_000
MOST_LOSSES = 3


@dataclass(slots=True)
class Reference:
    """Every live job, queue and worker; `endings` are those of the last call."""

    jobs: dict[str, Job] = field(default_factory=dict)
    queues: dict[str, QueueModel] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    buried: set[str] = field(default_factory=set)
    lease: int = 0
    ticked: int | None = None
    endings: list[Ending] = field(default_factory=list)

    def queue(self, ref: str) -> QueueModel:
        return self.queues.setdefault(ref, QueueModel(ref))

    def by_key(self, ref: str, key: str) -> Job | None:
        return next((job for job in self.in_queue(ref) if job.key == key), None)

    def in_queue(self, ref: str) -> Iterator[Job]:
        return (job for job in self.jobs.values() if job.queue == ref)

    # What clients do

    def place(self, ref: str, order: Order) -> str:
        """What a push of `order` does: as the script answers it."""
        job = self.by_key(ref, order.key) if order.key else None
        if job is None:
            return "created"
        if order.keep and (not job.dropped or job.next):
            return "kept"
        return "pending" if job.running else "replaced"

    def push(self, ref: str, order: Order, new_id: str, now: int) -> int:
        """Store one order; returns the version that the job now has."""
        assert order.due is not None
        place = self.place(ref, order)
        self.queue(ref)
        if place == "created":
            assert new_id not in self.jobs
            self.jobs[new_id] = Job(new_id, ref, order.key, order.version(1, order.due))
            return 1
        job = self.jobs[new_id]
        if place == "kept":
            return (job.next or job.current).number
        return self.supersede(job, order, order.due)

    def change(self, job: Job, order: Order, now: int) -> int:
        due = order.due
        if due is None:
            due = job.next.due if job.next else now if job.running else job.current.due
        return self.supersede(job, order, due)

    def supersede(self, job: Job, order: Order, due: int) -> int:
        newest = max(job.current.number, job.next.number if job.next else 0, job.top) + 1
        version = order.version(newest, due)
        if job.running:
            job.next = version
        else:
            # Nobody may speak for the version that is gone; what its last callback was stays known.
            course = job.course if job.course.callback is None else job.course.over()
            self._renew(job, version, course)
        return newest

    def cancel(self, job: Job, at_once: bool = False) -> str:
        if at_once or not job.running:
            self.detach(job)
            self.end(job, "CANCELLED", "cancelled: on request")
            return "cancelled"
        job.dropped = True
        if job.next:
            job.top, job.next = job.next.number, None
        return "dropped"

    def run_now(self, job: Job, now: int) -> None:
        job.current = replace(job.current, due=min(job.current.due, now))

    # What workers do

    def join(self, name: str, slots: int) -> None:
        self.workers[name] = Worker(slots, self.lease)

    def alive(self, name: str) -> bool:
        return name in self.workers and not self.workers[name].dead

    def knew(self, name: str) -> bool:
        return name in self.workers or name in self.buried

    def beat(self, name: str, renew: Sequence[str]) -> None:
        worker = self.workers[name]
        worker.beat = self.lease
        for job_id in renew:
            if job_id in worker.held:
                worker.held[job_id] = self.lease + LEASE

    def leave(self, name: str) -> bool:
        if name in self.workers and self.workers[name].held:
            return False
        if self.alive(name):
            del self.workers[name]
        return True

    def start(self, job: Job, name: str, token: str, now: int) -> None:
        worker = self.workers[name]
        job.state, job.token, job.worker, job.started = "RUNNING", token, name, now
        job.attempt += 1
        worker.held[job.id] = self.lease + LEASE
        if job.suspect:
            assert worker.suspect is None, "a second suspect"
            worker.suspect = job.id

    def expire(self, job: Job) -> None:
        self.end(job, "FAILED", "expired: its max age is over")

    def settle(self, name: str, outcomes: list[Settled], now: int) -> list[bool]:
        successes: dict[str, int] = {}
        timed_out: set[str] = set()
        answers = []
        for outcome in outcomes:
            job = self.jobs.get(outcome.id)
            if job is None or not job.running or job.token != outcome.token:
                answers.append(False)
                continue
            answers.append(True)
            if outcome.kind in ("completed", "started"):
                successes[job.queue] = successes.get(job.queue, 0) + 1
            elif outcome.error.partition(":")[0] in ("timeout", "connect", "dns"):
                timed_out.add(job.queue)
            self.detach(job)
            if outcome.kind == "started" or job.course.awaiting is not None:
                self._let_go(job, outcome, now)
            else:
                self.apply(job, outcome, now)
        for ref in successes.keys() | timed_out:
            queue = self.queues[ref]
            if ref in timed_out:
                queue.window = max(4, queue.window // 2)
            else:
                queue.window = min(512, queue.window + successes[ref])
        return answers

    def _let_go(self, job: Job, outcome: Settled, now: int) -> None:
        """It goes on without its worker; who has not sent it can't know of what attempt."""
        if outcome.kind != "unsent" and outcome.log:
            job.log = outcome.log
        job.suspect, job.losses = False, 0
        if job.course.awaiting is None:
            job.course.hear(now, self.lease)

    def detach(self, job: Job) -> None:
        """Take a job from its worker, if one has it."""
        worker = self.workers.get(job.worker)
        if job.token and worker:
            del worker.held[job.id]
            if worker.suspect == job.id:
                worker.suspect = None
        job.token = None

    def apply(self, job: Job, outcome: Settled, now: int) -> None:
        """What follows from an attempt that has ended."""
        if outcome.kind == "completed":
            self.end(job, "COMPLETED", "", outcome.log, outcome.final)
        elif job.dropped:
            self.end(job, "CANCELLED", "cancelled: on request", outcome.log, outcome.final)
        elif job.next:
            error = "superseded: by a newer version"
            self.end(job, "CANCELLED", error, outcome.log, outcome.final)
        elif outcome.kind == "failed":
            self.end(job, "FAILED", outcome.error, outcome.log, outcome.final)
        else:
            self._go_on(job, outcome, now)

    def _go_on(self, job: Job, outcome: Settled, now: int) -> None:
        job.first = job.current.due if job.first is None else job.first
        if outcome.kind == "retry":
            job.current = replace(job.current, due=now + outcome.delay)
            job.failures += 1
            job.suspect, job.losses = False, 0
            job.log = outcome.log
            if job.course.callback is not None:
                job.course.failed = job.attempt
        elif outcome.kind == "unsent":
            job.attempt -= 1
        job.state = "RETRY" if job.attempt else "PENDING"
        job.token = job.started = None

    # What the scheduler does

    def tick(self, now: int) -> None:
        if self.ticked is not None and now > self.ticked:
            self.lease += min(now - self.ticked, LONGEST_STEP)
        self.ticked = now

    def reclaim(self, now: int) -> tuple[int, int]:
        lost = dead = 0
        for name, worker in list(self.workers.items()):
            if not worker.dead and worker.beat < self.lease - SILENCE:
                worker.dead = True
                dead += 1
            for job_id, lease in list(worker.held.items()):
                if worker.dead or lease < self.lease:
                    lost += self._lose(self.jobs[job_id], worker, now)
            if worker.dead:
                del self.workers[name]
                self.buried.add(name)
        return lost, dead

    def _lose(self, job: Job, worker: Worker, now: int) -> int:
        """Take back an attempt; 0 where a callback came: it needs no worker."""
        guilty = job.suspect and worker.suspect == job.id
        self.detach(job)
        if job.course.awaiting is not None:
            job.suspect, job.losses = False, 0
            return 0
        assert job.started is not None
        made = {
            "n": job.attempt,
            "at": job.started,
            "ms": max(0, now - job.started),
            "e": "lost: the worker died",
        }
        log = (*job.log, made)[-20:]
        job.losses += guilty
        if job.dropped:
            self.end(job, "CANCELLED", "cancelled: on request", log)
        elif job.next:
            self.end(job, "CANCELLED", "superseded: by a newer version", log)
        elif job.losses >= MOST_LOSSES:
            self.end(job, "FAILED", "lost: three workers died on this job", log)
        else:
            job.first = job.current.due if job.first is None else job.first
            job.current = replace(job.current, due=now)
            job.state, job.started, job.suspect, job.log = "RETRY", None, True, log
        return 1

    def lease_is_out(self) -> bool:
        """True while a worker holds anything."""
        return any(worker.held for worker in self.workers.values())

    # How versions come and go

    def _renew(self, job: Job, version: Version, course: Course) -> None:
        self.jobs[job.id] = Job(
            job.id, job.queue, job.key, version,
            course=course, service=job.service, occurrence=job.occurrence, retry_of=job.retry_of,
        )  # fmt: skip

    def end(
        self,
        job: Job,
        state: str,
        error: str,
        log: tuple[Any, ...] | None = None,
        final: str = "",
    ) -> None:
        """End a version; the next one takes over, or the job is gone."""
        self.endings.append(ending_of(job, state, error, job.log if log is None else log, final))
        self.queues[job.queue].ended[state] += 1
        if job.next:
            self._renew(job, job.next, job.course.over())
        else:
            del self.jobs[job.id]
