"""The use cases of a service: it says that it still works, and how it ended.

Its callback token is all that it has: it names the execution, and its digest is known there.
"""

from __future__ import annotations

import math
import random

from lambdaqueue import ids
from lambdaqueue.callback_ends import over, parsed, said
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.connection import Redis
from lambdaqueue.endings import end
from lambdaqueue.errors import InvalidRequest, TooManyRequests
from lambdaqueue.execution import Final
from lambdaqueue.executions import HEARTBEATS, ExecutionStore
from lambdaqueue.history import HistoryStore
from lambdaqueue.job import Job

__all__ = ["Callbacks"]


class Callbacks:
    """What whoever has a callback token may say. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: Redis, now: int | None = None) -> None:
        self._executions = ExecutionStore(client, now)
        self._history = HistoryStore(client)

    def heartbeat(
        self, token: str, progress: float | None = None, extend: int | None = None
    ) -> None:
        """Note that an execution goes on; it has begun, if nobody knew that yet.

        `progress` is a percentage; with `extend` it may go on for so many ms from now at least.

        Raises:
            NotFound: there never was such a token.
            ExecutionOver: its execution, or its attempt, has ended.
            TooManyRequests
            InvalidRequest: for the field `extend_seconds`: that is more than its ttl.
        """
        known = parsed(token)
        shown = "" if progress is None else f"{progress:g}"
        heard = self._executions.heartbeat(known.execution, known.digest, shown, extend)
        if heard.status == "too_many":
            raise TooManyRequests("heartbeats", HEARTBEATS, 1, math.ceil(heard.number / 1_000))
        if heard.status == "too_long":
            raise InvalidRequest.of(
                "extend_seconds",
                "out_of_range",
                f"must be at most {heard.number // 1_000}: the ttl",
            )
        if heard.status == "unknown":
            raise over(known, *self._found(known))

    def finish(self, token: str, final: Final) -> None:
        """End an execution, or an attempt of one; the same again does nothing.

        Raises:
            NotFound, ExecutionOver: as `heartbeat`.
        """
        known = parsed(token)
        underway = self._executions.read(known.execution)
        while underway is not None and underway.token == known.digest:
            ending = end(underway, final, underway.seen_at, random.random())
            if self._executions.end([ending], known.digest) == [True]:
                return
            # Somebody else ended it, or a worker has just taken it for the next attempt.
            underway = self._executions.read(known.execution)
        jobs = self._found(known)
        if said(known, *jobs) != final.digest:
            raise over(known, *jobs)

    def _found(self, known: CallbackToken) -> tuple[Job | None, Job | None]:
        """Return the token's execution: unfinished, and its newest entry in history.

        There may be both: the entry is that of a version in whose place another one has come. In
        this order: one that ends meanwhile is found twice rather than never.
        """
        underway = self._executions.read(known.execution)
        ended = self._history.newest(ids.environment_of(known.execution), known.execution)
        return None if underway is None else underway.job, ended
