"""What the API answers with, as values. What a newer server adds is in `raw` and nowhere else.

Times are datetimes in UTC, durations timedeltas; what the answer hasn't is None.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from lambdaqueue import strict_json
from lambdaqueue.media_types import is_json
from lambdaqueue.sdk.durations import moment
from lambdaqueue.sdk.options import FollowUp

__all__ = ["Attempt", "Callback", "Entry", "Item", "Result", "Schedule", "Target", "time_of"]

Json = Mapping[str, Any]

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Target:
    """What is called."""

    url: str
    method: str

    @classmethod
    def read(cls, raw: Json | None) -> Target | None:
        """Read the API's JSON."""
        if not raw or "url" not in raw:
            return None
        return cls(str(raw["url"]), str(raw.get("method", "POST")))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP call. `status` is None where no answer came, `error` where it was good."""

    number: int
    started_at: datetime | None
    duration: timedelta
    status: int | None
    error: str | None

    @classmethod
    def read(cls, raw: Json) -> Attempt:
        """Read the API's JSON."""
        return cls(
            number=int(raw.get("attempt", 0)),
            started_at=time_of(raw, "startedAt"),
            duration=timedelta(milliseconds=raw.get("durationMs") or 0),
            status=raw.get("status"),
            error=raw.get("error"),
        )


@dataclass(frozen=True, slots=True)
class Result:
    """The last answer of the target: its first bytes, `truncated` if there were more."""

    status: int
    content_type: str | None
    body: bytes
    truncated: bool

    @classmethod
    def read(cls, raw: Json | None) -> Result | None:
        """Read the API's JSON."""
        if not raw:
            return None
        text = raw.get("body") or ""
        return cls(
            status=int(raw.get("status", 0)),
            content_type=raw.get("contentType"),
            body=base64.b64decode(text) if raw.get("bodyEncoding") == "base64" else text.encode(),
            truncated=bool(raw.get("truncated")),
        )

    @property
    def text(self) -> str:
        """The body as text; what isn't UTF-8 is replaced."""
        return self.body.decode(errors="replace")

    @property
    def value(self) -> Any:
        """What the handler returned: JSON where it is JSON, None where it's empty, else text or
        bytes.

        Raises:
            UnreadableRequest: it was cut off, or isn't the JSON that it says it is.
        """
        if not self.body:
            return None
        kind = self.content_type or ""
        if is_json(kind):
            return strict_json.parse(self.body)
        return self.text if kind.startswith("text/") else self.body


@dataclass(frozen=True, slots=True)
class Callback:
    """What the service said at the end of an async item."""

    status: str
    summary: str | None
    state: Any
    error: Any
    correlation_id: str | None

    @classmethod
    def read(cls, raw: Json | None) -> Callback | None:
        """Read the API's JSON."""
        if not raw:
            return None
        return cls(
            status=str(raw.get("status", "")),
            summary=raw.get("summary"),
            state=raw.get("state"),
            error=raw.get("error"),
            correlation_id=raw.get("correlationId"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A job in a queue. `state` is PENDING, RUNNING, RETRY, COMPLETED, FAILED or CANCELLED.

    `payload` is what was pushed, or None where it isn't kept: of COMPLETED items. `pending` says
    that an older version runs. `error` is `<class>: <text>`. `on_success` and `on_failure` are
    follow-ups of its own, not its queue's.
    """

    id: str
    queue: str
    state: str
    key: str | None = None
    created: datetime | None = None
    target: Target | None = None
    version: int = 1
    pending: bool = False
    attempt: int = 0
    max_attempts: int = 1
    priority: int = 0
    due_at: datetime | None = None
    payload: Any = None
    content_type: str | None = None
    flow_key: str | None = None
    schedule_id: str | None = None
    replay_of: str | None = None
    progress: float | None = None
    error: str | None = None
    last_attempt: Attempt | None = None
    on_success: FollowUp | Literal["none"] | None = None
    on_failure: FollowUp | Literal["none"] | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, raw: Json) -> Item:
        """Read the API's JSON."""
        return cls(**_item(raw))

    @property
    def ended(self) -> bool:
        """True when no attempt will follow."""
        return self.state in ENDED

    @property
    def succeeded(self) -> bool:
        """True when it has ended well."""
        return self.state == "COMPLETED"

    @property
    def entry(self) -> Entry | None:
        """What is in history, where it had ended when it was asked for."""
        return Entry.read(self.raw) if "entry" in self.raw else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Item):
    """An item that has ended, as history keeps it. `entry_id` is what `replay` takes."""

    entry_id: str = ""
    ended_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    result: Result | None = None
    callback: Callback | None = None

    @classmethod
    def read(cls, raw: Json) -> Entry:
        """Read the API's JSON."""
        return cls(
            **_item(raw),
            entry_id=str(raw.get("entry", "")),
            ended_at=time_of(raw, "endedAt"),
            attempts=tuple(map(Attempt.read, raw.get("attempts") or ())),
            result=Result.read(raw.get("result")),
            callback=Callback.read(raw.get("callback")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What pushes items by the clock. Without `next_run` no further one comes, or it's paused."""

    id: str
    queue: str
    schedule: str
    timezone: str = "UTC"
    key: str | None = None
    created: datetime | None = None
    paused: bool = False
    next_run: datetime | None = None
    last_run: datetime | None = None
    target: Target | None = None
    payload: Any = None
    on_success: FollowUp | Literal["none"] | None = None
    on_failure: FollowUp | Literal["none"] | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, raw: Json) -> Schedule:
        """Read the API's JSON."""
        return cls(
            id=str(raw["id"]),
            queue=str(raw.get("queue", "")),
            schedule=str(raw.get("schedule", "")),
            timezone=str(raw.get("timezone", "UTC")),
            key=raw.get("key"),
            created=time_of(raw, "created"),
            paused=bool(raw.get("paused")),
            next_run=time_of(raw, "nextRun"),
            last_run=time_of(raw, "lastRun"),
            target=Target.read(raw.get("target")),
            payload=_payload(raw),
            on_success=raw.get("onSuccess"),
            on_failure=raw.get("onFailure"),
            raw=raw,
        )


def _item(raw: Json) -> dict[str, Any]:
    last = raw.get("lastAttempt")
    return {
        "id": str(raw["id"]),
        "queue": str(raw.get("queue", "")),
        "state": str(raw.get("state", "")),
        "key": raw.get("key"),
        "created": time_of(raw, "created"),
        "target": Target.read(raw.get("target")),
        "version": int(raw.get("version", 1)),
        "pending": bool(raw.get("pending")),
        "attempt": int(raw.get("attempt", 0)),
        "max_attempts": int(raw.get("maxAttempts", 1)),
        "priority": int(raw.get("priority", 0)),
        "due_at": time_of(raw, "dueAt"),
        "payload": _payload(raw),
        "content_type": raw.get("payloadType"),
        "flow_key": raw.get("flowKey"),
        "schedule_id": raw.get("scheduleId"),
        "replay_of": raw.get("replayOf"),
        "progress": raw.get("progress"),
        "error": raw.get("error"),
        "last_attempt": Attempt.read(last) if last else None,
        "on_success": raw.get("onSuccess"),
        "on_failure": raw.get("onFailure"),
        "raw": raw,
    }


def _payload(raw: Json) -> Any:
    payload = raw.get("payload")
    if raw.get("payloadEncoding") == "base64" and isinstance(payload, str):
        return base64.b64decode(payload)
    return payload


def time_of(raw: Json, name: str) -> datetime | None:
    """Return the instant that the API's JSON has under `name`."""
    text = raw.get(name)
    return moment(text) if isinstance(text, str) else None
