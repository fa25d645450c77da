"""Schedules of other kinds: timers that run once, and service jobs, whose runs are executions."""

from __future__ import annotations

from lambdaqueue.job import State
from lambdaqueue.schedule import Schedule
from lambdaqueue.testing.jobs import Outcome
from lambdaqueue.testing.records import Version
from lambdaqueue.testing.schedules import Schedules

__all__ = ["OneTimers", "ServiceSchedules"]


class OneTimers(Schedules):
    """Timers that run once: they are gone with their run."""

    def fire(self) -> None:
        """Push what is due by now, and forget it."""
        super().fire()
        for each in list(self.known.values()):
            if each.next_run is None:
                self.drop(each.id)


class ServiceSchedules(Schedules):
    """Service jobs, by `service/job`."""

    def start(self, known: Schedule, event: int | None = None, retry_of: str | None = None) -> str:
        """Start an execution now, for the time `event` (Unix ms); returns its name."""
        now = self.jobs.now()
        return self._execute(known, now if event is None else event, retry_of)

    def _push(self, schedule: Schedule, at: int, due: int) -> str:
        return self._execute(schedule, at, None)

    def _execute(self, schedule: Schedule, at: int, retry_of: str | None) -> str:
        run = schedule.spec.service
        assert run is not None
        locked = schedule.exclusive and not run.test and self._is_unfinished(schedule)
        record = self.jobs.create(
            schedule.queue,
            Version(1, schedule.spec, self.jobs.now()),
            occurrence=f"{schedule.id}_{at}",
            retry_of=retry_of,
        )
        if locked:
            error = "exclusive_lock: another execution of the job is unfinished"
            self.jobs.end(record, State.FAILED, Outcome("failed", error=error))
        return record.id

    def _is_unfinished(self, schedule: Schedule) -> bool:
        mine = schedule.spec.service
        return any(
            (run := record.spec.service) is not None
            and not run.test
            and mine is not None
            and (run.service, run.job) == (mine.service, mine.job)
            for record in self.jobs.records.values()
        )
