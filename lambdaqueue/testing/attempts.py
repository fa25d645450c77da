"""Attempts of the in-memory server: what is sent, what its answer means, how callbacks end one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from lambdaqueue.attempt_log import Attempt, extend_log
from lambdaqueue.callback_ends import SILENT, over, parsed, said
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.claims import Claim
from lambdaqueue.endings import end
from lambdaqueue.envelope import callback_headers, headers_for
from lambdaqueue.errors import InvalidRequest, TooManyRequests
from lambdaqueue.execution import Final
from lambdaqueue.job import Job, Result, State
from lambdaqueue.outcome import Answer, Delivered, ErrorClass, Retry, judge
from lambdaqueue.signing import Secret
from lambdaqueue.testing.jobs import Jobs, Outcome
from lambdaqueue.testing.records import Callback, Record
from lambdaqueue.webhook import callback_url, webhook_body

__all__ = ["Attempts", "Sending"]

HEARTBEATS = 10
"""Heartbeats that an execution may send in a second."""

NO_CHANCE = 0.0
"""Jitter is left out: a test knows when a retry comes."""


@dataclass(frozen=True, slots=True)
class Sending:
    """An attempt that has begun: its claim with the body to send, and headers beside the usual
    ones."""

    claim: Claim
    extra: tuple[tuple[str, str], ...] = ()

    def headers(self, secret: Secret, now_ms: int) -> list[tuple[str, str]]:
        """Return the delivery's headers, signed at `now_ms`."""
        return [*headers_for(self.claim, [secret], now_ms), *self.extra]


