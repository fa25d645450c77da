"""Everything LambdaQueue raises on purpose, ordered by what the caller can do about it.

LambdaQueueError
├── ConfigurationError      fix the environment, start again
├── RequestError            fix the request
│   ├── UnreadableRequest   400  the bytes are not what they claim to be
│   ├── InvalidRequest      422  readable, but a field breaks a rule (see .issues)
│   ├── NotFound            404  no such object, or not yours
│   ├── Conflict            409  not in the state the object is in now
│   ├── ExecutionOver       410  the execution, or this attempt of it, has ended: stop working
│   └── TooManyRequests     429  wait, then send the same request again
│       └── TooManyRefusals 429  wait, and come back with a valid token
├── StorageUnavailable      503  wait, then send the same request again
│   └── StorageFull         503  wait until the operator has made room
├── SecretUnreadable        503  the operator must give the right master key
└── WorkerDeclaredDead      abort what is being sent, take a new name, go on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ConfigurationError",
    "Conflict",
    "ExecutionOver",
    "InvalidRequest",
    "Issue",
    "LambdaQueueError",
    "NotFound",
    "RequestError",
    "SecretUnreadable",
    "StorageFull",
    "StorageUnavailable",
    "TooManyRefusals",
    "TooManyRequests",
    "UnreadableRequest",
    "WorkerDeclaredDead",
]


class LambdaQueueError(Exception):
    """Base of every error that LambdaQueue raises on purpose."""


class ConfigurationError(LambdaQueueError):
    """Raised when a setting is missing or wrong; the message names it and its rule."""


class RequestError(LambdaQueueError):
    """Raised when a request can't be carried out as it was asked for."""


class UnreadableRequest(RequestError):
    """Raised when a body or a header can't be read at all."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Issue:
    """One broken rule of a request: where it is, which rule, and a sentence for people."""

    path: tuple[str | int, ...]
    code: str
    message: str

    def at(self, *prefix: str | int) -> Issue:
        """Return the same issue, found below `prefix`."""
        return Issue((*prefix, *self.path), self.code, self.message)


class InvalidRequest(RequestError):
    """Raised when a field of a readable request breaks a rule; nothing was stored."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("; ".join(f"{_dotted(i.path)}: {i.message}" for i in issues))
        self.issues = tuple(issues)

    @classmethod
    def of(cls, field: str, code: str, message: str) -> InvalidRequest:
        """Build the error for the one field `field`."""
        return cls([Issue((field,), code, message)])


class NotFound(RequestError):
    """Raised when there is no such object, or it belongs to somebody else."""


class Conflict(RequestError):
    """Raised when the object is in a state that doesn't allow what was asked."""


class ExecutionOver(RequestError):
    """Raised when a callback comes for an execution, or an attempt of one, that has ended."""

    def __init__(self, status: str) -> None:
        super().__init__(f"The job execution status is {status}")


class TooManyRequests(RequestError):
    """Raised when there were `limit` requests within `window` s; try again in `after` s.

    `policy` is a short name for what is limited.
    """

    def __init__(self, policy: str, limit: int, window: int, after: int) -> None:
        super().__init__(f"at most {limit} in {window} s")
        self.policy = policy
        self.limit = limit
        self.window = window
        self.after = after


class TooManyRefusals(TooManyRequests):
    """Raised when an address sent too many bad tokens."""

    def __init__(self, limit: int, window: int, after: int) -> None:
        super().__init__("refusals", limit, window, after)
        self.args = ("too many requests without a valid token",)


class StorageUnavailable(LambdaQueueError):
    """Raised when Redis can't be reached or refuses to write; try again after `retry_after` s."""

    retry_after = 2
    code = "storage_unavailable"


class StorageFull(StorageUnavailable):
    """Raised when Redis is out of memory or disk; reads and deletes still work."""

    retry_after = 10
    code = "storage_full"


class SecretUnreadable(LambdaQueueError):
    """Raised when a stored secret can't be opened with the master keys that this process has."""

    retry_after = 60
    code = "wrong_master_key"


class WorkerDeclaredDead(LambdaQueueError):
    """Raised when the worker was silent for so long that its jobs were given to others."""


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path) or "request"
