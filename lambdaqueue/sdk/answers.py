"""What the API answers, read: JSON, or the error that says what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lambdaqueue.sdk.errors import (
    ApiError,
    Conflict,
    ExecutionOver,
    Forbidden,
    InvalidRequest,
    Issue,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from lambdaqueue.sdk.transport import Response

__all__ = ["error_of", "parsed", "retry_after"]

ERRORS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: ExecutionOver,
    429: TooManyRequests,
}

WORDS: Mapping[int, str] = {
    401: "the token was refused: set LQ_TOKEN to a valid one of this LambdaQueue",
    403: "the token lacks the scope for this",
    404: "no such object here, or it has ended already",
}
"""What to do, where the server's own sentence doesn't say it."""

IN_MS = frozenset(
    {"delay", "delays", "timeout", "max-age", "maxAge", "async", "heartbeat", "max", "period"}
)
"""Fields that the server takes, and speaks of, in ms; callers of the SDK say seconds."""

MAX_DETAIL = 1_000
"""Characters of the server's sentence that an error repeats."""


def parsed(response: Response, origin: str) -> Any:
    """Return the JSON of an answer, None for an empty body.

    Raises:
        Unavailable: it's a 5xx of something that stands before LambdaQueue.
        UnexpectedAnswer: it isn't JSON.
    """
    if not response.body:
        if response.status >= 400 and response.status not in ERRORS:
            return _not_json(response, origin)
        return None
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return _not_json(response, origin)


def error_of(response: Response, answer: Any) -> ApiError:
    """Return the error that an answer which isn't good stands for."""
    problem = answer if isinstance(answer, dict) else {}
    status = response.status
    issues = tuple(map(_issue, _objects(problem.get("issues"))))
    detail = _text(problem.get("detail")) or _text(problem.get("message"))
    kind = Unavailable if status >= 500 else ERRORS.get(status, InvalidRequest)
    if 300 <= status <= 399:
        kind = UnexpectedAnswer
    return kind(
        _message(status, detail, issues),
        status=status,
        code=_text(problem.get("type")),
        detail=detail,
        request_id=response.headers.get("x-request-id"),
        issues=issues,
        retry_after=retry_after(response.headers.get("retry-after", "")),
    )


def retry_after(value: str) -> float | None:
    """Return the seconds of a Retry-After header that has seconds; None for anything else.

    LambdaQueue says seconds; a date would need two clocks that agree.
    """
    return float(value) if re.fullmatch("[0-9]{1,9}", value) else None


def _not_json(response: Response, origin: str) -> Any:
    away = response.status in (502, 503, 504)
    kind = Unavailable if away else UnexpectedAnswer
    raise kind(
        f"HTTP {response.status} from what stands before LambdaQueue at {origin}"
        if away
        else f"what answers at {origin} (HTTP {response.status}) is not LambdaQueue: "
        "look at LQ_API_URL",
        status=response.status,
        request_id=response.headers.get("x-request-id"),
        retry_after=retry_after(response.headers.get("retry-after", "")),
    )


def _message(status: int, detail: str | None, issues: tuple[Issue, ...]) -> str:
    if issues:
        return "refused: " + "; ".join(f"{_dotted(i.path)}: {_worded(i)}" for i in issues)
    if status in WORDS:
        return WORDS[status]
    return f"HTTP {status}: {detail}" if detail else f"HTTP {status}"


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path)) or "request"


def _worded(issue: Issue) -> str:
    names = [part.removeprefix("x-lq-") for part in issue.path if isinstance(part, str)]
    if issue.code != "out_of_range" or not names or names[-1] not in IN_MS:
        return issue.message
    return f"{issue.message} (that is in ms; a number in the SDK is seconds)"


def _issue(told: Mapping[str, Any]) -> Issue:
    path = told.get("path")
    parts = [part for part in path if isinstance(part, str | int)] if isinstance(path, list) else []
    code = _text(told.get("code")) or ""
    return Issue(tuple(parts), code, _text(told.get("message")) or code)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value[:MAX_DETAIL] if isinstance(value, str) else None
