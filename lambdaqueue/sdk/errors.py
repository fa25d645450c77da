"""Everything that the SDK raises on purpose, ordered by what the caller can do about it.

LambdaQueueError
├── ConfigurationError      fix a setting, start again
├── InvalidSignature        the delivery isn't from a holder of the secret: don't act on it
└── ApiError                what a call of the API came to; has request_id, issues, …
    ├── Unauthorized        401  give a valid token
    ├── Forbidden           403  give a token with the scope
    ├── NotFound            404  no such object, not yours, or it has ended already
    ├── Conflict            409  not in the state that the object is in now
    ├── ExecutionOver       410  the execution, or this attempt of it, has ended: stop working
    ├── InvalidRequest      400, 413, 415, 422 …  fix the request, see .issues
    ├── TooManyRequests     429  wait .retry_after, then send the same again
    ├── Unavailable         5xx  wait .retry_after, then send the same again
    ├── Unreachable         nobody answered: perhaps done, perhaps not; send the same again
    └── UnexpectedAnswer    what answered isn't LambdaQueue: look at LQ_API_URL

For handlers, which raise them themselves:

RetryLater                  call me again, no sooner than after so many seconds
DoNotRetry                  the job has failed for good

The two are no LambdaQueueErrors: `except LambdaQueueError` around a push must not catch them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from lambdaqueue.errors import ConfigurationError, Issue, LambdaQueueError
from lambdaqueue.signing import InvalidSignature

__all__ = [
    "ApiError",
    "ConfigurationError",
    "Conflict",
    "DoNotRetry",
    "ExecutionOver",
    "Forbidden",
    "InvalidRequest",
    "InvalidSignature",
    "Issue",
    "LambdaQueueError",
    "NotFound",
    "RetryLater",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
]


class ApiError(LambdaQueueError):
    """Raised when the API could not be asked, or didn't do what it was asked.

    `status` is the HTTP status, None where nobody answered; `code` the answer's `type`, like
    `not_found`; `detail` its sentence; `request_id` is beside the error in the server's log;
    `issues` are the broken rules; `retry_after` is in seconds, where the server told them.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        detail: str | None = None,
        request_id: str | None = None,
        issues: Sequence[Issue] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.issues = tuple(issues)
        self.retry_after = retry_after

    def __str__(self) -> str:
        message = str(self.args[0])
        return message if self.request_id is None else f"{message} (request {self.request_id})"


class Unauthorized(ApiError):
    """Raised when the token is missing, wrong, expired or revoked."""


class Forbidden(ApiError):
    """Raised when the token is good, but lacks the scope for this."""


class NotFound(ApiError):
    """Raised when there is no such object, it isn't yours, or it has ended already."""


class Conflict(ApiError):
    """Raised when the object is in a state that doesn't allow what was asked."""


class ExecutionOver(ApiError):
    """Raised when a callback comes for an execution that has ended, or begun anew: stop working."""


class InvalidRequest(ApiError):
    """Raised when the request breaks a rule, which the message names; nothing was stored."""


class TooManyRequests(ApiError):
    """Raised when the server is asked too often; wait `retry_after` seconds."""


class Unavailable(ApiError):
    """Raised when the server, or what it needs, is away for now; wait `retry_after` seconds."""


class Unreachable(ApiError):
    """Raised when no answer came: whether the request was carried out isn't known."""


class UnexpectedAnswer(ApiError):
    """Raised when what answers doesn't speak LambdaQueue's JSON."""


class RetryLater(Exception):
    """Raise it in a handler to be called again after `seconds`, or later by the retry policy.

    It counts as a failed attempt; when none is left the job fails. `seconds` is rounded up to
    whole ones, the server takes 1 s to 24 h. `reason` is kept with the attempt.

    Raises:
        ValueError: `seconds` is negative or not finite.
    """

    def __init__(self, seconds: float | timedelta, reason: str = "") -> None:
        wait = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        if not (math.isfinite(wait) and wait >= 0):
            raise ValueError(f"seconds must be a number from 0, not {seconds!r}")
        super().__init__(seconds, reason)
        self.seconds = wait
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or f"retry in {self.seconds:g} s"


class DoNotRetry(Exception):
    """Raise it in a handler when no further attempt makes sense: the job fails at once."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
