"""What the model remembers: jobs, queues, workers, and how versions ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.store.model.course import Course

__all__ = [
    "Ending",
    "Job",
    "Order",
    "QueueModel",
    "Settled",
    "Version",
    "Worker",
    "ending_of",
]


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
    tokens: tuple[str, ...] = ()
    awaiting: int | None = None
    final: str = ""
    service: str = ""
    retry_of: str = ""
    occurrence: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome of one attempt, as a worker, a callback or the clock ends it."""

    id: str
    token: str
    kind: str
    delay: int
    error: str
    log: tuple[Any, ...]
    final: str = ""


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
    started: int | None = None
    worker: str = ""
    dropped: bool = False
    top: int = 0
    log: tuple[Any, ...] = ()
    next: Version | None = None
    course: Course = field(default_factory=Course)
    service: str | None = None
    occurrence: str | None = None
    retry_of: str | None = None

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
            "started": self.started,
            "dropped": 1 if self.dropped else None,
            "top": self.top or None,
            "service": self.service,
            "occurrence": self.occurrence,
            "retry_of": self.retry_of,
            **self.course.stored(),
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


def ending_of(job: Job, state: str, error: str, log: tuple[Any, ...], final: str) -> Ending:
    """The entry that history gets when a job's version ends now."""
    spec = job.current.spec
    return Ending(
        id=job.id,
        queue=job.queue,
        version=job.current.number,
        state=state,
        attempt=job.attempt,
        error=error,
        key=job.key or "",
        log=log,
        spec=spec.partition("\n")[0] + "\n" if state == "COMPLETED" else spec,
        tokens=job.course.known,
        awaiting=job.course.awaiting,
        final=final,
        service=job.service or "",
        retry_of=job.retry_of or "",
        occurrence=job.occurrence or "",
    )
