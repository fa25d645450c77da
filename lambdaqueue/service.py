"""The use cases, named by verb: what the API, the command and the chores may ask for.

Decides in Python, commits through the stores. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from lambdaqueue import ids, tracing
from lambdaqueue.commands import (
    Change,
    Endpoint,
    HistoryFilter,
    Idempotency,
    Page,
    Push,
    Pushed,
    QueueInfo,
    QueueSettings,
    QueueStats,
)
from lambdaqueue.config import Settings
from lambdaqueue.connection import Redis, connect
from lambdaqueue.errors import Conflict, InvalidRequest, Issue, NotFound
from lambdaqueue.history import PAGE_BYTES, HistoryStore
from lambdaqueue.identity import Actor
from lambdaqueue.job import Job, State
from lambdaqueue.places import Places
from lambdaqueue.queues import QueueStore
from lambdaqueue.store import JobStore, TargetMissing, VersionChanged

__all__ = ["Service", "open_service"]

NO_TARGET = Issue(("target",), "required", "is required: the queue has no default target")

CHUNK = 100
"""Jobs that are read with one call."""


def open_service(settings: Settings) -> Service:
    """Return a service with a Redis connection pool of its own; nothing is dialled yet."""
    return Service(connect(settings))


class Service:
    """Everything that can be asked of LambdaQueue. `now` (Unix ms) replaces Redis' clock.

    `by` is whom the audit names, None for a program.
    """

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._jobs = JobStore(client, now)
        self._queues = QueueStore(client, now)
        self._history = HistoryStore(client)
        self._places = Places(self._jobs)

    # Items

    def push(
        self, environment: str, queue: str, push: Push, idempotency: Idempotency | None = None
    ) -> Pushed:
        """Store one job.

        Raises:
            InvalidRequest: neither it nor its queue has a target, or the idempotency key was
                used for another request.
        """
        try:
            return self._push(environment, queue, [push], idempotency)[0]
        except TargetMissing:
            raise InvalidRequest([NO_TARGET]) from None

    def push_many(
        self,
        environment: str,
        queue: str,
        pushes: Sequence[Push],
        idempotency: Idempotency | None = None,
    ) -> tuple[list[Pushed], bool]:
        """Store jobs, all or none; the bool tells whether this is an earlier answer again.

        Raises:
            InvalidRequest: as `push`, with a path that begins with `items` and the index.
        """
        try:
            pushed = self._push(environment, queue, pushes, idempotency)
        except TargetMissing as missing:
            raise InvalidRequest([NO_TARGET.at("items", missing.index)]) from None
        return pushed, any(each.replayed for each in pushed)

    def _push(
        self,
        environment: str,
        queue: str,
        pushes: Sequence[Push],
        idempotency: Idempotency | None,
    ) -> list[Pushed]:
        given = pushes[0].spec.traceparent if pushes else None
        with tracing.pushing(queue, given, len(pushes)) as span:
            traceparent = tracing.traceparent_of(span, given)
            if traceparent != given:
                pushes = [
                    replace(push, spec=replace(push.spec, traceparent=traceparent))
                    for push in pushes
                ]
            return self._jobs.push(environment, queue, pushes, idempotency)

    def item(self, environment: str, item_id: str) -> Job:
        """Return a job, from history when it has ended.

        Raises:
            NotFound
        """
        self._own(environment, item_id)
        job = self._jobs.read(item_id) or self._history.newest(environment, item_id)
        return _found(job)

    def item_by_key(self, environment: str, queue: str, key: str) -> Job:
        """Return the unprocessed job with a key, or else the newest that ended."""
        job = self._jobs.read_by_key(environment, queue, key)
        return _found(job or self._history.newest_by_key(environment, queue, key))

    def cancel(self, environment: str, item_id: str, *, by: Actor | None = None) -> Job:
        """End a waiting job, or see to it that a running one is not tried again."""
        self._own(environment, item_id)
        return _found(self._jobs.cancel(environment, "", item_id, "", by=by))

    def cancel_by_key(self, environment: str, queue: str, key: str) -> Job:
        """The same for the job with a key."""
        return _found(self._jobs.cancel(environment, queue, "", key))

    def change(
        self, environment: str, item_id: str, change: Change, *, by: Actor | None = None
    ) -> Job:
        """Give a job a new version: what `change` names is new, the rest stays."""
        self._own(environment, item_id)
        while True:
            job = _found(self._jobs.read(item_id))
            if job.spec.service is not None:
                raise Conflict("an execution is as its service job was: change that")
            try:
                return self._jobs.change(
                    job,
                    replace(job.spec, **change.spec),
                    delay=change.delay,
                    on=change.on,
                    priority=job.priority if change.priority is None else change.priority,
                    by=by,
                )
            except VersionChanged:
                continue
            except TargetMissing:
                raise InvalidRequest([NO_TARGET]) from None

    def change_by_key(self, environment: str, queue: str, key: str, change: Change) -> Job:
        """The same for the job with a key."""
        job = _found(self._jobs.read_by_key(environment, queue, key))
        return self.change(environment, job.id, change)

    def run_now(
        self,
        environment: str,
        item_id: str,
        idempotency: Idempotency | None = None,
        *,
        by: Actor | None = None,
    ) -> tuple[Job, bool]:
        """Make a waiting job due now; the bool tells whether this is an earlier answer again.

        Raises:
            Conflict: it runs, or has ended. NotFound
        """
        self._own(environment, item_id)
        try:
            job, replayed = self._jobs.run_now(item_id, environment, idempotency, by=by)
        except NotFound:
            if self._history.newest(environment, item_id):
                raise Conflict("the item has ended") from None
            raise
        return job, replayed

    def items(
        self, environment: str, queue: str, state: State | None, limit: int, cursor: str | None
    ) -> Page[Job]:
        """List a queue's jobs that have not ended: what runs or is ready, then by due time.

        Raises:
            InvalidRequest: the cursor is not one that an earlier page gave.
        """
        rows: list[Job] = []
        size = 0
        positions = self._places.positions(environment, queue, state, cursor)
        while chunk := dict(islice(positions, min(limit, CHUNK))):
            for job in self._jobs.read_many(list(chunk)):
                if job.queue != queue or (state and job.state is not state):
                    continue
                rows.append(job)
                size += len(job.spec.payload)
                if len(rows) == limit or size > PAGE_BYTES:
                    return Page(tuple(rows), chunk[job.id])
        return Page(tuple(rows))

    # Queues

    def queues(self, environment: str, limit: int, cursor: str | None) -> Page[QueueInfo]:
        """List the environment's queues by name."""
        return self._queues.page(environment, limit, cursor)

    def queue(self, environment: str, name: str) -> QueueInfo:
        """Return a queue.

        Raises:
            NotFound: nothing was ever pushed to it or set.
        """
        info = self._queues.info(environment, name)
        if info is None:
            raise NotFound("there is no such queue")
        return info

    def queue_stats(self, environment: str, name: str) -> QueueStats:
        """Count what ended in a queue lately."""
        return self._queues.stats(environment, name)

    def endpoints(self, environment: str, name: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of a queue that rest, or whose breaker is not closed."""
        return self._queues.endpoints(environment, name)

    def configure(
        self, actor: Actor, name: str, changes: Mapping[str, Any], replace: bool
    ) -> QueueInfo:
        """Change settings (fields of `QueueSettings`); with `replace` the others fall back."""
        base = QueueSettings() if replace else None
        self._queues.configure(actor, name, changes, base)
        return self.queue(actor.environment, name)

    def drop_queue(self, actor: Actor, name: str) -> None:
        """Forget a queue with its history; see `QueueStore.drop`."""
        self._queues.drop(actor, name)

    def pause(self, actor: Actor, name: str) -> QueueInfo:
        """Start no further attempt of the queue."""
        self._queues.pause(actor, name)
        return self.queue(actor.environment, name)

    def resume(self, actor: Actor, name: str) -> QueueInfo:
        """Lift a pause."""
        self._queues.resume(actor, name)
        return self.queue(actor.environment, name)

    # History

    def history(
        self, environment: str, queue: str, where: HistoryFilter, limit: int, cursor: str | None
    ) -> Page[Job]:
        """List ended jobs of a queue, newest first; see `HistoryStore.page`."""
        return self._history.page(environment, queue, where, limit, cursor)

    def whole_history(self, environment: str, queue: str, where: HistoryFilter) -> Iterator[Job]:
        """Yield all ended jobs of a queue, newest first, however many they are."""
        return (job for _, job in self._history.entries(environment, queue, where))

    def _own(self, environment: str, item_id: str) -> None:
        """Raise NotFound unless the id can be one of this environment's."""
        if not ids.is_job_id(item_id) or ids.environment_of(item_id) != environment:
            raise NotFound("there is no such item")


def _found(job: Job | None) -> Job:
    if job is None:
        raise NotFound("there is no such item")
    return job
