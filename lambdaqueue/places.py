"""Where a queue's unfinished jobs stand: ready or out, awaiting a callback, waiting by level, in a
lane, or set aside because their endpoint rests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import State
from lambdaqueue.store import JobStore

__all__ = ["Places"]

LEVELS = "s9876543210"
ASIDE = "x"
"""Marks an endpoint among the levels and lanes: greater than any digit of a lane."""

CHUNK = 100
"""Jobs whose places are read with one call."""

ITEMS_CURSOR = re.compile(
    r"a\.([0-9a-z]{14,29})?|w([s0-9]|x?[0-9a-f]{16})\.([0-9]{1,16})\.([0-9a-z]{14,29})"
)


class Places:
    """Walks over a queue's unfinished jobs in an order that stands still while they come and go."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    def positions(
        self, environment: str, queue: str, state: State | None, cursor: str | None
    ) -> Iterator[tuple[str, str]]:
        """Yield the ids of a queue's jobs, each with its cursor, beginning behind `cursor`."""
        match = ITEMS_CURSOR.fullmatch(cursor or "a.")
        if not match:
            raise InvalidRequest.of("cursor", "invalid_cursor", "must come from an earlier page")
        after_active, level_from, due_from, after_id = match.groups("")
        if not level_from:
            active = set(self._jobs.active(environment, queue))
            for job_id in sorted(active.union(self._jobs.awaiting(environment, queue))):
                if job_id > after_active:
                    yield job_id, f"a.{job_id}"
        if state is State.RUNNING:
            return
        aside = [ASIDE + endpoint for endpoint in self._jobs.resting(environment, queue)]
        levels = [*LEVELS, *self._jobs.lanes(environment, queue), *aside]
        # The level where an earlier page ended is gone on with, those behind it are new.
        yield from self._waiting(environment, queue, level_from, int(due_from or 0), after_id)
        for level in levels[_index_behind(levels, level_from) :]:
            yield from self._waiting(environment, queue, level, 0, "")

    def _waiting(
        self, environment: str, queue: str, level: str, due: int, after: str
    ) -> Iterator[tuple[str, str]]:
        if not level:
            return
        count = CHUNK
        while True:
            chunk = self._chunk(environment, queue, level, due, count)
            fresh = [(job_id, at) for job_id, at in chunk if (at, job_id) > (due, after)]
            for job_id, at in fresh:
                yield job_id, f"w{level}.{at}.{job_id}"
            if len(chunk) < count:
                return
            # Many jobs of one millisecond need a longer look to get past them.
            count = CHUNK if fresh else count * 2
            if fresh:
                after, due = fresh[-1][0], fresh[-1][1]

    def _chunk(
        self, environment: str, queue: str, level: str, start: int, count: int
    ) -> list[tuple[str, int]]:
        if len(level) == 1:
            return self._jobs.waiting(environment, queue, level, start, count)
        if level.startswith(ASIDE):
            endpoint = level.removeprefix(ASIDE)
            return self._jobs.aside(environment, queue, endpoint, start, count)
        return self._jobs.backlog(environment, queue, level, start, count)


def _index_behind(levels: Sequence[str], last: str) -> int:
    """Return where to go on in `levels`; the lane of an earlier page may be gone."""
    if last in levels:
        return levels.index(last) + 1
    is_behind = (at for at, level in enumerate(levels) if len(level) > 1 and level > last)
    return next(is_behind, len(levels)) if last else 0
