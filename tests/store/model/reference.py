"""What the scripts must do, once more, in plain Python and without any index.

The model test makes every call on Redis and on a `Reference`, and compares them job by job.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Ending", "Job", "Order", "QueueModel", "Reference", "Settled", "Version", "Worker"]

SILENCE = 10_000
LEASE = 30_000
LONGEST_STEP = 1_000
MOST_LOSSES = 3


@dataclass(frozen=True, slots=True)
class Version:
    """What was asked for, with its times worked out."""

    number: int
    due: int
    priority: int
    expires: int | None
    spec: str


@dataclass(frozen=True, slots=True)
class Order:
    """One job of a push, or a change of one. `due` None keeps the due time."""

    due: int | None
    priority: int
    max_age: int | None
    spec: str
    key: str | None = None
    keep: bool = False

    def version(self, number: int, due: int) -> Version:
        expires = None if self.max_age is None else due + self.max_age
        return Version(number, due, self.priority, expires, self.spec)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a version ended: one history entry."""

    id: str
    queue: str
    version: int
    state: str
    attempt: int
    error: str
    key: str
    log: tuple[Any, ...]
    spec: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome of one attempt, as a worker settles it."""

    id: str
    token: str
    kind: str
    delay: int
    error: str
    log: tuple[Any, ...]


@dataclass(slots=True)
class Job:
    """A job that has not ended."""

    id: str
    queue: str
    key: str | None
    current: Version
    state: str = "PENDING"
    attempt: int = 0
    failures: int = 0
    first: int | None = None
    suspect: bool = False
    losses: int = 0
    token: str | None = None
    started: int = 0
    worker: str = ""
    dropped: bool = False
    top: int = 0
    log: tuple[Any, ...] = ()
    next: Version | None = None

    @property
    def running(self) -> bool:
        return self.state == "RUNNING"

    @property
    def level(self) -> str:
        return "s" if self.suspect else str(self.current.priority)

    def stored(self) -> dict[str, str]:
        """The fields of its hash, but for `admission` and the zeros."""
        fields: dict[str, object] = {
            "queue": self.queue.partition(":")[2],
            "state": self.state,
            "version": self.current.number,
            "due": self.current.due,
            "priority": self.current.priority or None,
            "expires": self.current.expires,
            "key": self.key,
            "attempt": self.attempt or None,
            "failures": self.failures or None,
            "first": self.first,
            "suspect": 1 if self.suspect else None,
            "losses": self.losses or None,
            "token": self.token,
            "started": self.started if self.running else None,
            "dropped": 1 if self.dropped else None,
            "top": self.top or None,
        }
        if self.next:
            fields |= {
                "next_version": self.next.number,
                "next_due": self.next.due,
                "next_priority": self.next.priority or None,
                "next_expires": self.next.expires,
            }
        return {name: str(value) for name, value in fields.items() if value is not None}


@dataclass(slots=True)
class QueueModel:
    """A queue as far as the model follows it."""

    ref: str
    target: bool = False
    paused: bool = False
    window: int = 16
    history_limit: int = 10_000
    failed_limit: int = 10_000
    ended: dict[str, int] = field(
        default_factory=lambda: {"COMPLETED": 0, "FAILED": 0, "CANCELLED": 0}
    )


@dataclass(slots=True)
class Worker:
    """A worker that has joined and not left."""

    slots: int
    beat: int
    dead: bool = False
    suspect: str | None = None
    held: dict[str, int] = field(default_factory=dict)


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
            self._renew(job, version)
        return newest

    def cancel(self, job: Job) -> str:
        if not job.running:
            self._end(job, "CANCELLED", "cancelled: on request")
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
        self._end(job, "FAILED", "expired: its max age is over")

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
            worker = self.workers[name]
            del worker.held[job.id]
            if worker.suspect == job.id:
                worker.suspect = None
            if outcome.kind == "completed":
                successes[job.queue] = successes.get(job.queue, 0) + 1
            elif outcome.error.partition(":")[0] in ("timeout", "connect", "dns"):
                timed_out.add(job.queue)
            self._apply(job, outcome, now)
        for ref in successes.keys() | timed_out:
            queue = self.queues[ref]
            if ref in timed_out:
                queue.window = max(4, queue.window // 2)
            else:
                queue.window = min(512, queue.window + successes[ref])
        return answers

    def _apply(self, job: Job, outcome: Settled, now: int) -> None:
        if outcome.kind == "completed":
            self._end(job, "COMPLETED", "", outcome.log)
        elif job.dropped:
            self._end(job, "CANCELLED", "cancelled: on request", outcome.log)
        elif job.next:
            self._end(job, "CANCELLED", "superseded: by a newer version", outcome.log)
        elif outcome.kind == "failed":
            self._end(job, "FAILED", outcome.error, outcome.log)
        else:
            self._go_on(job, outcome, now)

    def _go_on(self, job: Job, outcome: Settled, now: int) -> None:
        job.first = job.current.due if job.first is None else job.first
        if outcome.kind == "retry":
            job.current = replace(job.current, due=now + outcome.delay)
            job.failures += 1
            job.suspect, job.losses = False, 0
            job.log = outcome.log
        elif outcome.kind == "unsent":
            job.attempt -= 1
        job.state = "RETRY" if job.attempt else "PENDING"
        job.token = None

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
                    del worker.held[job_id]
                    self._lose(self.jobs[job_id], worker, now)
                    lost += 1
            if worker.dead:
                del self.workers[name]
                self.buried.add(name)
        return lost, dead

    def _lose(self, job: Job, worker: Worker, now: int) -> None:
        made = {
            "n": job.attempt,
            "at": job.started,
            "ms": max(0, now - job.started),
            "e": "lost: the worker died",
        }
        log = (*job.log, made)[-20:]
        guilty = job.suspect and worker.suspect == job.id
        if guilty:
            worker.suspect = None
            job.losses += 1
        if job.dropped:
            self._end(job, "CANCELLED", "cancelled: on request", log)
        elif job.next:
            self._end(job, "CANCELLED", "superseded: by a newer version", log)
        elif job.losses >= MOST_LOSSES:
            self._end(job, "FAILED", "lost: three workers died on this job", log)
        else:
            job.first = job.current.due if job.first is None else job.first
            job.current = replace(job.current, due=now)
            job.state, job.token, job.suspect, job.log = "RETRY", None, True, log

    def lease_is_out(self) -> bool:
        """True while a worker holds anything."""
        return any(worker.held for worker in self.workers.values())

    # How versions come and go

    def _renew(self, job: Job, version: Version) -> None:
        self.jobs[job.id] = Job(job.id, job.queue, job.key, version)

    def _end(self, job: Job, state: str, error: str, log: tuple[Any, ...] | None = None) -> None:
        spec = job.current.spec
        if state == "COMPLETED":
            spec = spec.partition("\n")[0] + "\n"
        self.endings.append(
            Ending(
                id=job.id,
                queue=job.queue,
                version=job.current.number,
                state=state,
                attempt=job.attempt,
                error=error,
                key=job.key or "",
                log=job.log if log is None else log,
                spec=spec,
            )
        )
        self.queues[job.queue].ended[state] += 1
        if job.next:
            self._renew(job, job.next)
        else:
            del self.jobs[job.id]
