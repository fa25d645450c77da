"""How schedules are made and changed, and when they run next then.

Pure: the time is an argument, Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lambdaqueue.schedule import Recurrence, Schedule, check_has_runs, first_run
from lambdaqueue.spec import Spec

__all__ = ["ScheduleChange", "Wanted", "changed", "made", "revised", "toggled"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A schedule as somebody wants it."""

    queue: str
    spec: Spec
    recurrence: Recurrence
    priority: int = 0


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """A PATCH: fields of `Spec` and of `Recurrence` that are named change, the rest stays."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    recurrence: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None


def made(wanted: Wanted, now: int, *, id: str, environment: str, key: str | None) -> Schedule:
    """Return a new schedule.

    Raises:
        InvalidRequest: it has no run in the future.
    """
    anchor = wanted.recurrence.starts_at or now
    return Schedule(
        id=id,
        environment=environment,
        queue=wanted.queue,
        spec=replace(wanted.spec, schedule_id=id, schedule_key=key),
        recurrence=wanted.recurrence,
        created=now,
        anchor=anchor,
        key=key,
        priority=wanted.priority,
        next_run=check_has_runs(wanted.recurrence, anchor, now),
    )


def changed(known: Schedule, change: ScheduleChange) -> Wanted:
    """Return what is wanted of a schedule that is changed."""
    return Wanted(
        queue=change.queue or known.queue,
        spec=replace(known.spec, **change.spec),
        recurrence=replace(known.recurrence, **change.recurrence),
        priority=known.priority if change.priority is None else change.priority,
    )


def revised(known: Schedule, wanted: Wanted, clock: Callable[[], int]) -> Schedule:
    """Return a schedule as it is wanted now; only other times of its runs need the `clock`.

    Only another expression, zone or `startsAt` moves the phase.

    Raises:
        InvalidRequest: it would have no run in the future.
    """
    spec = replace(wanted.spec, schedule_id=known.id, schedule_key=known.key)
    same_runs = replace(
        known,
        queue=wanted.queue,
        spec=spec,
        recurrence=wanted.recurrence,
        priority=wanted.priority,
    )
    if wanted.recurrence == known.recurrence:
        return same_runs
    now = clock()
    if wanted.recurrence.keeps_phase_of(known.recurrence):
        return replace(same_runs, next_run=_next_run(same_runs, now))
    anchor = wanted.recurrence.starts_at or now
    check_has_runs(wanted.recurrence, anchor, now)
    moved = replace(same_runs, anchor=anchor, next_run=None)
    return replace(moved, next_run=_next_run(moved, now))


def toggled(known: Schedule, now: int, *, paused: bool) -> Schedule:
    """Return a schedule paused or resumed; what was missed meanwhile is not made up for."""
    blank = replace(known, paused=paused, next_run=None)
    return replace(blank, next_run=_next_run(blank, now))


def _next_run(schedule: Schedule, now: int) -> int | None:
    """Return when a changed schedule runs next.

    A run that is due already stays so. A later `endsAt` or more `maxRuns` may let one go on that
    had ended.
    """
    recurrence, stands_at = schedule.recurrence, schedule.next_run
    if recurrence.max_runs is not None and schedule.runs >= recurrence.max_runs:
        return None
    if stands_at is not None and stands_at <= now:
        is_bounded = recurrence.ends_at is not None and stands_at > recurrence.ends_at
        return None if is_bounded else stands_at
    return first_run(recurrence, schedule.anchor, now)
