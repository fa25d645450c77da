"""The use cases of replay: ended jobs are pushed again, as new jobs that name the old ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lambdaqueue.commands import MAX_DELAY, HistoryFilter, Idempotency, Push, Replayed
from lambdaqueue.connection import Redis
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.history import HistoryStore
from lambdaqueue.identity import Actor
from lambdaqueue.job import Job
from lambdaqueue.queues import QueueStore
from lambdaqueue.rate import Rate
from lambdaqueue.replay import check_replayable, due_at, replayed, too_far
from lambdaqueue.scheduling import minted_at
from lambdaqueue.store import JobStore, TargetMissing

__all__ = ["ReplayOrder", "Replayed", "Replaying"]

CHUNK = 500
"""Jobs that one script stores; less when their payloads have more than `CHUNK_BYTES`."""

CHUNK_BYTES = 4 * 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""Payloads that one call pushes, about: its answer must not take for ever."""


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """Which ended jobs to push again: those of `where`, newest first, at most `limit`.

    `target` stands for their own. By `rate` the due times of the new jobs are spread evenly.
    `cursor` is where an earlier call ended.
    """

    where: HistoryFilter
    target: str | None = None
    rate: Rate | None = None
    limit: int = 1_000
    cursor: str | None = None


class Replaying:
    """Pushes ended jobs again. `now` (Unix ms) replaces Redis' clock.

    The new job is due now, in the same queue, with all that the old one was pushed with but its
    unique key and its schedule.
    """

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._jobs = JobStore(client, now)
        self._history = HistoryStore(client)
        self._queues = QueueStore(client, now)
        self._environments = EnvironmentStore(client, now)

    def replay(
        self,
        actor: Actor,
        queue: str,
        entry: str,
        *,
        target: str | None = None,
        request_id: str | None = None,
    ) -> Job:
        """Push the job of one entry again, to `target` if given; returns the new one.

        `request_id` (see `Scheduling.mint`) is the same for all tries of a request: the job is
        pushed once.

        Raises:
            NotFound: there is no such entry.
            Conflict: its payload is not kept, or it's an execution.
            InvalidRequest: neither it nor its queue has a target.
        """
        old = self._history.entry(actor.environment, queue, entry)
        if old is None:
            raise NotFound("there is no such entry")
        check_replayable(old)
        push = Push(replayed(old, target), priority=old.priority)
        once = None if request_id is None else Idempotency(f"\n{request_id}", "one")
        try:
            return self._jobs.replay(actor, queue, [push], entry, idempotency=once)[0].job
        except TargetMissing:
            raise _no_target() from None

    def replay_many(
        self, actor: Actor, queue: str, order: ReplayOrder, request_id: str | None = None
    ) -> Replayed:
        """Push many jobs again; executions of service jobs are left out.

        The jobs are stored in chunks, each all or none. A call that dies in between has pushed the
        newest ones, and nobody is told how many. The audit is told with the first chunk. With a
        `request_id` (see `replay`) it can be carried out again: it sees the same entries, and
        pushes none twice. (Where a purge has taken some of the newest meanwhile, some others may
        be left out.)

        Raises:
            NotFound: there is no such queue.
            InvalidRequest: the first chunk has a job without a target in a queue without one, or
                all would be due too far ahead.
        """
        if self._queues.info(actor.environment, queue) is None:
            raise NotFound("there is no such queue")
        now = self._environments.clock()
        begun = now if request_id is None else minted_at(request_id)
        if request_id is not None:
            order = replace(order, where=_before(begun, order.where))
        latest = now + MAX_DELAY
        plan = _Plan(self._planned(actor.environment, queue, order, _start(order, now, begun)))
        if plan.next is not None and plan.next.due > latest:
            raise too_far()
        ahead, last = plan.next, None
        count = size = number = 0
        while size < MOST_BYTES and (chunk := plan.chunk(order.limit - count, latest)):
            try:
                once = _once(request_id, number, chunk)
                self._push(actor, queue, chunk, once, noted="" if last else str(order.where.state))
            except TargetMissing:
                if last is None:
                    raise _no_target() from None
                break
            ahead, last = plan.next, chunk[-1]
            count, number = count + len(chunk), number + 1
            size += sum(each.size for each in chunk)
        return _outcome(count, last, ahead, order)

    def _planned(
        self, environment: str, queue: str, order: ReplayOrder, start: int
    ) -> Iterator[_Planned]:
        """Yield what to push. What ends meanwhile is newer, and isn't among it."""
        position, count = (order.cursor or "").partition(".")[0], 0
        entries = self._history.entries(environment, queue, order.where, position or None)
        for cursor, old in entries:
            if old.spec.service is None:
                yield _planned(old, cursor, order, due_at(start, count, order.rate))
                count += 1

    def _push(
        self,
        actor: Actor,
        queue: str,
        chunk: Sequence[_Planned],
        once: Idempotency | None,
        *,
        noted: str,
    ) -> None:
        pushes = [each.push for each in chunk]
        try:
            if noted:
                self._jobs.replay(actor, queue, pushes, noted, idempotency=once)
            else:
                self._jobs.push(actor.environment, queue, pushes, once)
        except InvalidRequest as error:
            # An earlier try stored the chunk of this number, with entries that have left history.
            if once is None or error.issues[0].code != "idempotency_mismatch":
                raise


