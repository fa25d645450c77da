"""Fire the schedules whose run has come."""

from __future__ import annotations

import random

from lambdaqueue.errors import InvalidRequest, StorageFull
from lambdaqueue.logs import Log
from lambdaqueue.schedule import Round, plan
from lambdaqueue.schedule_rows import Unreadable
from lambdaqueue.schedules import Due, ScheduleStore
from workers.waking import LONGEST_SLEEP

__all__ = ["Firing"]

log = Log("lambdaqueue.scheduler")

MOST_AT_ONCE = 100
"""Schedules in one step: a script must not hold Redis for long."""

MOST_JOBS = 500
"""Jobs after which a step is full; a schedule that makes up for a downtime may have a hundred."""

LOOK_AGAIN = 30_000
"""ms until a schedule that this version can't read is looked at again: short, because a scheduler
of the version that wrote it may run beside this one."""

FULL_PAUSE = 1.0
"""Seconds until the next try while Redis is full."""


class Firing:
    """Pushes the due occurrences of schedules. What a look finds due was due by Redis' clock."""

    def __init__(self, store: ScheduleStore) -> None:
        self._store = store

    def poll(self) -> float:
        """Fire what is due; return the seconds until more will be, by Redis' clock."""
        due = self._store.due(MOST_AT_ONCE)
        if not (due.schedules or due.gone or due.unreadable):
            if due.next is None:
                return LONGEST_SLEEP
            return min(LONGEST_SLEEP, max(0.0, due.next - due.now) / 1_000)
        try:
            self._fire(due)
        except StorageFull as error:  # the other duties make room, so they mustn't wait for it
            log.warning("schedules_wait", reason=error)
            return FULL_PAUSE
        return 0.0

    def _fire(self, due: Due) -> None:
        now = int(due.now)
        rounds, unreadable, jobs = list[Round](), list(due.unreadable), 0
        for schedule in due.schedules:
            try:
                rounds.append(plan(schedule, now, random.random()))
            except InvalidRequest as error:
                ref = f"{schedule.environment}:{schedule.id}"
                revision, run = str(schedule.revision), str(schedule.next_run)
                unreadable.append(Unreadable(ref, revision, run, str(error)))
                continue
            jobs += len(rounds[-1].occurrences)
            if jobs >= MOST_JOBS:
                break
        for each in unreadable:  # they hold up nobody: they wait and are reported
            log.error("schedule_unreadable", id=each.ref, reason=each.reason)
        self._store.postpone(unreadable, now + LOOK_AGAIN)
        self._store.fire(rounds, due.gone)
