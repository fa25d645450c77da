"""The two ends of an attempt: what is sent for a claim, and what its answer means."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

from lambdaqueue.attempts import Kind, Settlement
from lambdaqueue.envelope import headers_for
from lambdaqueue.job import Attempt, Claim, Result, extend_log
from lambdaqueue.outcome import Answer, Delivered, ErrorClass, Retry, judge
from workers.sender import Outgoing, Sender
from workers.validation import Voucher

__all__ = ["attempt", "conclude", "put_off", "returned"]


PUT_OFF = 60_000
"""ms until a job is tried again that could not be signed."""


async def attempt(claim: Claim, sender: Sender, voucher: Voucher) -> Answer:
    """Make the one call of this attempt, to an endpoint that proved whose it is.

    What finding that out took is part of the answer's duration, not of the call's deadline.

    Raises:
        SecretUnreadable: what signs can't be opened here.
    """
    if claim.target is None:
        return Answer(failure=ErrorClass.NO_TARGET)
    began = time.monotonic()
    trust = await voucher.vouch(claim, claim.target)
    waited = int((time.monotonic() - began) * 1_000)
    if isinstance(trust, Answer):
        return replace(trust, duration=waited)
    answer = await sender.send(
        Outgoing(
            url=claim.target,
            method=claim.spec.method,
            headers=headers_for(claim, trust.secrets, int(time.time() * 1_000), trust.v1),
            body=claim.spec.payload,
            timeout=claim.timeout,
            keep=claim.result_bytes,
        )
    )
    return replace(answer, duration=answer.duration + waited) if waited else answer


def conclude(claim: Claim, answer: Answer, chance: float) -> Settlement:
    """Return what is to be committed for `answer`; `chance` is in [0, 1).

    Now is when the claim was made, by Redis' clock, plus what the call took: this machine's
    clock has no say in when a job is tried again, or in whether it's too old.
    """
    now = claim.started_at + answer.duration
    verdict = judge(claim, answer, now, chance)
    kind, delay, error, cause = Kind.COMPLETED, 0, "", None
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
