"""Parameters of operations: in the path, in the query, and in headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema as Declared

from api import pushes, schedule_requests
from api.openapi.derive import PLAIN_TEXT, property_of
from api.openapi.vocabulary import Schema, ref, text
from lambdaqueue.ids import JOB_ID
from lambdaqueue.reading import option_headers
from lambdaqueue.reading.option_headers import OptionHeaders

__all__ = [
    "IDEMPOTENCY_KEY",
    "PUSH_HEADERS",
    "SCHEDULE_HEADERS",
    "TRACEPARENT",
    "in_path",
    "query_of",
]

Parameter = Mapping[str, Any]

_JOB = text(pattern=f"^{JOB_ID.pattern}$")
_KEY = text(minLength=1, maxLength=255, pattern=PLAIN_TEXT)
_SERVICE = text(pattern="^[a-z0-9-]{1,100}$")
_ENTRY = text(pattern="^[cf][1-9][0-9]{0,14}-[0-9]{1,15}$")
_TOKEN = text(pattern="^[A-Za-z0-9_-]{8}$")

_SLASHES = "Slashes may be encoded or not."

_IN_PATH: Mapping[str, tuple[Schema, str, str]] = {
    "queues/queue": (ref("QueueName"), "The queue's name. " + _SLASHES, "welcome"),
    "items/id": (_JOB, "The item's id.", "0mwq83nuu00001"),
    "items/byKey/key": (_KEY, "The unique key, percent-encoded. " + _SLASHES, "user-42"),
    "schedules/byKey/key": (ref("ScheduleKey"), "The schedule's key. " + _SLASHES, "daily-report"),
    "schedules/id": (text(pattern="^[0-9a-z]{16}$"), "The schedule's id.", "0mwqfwdyexac1pct"),
    "tokens/id": (_TOKEN, "The token's id, its second part.", "pW3kx_2a"),
    "periodic/id": (_KEY, "Yours, percent-encoded. " + _SLASHES, "invoices"),
    "timers/id": (_KEY, "Yours, percent-encoded. " + _SLASHES, "reminder-7"),
    "history/entry": (_ENTRY, "The `entry` of an item that has ended.", "f1795254417017-0"),
    "services/service": (_SERVICE, "The service's name.", "shop"),
    "jobs/job": (_SERVICE, "The job's name.", "report"),
    "executions/name": (_JOB, "The execution's name, or an async item's id.", "0mwqjo94r00001"),
    "callback/token": (
        text(minLength=1),
        "As in the `callback_url`: whoever has it may end the execution.",
        "0mwqjo94r00001_4YkWkqcbeWvVsQJ3Xo1nS0b5m9TzR7hLgUdPfNaxEyI",
    ),
}
"""By the end of the path up to it and its name: the schema, what it is, and an example."""


def in_path(before: str, name: str) -> Parameter:
    """Return the parameter `name` of a path, of which it stands behind `before`."""
    whole = f"{before}{name}"
    schema, about, example = next(
        known for end, known in _IN_PATH.items() if whole.endswith(f"/{end}")
    )
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": about,
        "schema": schema,
        "example": example,
    }


def query_of(declared: Declared) -> tuple[Parameter, ...]:
    """Return the parameters of the query that `declared` reads."""
    of = type(declared).__name__
    return tuple(
        _parameter(
            "query",
            name,
            dict(property_of(of, name, field, in_json=False)),
            required=field.required,
        )
        for name, field in declared.load_fields.items()
    )


def _option_headers(headers: OptionHeaders, declared: Declared) -> tuple[Parameter, ...]:
    """Return the headers whose values `declared` checks."""
    known = {field.data_key or name: field for name, field in declared.load_fields.items()}
    of = type(declared).__name__
    found = []
    for header, (name, written) in headers.fields.items():
        schema = dict(property_of(of, name, known[name], in_json=False))
        as_json = written in ("json", "none or json")
        found.append(_parameter("header", header, schema, as_json=as_json))
    return tuple(found)


def _parameter(
    place: str, name: str, schema: dict[str, Any], *, required: bool = False, as_json: bool = False
) -> Parameter:
    about = schema.pop("description")
    found: dict[str, Any] = {"name": name, "in": place, "description": about}
    if required:
        found["required"] = True
    if as_json:
        found["content"] = {"application/json": {"schema": schema}}
    else:
        found["schema"] = schema
    return found


PUSH_HEADERS = _option_headers(option_headers.PUSH_HEADERS, pushes.ITEM)
SCHEDULE_HEADERS = _option_headers(option_headers.SCHEDULE_HEADERS, schedule_requests.SCHEDULE)

IDEMPOTENCY_KEY = _parameter(
    "header",
    "Idempotency-Key",
    {
        "description": "Makes a repeat safe: for 24 hours the same request gets its first answer.",
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[ -~]*$",
    },
)
TRACEPARENT = _parameter(
    "header",
    "traceparent",
    {"description": "W3C trace context, passed on when it is valid.", "type": "string"},
)
