"""What is to be committed for an attempt: what its answer means, or that none was made."""

from __future__ import annotations

from typing import Literal

from lambdaqueue.attempt_log import Attempt, extend_log
from lambdaqueue.attempts import Kind, Settlement
from lambdaqueue.claims import Claim
from lambdaqueue.job import Result
from lambdaqueue.outcome import Answer, Delivered, Retry, asked_to_rest, judge

__all__ = ["conclude", "put_off", "returned"]


PUT_OFF = 60_000
"""ms until a job is tried again that could not be signed."""


def conclude(claim: Claim, answer: Answer, chance: float) -> Settlement:
    """Return what is to be committed for `answer`; `chance` is in [0, 1).

    Now is when the claim was made, by Redis' clock, plus what the call took: this machine's
    clock has no say in when a job is tried again, or in whether it's too old.
    """
    now = claim.started_at + answer.duration
    verdict = judge(claim, answer, now, chance)
    # Who is to call back has only begun.
    kind = Kind.COMPLETED if claim.spec.terms is None else Kind.STARTED
    delay, error, cause = 0, "", None
    if isinstance(verdict, Retry):
        kind, delay, error = Kind.RETRY, max(0, verdict.at - now), verdict.error
        cause = error
    elif not isinstance(verdict, Delivered):
        kind, error = Kind.FAILED, verdict.error
        cause = verdict.cause or error
    number = claim.attempt - claim.spec.skipped
    made = Attempt(number, claim.started_at, answer.duration, answer.status, cause)
    return Settlement(
        claim=claim,
        kind=kind,
        delay=delay,
        error=error,
        log=extend_log(claim.attempts_log, made),
        result=_result(answer).describe() if answer.status is not None else "",
        body=answer.body,
        asked=asked_to_rest(answer, now),
        duration=answer.duration,
    )


def returned(claim: Claim, kind: Literal[Kind.RELEASED, Kind.UNSENT]) -> Settlement:
    """Return what gives a claim back without an outcome, so that another worker takes it."""
    return Settlement(claim, kind, log=claim.attempts_log.decode())


def put_off(claim: Claim, error: str) -> Settlement:
    """Return what lets a job wait a minute, because this server lacks what it takes to sign it.

    No attempt was made and no retry is used up; the queue tells why nothing happens.
    """
    log = claim.attempts_log.decode()
    return Settlement(claim, Kind.UNSENT, delay=PUT_OFF, error=error, log=log)


def _result(answer: Answer) -> Result:
    return Result(answer.status, answer.headers.get("content-type"), answer.body, answer.truncated)
