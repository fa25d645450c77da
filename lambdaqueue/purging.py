"""The use case of purging: a queue's waiting jobs, or entries of its history, are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lambdaqueue.commands import HistoryFilter, Purged
from lambdaqueue.connection import Redis
from lambdaqueue.errors import NotFound
from lambdaqueue.history import HistoryStore
from lambdaqueue.identity import Actor
from lambdaqueue.job import State
from lambdaqueue.places import Places
from lambdaqueue.queues import QueueStore
from lambdaqueue.store import JobStore

__all__ = ["AT_ONCE", "Purging"]

AT_ONCE = 200
"""Jobs or entries in one step: a script must not hold Redis for long."""

MOST_LOOKED_AT = 100_000
"""Jobs or entries that one call looks at: an answer must not take for ever."""


class Purging:
    """Deletes what a queue holds. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._places = Places(JobStore(client, now))
        self._queues = QueueStore(client, now)
        self._history = HistoryStore(client)

    def purge(self, actor: Actor, name: str, state: State | None) -> Purged:
        """Delete jobs that wait, without a trace, or entries of history, of one state.

        None stands for all jobs that wait. What runs is left alone. A large number takes several
        calls; one that is interrupted has deleted some. The audit is told by the first that deletes
        something.

        Raises:
            NotFound: there is no such queue.
        """
        if self._queues.info(actor.environment, name) is None:
            raise NotFound("there is no such queue")
        ended = state if state is not None and state.ended else None
        chunks = self._ended(actor, name, ended) if ended else self._waiting(actor, name)
        count = looked_at = 0
        for chunk in chunks:
            if looked_at >= MOST_LOOKED_AT:
                return Purged(count, more=True)
            looked_at += len(chunk)
            env, by = actor.environment, None if count else actor
            if ended:
                count += self._queues.forget_entries(env, name, ended, chunk, by=by)
            else:
                count += self._queues.purge(env, name, state, chunk, by=by)
        return Purged(count, more=False)

    def _waiting(self, actor: Actor, name: str) -> Iterator[list[str]]:
        # Meanwhile others move behind our back: out of their lanes, and into the line.
        seen: set[str] = set()
        before = -1
        while before < len(seen):
            before = len(seen)
            positions = self._places.positions(actor.environment, name, None, None)
            fresh = (job_id for job_id, _ in positions if job_id not in seen)
            while chunk := list(islice(fresh, AT_ONCE)):
                seen.update(chunk)
                yield chunk

    def _ended(self, actor: Actor, name: str, state: State | None) -> Iterator[list[str]]:
        where, cursor = HistoryFilter(state=state), None
        while True:
            page = self._history.page(actor.environment, name, where, AT_ONCE, cursor)
            if page.rows:
                yield [job.entry for job in page.rows if job.entry is not None]
            if page.cursor is None:
                return
            cursor = page.cursor
