"""End the executions whose services fell silent, or took longer than was agreed."""

from __future__ import annotations

import random

from lambdaqueue.endings import end
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.logs import Log

__all__ = ["Expiring"]

log = Log("lambdaqueue.scheduler")

MOST_AT_ONCE = 200
"""Executions in one step: a script must not hold Redis for long."""

LOOK_EVERY = 0.5
"""Seconds: how late a deadline can be seen that was set after the last look."""


class Expiring:
    """Looks when the next deadline has come, however many executions are watched."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store

    def poll(self) -> float:
        """End what is overdue; return the seconds until more may be, by Redis' clock."""
        due = self._store.due(MOST_AT_ONCE)
        endings = [end(each, why, due.now, random.random()) for each, why in due.executions]
        ended = sum(self._store.end(endings))
        if ended:
            log.warning("executions_overdue", count=ended)
        if due.next is None:
            return LOOK_EVERY
        return min(LOOK_EVERY, max(0.0, (due.next - due.now) / 1_000))
