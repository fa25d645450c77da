"""The spec: what is to be delivered and how, as the user asked for it, and its stored form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lambdaqueue.execution import ServiceRun, Terms
from lambdaqueue.retry import RetryPolicy

__all__ = ["DEFAULT_CONTENT_TYPE", "ENCODE", "FollowUp", "Message", "Spec"]

ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""`json.dumps` with these options would build an encoder for each call."""

DEFAULT_CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """What makes a job a direct message (see `messages.py`): the name in its headers, and the
    number of the attempt that it begins with."""

    name: str
    first: int = 1


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A job that is pushed when another has ended: into which queue, to which URL, and whether its
    body is a report for programs or a line for people."""

    queue: str
    target: str
    format: Literal["json", "slack"] = "json"

    def pack(self) -> str:
        """Return what `follow_ups.lua` reads; neither a queue's name nor a URL has spaces."""
        return f"{self.queue} {self.format} {self.target}"

    @classmethod
    def unpack(cls, stored: str) -> FollowUp:
        """Rebuild what `pack` wrote."""
        queue, form, target = stored.split(" ", 2)
        return cls(queue, target, "slack" if form == "slack" else "json")

    def to_json(self) -> dict[str, str]:
        """Return it as users write it."""
        return {"queue": self.queue, "target": self.target, "format": self.format}


@dataclass(frozen=True, slots=True)
class Spec:
    """What to deliver and how; options that are None are the queue's or the environment's.

    `timeout` and `max_age` are milliseconds. `payload` is sent exactly as it is. With `terms` the
    endpoint ends the job by a callback; with `service` it's the execution of a service job, whose
    payload stands inside the body that is sent. `replay_of` is the id of the ended job that this
    one repeats. With "none" it has no follow-up, whatever its queue's is.
    """

    payload: bytes = b""
    content_type: str = DEFAULT_CONTENT_TYPE
    target: str | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: int | None = None
    max_age: int | None = None
    event_type: str | None = None
    traceparent: str | None = None
    schedule_id: str | None = None
    schedule_key: str | None = None
    message: Message | None = None
    terms: Terms | None = None
    service: ServiceRun | None = None
    replay_of: str | None = None
    flow_key: str | None = None
    on_success: FollowUp | Literal["none"] | None = None
    on_failure: FollowUp | Literal["none"] | None = None

    @property
    def flow(self) -> str:
        """What names its lane within the queue: a digest of the flow key, "" without one."""
        if self.flow_key is None:
            return ""
        return hashlib.sha256(self.flow_key.encode()).hexdigest()[:16]

    @property
    def skipped(self) -> int:
        """Attempts that others made before: the store's numbers are less by so many."""
        return 0 if self.message is None else self.message.first - 1

    def pack(self) -> bytes:
        """Return the stored form: one line of JSON with the options that are given, then the
        payload. (JSON has no raw line feed, so the first one ends the options.)"""
        options: dict[str, Any] = {}
        if self.on_success is not None or self.on_failure is not None:
            # It stands first, so that `follow_ups.lua` sees at once whether there is any.
            options["follow"] = {
                state: "" if wanted == "none" else wanted.pack()
                for state, wanted in (("COMPLETED", self.on_success), ("FAILED", self.on_failure))
                if wanted is not None
            }
        if self.content_type != DEFAULT_CONTENT_TYPE:
            options["contentType"] = self.content_type
        if self.method != "POST":
            options["method"] = self.method
        if self.retry is not None:
            options["retry"] = self.retry.to_json()
        if self.terms is not None:
            options["terms"] = [self.terms.ttl, self.terms.heartbeat]
        if self.service is not None:
            run = self.service
            options["service"] = [run.service, run.job, run.schedule, *([1] if run.test else [])]
        for name, value in (
            ("target", self.target),
            ("headers", dict(self.headers) or None),
            ("timeout", self.timeout),
            ("maxAge", self.max_age),
            ("eventType", self.event_type),
            ("traceparent", self.traceparent),
            ("scheduleId", self.schedule_id),
            ("scheduleKey", self.schedule_key),
            ("flowKey", self.flow_key),
            ("replayOf", self.replay_of),
            ("message", self.message and [self.message.name, self.message.first]),
        ):
            if value is not None:
                options[name] = value
        head = ENCODE(options) if options else ""
        return head.encode() + b"\n" + self.payload

    @classmethod
    def unpack(cls, stored: bytes) -> Spec:
        """Rebuild what `pack` wrote; the payload may have been left out."""
        head, _, payload = stored.partition(b"\n")
        if not head:
            return cls(payload)
        options = json.loads(head)
        retry, message = options.get("retry"), options.get("message")
        terms, service = options.get("terms"), options.get("service")
        follow = options.get("follow")
        return cls(
            payload=payload,
            content_type=options.get("contentType", DEFAULT_CONTENT_TYPE),
            target=options.get("target"),
            method=options.get("method", "POST"),
            headers=options.get("headers", {}),
            retry=None if retry is None else RetryPolicy.from_json(retry),
            timeout=options.get("timeout"),
            max_age=options.get("maxAge"),
            event_type=options.get("eventType"),
            traceparent=options.get("traceparent"),
            schedule_id=options.get("scheduleId"),
            schedule_key=options.get("scheduleKey"),
            flow_key=options.get("flowKey"),
            message=None if message is None else Message(*message),
            terms=None if terms is None else Terms(*terms),
            service=None if service is None else _service_run(service),
            replay_of=options.get("replayOf"),
            on_success=follow and _follow_up(follow, "COMPLETED"),
            on_failure=follow and _follow_up(follow, "FAILED"),
        )


def _follow_up(stored: object, state: str) -> FollowUp | Literal["none"] | None:
    if not isinstance(stored, dict) or not isinstance(stored.get(state, ""), str):
        raise TypeError(f"these are no follow-ups: {stored!r}")
    if state not in stored:
        return None
    return FollowUp.unpack(stored[state]) if stored[state] else "none"


def _service_run(stored: list[Any]) -> ServiceRun:
    service, job, schedule, *marks = stored
    return ServiceRun(service, job, schedule, test=bool(marks))
