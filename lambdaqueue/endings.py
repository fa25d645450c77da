"""What follows when an execution is ended: by its service, or by the clock. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from lambdaqueue.attempt_log import Attempt, close_log, read_log
from lambdaqueue.execution import MISSED, Final
from lambdaqueue.instants import iso
from lambdaqueue.job import Job
from lambdaqueue.outcome import Delivered, ErrorClass, Failed, Retry, explain, presentable
from lambdaqueue.retry import RetryPolicy

__all__ = ["Ending", "Underway", "end"]


@dataclass(frozen=True, slots=True)
class Underway:
    """An unfinished execution as it was read, `seen_at` by Redis' clock. Times are Unix ms.

    `attempt` and `failures` are the store's numbers, `invoked_at` is when this attempt was claimed,
    None where it waits to be tried again. `token` is the digest of the callback token that counts,
    "" without one.
    """

    job: Job
    attempt: int
    failures: int
    policy: RetryPolicy
    log: bytes = b""
    invoked_at: int | None = None
    expires_at: int | None = None
    token: str = ""
    seen_at: int = 0

    @property
    def max_attempts(self) -> int:
        """How many attempts there may be in all, as of a claim."""
        return self.policy.retries + self.attempt - self.failures


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt of an execution ended, ready to be committed.

    `delay` is ms until the next one, `left` what a success leaves to the next run as JSON.
    """

    underway: Underway
    kind: Literal["completed", "retry", "failed"]
    delay: int = 0
    error: str = ""
    log: str = ""
    final: Final | None = None
    left: str = ""


def end(underway: Underway, why: Final | str, now: int, chance: float) -> Ending:
    """Decide what follows at `now` (Unix ms) from a final callback, or from a missed deadline.

    `why` is that callback, or an error class; `chance` in [0, 1) picks a retry's jitter. Of a
    service job an execution is over then; an item of a queue has failed once more.
    """
    final = why if isinstance(why, Final) else None
    verdict = _judge(underway, why, now, chance)
    cause = None if isinstance(verdict, Delivered) else _cause(verdict)
    began = _began(underway, now)
    made = Attempt(underway.attempt, began, max(0, now - began), error=cause)
    ending = Ending(underway, "completed", log=close_log(underway.log, made), final=final)
    if isinstance(verdict, Retry):
        return replace(ending, kind="retry", delay=max(0, verdict.at - now), error=verdict.error)
    if isinstance(verdict, Failed):
        return replace(ending, kind="failed", error=verdict.error)
    assert final is not None
    return replace(ending, left=_left(underway, final, began))


def _began(underway: Underway, now: int) -> int:
    """Return when the attempt began: where it was taken for a failure, its log alone knows it."""
    if underway.invoked_at is not None:
        return underway.invoked_at
    last = read_log(underway.log)[-1:]
    return last[0].started_at if last and last[0].number == underway.attempt else now


def _judge(
    underway: Underway, why: Final | str, now: int, chance: float
) -> Delivered | Retry | Failed:
    if isinstance(why, Final) and why.status == "success":
        return Delivered()
    error = _error(underway, why)
    if underway.job.spec.service is not None or underway.failures >= underway.policy.retries:
        return Failed(error)
    at = now + underway.policy.delay_after(underway.failures + 1, chance)
    if underway.expires_at is not None and at > underway.expires_at:
        expired = explain(ErrorClass.EXPIRED, f"no time is left for a retry after {error}")
        return Failed(expired, cause=error)
    return Retry(at, error)


def _cause(verdict: Retry | Failed) -> str:
    return (verdict.cause if isinstance(verdict, Failed) else "") or verdict.error


def _error(underway: Underway, why: Final | str) -> str:
    if isinstance(why, Final):
        reason = presentable(why.reason) or "the service reported a failure"
        return explain(ErrorClass.FAIL, reason)
    terms = underway.job.spec.terms
    assert terms is not None
    texts: Mapping[str, str] = {
        ErrorClass.HEARTBEAT_MISSED: f"no heartbeat for {MISSED * terms.heartbeat} ms",
        ErrorClass.CALLBACK_TIMEOUT: f"no end within {terms.ttl} ms of the start",
    }
    return explain(why, texts[why])


def _left(underway: Underway, final: Final, began: int) -> str:
    """Return what the next run of a service job learns of this one."""
    job = underway.job
    if job.spec.service is None:
        return ""
    left = {
        "name": job.id,
        "scheduled_time": iso(job.event_ms),
        "scheduled_time_ms": job.event_ms,
        "service_invoked_at_ms": began,
        "state": final.state,
        "status": final.status,
        "summary": final.summary,
        "correlation_id": final.correlation_id,
    }
    return json.dumps(left, separators=(",", ":"), ensure_ascii=False)
