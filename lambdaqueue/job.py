"""The job: what is to be delivered, how far it has come, and the states it may take.

`Spec` (see spec.py) is what the user asked for; `Job` is what became of it. Both are frozen. How
they are written to Redis is known there, here and, for the fields that decide something, in
`scripts/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lambdaqueue import ids
from lambdaqueue.attempt_log import Attempt, read_log
from lambdaqueue.execution import ExecutionStatus, Final
from lambdaqueue.queue_settings import Policies
from lambdaqueue.spec import Spec

__all__ = [
    "TRANSITIONS",
    "Job",
    "Place",
    "Result",
    "State",
]


class State(StrEnum):
    """Where a job is in its life, as the API shows it."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    RETRY = "RETRY"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """True for the three states that nothing leaves."""
        return self in ENDED


ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

TRANSITIONS: Mapping[State, frozenset[State]] = {
    # A push of the key, a PATCH or "run now" keep a waiting job where it is: PENDING -> PENDING.
    State.PENDING: frozenset({State.PENDING, State.RUNNING, State.CANCELLED, State.FAILED}),
    # RUNNING -> PENDING: handed back, or its replacement takes over.
    State.RUNNING: frozenset(
        {State.PENDING, State.RETRY, State.COMPLETED, State.FAILED, State.CANCELLED}
    ),
    # RETRY -> COMPLETED: what was taken for a failed start ended its execution all the same.
    State.RETRY: frozenset(
        {
            State.PENDING,
            State.RETRY,
            State.RUNNING,
            State.COMPLETED,
            State.CANCELLED,
            State.FAILED,
        }
    ),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Every arrow of the state machine; the scripts and the diagram in docs/architecture.md agree
with it (tests/store/test_transitions.py)."""


