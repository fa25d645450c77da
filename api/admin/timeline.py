"""What has become of a job, moment by moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from api.admin.views import duration
from lambdaqueue.attempt_log import Attempt
from lambdaqueue.job import Job, State

__all__ = ["Event", "timeline"]


LATER = 1_000
"""ms after the push from which the first due time is told of."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `at` (Unix ms), or will. `text` may be what an endpoint sent."""

    at: int
    title: str
    tone: str = ""
    text: str = ""


def timeline(job: Job) -> list[Event]:
    """Return a job's events, oldest first."""
    # Workers' clocks may differ from Redis': what came first stays first.
    middle = sorted([*map(_attempt, job.attempts), *_service(job)], key=lambda event: event.at)
    return [*_beginning(job), *middle, *_end(job)]


def _beginning(job: Job) -> Iterator[Event]:
    version = f" (this is version {job.version})" if job.version > 1 else ""
    yield Event(job.created_at, f"Pushed{version}")
    is_over = job.attempt > 0 or job.ended_at is not None
    begun = job.attempts[0].started_at if job.attempts else job.ended_at or job.due_at
    # One that was cancelled or run before that time wasn't due then.
    if is_over and job.created_at + LATER < job.first_due_at <= begun:
        yield Event(job.first_due_at, "First due")
    if job.attempts and job.attempts[0].number > 1 + job.spec.skipped:
        missing = job.attempts[0].number - 1
        yield Event(job.attempts[0].started_at, f"Attempts up to {missing} are no longer kept")


def _attempt(attempt: Attempt) -> Event:
    answer = "" if attempt.status is None else f": status {attempt.status}"
    title = f"Attempt {attempt.number}{answer}, after {duration(attempt.duration)}"
    return Event(attempt.started_at, title, "bad" if attempt.error else "good", attempt.error or "")


def _service(job: Job) -> Iterator[Event]:
    if job.awaiting_since is not None:
        yield Event(job.awaiting_since, "Taken on: its callback is awaited", "busy")
    if job.heard_at is not None:
        progress = "" if job.progress is None else f": {job.progress:g} %"
        yield Event(job.heard_at, f"Last heartbeat{progress}", "busy")
    if job.final is not None and job.ended_at is not None:
        said = job.final.error or job.final.summary or ""
        yield Event(job.ended_at, f"Callback: {job.final.status}", "", str(said))


def _end(job: Job) -> Iterator[Event]:
    if job.ended_at is not None:
        tones = {State.COMPLETED: "good", State.FAILED: "bad"}
        yield Event(job.ended_at, job.state.capitalize(), tones.get(job.state, ""), job.error or "")
    elif job.state is State.RUNNING:
        if job.awaiting_since is None:
            yield Event(job.due_at, f"Attempt {job.attempt} runs", "busy")
    else:
        again = f"attempt {job.attempt + 1} of {job.max_attempts}"
        yield Event(job.due_at, f"Due: {again}", "warn" if job.state is State.RETRY else "busy")
