"""Options in `x-lq-` headers: from a header's text to the JSON value that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from flask import request

from api.idempotency import OURS
from lambdaqueue import strict_json
from lambdaqueue.errors import InvalidRequest, Issue, UnreadableRequest

__all__ = ["OptionHeaders", "Written", "given_headers"]

Written = Literal["text", "number", "json", "none or json"]

NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class OptionHeaders:
    """The headers of one kind of request.

    `fields` names for each, as WSGI spells it, the field of the schema and how it is written;
    `of` says what they belong to.
    """

    fields: Mapping[str, tuple[str, Written]]
    of: str

    def field(self, name: str) -> str:
        """Return the field that the header `name` stands for; raises InvalidRequest."""
        if name not in self.fields:
            raise InvalidRequest([Issue((), "unknown_header", f"is no header of {self.of}")])
        return self.fields[name][0]

    def value(self, name: str, text: str) -> Any:
        """Return the JSON value that a header's text stands for.

        What doesn't fit, the schema refuses.

        Raises:
            UnreadableRequest: it is not UTF-8.
            InvalidRequest: it is not JSON where it has to be.
        """
        text = _decoded(name, text)
        written = self.fields[name][1]
        if written == "number":
            return int(text) if NUMBER.fullmatch(text) else text
        if written == "text" or (written == "none or json" and text == "none"):
            return text
        return _parsed(text)

    def values(self, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return the fields that headers stand for; raises as `field` and `value`."""
        values: dict[str, Any] = {}
        issues: list[Issue] = []
        for name, text in given:
            try:
                field = self.field(name)
                values[field] = self.value(name, text)
            except InvalidRequest as error:
                issues.extend(issue.at(_shown(name)) for issue in error.issues)
        if issues:
            raise InvalidRequest(issues)
        return values

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the headers where the schema and the service name their fields."""
        try:
            yield
        except InvalidRequest as error:
            raise InvalidRequest([self._in_header(issue) for issue in error.issues]) from error

    def _in_header(self, issue: Issue) -> Issue:
        """Return the issue with the header's name in place of the field's."""
        for name, (field, _) in self.fields.items():
            if issue.path[:1] == (field,):
                return Issue((_shown(name), *issue.path[1:]), issue.code, issue.message)
        return issue


def given_headers() -> list[tuple[str, str]]:
    """Return the request's `x-lq-` headers, named as WSGI does."""
    environ = request.environ
    return [(name, environ[name]) for name in environ if name.startswith(OURS)]


def _parsed(text: str) -> Any:
    try:
        return strict_json.parse(text.encode())
    except UnreadableRequest as error:
        raise InvalidRequest([Issue((), error.code, str(error))]) from error


def _decoded(name: str, value: str) -> str:
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError as error:
        raise UnreadableRequest("bad_header", f"{_shown(name)} is not valid UTF-8.") from error


def _shown(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").lower()
