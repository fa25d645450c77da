"""The queues of this project, and what is done with their jobs."""

from __future__ import annotations

from typing import Any

from lambdaqueue import Job, LambdaQueue

lq = LambdaQueue()
welcome = lq.queue("/welcome")


@welcome.handler
def send_welcome(payload: Any, job: Job) -> Any:
    """Called by LambdaQueue: what it returns is kept in the queue's history."""
    return {"message": f"Hello, {payload['name']}", "attempt": job.attempt}
