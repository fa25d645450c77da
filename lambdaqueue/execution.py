"""Executions: jobs whose endpoint answers at once, works on, and ends them by a callback.

              ┌──────────── another attempt ◄───────────┐
              ▼                                          │
 pushed ──► invoked ── 2xx, or a callback before it ──► running ──► success | fail | timeout
              └─► fail: it never began                   └─► cancelled

Beside the states of a job, which go on to tell whether it waits, runs or has ended, an execution
has one of these. Pure: what is stored of it, and what follows from its end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

__all__ = [
    "DEFAULT_HEARTBEAT",
    "EXECUTION_TRANSITIONS",
    "MISSED",
    "ExecutionStatus",
    "Final",
    "ServiceRun",
    "Terms",
]

DEFAULT_HEARTBEAT = 30_000
"""ms between two heartbeats, where nothing else was agreed."""

MISSED = 2
"""Intervals without a heartbeat after which an execution is dead; `awaiting.lua` knows it."""


class ExecutionStatus(StrEnum):
    """How far an execution has come, as its service sees it."""

    INVOKED = "invoked"
    RUNNING = "running"
    SUCCESS = "success"
    FAIL = "fail"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True for those that nothing leaves."""
        return not EXECUTION_TRANSITIONS[self]


EXECUTION_TRANSITIONS: Mapping[ExecutionStatus, frozenset[ExecutionStatus]] = {
    # INVOKED -> SUCCESS: the whole work was done before the webhook's own answer was here.
    ExecutionStatus.INVOKED: frozenset(
        {
            ExecutionStatus.RUNNING,
            ExecutionStatus.SUCCESS,
            ExecutionStatus.FAIL,
            ExecutionStatus.CANCELLED,
        }
    ),
    # RUNNING -> INVOKED: an item of a queue failed or fell silent, and its retry policy goes on.
    ExecutionStatus.RUNNING: frozenset(
        {
            ExecutionStatus.INVOKED,
            ExecutionStatus.SUCCESS,
            ExecutionStatus.FAIL,
            ExecutionStatus.TIMEOUT,
            ExecutionStatus.CANCELLED,
        }
    ),
    ExecutionStatus.SUCCESS: frozenset(),
    ExecutionStatus.FAIL: frozenset(),
    ExecutionStatus.TIMEOUT: frozenset(),
    ExecutionStatus.CANCELLED: frozenset(),
}
"""The executions' part of the state machine: every arrow between two different statuses. The
diagram in docs/architecture.md and the scripts agree with it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with a job's endpoint: ms from its start to its end at the latest, and ms
    between two heartbeats."""

    ttl: int
    heartbeat: int = DEFAULT_HEARTBEAT


@dataclass(frozen=True, slots=True)
class ServiceRun:
    """What makes a job the execution of a service job: its names, and the schedule as it was.

    `test`: it was asked for to try the endpoint out, and is no run of the job.
    """

    service: str
    job: str
    schedule: str
    test: bool = False


@dataclass(frozen=True, slots=True)
class Final:
    """What a service said when it ended an execution. `state` is any JSON value."""

    status: Literal["success", "fail"]
    summary: str | None = None
    state: Any = None
    error: str | Mapping[str, Any] | None = None
    correlation_id: str | None = None

    def pack(self) -> str:
        """Return the stored form: JSON of what was said."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(said, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def unpack(cls, stored: bytes | str) -> Final:
        """Rebuild what `pack` wrote."""
        return cls(**json.loads(stored))

    @property
    def digest(self) -> str:
        """Tell one final body from another, whatever the order of its fields."""
        said = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    @property
    def reason(self) -> str:
        """Why it failed, in one line."""
        error = self.error
        if isinstance(error, Mapping):
            message = error.get("message")
            error = message if isinstance(message, str) else None
        return " ".join((error or self.summary or "the service reported a failure").split())
