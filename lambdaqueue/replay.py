"""The replay: an ended job that is pushed again as a new one. Pure."""

from __future__ import annotations

from dataclasses import replace

from lambdaqueue.errors import Conflict, InvalidRequest
from lambdaqueue.job import Job, State
from lambdaqueue.rate import Rate
from lambdaqueue.spec import Spec

__all__ = ["check_replayable", "due_at", "replayed", "too_far"]


def check_replayable(old: Job) -> None:
    """Refuse what can't be pushed again.

    Raises:
        Conflict: its payload is not kept, or it's an execution.
    """
    if old.spec.service is not None:
        raise Conflict("an execution of a service job is not replayed: retry the execution")
    if old.state is State.COMPLETED:
        raise Conflict("a completed item's payload is not kept: it can't be replayed")


def replayed(old: Job, target: str | None) -> Spec:
    """Return what is pushed for an ended job, to `target` if given."""
    return replace(
        old.spec,
        target=target or old.spec.target,
        schedule_id=None,
        schedule_key=None,
        replay_of=old.id,
    )


def due_at(start: int, number: int, rate: Rate | None) -> int:
    """Return when replay `number` (from 0) is due, in Unix ms: all at `start`, or by a rate."""
    return start if rate is None else start + number * rate.period // rate.limit


def too_far() -> InvalidRequest:
    """Return the error where a rate leads further ahead than a job may be due."""
    return InvalidRequest.of("rate", "out_of_range", "the jobs would be due too far ahead")
