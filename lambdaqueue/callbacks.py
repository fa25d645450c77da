"""The use cases of a service: it says that it still works, and how it ended.

Its callback token is all that it has: it names the execution, and its digest is known there.
"""

from __future__ import annotations

import math
import random

from lambdaqueue import ids
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.connection import Redis
from lambdaqueue.endings import end
from lambdaqueue.errors import ExecutionOver, InvalidRequest, NotFound, TooManyRequests
from lambdaqueue.execution import ExecutionStatus, Final
from lambdaqueue.executions import HEARTBEATS, ExecutionStore
from lambdaqueue.history import HistoryStore
from lambdaqueue.job import Job

__all__ = ["Callbacks"]

REPLACED = "REPLACED"
"""The status of an attempt in whose place another one has come."""

SILENT = "-"
"""Stands for the final callback of an attempt that the clock has ended."""


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
        known = _parsed(token)
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
            raise _over(known, *self._found(known))

    def finish(self, token: str, final: Final) -> None:
        """End an execution, or an attempt of one; the same again does nothing.

        Raises:
            NotFound, ExecutionOver: as `heartbeat`.
        """
        known = _parsed(token)
        underway = self._executions.read(known.execution)
        while underway is not None and underway.token == known.digest:
            ending = end(underway, final, underway.seen_at, random.random())
            if self._executions.end([ending], known.digest) == [True]:
                return
            # Somebody else ended it, or a worker has just taken it for the next attempt.
            underway = self._executions.read(known.execution)
        jobs = self._found(known)
        if _said(known, *jobs) != final.digest:
            raise _over(known, *jobs)

    def _found(self, known: CallbackToken) -> tuple[Job | None, Job | None]:
        """Return the token's execution: unfinished, and its newest entry in history.

        There may be both: the entry is that of a version in whose place another one has come. In
        this order: one that ends meanwhile is found twice rather than never.
        """
        underway = self._executions.read(known.execution)
        ended = self._history.newest(ids.environment_of(known.execution), known.execution)
        return None if underway is None else underway.job, ended


def _parsed(token: str) -> CallbackToken:
    known = CallbackToken.parse(token)
    if known is None:
        raise NotFound("there is no such callback token")
    return known


def _said(known: CallbackToken, unfinished: Job | None, ended: Job | None) -> str:
    """Return the digest of the final callback that ended the token's attempt; "" if none did."""
    if ended is not None and ended.final is not None and _is_newest(ended, known):
        return ended.final.digest
    return _closed_by(known, unfinished) or _closed_by(known, ended)


def _over(
    known: CallbackToken, unfinished: Job | None, ended: Job | None
) -> ExecutionOver | NotFound:
    """Return what to say to a token that doesn't count, or not any more."""
    if ended is not None and _is_newest(ended, known):
        return _ended_as(ended.execution_status)
    if unfinished is not None and _is_newest(unfinished, known):
        silent = _closed_by(known, unfinished) == SILENT
        return _ended_as(ExecutionStatus.TIMEOUT if silent else ExecutionStatus.FAIL)
    if any(job is not None and known.digest in job.tokens for job in (unfinished, ended)):
        return _ended_as(None)
    return NotFound("there is no such callback token")


def _is_newest(job: Job, known: CallbackToken) -> bool:
    """Tell whether no newer attempt has begun since the token was made."""
    return list(job.tokens)[-1:] == [known.digest]


def _closed_by(known: CallbackToken, job: Job | None) -> str:
    return "" if job is None else job.tokens.get(known.digest, "")


def _ended_as(status: ExecutionStatus | None) -> ExecutionOver:
    return ExecutionOver(REPLACED if status is None else status.upper())
