"""Errors as JSON: one table from our errors to HTTP, one shape for every answer (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.errors import (
    ConfigurationError,
    Conflict,
    ExecutionOver,
    InvalidRequest,
    Issue,
    LambdaQueueError,
    NotFound,
    SecretUnreadable,
    StorageFull,
    StorageUnavailable,
    TooManyRequests,
    UnreadableRequest,
)

__all__ = ["HTTP_ERRORS", "STATUSES", "known_as", "patience", "problem"]

HTTP_ERRORS: Mapping[type[LambdaQueueError], tuple[int, str]] = {
    UnreadableRequest: (400, "bad_request"),
    InvalidRequest: (422, "VALIDATION_ERROR"),
    NotFound: (404, "not_found"),
    Conflict: (409, "conflict"),
    ExecutionOver: (410, "execution_over"),
    TooManyRequests: (429, "too_many_requests"),
    StorageUnavailable: (503, StorageUnavailable.code),
    StorageFull: (503, StorageFull.code),
    SecretUnreadable: (503, SecretUnreadable.code),
    ConfigurationError: (503, "misconfigured"),
}
"""Our errors: the HTTP status, and the `type` of the answer."""

STATUSES: Mapping[int, tuple[str, str, str]] = {
    400: ("bad_request", "Bad request", "The request can't be understood."),
    401: ("unauthorized", "Unauthorized", "A valid token is needed: Authorization: Bearer <token>"),
    403: ("forbidden", "Forbidden", "The token doesn't allow this."),
    404: ("not_found", "Not found", "There is no such object."),
    405: ("method_not_allowed", "Method not allowed", "The path doesn't take this method."),
    406: ("not_acceptable", "Not acceptable", "Answers are JSON."),
    408: ("request_timeout", "Request timeout", "The request came too slowly."),
    409: ("conflict", "Conflict", "The object's state doesn't allow this."),
    410: ("gone", "Gone", "The object has ended."),
    413: ("payload_too_large", "Payload too large", "The body is over the limit."),
    415: ("unsupported_media_type", "Unsupported media type", "The body's type is not taken here."),
    417: ("expectation_failed", "Expectation failed", "Only 100-continue can be expected."),
    422: ("VALIDATION_ERROR", "Validation error", "The request breaks a rule."),
    429: ("too_many_requests", "Too many requests", "Slow down."),
    431: (
        "headers_too_large",
        "Request header fields too large",
        "The headers are over the limit.",
    ),
    500: ("internal_error", "Internal error", "Something went wrong on our side."),
    501: ("not_implemented", "Not implemented", "The transfer coding is not known here."),
    503: ("unavailable", "Service unavailable", "Try again later."),
}
"""For each status: `type` and `title` of the answer, and the `detail` where none is given."""


def problem(
    status: int, *, kind: str | None = None, detail: str | None = None, issues: Iterable[Issue] = ()
) -> bytes:
    """Return the JSON of an error answer; `message` repeats `detail` for a published client."""
    default_kind, title, default_detail = STATUSES[status]
    detail = detail or default_detail
    body: dict[str, Any] = {
        "type": kind or default_kind,
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
    }
    listed = [_issue(issue) for issue in issues]
    if listed:
        body["issues"] = listed
    return strict_json.dumps(body)


def known_as(error: LambdaQueueError) -> tuple[int, str, tuple[Issue, ...]]:
    """Return the status, the `type` and the issues by which an error of ours is answered."""
    status, kind = next(HTTP_ERRORS[each] for each in type(error).__mro__ if each in HTTP_ERRORS)
    issues: tuple[Issue, ...] = ()
    if isinstance(error, InvalidRequest):
        issues = error.issues
    elif isinstance(error, UnreadableRequest):
        kind = error.code
    return status, kind, issues


def patience(error: LambdaQueueError) -> dict[str, str]:
    """Return the headers that say when the same request may do better."""
    if isinstance(error, TooManyRequests):
        # draft-ietf-httpapi-ratelimit-headers-10
        return {
            "Retry-After": str(error.after),
            "RateLimit-Policy": f'"{error.policy}";q={error.limit};w={error.window}',
            "RateLimit": f'"{error.policy}";r=0;t={error.after}',
        }
    if isinstance(error, StorageUnavailable | SecretUnreadable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, ConfigurationError):
        return {"Retry-After": str(SecretUnreadable.retry_after)}
    return {}


def _issue(issue: Issue) -> dict[str, Any]:
    return {
        "validation": issue.code,
        "code": issue.code,
        "path": list(issue.path),
        "message": issue.message,
    }
