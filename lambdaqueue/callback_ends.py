"""What a callback token is told that doesn't count, or not any more. Pure.

An execution is given as it is: unfinished, and as its newest entry in history. There may be both.
"""

from __future__ import annotations

from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.errors import ExecutionOver, NotFound
from lambdaqueue.execution import ExecutionStatus
from lambdaqueue.job import Job

__all__ = ["SILENT", "over", "parsed", "said"]

REPLACED = "REPLACED"
"""The status of an attempt in whose place another one has come."""

SILENT = "-"
"""Stands for the final callback of an attempt that the clock has ended."""


def parsed(token: str) -> CallbackToken:
    """Return a token as it is in a path; raises NotFound where it can be none."""
    known = CallbackToken.parse(token)
    if known is None:
        raise NotFound("there is no such callback token")
    return known


def said(known: CallbackToken, unfinished: Job | None, ended: Job | None) -> str:
    """Return the digest of the final callback that ended the token's attempt; "" if none did."""
    if ended is not None and ended.final is not None and _is_newest(ended, known):
        return ended.final.digest
    return _closed_by(known, unfinished) or _closed_by(known, ended)


def over(
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
