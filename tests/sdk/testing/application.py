"""An application for tests of the in-memory LambdaQueue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.delivery import Job

__all__ = ["START", "App"]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class App:
    """An application with a handler that does what its test says."""

    def __init__(self, lq: LambdaQueue) -> None:
        self.queue = lq.queue("/welcome")
        self.seen: list[tuple[Any, Job]] = []
        self.ends: Iterator[Any] = iter(())
        self.queue.handler(self.handle)

    def handle(self, payload: Any, job: Job) -> Any:
        self.seen.append((payload, job))
        end = next(self.ends, None)
        if isinstance(end, Exception):
            raise end
        return end
