"""What is pushed to tell of the end of a job, as `scripts/shared/follow_ups.lua` writes it."""

from __future__ import annotations

from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.instants import iso
from lambdaqueue.job import Job, State
from lambdaqueue.queue_settings import FollowUp
from lambdaqueue.spec import Spec

__all__ = ["follow_up"]


def follow_up(wanted: FollowUp, job: Job) -> Spec:
    """Return what is delivered to tell of the end of `job`."""
    event = f"job.{job.state.lower()}"
    body = _sentence(job) if wanted.format == "slack" else _report(job, event)
    return Spec(strict_json.dumps(body), target=wanted.target, event_type=event)


def _report(job: Job, event: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": job.id,
        "queue": job.queue,
        "key": job.key,
        "state": job.state.value,
        "error": job.error,
        "version": job.version,
        "attempt": job.attempt,
        "endedAt": iso(job.ended_at or 0),
        "result": {"status": job.result.status} if job.result else None,
    }
    return {
        "type": event,
        "job": {name: value for name, value in told.items() if value is not None},
    }


def _sentence(job: Job) -> dict[str, str]:
    name = f"{job.id} ({job.key})" if job.key else job.id
    end = "has completed." if job.state is State.COMPLETED else f"has failed: {job.error}"
    return {"text": f"Job {name} of queue {job.queue} {end}"}
