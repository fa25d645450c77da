"""The jobs of the in-memory server as they are kept, found and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lambdaqueue import ids
from lambdaqueue.commands import HistoryFilter
from lambdaqueue.errors import InvalidRequest, Issue, NotFound
from lambdaqueue.job import Job, State
from lambdaqueue.spec import Spec
from lambdaqueue.testing.queues import Queues
from lambdaqueue.testing.records import ENVIRONMENT, Mint, Record, Version

__all__ = ["NO_ITEM", "NO_TARGET", "Shelf", "found"]

NO_TARGET = Issue(("target",), "required", "is required: the queue has no default target")

NO_ITEM = "there is no such item"


@dataclass(slots=True)
class Shelf:
    """The unprocessed jobs, and the queues with their histories. `now` returns Unix ms."""

    now: Callable[[], int]
    queues: Queues = field(default_factory=Queues)
    records: dict[str, Record] = field(default_factory=dict)
    _by_key: dict[tuple[str, str], str] = field(default_factory=dict)
    _mint: Mint = field(default_factory=Mint)
    _ended: dict[str, tuple[str, str]] = field(default_factory=dict)

    def create(self, queue: str, version: Version, **more: Any) -> Record:
        """Store a new job; `more` are fields of `Record`."""
        self.queues.made(queue)
        record = Record(self._mint.job_id(self.now()), queue, version, version.due, **more)
        self.records[record.id] = record
        if record.key is not None:
            self._by_key[queue, record.key] = record.id
        return record

    def item(self, item_id: str) -> Job:
        """Return a job, from history when it has ended; raises NotFound."""
        self.check_own(item_id)
        record = self.records.get(item_id)
        return self.shown(record) if record else found(self.newest(item_id))

    def item_by_key(self, queue: str, key: str) -> Job:
        """Return the unprocessed job with a key, or else the newest that ended."""
        record = self.with_key(queue, key)
        if record is not None:
            return self.shown(record)
        ended = self.queues.history(queue, HistoryFilter(key=key))
        return found(next(ended, None))

    def newest(self, item_id: str) -> Job | None:
        """Return the newest entry of a job."""
        queue, entry = self._ended.get(item_id, ("", ""))
        known = self.queues.found(queue)
        return None if known is None else known.ended.get(entry)

    def shown(self, record: Record) -> Job:
        """Return the job as callers see it."""
        return record.job(self.queues.policies(record.queue))

    def running(self, record: Record) -> Job:
        """Return the job as it runs, without the version that is to follow."""
        return self.shown(replace(record, successor=None))

    def everything(self) -> Iterator[Job]:
        """Yield all jobs, those unfinished and those in history."""
        yield from map(self.running, self.records.values())
        for queue in self.queues:
            yield from queue.ended.values()

    def check_target(self, queue: str, spec: Spec) -> None:
        """Refuse what could never be delivered as things are."""
        known = self.queues.found(queue)
        if spec.target is None and (known is None or known.settings.target is None):
            raise InvalidRequest([NO_TARGET])

    def due(self, queue: str | None = None) -> list[Record]:
        """Return the jobs whose attempt is due, in the order in which they'd start."""
        mine = (each for each in self.records.values() if queue in (None, each.queue))
        return sorted(filter(self.is_due, mine), key=lambda record: record.order)

    def is_due(self, record: Record) -> bool:
        """Tell whether an attempt of the job may start now."""
        waits = record.state is not State.RUNNING and record.due <= self.now()
        return waits and not self.queues.made(record.queue).paused

    def target(self, record: Record) -> str | None:
        """Return the URL that a job's next attempt calls."""
        return record.spec.target or self.queues.made(record.queue).settings.target

    def keep(self, record: Record) -> Record:
        """Put what became of a job in the place of what it was."""
        self.records[record.id] = record
        return record

    def with_key(self, queue: str, key: str) -> Record | None:
        """Return the unprocessed job with a unique key, or None."""
        return self.records.get(self._by_key.get((queue, key), ""))

    def unprocessed(self, queue: str, key: str) -> Record:
        """Return the unprocessed job with a unique key; raises NotFound."""
        record = self.with_key(queue, key)
        if record is None:
            raise NotFound(NO_ITEM)
        return record

    def forget(self, record: Record) -> None:
        """Take a job away, and with it what leads to it."""
        del self.records[record.id]
        if record.key is not None:
            self._by_key.pop((record.queue, record.key), None)

    def check_own(self, item_id: str) -> None:
        """Refuse what can be the id of no job here: NotFound."""
        if not ids.is_job_id(item_id) or ids.environment_of(item_id) != ENVIRONMENT:
            raise NotFound(NO_ITEM)


def found(job: Job | None) -> Job:
    """Return `job`; raises NotFound where there is none."""
    if job is None:
        raise NotFound(NO_ITEM)
    return job
