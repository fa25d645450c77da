"""Errors in the document: one answer for each status, by the table that `api.errors` has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.openapi.vocabulary import ref
from lambdaqueue.rendering.problems import STATUSES

__all__ = ["HEADERS", "PROBLEMS", "RESPONSES", "problem_name"]

PROBLEMS = (400, 401, 403, 404, 406, 409, 410, 413, 415, 422, 429, 431, 503)
"""Statuses that operations name. The web server itself may answer 408, 417 and 501 as well."""

HEADERS: Mapping[str, Any] = {
    "x-request-id": {
        "description": "Stands beside the request's errors in the server's log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    },
    "Idempotency-Replayed": {
        "description": "The first answer again: nothing was done now.",
        "schema": {"const": "true"},
    },
    "Cache-Control": {
        "description": "Nobody on the way may keep it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Content-Disposition": {
        "description": "A name for the file.",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {"description": "Names this very document.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
    "Retry-After": {
        "description": "Seconds.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimit": {"schema": {"type": "string"}, "description": "What is left."},
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": "What there is."},
}

_OWN_HEADERS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}

_ABOUT: Mapping[int, str] = {
    400: "What was sent can't be read, or the Host is wrong.",
    401: "No valid token.",
    403: "The token doesn't have the scope.",
    404: "There is no such object, or it is somebody else's.",
    406: "A callback that isn't `application/json`.",
    409: "The object's state doesn't allow it.",
    410: "It has ended.",
    413: "The body is over the limit.",
    415: "No content type, not JSON where JSON is needed, or `Content-Encoding`.",
    422: "A field breaks a rule: `issues` tells which.",
    429: "Too many bad tokens from this address, or too many heartbeats.",
    431: "A header over 32 KiB, or more than 100.",
    503: "Redis is away or full: the same request again, after `Retry-After`.",
}


def problem_name(status: int) -> str:
    """Return the name of the answer with this status among the document's components."""
    return "".join(word.capitalize() for word in STATUSES[status][1].split())


def _response(status: int) -> dict[str, Any]:
    kind, title, detail = STATUSES[status]
    example: dict[str, Any] = {
        "type": kind,
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
    }
    if status == 422:
        rule = "must be a whole number from 0 to 31622400000"
        example["detail"] = example["message"] = f"x-lq-delay: {rule}"
        code = "not_integer"
        example["issues"] = [
            {"validation": code, "code": code, "path": ["x-lq-delay"], "message": rule}
        ]
    content = {"schema": ref("Problem"), "example": example}
    names = ("x-request-id", *_OWN_HEADERS.get(status, ()))
    return {
        "description": _ABOUT[status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {"application/json": content, "application/problem+json": content},
    }


RESPONSES: Mapping[str, Any] = {problem_name(status): _response(status) for status in PROBLEMS}
