"""The use cases around schedules: set, change, pause, resume, run, list, preview."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from lambdaqueue.commands import Page
from lambdaqueue.connection import Redis
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.history import PAGE_BYTES, HistoryStore
from lambdaqueue.identity import Actor
from lambdaqueue.ids import ALPHABET, CLOCK, clock_part
from lambdaqueue.job import Job
from lambdaqueue.rescheduling import ScheduleChange, Wanted, changed, made, revised, toggled
from lambdaqueue.schedule import Schedule
from lambdaqueue.schedules import ScheduleChanged, ScheduleStore
from lambdaqueue.store import JobStore
from lambdaqueue.timetable import Timetable

__all__ = ["Scheduling", "minted_at"]

CHANCE = 7
"""Random characters of a schedule's id, behind its time."""

CHUNK = 100
"""Jobs that are read with one call."""


def minted_at(schedule_id: str) -> int:
    """Return the Unix ms at which `Scheduling.mint` made an id."""
    return int(schedule_id[:CLOCK], 36)


class Scheduling:
    """Everything that can be asked of schedules. `now` (Unix ms) replaces Redis' clock.

    `by` is whom the audit names, None for a program.
    """

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._schedules = ScheduleStore(client, now)
        self._jobs = JobStore(client, now)
        self._history = HistoryStore(client)

    def mint(self) -> str:
        """Return an id for a new schedule; by Redis' clock, so that they sort in their order."""
        digits = clock_part(self._schedules.clock())
        return digits + "".join(secrets.choice(ALPHABET) for _ in range(CHANCE))

    def set(
        self, environment: str, key: str | None, wanted: Wanted, schedule_id: str | None = None
    ) -> tuple[Schedule, bool]:
        """Make a schedule, or make the one with `key` what is wanted; True when it is a new one.

        One that is set again as it is keeps phase, next run and runs; only another expression,
        zone or `startsAt` moves the phase. A new one gets `schedule_id`; where that is there
        already, an earlier try of the same request has made it.

        Raises:
            InvalidRequest: it has no run in the future.
        """
        own_id, clock = schedule_id or self.mint(), self._schedules.clock
        while True:
            if key is not None:
                known = self._schedules.read_by_key(environment, key)
            else:
                known = self._schedules.read(environment, schedule_id) if schedule_id else None
            schedule = (
                revised(known, wanted, clock)
                if known
                else made(wanted, clock(), id=own_id, environment=environment, key=key)
            )
            is_new = schedule.id == own_id
            if known == schedule:
                return schedule, is_new
            try:
                self._schedules.put(schedule, known.revision if known else 0)
            except ScheduleChanged:
                continue
            return self.schedule(environment, schedule.id), is_new

    def change(self, environment: str, schedule_id: str, change: ScheduleChange) -> Schedule:
        """Change what is named; future jobs only.

        Raises:
            NotFound
            InvalidRequest: it would have no run in the future.
        """
        while True:
            known = self.schedule(environment, schedule_id)
            schedule = revised(known, changed(known, change), self._schedules.clock)
            try:
                self._schedules.put(schedule, known.revision)
            except ScheduleChanged:
                continue
            return self.schedule(environment, schedule_id)

    def schedule(self, environment: str, schedule_id: str) -> Schedule:
        """Return a schedule; raises NotFound."""
        return _found(self._schedules.read(environment, schedule_id))

    def by_key(self, environment: str, key: str) -> Schedule:
        """Return the schedule with a unique key; raises NotFound."""
        return _found(self._schedules.read_by_key(environment, key))

    def schedules(self, environment: str, limit: int, cursor: str | None) -> Page[Schedule]:
        """List an environment's schedules in the order of their making."""
        return self._schedules.page(environment, limit, cursor)

    def drop(self, environment: str, schedule_id: str, *, by: Actor | None = None) -> Schedule:
        """Forget a schedule; jobs that it pushed go on. Raises NotFound."""
        schedule = self.schedule(environment, schedule_id)
        self._schedules.drop(environment, schedule_id, by=by)
        return schedule

    def pause(self, environment: str, schedule_id: str, *, by: Actor | None = None) -> Schedule:
        """Let no run come until `resume`; what was missed meanwhile is not made up for."""
        return self._toggle(environment, schedule_id, paused=True, by=by)

    def resume(self, environment: str, schedule_id: str, *, by: Actor | None = None) -> Schedule:
        """Go on with the next run after now."""
        return self._toggle(environment, schedule_id, paused=False, by=by)

    def run(
        self, environment: str, schedule_id: str, at: int | None = None, *, by: Actor | None = None
    ) -> Job:
        """Push one job now, beside the timetable.

        `at` (Unix ms) is when the request was first tried: what it pushed is not pushed twice.

        Raises:
            NotFound
            Conflict: its last job is unfinished, and it mustn't overlap.
        """
        while True:
            schedule = self.schedule(environment, schedule_id)
            try:
                job_id = self._run_at(schedule, at, by)
            except ScheduleChanged:
                continue
            if job_id is None:
                raise Conflict("the last job of this schedule is unfinished")
            job = self._jobs.read(job_id) or self._history.newest(environment, job_id)
            if job is None:
                raise NotFound("the job has ended and left history already")
            return job

    def _run_at(self, schedule: Schedule, at: int | None, by: Actor | None) -> str | None:
        if at is not None:
            return self._run_of(schedule, at) or self._schedules.run(schedule, at, by=by)
        # Whoever asks twice within a millisecond wants two runs; what tells them apart is when.
        now = max(self._schedules.clock(), (schedule.last_run or 0) + 1)
        return self._schedules.run(schedule, now, by=by)

    def history(
        self, environment: str, schedule_id: str, limit: int, cursor: str | None
    ) -> Page[Job]:
        """List the jobs that a schedule pushed, the newest run first, also those unfinished.

        Those that left the history of their queue are left out. A page ends early when its
        payloads grow too large.
        """
        self.schedule(environment, schedule_id)
        before = None if cursor is None else int(cursor)
        found = self._schedules.runs(environment, schedule_id, limit + 1, before)
        rows: list[Job] = []
        size = 0
        for job, at in self._jobs_of(environment, found[:limit]):
            rows.append(job)
            size += len(job.spec.payload) + (len(job.result.body) if job.result else 0)
            if size > PAGE_BYTES and at != found[-1][1]:
                return Page(tuple(rows), str(at))
        return Page(tuple(rows), str(found[limit - 1][1]) if len(found) > limit else None)

    def preview(self, expression: str, zone: str, start: int | None, count: int) -> list[int]:
        """Return the next runs of an expression after `start` (Unix ms), else after now.

        Raises:
            InvalidRequest
        """
        begin = self._schedules.clock() if start is None else start
        return Timetable.parse(expression, zone).preview(begin, count, begin)

    def _toggle(
        self, environment: str, schedule_id: str, paused: bool, by: Actor | None
    ) -> Schedule:
        action = "schedule.pause" if paused else "schedule.resume"
        while True:
            known = self.schedule(environment, schedule_id)
            if known.paused == paused:
                return known
            schedule = toggled(known, self._schedules.clock(), paused=paused)
            try:
                self._schedules.put(schedule, known.revision, action=action, by=by)
            except ScheduleChanged:
                continue
            return self.schedule(environment, schedule_id)

    def _run_of(self, schedule: Schedule, at: int) -> str | None:
        """Return the job that the schedule pushed for `at`."""
        newest = self._schedules.runs(schedule.environment, schedule.id, 1, at + 1)
        return next((job_id for job_id, run in newest if run == at), None)

    def _jobs_of(
        self, environment: str, runs: Sequence[tuple[str, int]]
    ) -> Iterator[tuple[Job, int]]:
        for start in range(0, len(runs), CHUNK):
            chunk = runs[start : start + CHUNK]
            unfinished = {job.id: job for job in self._jobs.read_many([each[0] for each in chunk])}
            for job_id, at in chunk:
                job = unfinished.get(job_id) or self._history.newest(environment, job_id)
                if job is not None:
                    yield job, at


def _found(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise NotFound("there is no such schedule")
    return schedule