@dataclass(frozen=True, slots=True)
class _Planned:
    """A job to push, due at `due`; `entry` is the cursor that leads behind its entry."""

    push: Push
    entry: str
    due: int

    @property
    def size(self) -> int:
        return len(self.push.spec.payload)


class _Plan:
    """What is to be pushed, in chunks, with the next one in view."""

    def __init__(self, rows: Iterator[_Planned]) -> None:
        self._rows = rows
        self.next = next(rows, None)

    def chunk(self, most: int, latest: int) -> list[_Planned]:
        """Take up to `most` that are due by `latest`, fewer when they grow too large."""
        taken: list[_Planned] = []
        size = 0
        while self.next is not None and len(taken) < min(most, CHUNK) and size < CHUNK_BYTES:
            if self.next.due > latest:
                break
            taken.append(self.next)
            size += self.next.size
            self.next = next(self._rows, None)
        return taken


def _planned(old: Job, cursor: str, order: ReplayOrder, due: int) -> _Planned:
    push = Push(replayed(old, order.target), on=due if order.rate else None, priority=old.priority)
    return _Planned(push, cursor, due)


def _before(begun: int, where: HistoryFilter) -> HistoryFilter:
    """Leave out what may have ended after a request began: another try must see the same."""
    until = begun - 1
    return replace(where, until=until if where.until is None else min(where.until, until))


def _start(order: ReplayOrder, now: int, begun: int) -> int:
    """Return when the first job is due: now, or where the rate of an earlier call leads.

    A later try of a request that has `begun` begins later by as much, so that its chunks are the
    same.
    """
    due = (order.cursor or "").partition(".")[2]
    return now if order.rate is None or not due else now + max(0, int(due) - begun)


def _outcome(
    count: int, last: _Planned | None, ahead: _Planned | None, order: ReplayOrder
) -> Replayed:
    if last is None:
        return Replayed(count)
    cursor = None
    if ahead is not None:
        cursor = last.entry if order.rate is None else f"{last.entry}.{ahead.due}"
    return Replayed(count, cursor, None if order.rate is None else last.due)


def _once(request_id: str | None, number: int, chunk: Sequence[_Planned]) -> Idempotency | None:
    """Name a chunk of a request, so that another try of it stores nothing anew.

    No client's key begins so. What has left history since makes others move up, never down: a
    chunk may then have some that a later one had, and never one that an earlier one had.
    """
    if request_id is None:
        return None
    entries = " ".join(each.entry for each in chunk)
    fingerprint = hashlib.sha256(entries.encode()).hexdigest()
    return Idempotency(f"\n{request_id}.{number}", fingerprint)


def _no_target() -> InvalidRequest:
    return InvalidRequest.of("target", "required", "is required: the queue has no default target")
