"""What callers ask of the service, and the shapes of its answers: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from lambdaqueue.job import Job, Place, State
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret
from lambdaqueue.spec import Spec

__all__ = [
    "AuditEntry",
    "Change",
    "Endings",
    "Endpoint",
    "EnvironmentInfo",
    "Execution",
    "HistoryFilter",
    "Idempotency",
    "LastError",
    "Page",
    "Purged",
    "Push",
    "Pushed",
    "QueueInfo",
    "QueueSettings",
    "QueueStats",
    "Readiness",
    "Replayed",
    "SecretInfo",
]

T = TypeVar("T")

DAY = 86_400_000
MAX_DELAY = 366 * DAY
"""How far ahead a job may be due, in ms: a leap year."""

MAX_PAYLOAD = 262_144
MAX_BATCH = 8_388_608
"""Bytes of a payload, and of any other body, where the operator has set nothing else."""


@dataclass(frozen=True, slots=True)
class Push:
    """One job to store. At most one of `delay` (ms from now) and `on` (Unix ms) is given."""

    spec: Spec
    key: str | None = None
    if_exists: Literal["replace", "keep"] = "replace"
    delay: int | None = None
    on: int | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A PATCH of a job: only what is named in `spec` (fields of `Spec`) and not None changes."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    delay: int | None = None
    on: int | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's `Idempotency-Key` and a fingerprint of the request it came with."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did. `replayed`: this is the first answer again, nothing was pushed now."""

    job: Job
    place: Place
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Purged:
    """How many jobs or entries were deleted; `more`: not all have been looked at yet."""

    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `cursor` is None on the last one."""

    rows: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LastError:
    """Why a queue's newest failed attempt failed, at `at` (Unix ms); a success clears it."""

    error: str
    at: int


@dataclass(frozen=True, slots=True)
class Endings:
    """How many jobs ended in a time, the failed ones also by the class of their error."""

    completed: int
    failed: int
    cancelled: int
    classes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QueueStats:
    """What ended in a queue in the last hour, and since midnight (UTC)."""

    last_hour: Endings
    today: Endings


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue as it is now. `completed`, `failed` and `cancelled` count all jobs ever ended.

    `troubled` of its endpoints rest or recover; the breakers of `opened` are not closed.
    """

    name: str
    paused: bool
    waiting: int
    running: int
    completed: int
    failed: int
    cancelled: int
    settings: QueueSettings
    last_error: LastError | None = None
    troubled: int = 0
    opened: int = 0

    @property
    def breaker_state(self) -> str | None:
        """Whether all its endpoints are called; None where it has no breaker."""
        if self.settings.breaker is None:
            return None
        return "open" if self.opened else "closed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A target of a queue that is in trouble; `aside` jobs wait for it.

    `rests_until` (Unix ms) is when it's called again, `opened` how often in a row its breaker has
    opened.
    """

    url: str
    rests_until: int | None
    opened: int
    aside: int

    @property
    def state(self) -> str:
        """`resting` as it asked for, `open` or `half-open` by its breaker, else `recovering`."""
        if not self.opened:
            return "recovering" if self.rests_until is None else "resting"
        return "half-open" if self.rests_until is None else "open"


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which ended jobs to list; `since` and `until` are Unix ms, both inclusive."""

    state: State | None = None
    key: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many jobs were pushed, and, where there are more, the cursor to go on with.

    `last_due_at` (Unix ms) is when the last of them is due, of those that were spread by a rate.
    """

    count: int
    cursor: str | None = None
    last_due_at: int | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution, and the newest one that repeats it."""

    job: Job
    retried_by: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process can do its work: failed checks by name, and warnings."""

    failures: Mapping[str, str]
    warnings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """An environment. `retry` is the policy of what has none of its own and none of its queue."""

    id: str
    name: str
    created: int
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """An environment's signature secret, and the one before for as long as that still counts.

    Times are Unix ms.
    """

    secret: Secret
    since: int
    previous: Secret | None = None
    previous_until: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what: a token's name, an action like `queue.pause`, the object's name, where from.

    `id` is the entry's place in the audit, `at` Unix ms.
    """

    id: str
    at: int
    token: str
    action: str
    object: str
    address: str
