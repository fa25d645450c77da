"""The schedule: what is pushed by the clock, when it runs next, what a late look makes of it.

Pure: the time and the chance are arguments, Unix milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Literal

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.spec import Spec
from lambdaqueue.timetable import Timetable

__all__ = ["Occurrence", "Recurrence", "Round", "Schedule", "check_has_runs", "first_run", "plan"]

ON_TIME = 60_000
"""ms by which a run may be late and is made all the same: a restart, or a failover, is no downtime
that `misfire` is for."""

MOST_MADE_UP = 100
"""Missed runs that `misfire: all` makes up for; older ones are gone."""

FIRST_LOOK = ON_TIME
"""ms before now in which the newest due runs are looked for first."""

Misfire = Literal["once", "skip", "all"]
Overlap = Literal["allow", "skip"]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a schedule runs. Times are Unix ms, `jitter` is ms.

    `misfire` says what becomes of runs that a downtime let pass, `overlap` whether one is pushed
    while the job of the last one is unfinished.
    """

    expression: str
    zone: str = "UTC"
    starts_at: int | None = None
    ends_at: int | None = None
    max_runs: int | None = None
    jitter: int = 0
    misfire: Misfire = "once"
    overlap: Overlap = "allow"

    @property
    def timetable(self) -> Timetable:
        """The expression, parsed (and remembered)."""
        return Timetable.parse(self.expression, self.zone)

    def keeps_phase_of(self, other: Recurrence) -> bool:
        """Tell whether it runs at the same times, so that nothing is computed anew."""
        mine, theirs = ((each.expression, each.zone, each.starts_at) for each in (self, other))
        return mine == theirs

    def pack(self) -> str:
        """Return the stored form: JSON of what is given."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return json.dumps({name: value for name, value in given.items() if value is not None})

    @classmethod
    def unpack(cls, stored: bytes | str) -> Recurrence:
        """Rebuild what `pack` wrote."""
        return cls(**json.loads(stored))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule at one moment. `revision` changes with every change; times are Unix ms.

    `anchor` is where the grid of plain intervals begins: `startsAt`, or else the creation.
    `runs` counts the occurrences that were pushed but those by hand, `last_run` is the newest of
    all. `notes` is what the owner of a timer or service job asked for and nothing here depends on.
    `exclusive`: an execution of a service job fails while another one is unfinished.
    """

    id: str
    environment: str
    queue: str
    spec: Spec
    recurrence: Recurrence
    created: int
    anchor: int
    key: str | None = None
    priority: int = 0
    paused: bool = False
    next_run: int | None = None
    last_run: int | None = None
    runs: int = 0
    revision: int = 1
    notes: str = ""
    exclusive: bool = False

    @property
    def shown_as(self) -> str:
        """What deliveries carry as `x-lq-schedule`: its key, or its id."""
        return self.key or self.id


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One run: when the timetable had it, and when its job is due, later by the jitter."""

    at: int
    due: int


@dataclass(frozen=True, slots=True)
class Round:
    """What one look at a due schedule makes of it: what is pushed, and its next run.

    With the last of its `maxRuns` a schedule has no next run: only whoever pushes knows whether
    `overlap` let it.
    """

    schedule: Schedule
    occurrences: tuple[Occurrence, ...]
    next_run: int | None


def first_run(recurrence: Recurrence, anchor: int, now: int) -> int | None:
    """Return the first run after `now` and not before `startsAt`; None when there is none."""
    start = now if recurrence.starts_at is None else max(now, recurrence.starts_at - 1)
    return _bounded(recurrence, recurrence.timetable.next_after(start, anchor))


def check_has_runs(recurrence: Recurrence, anchor: int, now: int) -> int:
    """Return the first run.

    Raises:
        InvalidRequest: for the field `schedule`: there is none in the future.
    """
    run = first_run(recurrence, anchor, now)
    if run is None:
        raise InvalidRequest.of("schedule", "no_run", "must have a run in the future")
    return run


def plan(schedule: Schedule, now: int, chance: float) -> Round:
    """Decide what a schedule whose next run has come is to push.

    `chance` in [0, 1) picks the jitter, the same for all that is pushed at once.
    """
    recurrence = schedule.recurrence
    assert schedule.next_run is not None
    if now - schedule.next_run <= ON_TIME:
        due = _newest_due(schedule, now, MOST_MADE_UP)
    elif recurrence.misfire == "once":
        due = _newest_due(schedule, now, 1)[-1:]
    elif recurrence.misfire == "skip":
        due = _runs_between(schedule, now - ON_TIME, now)
    else:
        due = _newest_due(schedule, now, MOST_MADE_UP)
    if recurrence.overlap == "skip":  # a second one would overlap the first
        due = due[-1:]
    if recurrence.max_runs is not None:
        due = due[: max(0, recurrence.max_runs - schedule.runs)]
    wait = int(recurrence.jitter * chance)
    occurrences = tuple(Occurrence(run, run + wait) for run in due)
    return Round(schedule, occurrences, first_run(recurrence, schedule.anchor, now))


def _newest_due(schedule: Schedule, now: int, wanted: int) -> list[int]:
    """Return the newest runs from the next one on until `now`: `wanted` or a few more, if there
    are as many, and at most `MOST_MADE_UP`.

    However long the downtime was and however short the interval: it's looked for from now back,
    in steps that grow.
    """
    assert schedule.next_run is not None
    span = FIRST_LOOK
    while True:
        start = max(schedule.next_run, now - span)
        runs = _runs_between(schedule, start, now)
        if start == schedule.next_run or len(runs) >= wanted:
            return runs[-MOST_MADE_UP:]
        span *= 4


def _runs_between(schedule: Schedule, start: int, end: int) -> list[int]:
    """Return the runs from `start` to `end`, both included."""
    timetable, runs = schedule.recurrence.timetable, list[int]()
    run = timetable.next_after(start - 1, schedule.anchor)
    while run is not None and run <= end and _bounded(schedule.recurrence, run) is not None:
        runs.append(run)
        run = timetable.next_after(run, schedule.anchor)
    return runs


def _bounded(recurrence: Recurrence, run: int | None) -> int | None:
    if run is None or (recurrence.ends_at is not None and run > recurrence.ends_at):
        return None
    return run
