"""The use cases of search: jobs by id, key, state and time, in one queue or in all of them.

However much there is, one look is short: a page may end early, with fewer rows than were asked for
(or none) and a cursor that goes on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from lambdaqueue import ids
from lambdaqueue.commands import HistoryFilter, Page
from lambdaqueue.connection import Redis
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.history import PAGE_BYTES, HistoryStore
from lambdaqueue.job import Job, State
from lambdaqueue.places import Places
from lambdaqueue.store import JobStore
from lambdaqueue.survey import Glance, SurveyStore

__all__ = ["MOST_LOOKED_AT", "Finding", "Named", "Where"]

MOST_LOOKED_AT = 500
"""Unfinished jobs of a queue that one page looks at."""

LONGEST = 0.1
"""Seconds after which a page of a search looks into no further queue."""

MOST_NAMED = 20
CHUNK = 100
CURSOR = re.compile(r"([A-Za-z0-9][A-Za-z0-9._/-]{0,127}) ([ih])(?: ([0-9a-z.-]{1,64}))?")


@dataclass(frozen=True, slots=True)
class Where:
    """What to look for; `queue` "" stands for all. `since` and `until` are Unix ms, inclusive.

    The time of what has ended is its end, that of anything else when it was pushed.
    """

    queue: str = ""
    state: State | None = None
    key: str | None = None
    since: int | None = None
    until: int | None = None

    def takes(self, job: Job) -> bool:
        """Tell whether an unfinished job is among what is looked for, its queue aside."""
        at = job.created_at
        return (
            (self.state is None or job.state is self.state)
            and (self.key is None or job.key == self.key)
            and (self.since is None or at >= self.since)
            and (self.until is None or at <= self.until)
        )


@dataclass(frozen=True, slots=True)
class Named:
    """What a word may name: queues that begin so, and jobs with that id or unique key."""

    queues: Sequence[str]
    jobs: Sequence[Job]


class Finding:
    """Looks for jobs."""

    def __init__(self, client: Redis) -> None:
        self._jobs = JobStore(client)
        self._history = HistoryStore(client)
        self._survey = SurveyStore(client)
        self._places = Places(self._jobs)

    def entry(self, environment: str, queue: str, name: str) -> Job:
        """Return an entry of a queue's history.

        Raises:
            NotFound
        """
        job = self._history.entry(environment, queue, name)
        if job is None:
            raise NotFound("there is no such entry")
        return job

    def named(self, environment: str, word: str) -> Named:
        """Return what a word names: of a unique key in each queue the newest job."""
        if ids.is_job_id(word) and ids.environment_of(word) == environment:
            job = self._jobs.read(word) or self._history.newest(environment, word)
            if job is not None:
                return Named((), (job,))
        job_ids, entries = self._survey.with_key(environment, word, MOST_NAMED)
        jobs = self._jobs.read_many(job_ids) if job_ids else []
        unfinished = {job.queue for job in jobs}
        for queue, name in entries:
            ended = self._history.entry(environment, queue, name)
            if ended is not None and queue not in unfinished:
                jobs.append(ended)
        return Named(self._survey.beginning_with(environment, word, MOST_NAMED), jobs[:MOST_NAMED])

    def search(
        self, environment: str, where: Where, limit: int, cursor: str | None = None
    ) -> Page[Job]:
        """List jobs, queue by queue: first those that have not ended, then the others.

        Raises:
            InvalidRequest: the cursor is not one that an earlier page gave.
        """
        ends = time.monotonic() + LONGEST
        begins, inner = _begins(cursor)
        rows: list[Job] = []
        for number, (queue, side) in enumerate(self._sides(environment, where, begins)):
            if len(rows) >= limit or (number and time.monotonic() > ends):
                return Page(tuple(rows), f"{queue} {side}")
            look = self.items if side == "i" else self.ended
            behind = inner if (queue, side) == begins else None
            page = look(environment, replace(where, queue=queue), limit - len(rows), behind)
            rows += page.rows
            if page.cursor is not None:
                return Page(tuple(rows), f"{queue} {side} {page.cursor}")
        return Page(tuple(rows))

    def items(
        self, environment: str, where: Where, limit: int, cursor: str | None = None
    ) -> Page[Job]:
        """List jobs of a queue that have not ended, in the order of `Service.items`."""
        rows: list[Job] = []
        looked_at = size = 0
        positions = self._places.positions(environment, where.queue, where.state, cursor)
        while chunk := dict(islice(positions, min(limit, CHUNK))):
            for job in self._jobs.read_many(list(chunk)):
                if job.queue != where.queue or not where.takes(job):
                    continue
                rows.append(job)
                size += len(job.spec.payload)
                if len(rows) == limit or size > PAGE_BYTES:
                    return Page(tuple(rows), chunk[job.id])
            looked_at += len(chunk)
            if looked_at >= MOST_LOOKED_AT:
                return Page(tuple(rows), list(chunk.values())[-1])
        return Page(tuple(rows))

    def ended(
        self, environment: str, where: Where, limit: int, cursor: str | None = None
    ) -> Page[Job]:
        """List jobs of a queue that have ended, newest first; see `HistoryStore.page`."""
        wanted = HistoryFilter(where.state, where.key, where.since, where.until)
        return self._history.page(environment, where.queue, wanted, limit, cursor)

    def _sides(
        self, environment: str, where: Where, begins: tuple[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Yield where to look: names of queues, each with `i` (items) or `h` (history)."""
        both = ("i", "h")
        wanted = both if where.state is None else ("h",) if where.state.ended else ("i",)
        if where.queue:
            held = iter([(where.queue, frozenset(both))])
        else:
            glances = self._survey.glances(environment, begins[0])
            held = ((glance.name, _filled(glance)) for glance in glances)
        for queue, filled in held:
            for side in wanted:
                if side in filled and (queue, side) != (begins[0], "i" if begins[1] == "h" else ""):
                    yield queue, side


def _filled(glance: Glance) -> frozenset[str]:
    sides = (("i", glance.waiting + glance.running), ("h", glance.ended))
    return frozenset(side for side, jobs in sides if jobs)


def _begins(cursor: str | None) -> tuple[tuple[str, str], str | None]:
    if cursor is None:
        return ("", "i"), None
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequest.of("cursor", "invalid_cursor", "must come from an earlier page")
    return (found[1], found[2]), found[3]
