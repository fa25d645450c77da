"""The schedules of the in-memory server: what `lambdaqueue/scheduling.py` does, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.ids import clock_part
from lambdaqueue.job import Job
from lambdaqueue.rescheduling import ScheduleChange, Wanted, changed, made, revised, toggled
from lambdaqueue.schedule import Schedule, plan
from lambdaqueue.testing.jobs import Jobs
from lambdaqueue.testing.records import ENVIRONMENT, Version

__all__ = ["Schedules"]

COUNTER = 7
"""Digits of a schedule's id behind its time; of a real one they are random."""

NO_CHANCE = 0.0
"""Jitter is left out: a test knows when a job is due."""


@dataclass(slots=True)
class Schedules:
    """All schedules, by id, and the jobs that they pushed, by the time of their runs."""

    jobs: Jobs
    known: dict[str, Schedule] = field(default_factory=dict)
    _pushed: dict[str, dict[int, str]] = field(default_factory=dict)
    _made: int = 0

    def set(self, key: str | None, wanted: Wanted) -> tuple[Schedule, bool]:
        """Make a schedule, or make the one with `key` what is wanted; True when it is a new one.

        Raises:
            InvalidRequest: it has no run in the future.
        """
        self.jobs.check_target(wanted.queue, wanted.spec)
        known = None if key is None else self._with_key(key)
        if known is not None:
            return self.keep(revised(known, wanted, self.jobs.now)), False
        new = made(wanted, self.jobs.now(), id=self.mint(), environment=ENVIRONMENT, key=key)
        return self.keep(new), True

    def change(self, schedule_id: str, change: ScheduleChange) -> Schedule:
        """Change what is named; raises as `set`."""
        known = self.schedule(schedule_id)
        wanted = changed(known, change)
        if change.queue is not None or "target" in change.spec:
            self.jobs.check_target(wanted.queue, wanted.spec)
        return self.keep(revised(known, wanted, self.jobs.now))

    def schedule(self, schedule_id: str) -> Schedule:
        """Return a schedule; raises NotFound."""
        return _found(self.known.get(schedule_id))

    def by_key(self, key: str) -> Schedule:
        """Return the schedule with a unique key; raises NotFound."""
        return _found(self._with_key(key))

    def drop(self, schedule_id: str) -> Schedule:
        """Forget a schedule; jobs that it pushed go on."""
        self._pushed.pop(schedule_id, None)
        return self.known.pop(schedule_id)

    def toggle(self, schedule_id: str, *, paused: bool) -> Schedule:
        """Pause or resume; what was missed in between is not made up for."""
        known = self.schedule(schedule_id)
        if known.paused == paused:
            return known
        return self.keep(toggled(known, self.jobs.now(), paused=paused))

    def run(self, schedule_id: str) -> Job:
        """Push one job now, beside the timetable.

        Raises:
            Conflict: its last job is unfinished, and it mustn't overlap.
        """
        schedule, now = self.schedule(schedule_id), self.jobs.now()
        if self._overlaps(schedule):
            raise Conflict("the last job of this schedule is unfinished")
        at = max(now, (schedule.last_run or 0) + 1)
        job_id = self._push(schedule, at, now)
        self.keep(replace(schedule, last_run=at))
        return self.jobs.item(job_id)

    def pushed(self, schedule_id: str) -> Iterator[tuple[int, Job]]:
        """Yield the jobs that a schedule pushed, with the times of their runs, newest first."""
        for at, job_id in sorted(self._pushed.get(schedule_id, {}).items(), reverse=True):
            try:
                yield at, self.jobs.item(job_id)
            except NotFound:  # it has left history
                continue

    def next_run(self) -> int | None:
        """Return when the next one is due, in Unix ms; None where there is none."""
        runs = [each.next_run for each in self.known.values() if each.next_run is not None]
        return min(runs, default=None)

    def fire(self) -> None:
        """Push what is due by now."""
        now = self.jobs.now()
        for schedule in list(self.known.values()):
            if schedule.next_run is None or schedule.next_run > now:
                continue
            made = plan(schedule, now, NO_CHANCE)
            runs, last = schedule.runs, schedule.last_run
            for occurrence in made.occurrences:
                if not self._overlaps(schedule):
                    self._push(schedule, occurrence.at, occurrence.due)
                    runs, last = runs + 1, occurrence.at
            most = schedule.recurrence.max_runs
            over = most is not None and runs >= most
            following = None if over else made.next_run
            self.keep(replace(schedule, next_run=following, runs=runs, last_run=last))

    def mint(self) -> str:
        """Return an id for a new schedule."""
        self._made += 1
        return clock_part(self.jobs.now()) + clock_part(self._made)[-COUNTER:]

    def keep(self, schedule: Schedule) -> Schedule:
        """Put a schedule in the place of what it was."""
        kept = replace(schedule, next_run=None) if schedule.paused else schedule
        self.known[schedule.id] = kept
        return kept

    def _push(self, schedule: Schedule, at: int, due: int) -> str:
        version = Version(1, schedule.spec, max(self.jobs.now(), due), schedule.priority)
        occurrence = f"{schedule.id}_{at}"
        job_id = self.jobs.create(schedule.queue, version, occurrence=occurrence).id
        self._pushed.setdefault(schedule.id, {})[at] = job_id
        return job_id

    def _overlaps(self, schedule: Schedule) -> bool:
        if schedule.recurrence.overlap != "skip":
            return False
        pushed = self._pushed.get(schedule.id, {})
        last = pushed[max(pushed)] if pushed else ""
        return last in self.jobs.records

    def _with_key(self, key: str) -> Schedule | None:
        return next((each for each in self.known.values() if each.key == key), None)


def _found(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise NotFound("there is no such schedule")
    return schedule
