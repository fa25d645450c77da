"""Queues with handlers, and genuine requests to them, for the tests of the integrations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lambdaqueue.proofs import challenge
from lambdaqueue.sdk.delivery import Job
from lambdaqueue.sdk.endpoint import Endpoint, Handler
from lambdaqueue.signing import Secret, sign

__all__ = ["SECRET", "Taken", "signed", "validation"]

SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

Headers = list[tuple[str, str]]


@dataclass
class Taken:
    """Some queues, as an integration sees them, and what their handlers were called with."""

    handlers: dict[str, Endpoint] = field(default_factory=dict)
    handlers_without_path: tuple[str, ...] = ()
    calls: list[tuple[Any, Job]] = field(default_factory=list)

    def add(
        self, path: str, does: Callable[[Any], Any] | None = None, *, max_body: int = 1_000
    ) -> None:
        """Declare a queue at `path`; its handler returns what `does` returns of the payload."""

        def handle(payload: Any, job: Job) -> Any:
            self.calls.append((payload, job))
            return {"from": path} if does is None else does(payload)

        self.add_handler(path, handle, max_body=max_body)

    def add_handler(self, path: str, handler: Handler, *, max_body: int = 1_000) -> None:
        """Declare a queue at `path` with this handler."""
        self.handlers[path] = Endpoint(
            handler,
            secrets=lambda: [SECRET],
            urls=lambda: [f"https://app.example.com{path}"],
            max_body=max_body,
        )

    @property
    def payloads(self) -> list[Any]:
        """What the handlers were called with."""
        return [payload for payload, _ in self.calls]


def signed(body: bytes = b"{}", *, kind: str = "application/json") -> Headers:
    """Return the headers of a delivery of `body`, signed now."""
    now = int(time.time())
    return [
        ("Content-Type", kind),
        ("Webhook-Id", "job1_1"),
        ("Webhook-Timestamp", str(now)),
        ("Webhook-Signature", sign([SECRET], "job1_1", now, body)),
        ("X-Lq-Id", "job1"),
        ("X-Lq-Queue", "welcome"),
        ("X-Lq-Key", "user%2F%C3%A9"),
        ("X-Lq-Attempt", "2"),
        ("X-Lq-Max-Attempts", "6"),
        ("X-Lq-Scheduled-For", "2026-11-21T09:00:00.000Z"),
    ]


def validation(path: str) -> Headers:
    """Return the headers of a HEAD request that validates the endpoint at `path`."""
    url = f"https://app.example.com{path}"
    return challenge([SECRET], url, "0123456789abcdef", int(time.time()))


def error_of(body: bytes) -> str:
    """Return the text of an error's JSON."""
    answer = json.loads(body)
    assert set(answer) == {"error"}
    return str(answer["error"])
