"""A request to the in-memory server, read as the server's web side does (`api/bodies.py`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from lambdaqueue import strict_json
from lambdaqueue.errors import InvalidRequest, Issue, UnreadableRequest
from lambdaqueue.media_types import MEDIA_TYPE, is_json
from lambdaqueue.sdk.transport import Request
from lambdaqueue.testing.problems import Refused
from lambdaqueue.testing.rules import Schema, loaded

__all__ = ["MAX_BATCH", "MAX_PAYLOAD", "Call", "OptionHeaders", "Written"]

MAX_PAYLOAD = 262_144
MAX_BATCH = 8_388_608

OURS = "x-lq-"

Written = Literal["text", "number", "json", "none or json"]

NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request: `path` is decoded, header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, request: Request) -> Call:
        """Read what a client sends."""
        url = urlsplit(request.url)
        return cls(
            method=request.method,
            path=unquote(url.path),
            query=parse_qs(url.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in request.headers},
            body=request.body or b"",
        )

    @property
    def fingerprint(self) -> str:
        """Tell one request from another, for an Idempotency-Key."""
        meant = [self.headers.get("content-type", "")]
        meant += sorted(
            f"{name}:{self.headers[name]}" for name in self.headers if name.startswith(OURS)
        )
        head = strict_json.dumps([self.method, self.path, meant])
        return hashlib.sha256(head + b"\n" + self.body).hexdigest()

    def content_type(self) -> str:
        """Return the body's Content-Type; raises Refused without a proper one."""
        if self.headers.get("content-encoding"):
            raise Refused(415, "A body with Content-Encoding is not taken.")
        given = self.headers.get("content-type", "")
        if not MEDIA_TYPE.fullmatch(given):
            raise Refused(415, "A Content-Type like application/json is needed.")
        return given

    def payload(self, limit: int = MAX_PAYLOAD) -> bytes:
        """Return the body; raises Refused when it's too large."""
        if len(self.body) > limit:
            raise Refused(413, f"The body has more than {limit} bytes.")
        return self.body

    def object(self, limit: int = MAX_BATCH) -> dict[str, Any]:
        """Return the JSON object in the body; raises as `strict_json.parse_object`, and Refused."""
        if not is_json(self.content_type()):
            raise Refused(415, "The body must be application/json.")
        return strict_json.parse_object(self.payload(limit))

    def optional_object(self, limit: int = MAX_BATCH) -> dict[str, Any]:
        """Return the JSON object in the body, an empty one where there is neither body nor type."""
        if not self.headers.get("content-type") and not self.body:
            return {}
        return self.object(limit)

    def asked(self, schema: Schema) -> dict[str, Any]:
        """Return the query's parameters that `schema` declares; raises InvalidRequest."""
        given = {name: self.query[name] for name in schema if name in self.query}
        twice = [name for name, values in given.items() if len(values) > 1]
        if twice:
            raise InvalidRequest([Issue((name,), "duplicate", "is given twice") for name in twice])
        return loaded(schema, {name: values[0] for name, values in given.items()})


@dataclass(frozen=True, slots=True)
class OptionHeaders:
    """The `x-lq-` headers of one kind of request: for each (without `x-lq-`) the field in JSON, and
    how it's written. `of` says what they belong to."""

    fields: Mapping[str, tuple[str, Written]]
    of: str

    def values(self, call: Call) -> dict[str, Any]:
        """Return the fields that a request's headers stand for.

        Raises:
            InvalidRequest: one is unknown, or not JSON where it has to be.
        """
        values: dict[str, Any] = {}
        issues: list[Issue] = []
        for header, text in call.headers.items():
            if not header.startswith(OURS):
                continue
            known = self.fields.get(header.removeprefix(OURS))
            if known is None:
                issues.append(Issue((header,), "unknown_header", f"is no header of {self.of}"))
                continue
            try:
                values[known[0]] = _value(text, known[1])
            except InvalidRequest as error:
                issues += [issue.at(header) for issue in error.issues]
        if issues:
            raise InvalidRequest(issues)
        return values

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the headers where the rules name their fields."""
        try:
            yield
        except InvalidRequest as error:
            raise InvalidRequest([self._in_header(issue) for issue in error.issues]) from error

    def _in_header(self, issue: Issue) -> Issue:
        for header, (name, _) in self.fields.items():
            if issue.path[:1] == (name,):
                return Issue((OURS + header, *issue.path[1:]), issue.code, issue.message)
        return issue


def _value(text: str, written: Written) -> Any:
    if written == "number":
        return int(text) if NUMBER.fullmatch(text) else text
    if written == "text" or (written == "none or json" and text == "none"):
        return text
    try:
        return strict_json.parse(text.encode())
    except UnreadableRequest as error:
        raise InvalidRequest([Issue((), error.code, str(error))]) from error