@dataclass(frozen=True, slots=True)
class Result:
    """The endpoint's last answer, as far as it is kept."""

    status: int | None = None
    content_type: str | None = None
    body: bytes = b""
    truncated: bool = False

    def describe(self) -> str:
        """Return the stored form of all but the body, which is stored beside it as it is."""
        stored: dict[str, Any] = {"status": self.status}
        if self.content_type:
            stored["type"] = self.content_type
        if self.truncated:
            stored["truncated"] = True
        return json.dumps(stored, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def read(cls, stored: bytes, body: bytes) -> Result | None:
        """Rebuild a result; None where nothing was stored."""
        if not stored:
            return None
        values = json.loads(stored)
        return cls(values["status"], values.get("type"), body, values.get("truncated", False))


LATE = ("heartbeat_missed", "callback_timeout")
"""The errors of executions that nobody has ended."""


class Place(StrEnum):
    """What a push did with the job."""

    CREATED = "created"
    REPLACED = "replaced"
    PENDING = "pending"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment. Times are Unix milliseconds by Redis' clock.

    `version` is the newest one asked for: while an older one runs, `pending` is true and
    `spec`, `due_at` and `priority` are already the new one's.

    Of an execution: `awaiting_since` is when its service began, `heard_at` when its newest
    heartbeat came, `progress` a percentage, `final` what ended it, `retry_of` the execution that it
    repeats. `tokens` has the digests of its callback tokens, the newest last, each with that of the
    final callback after which another attempt followed ("-": the clock ended it; else "").
    """

    id: str
    queue: str
    state: State
    version: int
    due_at: int
    created_at: int
    spec: Spec
    first_due_at: int
    priority: int = 0
    key: str | None = None
    attempt: int = 0
    max_attempts: int = 1
    pending: bool = False
    attempts: tuple[Attempt, ...] = ()
    error: str | None = None
    target: str | None = None
    entry: str | None = None
    ended_at: int | None = None
    result: Result | None = None
    occurrence: str | None = None
    awaiting_since: int | None = None
    heard_at: int | None = None
    progress: float | None = None
    final: Final | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    retry_of: str | None = None

    @property
    def event_ms(self) -> int:
        """Unix ms of the occurrence that it was pushed for; else when it was first due."""
        return ids.event_ms(self.occurrence, self.first_due_at)

    @property
    def execution_status(self) -> ExecutionStatus:
        """How far it has come as an execution."""
        if self.state is State.COMPLETED:
            return ExecutionStatus.SUCCESS
        if self.state is State.CANCELLED:
            return ExecutionStatus.CANCELLED
        if self.state is State.FAILED:
            late = (self.error or "").startswith(LATE)
            return ExecutionStatus.TIMEOUT if late else ExecutionStatus.FAIL
        begun = self.awaiting_since is not None
        return ExecutionStatus.RUNNING if begun else ExecutionStatus.INVOKED

    @classmethod
    def from_fields(cls, job_id: str, fields: Mapping[bytes, bytes], policies: Policies) -> Job:
        """Build a job that has not ended from a row of `describing.lua`."""
        pending = b"next_version" in fields
        spec = Spec.unpack(fields[b"next_spec" if pending else b"spec"])
        state = State(fields.get(b"state", b"PENDING").decode())
        attempt, failures = int(fields.get(b"attempt", 0)), int(fields.get(b"failures", 0))
        attempts = read_log(fields.get(b"log", b""), spec.skipped)
        due = int(fields[b"due"])
        # What neither failed nor runs now was lost or handed back, and may be had again.
        repeated = attempt - failures - (state is State.RUNNING)
        return cls(
            id=job_id,
            queue=fields[b"queue"].decode(),
            state=state,
            version=int(fields[b"next_version" if pending else b"version"]),
            due_at=int(fields[b"next_due"]) if pending else due,
            created_at=ids.created_at(job_id),
            spec=spec,
            first_due_at=int(fields.get(b"first", due)),
            priority=int(fields.get(b"next_priority" if pending else b"priority", 0)),
            key=_text(fields, b"key"),
            attempt=attempt + spec.skipped,
            max_attempts=1 + policies.retry(spec.retry).retries + repeated,
            pending=pending,
            attempts=attempts,
            error=attempts[-1].error if attempts and state is State.RETRY else None,
            target=spec.target or policies.settings.target,
            occurrence=_text(fields, b"occurrence"),
            awaiting_since=_number(fields, b"awaiting"),
            heard_at=_number(fields, b"heard"),
            progress=json.loads(fields[b"progress"]) if b"progress" in fields else None,
            tokens=_tokens(fields),
            retry_of=_text(fields, b"retry_of"),
        )

    @classmethod
    def from_entry(
        cls, queue: str, name: str, fields: Mapping[bytes, bytes], policies: Policies
    ) -> Job:
        """Build an ended job from its history entry, as `endings.lua` writes it."""
        job_id = fields[b"id"].decode()
        spec = Spec.unpack(fields[b"spec"])
        due = int(fields[b"due"])
        return cls(
            id=job_id,
            queue=queue,
            state=State(fields[b"state"].decode()),
            version=int(fields[b"version"]),
            due_at=due,
            created_at=ids.created_at(job_id),
            spec=spec,
            first_due_at=int(fields.get(b"first", due)),
            priority=int(fields.get(b"priority", 0)),
            key=_text(fields, b"key"),
            attempt=int(fields[b"attempt"]) + spec.skipped,
            max_attempts=int(fields.get(b"max", 1 + policies.retry(spec.retry).retries)),
            attempts=read_log(fields.get(b"attempts", b""), spec.skipped),
            error=_text(fields, b"error"),
            target=spec.target or _text(fields, b"target"),
            entry=name,
            ended_at=int(fields[b"ended"]),
            result=Result.read(fields.get(b"result", b""), fields.get(b"body", b"")),
            occurrence=_text(fields, b"occurrence"),
            awaiting_since=_number(fields, b"awaiting"),
            heard_at=_number(fields, b"heard"),
            progress=json.loads(fields[b"progress"]) if b"progress" in fields else None,
            final=Final.unpack(fields[b"final"]) if b"final" in fields else None,
            tokens=_tokens(fields),
            retry_of=_text(fields, b"retry_of"),
        )


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str | None:
    return fields[name].decode() if name in fields else None


def _number(fields: Mapping[bytes, bytes], name: bytes) -> int | None:
    return int(fields[name]) if name in fields else None


def _tokens(fields: Mapping[bytes, bytes]) -> Mapping[str, str]:
    """Return the tokens that count no more, then the one that does."""
    known = fields.get(b"tokens", b"") + b" " + fields.get(b"callback", b"")
    pairs = (each.partition("=") for each in known.decode().split())
    return {token: closed for token, _, closed in pairs}
