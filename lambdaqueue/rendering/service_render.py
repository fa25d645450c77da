"""What the API answers about service jobs and their executions; its names are snake_case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.attempt_log import Attempt
from lambdaqueue.commands import Execution, Page
from lambdaqueue.instants import iso
from lambdaqueue.job import Job
from lambdaqueue.rendering.render import optional_iso, policy_fields
from lambdaqueue.service_job import ServiceJob

__all__ = ["execution", "executions", "found_jobs", "job", "jobs", "name"]


def job(environment: str, shown: ServiceJob) -> bytes:
    """Return the JSON of a service job of `environment`."""
    return strict_json.dumps(_job_fields(environment, shown))


def jobs(environment: str, shown: Iterable[ServiceJob]) -> bytes:
    """Return the JSON of a service's jobs: the bare array."""
    return strict_json.dumps([_job_fields(environment, each) for each in shown])


def found_jobs(environment: str, shown: Iterable[ServiceJob]) -> bytes:
    """Return the JSON of a search's jobs."""
    return strict_json.dumps({"results": [_job_fields(environment, each) for each in shown]})


def executions(found: Page[Job], since: int) -> bytes:
    """Return the JSON of one page of a search for executions from `since` (Unix ms) on."""
    results = [_row(each) for each in found.rows]
    fields = {
        "count": len(results),
        "since": since,
        "paging": {} if found.cursor is None else {"more": found.cursor},
        "results": results,
    }
    return strict_json.dumps(fields)


def execution(shown: Execution) -> bytes:
    """Return the JSON of all that is known of an execution."""
    of, run, terms = shown.job, shown.job.spec.service, shown.job.spec.terms
    fields = {
        **_row(of),
        "service_name": run and run.service,
        "job_name": run and run.job,
        "queue": of.queue,
        "schedule": run and run.schedule,
        "test": run is not None and run.test,
        "status": of.execution_status.value,
        "progress": of.progress,
        "attempt": of.attempt,
        "max_attempts": of.max_attempts,
        "ttl_seconds": terms and _seconds(terms.ttl),
        "heartbeat_interval_seconds": terms and _seconds(terms.heartbeat),
        "started_at": optional_iso(of.awaiting_since),
        "last_heartbeat_at": optional_iso(of.heard_at),
        "ended_at": optional_iso(of.ended_at),
        "error": of.error,
        "retry_of": of.retry_of,
        "retried_by": shown.retried_by,
        "attempts": [_attempt(each) for each in of.attempts],
    }
    return strict_json.dumps(fields)


def name(of: str) -> bytes:
    """Return the JSON that names a new execution."""
    return strict_json.dumps({"name": of})


def _job_fields(environment: str, shown: ServiceJob) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "async": True,
        "enabled": shown.enabled,
        "exclusive": shown.exclusive,
        "guid": shown.guid(environment),
        "heartbeat_interval_seconds": shown.heartbeat,
        "invocation_target": shown.target,
        "invocation_type": "http",
        "job_name": shown.job,
        "payload": shown.payload,
        "schedule": shown.schedule,
        "service_name": shown.service,
        "ttl_seconds": shown.ttl,
    }
    if shown.retry is not None:
        fields["retry"] = policy_fields(shown.retry)
    return fields


def _row(of: Job) -> dict[str, Any]:
    return {
        "name": of.id,
        "event": {"id": of.occurrence, "time": iso(of.event_ms), "time_ms": of.event_ms},
        "result": _result(of) if of.state.ended else None,
        "updated_at": iso(_updated_at(of)),
        "inserted_at": iso(of.created_at),
    }


def _result(of: Job) -> dict[str, Any]:
    """Return how it ended: as its service said, or as we had to."""
    said = of.final
    return {
        "status": of.execution_status.value,
        "summary": said and said.summary,
        "state": said and said.state,
        "error": said.error if said else of.error,
        "correlation_id": said and said.correlation_id,
    }


def _updated_at(of: Job) -> int:
    if of.ended_at is not None:
        return of.ended_at
    ended = (attempt.started_at + attempt.duration for attempt in of.attempts[-1:])
    return max(of.created_at, of.awaiting_since or 0, of.heard_at or 0, *ended)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "started_at": iso(attempt.started_at),
        "duration_ms": attempt.duration,
        "status": attempt.status,
        "error": attempt.error,
    }


def _seconds(ms: int) -> float:
    """Return whole seconds as such: only those of an item may have a fraction."""
    return ms / 1_000 if ms % 1_000 else ms // 1_000
