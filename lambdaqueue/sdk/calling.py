"""One call of the HTTP API: JSON or bytes in, JSON out, repeated where that is safe.

Repeated are GET, PUT and DELETE, and what carries an Idempotency-Key: after no answer, 429, 502,
503 and 504. A repeat is the same request to the letter, with the same key. Between two of them are
pauses that double, with chance in them; a `Retry-After` counts before these, and one that is
longer than anybody wants to wait ends it at once. A DELETE that was repeated and finds nothing has
done it before: its answer has no JSON.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlencode

from lambdaqueue import __version__
from lambdaqueue.sdk.answers import error_of, parsed
from lambdaqueue.sdk.errors import (
    ApiError,
    Conflict,
    NotFound,
    TooManyRequests,
    Unavailable,
    Unreachable,
)
from lambdaqueue.sdk.payloads import JSON_TYPE, dumps
from lambdaqueue.sdk.transport import Request, Transport

__all__ = ["Answer", "Api", "Patience", "Query", "path_of"]

SAFE = frozenset({"GET", "PUT", "DELETE"})

USER_AGENT = f"LambdaQueue-Python/{__version__}"

Query = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is repeated, and how long the pauses are; times in seconds.

    `longest` is also the longest `Retry-After` that is waited for.
    """

    retries: int = 3
    first: float = 0.25
    longest: float = 10.0

    def pause(self, tries: int, error: ApiError, chance: float) -> float | None:
        """Return the pause after `tries` calls, the last of which came to `error`.

        `chance` is from 0 to 1. None: give up.
        """
        if tries > self.retries:
            return None
        backoff = min(self.longest, self.first * 2.0 ** (tries - 1)) * (0.5 + chance / 2)
        if error.retry_after is None:
            return backoff
        return None if error.retry_after > self.longest else max(error.retry_after, backoff)


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its status, its JSON (None where it has no body), its lower-case headers."""

    status: int
    json: Any
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """What `Api.call` was asked for."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = field(repr=False)
    timeout: float
    safe: bool
    keyed: bool


class Api:
    """Calls the API at `origin` with `token`, which is never shown.

    `timeout` is in seconds and holds for each try. Thread-safe if `transport` is.
    """

    def __init__(
        self,
        origin: str,
        token: str,
        transport: Transport,
        *,
        timeout: float = 10.0,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.origin = origin
        self.transport = transport
        self._token = token
        self._timeout = timeout
        self._patience = Patience() if patience is None else patience
        self._sleep = sleep
        self._chance = chance

    def __repr__(self) -> str:
        return f"Api({self.origin!r})"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
        json: Any = None,
        idempotency_key: str | None = None,
        repeatable: bool = False,
        longer: float = 0.0,
    ) -> Answer:
        """Send a request to `path` (below /api/v1); return the good answer.

        `json` is sent as JSON in place of `body`. With `idempotency_key` a POST is repeated, too;
        "" makes a new key; `repeatable` says that it needs none, because twice is once. The answer
        may take `longer` s more than usual.

        Raises:
            ApiError: the one of its subclasses that says what to do.
            ValueError: a header has a value that can't be sent.
        """
        data = dumps(json) if json is not None else body
        key = token_hex(16) if idempotency_key == "" else idempotency_key
        head = [("User-Agent", USER_AGENT)]
        if data is not None:
            head.append(("Content-Type", content_type))
        if key is not None:
            head.append(("Idempotency-Key", key))
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        asked = "?" + urlencode(given) if given else ""
        return self._repeated(
            Call(
                method=method,
                url=f"{self.origin}/api/v1{path}{asked}",
                headers=(*head, *(headers or {}).items()),
                body=data,
                timeout=self._timeout + longer,
                safe=repeatable or method in SAFE or key is not None,
                keyed=key is not None,
            )
        )

    def get(self, path: str, query: Query | None = None) -> Any:
        """GET the JSON at `path`; raises as `call`."""
        return self.call("GET", path, query=query).json

    def pages(self, path: str, plural: str, query: Query | None = None) -> Iterator[Any]:
        """Yield what a list has, page after page; raises as `call`."""
        cursor = None
        while True:
            page = self.get(path, {**(query or {}), "cursor": cursor})
            yield from page[plural]
            cursor = page.get("nextCursor")
            if cursor is None:
                return

    def _repeated(self, call: Call) -> Answer:
        tries, unanswered = 0, False
        while True:
            tries += 1
            try:
                return self._once(call)
            except ApiError as error:
                if _has_deleted(call, error, unanswered):
                    return Answer(204, None)
                if not _worth_repeating(call, error, unanswered):
                    raise
                pause = self._patience.pause(tries, error, self._chance())
                if pause is None:
                    raise
                unanswered = unanswered or not isinstance(error, TooManyRequests)
            self._sleep(pause)

    def _once(self, call: Call) -> Answer:
        # In no variable: reporters of errors show those of every frame.
        response = self.transport.send(
            Request(
                call.method,
                call.url,
                (("Authorization", f"Bearer {self._token}"), *call.headers),
                call.body,
                call.timeout,
            )
        )
        answer = parsed(response, self.origin)
        if not 200 <= response.status <= 299:
            raise error_of(response, answer)
        return Answer(response.status, answer, response.headers)


def path_of(*parts: str) -> str:
    """Return a path of these parts, each percent-encoded; a queue's slash as well.

    Raises:
        ValueError: a part is empty, "." or "..", which HTTP clients take out of a path.
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{part!r} can't be a part of a path")
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _has_deleted(call: Call, error: ApiError, unanswered: bool) -> bool:
    """Tell whether it's gone because the try before, whose answer was lost, has deleted it."""
    return call.method == "DELETE" and unanswered and isinstance(error, NotFound)


def _worth_repeating(call: Call, error: ApiError, unanswered: bool) -> bool:
    if isinstance(error, TooManyRequests):
        return True  # It wasn't carried out.
    if isinstance(error, Conflict):
        # The try before, which got no answer, is still being carried out.
        return call.keyed and unanswered
    return call.safe and isinstance(error, Unreachable | Unavailable)
