"""A delivery as the application's web server got it, its answer, and what a handler sees of it.

None of that knows a web framework: an integration makes a `Delivery` of its own request and sends
the `Reply`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from lambdaqueue import strict_json
from lambdaqueue.sdk.durations import Duration, moment
from lambdaqueue.sdk.errors import ConfigurationError

if TYPE_CHECKING:
    # Only those who call back need it, and what it needs.
    from lambdaqueue.sdk.execution import Execution
    from lambdaqueue.sdk.working import Working

__all__ = ["MAX_BODY", "METHODS", "NEVER", "Delivery", "Job", "Reply", "UnreadablePayload"]

METHODS = ("HEAD", "GET", "POST", "PUT", "PATCH", "DELETE")
"""What an endpoint may be called with: HEAD validates it, the others deliver."""

MAX_BODY = 1_048_576
"""Bytes of a delivery's body that are taken: four times what the server takes by default."""

NEVER = ("x-lq-retry", "never")
"""The header that ends the job at once."""

JSON, TEXT, BYTES = "application/json", "text/plain; charset=utf-8", "application/octet-stream"

Headers = tuple[tuple[str, str], ...]


class UnreadablePayload(ValueError):
    """Raised when a body isn't what its Content-Type says; the message names the broken rule."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to an endpoint: `headers` by lower-case name, `body` exactly as it was received.

    Use `Delivery.of` unless the names are lower-case already. Headers and body aren't shown: they
    are the application's own, and some are secrets.
    """

    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, method: str, headers: Iterable[tuple[str, str]], body: bytes) -> Delivery:
        """Return a delivery with `headers` in any case; one that comes twice is joined by ", "."""
        joined: dict[str, str] = {}
        for name, value in headers:
            lower = name.lower()
            joined[lower] = f"{joined[lower]}, {value}" if lower in joined else value
        return cls(method.upper(), joined, body)

    def payload(self) -> Any:
        """Return what the body says: JSON as its value, text as str, anything else as bytes.

        None when there is no body. JSON is taken as Python takes it, but for NaN and Infinity: a
        push that was accepted is not to fail here.

        Raises:
            UnreadablePayload
        """
        if not self.body:
            return None
        kind, charset = _media_type(self.headers.get("content-type", ""))
        if kind == JSON or kind.endswith("+json"):
            try:
                return json.loads(self.body, parse_constant=_no_number)
            except ValueError as error:
                raise UnreadablePayload(f"it isn't JSON: {error}") from error
            except RecursionError:
                raise UnreadablePayload("its JSON is nested too deeply") from None
        return _text(self.body, charset) if kind.startswith("text/") else self.body


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer; an integration adds Content-Length and nothing else.

    The answer to HEAD has no body. `headers` have names as they are usually written.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""

    @classmethod
    def of(cls, result: Any) -> Reply:
        """Return the answer that carries what a handler returned; None is 204, without a body.

        bytes and str go as they are, anything else as JSON.

        Raises:
            TypeError, ValueError: it can't be written as JSON (NaN can't either) or UTF-8.
        """
        if result is None:
            return cls(204)
        if isinstance(result, bytes | bytearray | memoryview):
            return cls(200, (("Content-Type", BYTES),), bytes(result))
        if isinstance(result, str):
            return cls(200, (("Content-Type", TEXT),), result.encode())
        try:
            return cls(200, (("Content-Type", JSON),), strict_json.dumps(result))
        except RecursionError:
            raise ValueError("it contains itself, or is nested too deeply") from None

    @classmethod
    def error(cls, status: int, message: str, *headers: tuple[str, str]) -> Reply:
        """Return the answer of `status` that says why, as `{"error": message}`."""
        body = json.dumps({"error": message}, separators=(",", ":")).encode()
        return cls(status, (("Content-Type", JSON), *headers), body)

    @classmethod
    def too_large(cls, limit: int = MAX_BODY) -> Reply:
        """Return the answer to a body of more than `limit` bytes: it won't be smaller next time."""
        return cls.error(413, f"a delivery has at most {limit} bytes here", NEVER)

    @classmethod
    def not_found(cls) -> Reply:
        """Return the answer for a path that has no handler."""
        return cls.error(404, "there is no handler at this path")

    @classmethod
    def wrong_method(cls) -> Reply:
        """Return the answer to a method that no delivery has."""
        allowed = ", ".join(METHODS)
        return cls.error(405, f"an endpoint takes {allowed}", ("Allow", allowed))

    def header(self, name: str) -> str | None:
        """Return the value of a header, None where there is none. For tests."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a handler knows of the job that it works on, beside the payload.

    `id` and `message_id` (`webhook-id`, the same on every attempt) are signed; everything else is
    from headers, which are not. `attempt` counts from 1. `scheduled_for` is when the job was due
    first. `schedule` is the key, or else the id, of what fired it. `headers` are all of the
    delivery, by lower-case name. `callbacks` is how a job is told of that ends by callbacks.

    A job that ends by callbacks (`is_async`) has begun when its handler returns, or with its first
    callback. From then on callbacks alone count: what the handler raises is told by `fail`, and
    neither the wait of RetryLater nor DoNotRetry means more than that.

    A test of a handler may make one by itself: `send_welcome({"name": "Al"}, Job(id="j1"))`.
    """

    id: str
    queue: str = ""
    key: str | None = None
    attempt: int = 1
    max_attempts: int = 1
    scheduled_for: datetime = field(default_factory=lambda: datetime.now(UTC))
    schedule: str | None = None
    event_type: str | None = None
    message_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    callbacks: Execution | None = field(default=None, repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str], callbacks: Execution | None = None) -> Job:
        """Read a verified delivery's `headers`, by lower-case name."""
        message_id = headers["webhook-id"]
        attempt = _count(headers.get("x-lq-attempt"))
        return cls(
            id=_signed_id(message_id, headers.get("x-lq-id", "")),
            queue=headers.get("x-lq-queue", ""),
            key=_decoded(headers.get("x-lq-key")),
            attempt=attempt,
            max_attempts=max(attempt, _count(headers.get("x-lq-max-attempts"))),
            scheduled_for=_due(headers),
            schedule=_decoded(headers.get("x-lq-schedule")),
            event_type=_decoded(headers.get("x-lq-event-type")),
            message_id=message_id,
            headers=headers,
            callbacks=callbacks,
        )

    @property
    def is_last_attempt(self) -> bool:
        """True when no retry would follow, should this attempt fail."""
        return self.attempt >= self.max_attempts

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context that the push carried."""
        return self.headers.get("traceparent")

    @property
    def is_async(self) -> bool:
        """True when a callback ends the job: a service job, or an item pushed as async."""
        return self.callbacks is not None

    @property
    def execution(self) -> Execution:
        """How to tell LambdaQueue of a job that ends by a callback.

        Raises:
            ConfigurationError: what the handler returns ends this one.
        """
        if self.callbacks is None:
            raise ConfigurationError(
                "this job ends with its handler: only a service job, or an item that is pushed "
                "as async, takes callbacks"
            )
        return self.callbacks

    def heartbeat(self, progress: float | None = None, *, extend: Duration | None = None) -> bool:
        """Tell that the work goes on; see `Execution.heartbeat`."""
        return self.execution.heartbeat(progress, extend=extend)

    def succeed(
        self, *, summary: str | None = None, state: Any = None, correlation_id: str | None = None
    ) -> None:
        """Tell that the work is done; see `Execution.succeed`."""
        self.execution.succeed(summary=summary, state=state, correlation_id=correlation_id)

    def fail(
        self,
        error: str | Mapping[str, Any] | BaseException | None = None,
        *,
        summary: str | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Tell that the work failed; see `Execution.fail`."""
        self.execution.fail(error, summary=summary, correlation_id=correlation_id)

    def working(self) -> Working:
        """Send heartbeats beside the work until the block ends; see `Execution.working`."""
        return self.execution.working()


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _media_type(content_type: str) -> tuple[str, str]:
    """Return the type without its parameters, and the charset."""
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() == "charset":
            return kind.lower(), value.strip('"') or "utf-8"
    return kind.lower(), "utf-8"


def _text(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except LookupError:
        raise UnreadablePayload(f"the charset {charset[:40]!a} isn't known here") from None
    except ValueError as error:
        raise UnreadablePayload(f"the text isn't {charset[:40]!a}") from error


def _signed_id(message_id: str, told: str) -> str:
    """Return the job's id: what is told of it counts only if the signed one agrees."""
    return told if told and message_id.startswith(f"{told}_") else message_id


def _count(text: str | None) -> int:
    return int(text) if text and len(text) < 10 and text.isascii() and text.isdigit() else 1


def _decoded(value: str | None) -> str | None:
    return None if value is None else unquote(value)


def _due(headers: Mapping[str, str]) -> datetime:
    """Return when the job was due first; without that, when this attempt was signed."""
    try:
        return moment(headers.get("x-lq-scheduled-for", ""))
    except ValueError:
        return datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
