"""The job: what is to be delivered, how far it has come, and the states it may take.

`Spec` is what the user asked for; `Job` is what became of it. Both are frozen. How they are
written to Redis is known here and, for the fields that decide something, in `scripts/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lambdaqueue import ids
from lambdaqueue.queue_settings import Policies
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.statuses import StatusRange

__all__ = [
    "TRANSITIONS",
    "Attempt",
    "Claim",
    "Job",
    "Message",
    "Place",
    "Result",
    "Seals",
    "Spec",
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
    State.RETRY: frozenset(
        {State.PENDING, State.RETRY, State.RUNNING, State.CANCELLED, State.FAILED}
    ),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Every arrow of the state machine; the scripts and the diagram in docs/architecture.md agree
with it (tests/store/test_transitions.py)."""

LOGGED = 20
"""How many attempts of a job are remembered; `reclaim.lua` knows the number too."""

ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""`json.dumps` with these options would build an encoder for each call."""

DEFAULT_CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """What makes a job a direct message (see `messages.py`): the name in its headers, and the
    number of the attempt that it begins with."""

    name: str
    first: int = 1


@dataclass(frozen=True, slots=True)
class Spec:
    """What to deliver and how; options that are None are the queue's or the environment's.

    `timeout` and `max_age` are milliseconds. `payload` is sent exactly as it is.
    """

    payload: bytes = b""
    content_type: str = DEFAULT_CONTENT_TYPE
    target: str | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: int | None = None
    max_age: int | None = None
    event_type: str | None = None
    traceparent: str | None = None
    schedule_id: str | None = None
    schedule_key: str | None = None
    message: Message | None = None

    @property
    def skipped(self) -> int:
        """Attempts that others made before: the store's numbers are less by so many."""
        return 0 if self.message is None else self.message.first - 1

    def pack(self) -> bytes:
        """Return the stored form: one line of JSON with the options that are given, then the
        payload. (JSON has no raw line feed, so the first one ends the options.)"""
        options: dict[str, Any] = {}
        if self.content_type != DEFAULT_CONTENT_TYPE:
            options["contentType"] = self.content_type
        if self.method != "POST":
            options["method"] = self.method
        if self.retry is not None:
            options["retry"] = self.retry.to_json()
        for name, value in (
            ("target", self.target),
            ("headers", dict(self.headers) or None),
            ("timeout", self.timeout),
            ("maxAge", self.max_age),
            ("eventType", self.event_type),
            ("traceparent", self.traceparent),
            ("scheduleId", self.schedule_id),
            ("scheduleKey", self.schedule_key),
            ("message", self.message and [self.message.name, self.message.first]),
        ):
            if value is not None:
                options[name] = value
        head = ENCODE(options) if options else ""
        return head.encode() + b"\n" + self.payload

    @classmethod
    def unpack(cls, stored: bytes) -> Spec:
        """Rebuild what `pack` wrote; the payload may have been left out."""
        head, _, payload = stored.partition(b"\n")
        options = json.loads(head) if head else {}
        retry, message = options.get("retry"), options.get("message")
        return cls(
            payload=payload,
            content_type=options.get("contentType", DEFAULT_CONTENT_TYPE),
            target=options.get("target"),
            method=options.get("method", "POST"),
            headers=options.get("headers", {}),
            retry=None if retry is None else RetryPolicy.from_json(retry),
            timeout=options.get("timeout"),
            max_age=options.get("maxAge"),
            event_type=options.get("eventType"),
            traceparent=options.get("traceparent"),
            schedule_id=options.get("scheduleId"),
            schedule_key=options.get("scheduleKey"),
            message=None if message is None else Message(*message),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP call that has ended. `started_at` is Unix ms, `duration` ms."""

    number: int
    started_at: int
    duration: int
    status: int | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the stored form; `reclaim.lua` writes the same."""
        stored: dict[str, Any] = {"n": self.number, "at": self.started_at, "ms": self.duration}
        if self.status is not None:
            stored["s"] = self.status
        if self.error is not None:
            stored["e"] = self.error
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Attempt:
        """Rebuild what `to_json` wrote."""
        return cls(stored["n"], stored["at"], stored["ms"], stored.get("s"), stored.get("e"))


def read_log(stored: bytes, skipped: int = 0) -> tuple[Attempt, ...]:
    """Return the attempts of a stored log, oldest first, numbered from behind those `skipped`."""
    made = [Attempt.from_json(each) for each in json.loads(stored)] if stored else []
    return tuple(replace(each, number=each.number + skipped) if skipped else each for each in made)


def extend_log(stored: bytes, attempt: Attempt) -> str:
    """Return the stored log with `attempt` at its end, cut to the last `LOGGED`."""
    log = json.loads(stored) if stored else []
    log.append(attempt.to_json())
    return ENCODE(log[-LOGGED:])


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
        return ENCODE(stored)

    @classmethod
    def read(cls, stored: bytes, body: bytes) -> Result | None:
        """Rebuild a result; None where nothing was stored."""
        if not stored:
            return None
        values = json.loads(stored)
        return cls(values["status"], values.get("type"), body, values.get("truncated", False))


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
        )


@dataclass(frozen=True, slots=True)
class Seals:
    """The secrets that may sign a job's attempts, sealed as they are stored.

    `environment` holds the newest first, `own` is the queue's, b"" where it has none yet.
    `unvalidated`: the queue's targets need not prove anything, so its own secret signs.
    """

    environment: tuple[bytes, ...] = ()
    own: bytes = b""
    unvalidated: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker may attempt now, with all that sending and judging it needs.

    `attempt` counts from 1 and includes this one; `failures` counts the earlier attempts that
    used up a retry (not those that were lost or handed back); of a message both include the
    attempts that others made. Times are Unix ms, `timeout` ms.
    """

    id: str
    token: str
    environment: str
    queue: str
    version: int
    attempt: int
    failures: int
    started_at: int
    first_due_at: int
    spec: Spec
    target: str | None
    policy: RetryPolicy
    timeout: int
    success: StatusRange
    result_bytes: int
    key: str | None = None
    expires_at: int | None = None
    attempts_log: bytes = b""
    seals: Seals = Seals()

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same on every attempt of this version."""
        return f"{self.id}_{self.version}"

    @property
    def max_attempts(self) -> int:
        """How many attempts there may be in all; a lost one raises it by one."""
        return self.policy.retries + self.attempt - self.failures


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str | None:
    return fields[name].decode() if name in fields else None