@dataclass(slots=True)
class Attempts:
    """Begins attempts, and ends them by an answer, by a callback, or because time is over."""

    jobs: Jobs
    api_url: str
    left: dict[str, bytes] = field(default_factory=dict)
    """By service job what its last success has left, as JSON."""

    def begin(self, record: Record) -> Sending | None:
        """Begin an attempt of a due job; None where it can't start any more."""
        claim = self.jobs.begin(record)
        if claim is None or claim.spec.terms is None:
            return None if claim is None else Sending(claim)
        token = CallbackToken.mint(claim.id)
        running = self.jobs.records[claim.id]
        callback = Callback(token.digest, running.attempt)
        self.jobs.keep(replace(running.retired(""), callback=callback))
        url = callback_url(self.api_url, token.text)
        if claim.spec.service is None:
            return Sending(claim, tuple(callback_headers(claim, url)))
        run = claim.spec.service
        body = webhook_body(claim, url, self.left.get(f"{run.service}/{run.job}", b""), self._now())
        return Sending(replace(claim, spec=replace(claim.spec, payload=body)))

    def settle(self, claim: Claim, answer: Answer) -> None:
        """Commit what an answer means, unless a callback or a cancellation was there before."""
        record = self.jobs.records.get(claim.id)
        if record is None or record.token != claim.token:
            return
        now = self._now()
        verdict = judge(claim, answer, now, NO_CHANCE)
        cause = "" if isinstance(verdict, Delivered) else verdict.error
        if not isinstance(verdict, Delivered | Retry):
            cause = verdict.cause or verdict.error
        number = claim.attempt - claim.spec.skipped
        made = Attempt(
            number, claim.started_at, now - claim.started_at, answer.status, cause or None
        )
        log = extend_log(claim.attempts_log, made).encode()
        if record.awaiting or (record.callback and isinstance(verdict, Delivered)):
            self._let_go(replace(record, log=log, token=""))
            return
        outcome = Outcome("completed", log=log, result=_result(answer), most=claim.max_attempts)
        if isinstance(verdict, Retry):
            outcome = replace(outcome, kind="retry", at=verdict.at, error=verdict.error)
        elif not isinstance(verdict, Delivered):
            outcome = replace(outcome, kind="failed", error=verdict.error)
        self.jobs.conclude(record, outcome)

    def heartbeat(self, token: str, progress: float | None, extend: int | None) -> None:
        """Note that an execution goes on. `progress` is a percentage, `extend` ms from now.

        Raises:
            NotFound, ExecutionOver, TooManyRequests, InvalidRequest
        """
        known, record = self._counting(token)
        if record is None:
            raise over(known, *self._found(known))
        terms, found, now = record.spec.terms, record.callback, self._now()
        assert terms is not None
        assert found is not None
        if extend is not None and extend > terms.ttl:
            rule = f"must be at most {terms.ttl // 1_000}: the ttl"
            raise InvalidRequest.of("extend_seconds", "out_of_range", rule)
        beats = tuple(at for at in found.beats if at > now - 1_000)
        if len(beats) >= HEARTBEATS:
            wait = math.ceil((beats[0] + 1_000 - now) / 1_000)
            raise TooManyRequests("heartbeats", HEARTBEATS, 1, wait)
        record = self._let_go(record)
        assert record.callback is not None
        ends = max(record.callback.ends or 0, now + (extend or 0))
        shown = record.callback.progress if progress is None else progress
        heard = replace(record.callback, heard=now, beats=(*beats, now), ends=ends, progress=shown)
        self.jobs.keep(replace(record, callback=heard))

    def finish(self, token: str, final: Final) -> None:
        """End an execution, or an attempt of one; the same again does nothing.

        Raises:
            NotFound, ExecutionOver
        """
        known, record = self._counting(token)
        if record is not None:
            self._end(record, final, final.digest)
            return
        jobs = self._found(known)
        if said(known, *jobs) != final.digest:
            raise over(known, *jobs)

    def end_overdue(self) -> None:
        """End the executions whose time is over."""
        now = self._now()
        for record in list(self.jobs.records.values()):
            found = record.callback
            if record.deadline is None or record.deadline > now or found is None:
                continue
            late = found.ends is not None and now >= found.ends
            self._end(
                record,
                ErrorClass.CALLBACK_TIMEOUT if late else ErrorClass.HEARTBEAT_MISSED,
                SILENT,
            )

    def _end(self, record: Record, why: Final | str, closed: str) -> None:
        record = _revived(record)
        underway = record.underway(self.jobs.queues.policies(record.queue))
        ending = end(underway, why, self._now(), NO_CHANCE)
        outcome = Outcome(
            ending.kind,
            at=self._now() + ending.delay,
            error=ending.error,
            log=ending.log.encode(),
            final=ending.final,
            most=underway.max_attempts,
        )
        run = record.spec.service
        if ending.left and run is not None and not run.test:
            self.left[f"{run.service}/{run.job}"] = ending.left.encode()
        self.jobs.conclude(record, outcome)
        left = self.jobs.records.get(record.id)
        if left is not None and left.state is State.RETRY:
            self.jobs.keep(left.retired(closed))

    def _let_go(self, record: Record) -> Record:
        """Let a job go on without its call: its service has begun, and was heard of now."""
        record = _revived(record)
        terms, found, now = record.spec.terms, record.callback, self._now()
        assert terms is not None
        assert found is not None
        since = now if found.since is None else found.since
        ends = now + terms.ttl if found.ends is None else found.ends
        heard = replace(found, since=since, ends=ends, beaten=now)
        return self.jobs.keep(replace(record, callback=heard))

    def _counting(self, token: str) -> tuple[CallbackToken, Record | None]:
        """Return the execution that a token counts for; None where it doesn't any more."""
        known = parsed(token)
        record = self.jobs.records.get(known.execution)
        if record is None or record.callback is None or record.callback.digest != known.digest:
            return known, None
        return known, record

    def _found(self, known: CallbackToken) -> tuple[Job | None, Job | None]:
        """Return the token's execution: unfinished, and its newest entry in history."""
        record = self.jobs.records.get(known.execution)
        unfinished = None if record is None else self.jobs.running(record)
        return unfinished, self.jobs.newest(known.execution)

    def _now(self) -> int:
        return self.jobs.now()


def _revived(record: Record) -> Record:
    """Return a job as it runs: what was taken for a failed start has begun all the same."""
    if record.state is State.RUNNING:
        return record
    return replace(record, state=State.RUNNING, failures=record.failures - 1)


def _result(answer: Answer) -> Result | None:
    if answer.status is None:
        return None
    return Result(answer.status, answer.headers.get("content-type"), answer.body, answer.truncated)
