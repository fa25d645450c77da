"""Options in `x-lq-` headers: from a header's text to the JSON value that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from lambdaqueue import strict_json
from lambdaqueue.errors import InvalidRequest, Issue, UnreadableRequest

__all__ = [
    "OURS",
    "PUSH_HEADERS",
    "SCHEDULE_HEADERS",
    "OptionHeaders",
    "Written",
    "check_idempotency_key",
]

OURS = "x-lq-"
"""How the names of our headers begin."""

Written = Literal["text", "number", "json", "none or json"]

NUMBER = re.compile(r"[0-9]{1,18}")
IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")


@dataclass(frozen=True, slots=True)
class OptionHeaders:
    """The headers of one kind of request.

    `fields` names for each (in lower case) the field in JSON and how it is written; `of` says what
    they belong to.
    """

    fields: Mapping[str, tuple[str, Written]]
    of: str

    def values(self, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return the fields that headers (in lower case) stand for.

        What doesn't fit, the fields' rules refuse.

        Raises:
            InvalidRequest: one is unknown, or not JSON where it has to be; paths name the header.
        """
        values: dict[str, Any] = {}
        issues: list[Issue] = []
        for header, text in given:
            known = self.fields.get(header)
            if known is None:
                issues.append(Issue((header,), "unknown_header", f"is no header of {self.of}"))
                continue
            field, written = known
            try:
                values[field] = _value(text, written)
            except InvalidRequest as error:
                issues.extend(issue.at(header) for issue in error.issues)
        if issues:
            raise InvalidRequest(issues)
        return values

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the headers where rules and the service name their fields."""
        try:
            yield
        except InvalidRequest as error:
            raise self.naming(error) from error

    def naming(self, error: InvalidRequest) -> InvalidRequest:
        """Return the error with the headers' names in place of the fields'."""
        return InvalidRequest([self._in_header(issue) for issue in error.issues])

    def _in_header(self, issue: Issue) -> Issue:
        """Return the issue with the header's name in place of the field's."""
        for header, (field, _) in self.fields.items():
            if issue.path[:1] == (field,):
                return Issue((header, *issue.path[1:]), issue.code, issue.message)
        return issue


def check_idempotency_key(key: str) -> str:
    """Return an Idempotency-Key unchanged if it can be one; raises InvalidRequest."""
    if IDEMPOTENCY_KEY.fullmatch(key):
        return key
    rule = "must have 1 to 255 printable ASCII characters"
    raise InvalidRequest.of("Idempotency-Key", "bad_length", rule)


def _value(text: str, written: Written) -> Any:
    if written == "number":
        return int(text) if NUMBER.fullmatch(text) else text
    if written == "text" or (written == "none or json" and text == "none"):
        return text
    try:
        return strict_json.parse(text.encode())
    except UnreadableRequest as error:
        raise InvalidRequest([Issue((), error.code, str(error))]) from error


_DELIVERY: Mapping[str, tuple[str, Written]] = {
    "x-lq-target": ("target", "text"),
    "x-lq-method": ("method", "text"),
    "x-lq-key": ("key", "text"),
    "x-lq-headers": ("headers", "json"),
    "x-lq-retry": ("retry", "json"),
    "x-lq-timeout": ("timeout", "number"),
    "x-lq-max-age": ("maxAge", "number"),
    "x-lq-priority": ("priority", "number"),
    "x-lq-event-type": ("eventType", "text"),
    "x-lq-flow-key": ("flowKey", "text"),
    "x-lq-async": ("async", "number"),
    "x-lq-heartbeat": ("heartbeat", "number"),
    "x-lq-on-success": ("onSuccess", "none or json"),
    "x-lq-on-failure": ("onFailure", "none or json"),
}
"""What a push has in common with everything else that says what to deliver and how."""

PUSH_HEADERS = OptionHeaders(
    {
        **_DELIVERY,
        "x-lq-delay": ("delay", "number"),
        "x-lq-on": ("on", "text"),
        "x-lq-if-exists": ("ifExists", "text"),
    },
    "a push",
)

SCHEDULE_HEADERS = OptionHeaders(
    {
        **_DELIVERY,
        "x-lq-queue": ("queue", "text"),
        "x-lq-schedule": ("schedule", "text"),
        "x-lq-tz": ("timezone", "text"),
        "x-lq-starts-at": ("startsAt", "text"),
        "x-lq-ends-at": ("endsAt", "text"),
        "x-lq-max-runs": ("maxRuns", "number"),
        "x-lq-jitter": ("jitter", "number"),
        "x-lq-misfire": ("misfire", "text"),
        "x-lq-overlap": ("overlap", "text"),
    },
    "a schedule",
)
