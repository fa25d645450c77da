"""What an application has pushed, and how a test says what it should have been."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, Unpack

from lambdaqueue.sdk.delivery import Delivery
from lambdaqueue.sdk.durations import Duration, milliseconds
from lambdaqueue.sdk.payloads import encoded
from lambdaqueue.testing.world import Ordered

__all__ = ["Expected", "Pushed", "differences", "listed"]

SHOWN = 20
"""How many pushes a failed assertion lists."""

LONGEST = 200
"""Characters of a payload that it shows."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One push as the application ordered it.

    `payload` is decoded as a handler gets it, `body` the bytes. `delay` is from the push to the
    due time, `id` that of the item.
    """

    queue: str
    payload: Any
    key: str | None
    delay: timedelta
    due_at: datetime
    target: str | None
    event_type: str | None
    flow_key: str | None
    priority: int
    id: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content_type: str = "application/json"
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, ordered: Ordered) -> Pushed:
        """Read what the in-memory server has noted."""
        push, job = ordered.push, ordered.pushed.job
        spec = push.spec
        due = max(ordered.at, push.on) if push.on is not None else ordered.at + (push.delay or 0)
        typed = Delivery.of("POST", [("content-type", spec.content_type)], spec.payload)
        return cls(
            queue=job.queue,
            payload=typed.payload(),
            key=push.key,
            delay=timedelta(milliseconds=due - ordered.at),
            due_at=datetime.fromtimestamp(due // 1_000, UTC) + timedelta(milliseconds=due % 1_000),
            target=spec.target,
            event_type=spec.event_type,
            flow_key=spec.flow_key,
            priority=push.priority,
            id=job.id,
            headers=spec.headers,
            content_type=spec.content_type,
            body=spec.payload,
        )


class Expected(TypedDict, total=False):
    """What a push is expected to be; what isn't named may be anything.

    `headers` are those that it must have, perhaps among others.
    """

    payload: Any
    key: str | None
    delay: Duration
    on: datetime
    target: str
    headers: Mapping[str, str]
    event_type: str | None
    flow_key: str | None
    priority: int


def differences(pushed: Pushed, **expected: Unpack[Expected]) -> list[str]:
    """Return the names of what isn't as expected.

    Raises:
        TypeError: a name is none that can be expected.
        ValueError: a delay is no duration.
    """
    unknown = expected.keys() - Expected.__annotations__.keys()
    if unknown:
        known = ", ".join(Expected.__annotations__)
        raise TypeError(f"{', '.join(sorted(unknown))} can't be expected of a push, only {known}")
    return [name for name, value in expected.items() if not _is(pushed, name, value)]


def listed(queue: str | None, pushes: list[Pushed]) -> str:
    """Return text that lists pushes, for who wonders what happened instead."""
    where = "" if queue is None else f" to {queue}"
    if not pushes:
        return f"nothing was pushed{where}"
    lines = [f"  {_shown(each)}" for each in pushes[:SHOWN]]
    if len(pushes) > SHOWN:
        lines.append(f"  … and {len(pushes) - SHOWN} more")
    return "\n".join([f"pushed{where}:", *lines])


def _is(pushed: Pushed, name: str, value: Any) -> bool:
    if name == "payload":
        return _same_payload(pushed, value)
    if name == "delay":
        return pushed.delay == timedelta(milliseconds=milliseconds(value))
    if name == "on":
        return bool(pushed.due_at == value)
    if name == "headers":
        return dict(value).items() <= dict(pushed.headers).items()
    return bool(getattr(pushed, name) == value)


def _same_payload(pushed: Pushed, value: Any) -> bool:
    """Compare as JSON does: a tuple is a list there, and a key always text."""
    if isinstance(value, bytes):
        return pushed.body == value
    if pushed.payload == value:
        return True
    try:
        body, _ = encoded(value)
    except (TypeError, ValueError):
        return False  # No payload could be equal to what JSON doesn't have.
    return bool(pushed.payload == json.loads(body))


def _shown(pushed: Pushed) -> str:
    payload = repr(pushed.payload)
    cut = payload if len(payload) <= LONGEST else f"{payload[:LONGEST]}…"
    more = [] if pushed.key is None else [f"key={pushed.key!r}"]
    more += [f"delay={str(pushed.delay)!r}"] if pushed.delay else []
    return ", ".join([f"{pushed.queue}: {cut}", *more])
