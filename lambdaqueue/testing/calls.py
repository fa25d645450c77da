"""A request to the in-memory server, read as the server's web side does (`api/bodies.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lambdaqueue import strict_json
from lambdaqueue.commands import MAX_BATCH, MAX_PAYLOAD
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.media_types import MEDIA_TYPE, is_json
from lambdaqueue.reading.option_headers import OURS
from lambdaqueue.reading.orders import valid_traceparent
from lambdaqueue.sdk.transport import Request
from lambdaqueue.testing.loading import Schema, loaded
from lambdaqueue.testing.problems import Refused

__all__ = ["Call"]


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
        meant += sorted(f"{name}:{text}" for name, text in self.options())
        head = strict_json.dumps([self.method, self.path, meant])
        return hashlib.sha256(head + b"\n" + self.body).hexdigest()

    @property
    def traceparent(self) -> str | None:
        """The request's W3C trace context, None where there is no valid one."""
        return valid_traceparent(self.headers.get("traceparent", ""))

    def options(self) -> Iterator[tuple[str, str]]:
        """Yield the headers that are ours."""
        return (pair for pair in self.headers.items() if pair[0].startswith(OURS))

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
