"""A job as the in-memory server keeps it, and how callers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lambdaqueue.attempt_log import read_log
from lambdaqueue.claims import Claim
from lambdaqueue.endings import Underway
from lambdaqueue.ids import CLOCK, COUNTER, clock_part, created_at
from lambdaqueue.job import Job, State
from lambdaqueue.messages import SUCCESS as MESSAGE_SUCCESS
from lambdaqueue.queue_settings import DEFAULT_TIMEOUT, Policies
from lambdaqueue.spec import Spec

__all__ = ["ENVIRONMENT", "Callback", "Mint", "Record", "Version"]

ENVIRONMENT = "1"
"""The id of the only environment."""

MOST_TOKENS = 64
"""How many callback tokens of a job go on to be known, as in `executions.lua`."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a push asked for: of a job that runs, the version that is to follow. Times are ms."""

    number: int
    spec: Spec
    due: int
    priority: int = 0

    @property
    def expires(self) -> int | None:
        """Unix ms after which no attempt starts."""
        return None if self.spec.max_age is None else self.due + self.spec.max_age


@dataclass(frozen=True, slots=True)
class Callback:
    """What is known of an attempt that a callback is to end. Times are Unix ms.

    `digest` is that of its token, `attempt` the attempt it was made for. `since` and `ends` are
    None until its service has begun. `beaten` is when it was last heard of.
    """

    digest: str
    attempt: int
    since: int | None = None
    ends: int | None = None
    beaten: int = 0
    heard: int | None = None
    progress: float | None = None
    beats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """An unprocessed job. Times are Unix ms.

    `due` is when the next attempt is, `first` when the first one was, once it has failed.
    `successor` is the version beside the one that runs, `top` the highest number that one ever
    had. `token` is the running claim's. `tokens` are the callback tokens that count no more, the
    newest last, as `Job` has them.
    """

    id: str
    queue: str
    version: Version
    due: int
    key: str | None = None
    occurrence: str | None = None
    state: State = State.PENDING
    attempt: int = 0
    failures: int = 0
    first: int | None = None
    log: bytes = b""
    started: int | None = None
    token: str = ""
    successor: Version | None = None
    dropped: bool = False
    top: int = 0
    callback: Callback | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    retry_of: str | None = None
    is_follow_up: bool = False

    @property
    def order(self) -> tuple[int, int, str]:
        """What tells which of several due jobs starts first."""
        return -self.version.priority, self.due, self.id

    @property
    def spec(self) -> Spec:
        """What the version that counts now asks for."""
        return self.version.spec

    @property
    def first_due(self) -> int:
        """When its first attempt was due."""
        return self.due if self.first is None else self.first

    @property
    def awaiting(self) -> bool:
        """Whether its service has begun, so that a callback or a deadline ends the attempt."""
        return self.callback is not None and self.callback.since is not None

    @property
    def all_tokens(self) -> Mapping[str, str]:
        """Its callback tokens with the one that counts, the newest last."""
        return self.tokens if self.callback is None else self.retired("").tokens

    @property
    def deadline(self) -> int | None:
        """When the time of an execution is over; None where none is watched."""
        found, terms = self.callback, self.spec.terms
        if found is None or found.ends is None or terms is None:
            return None
        return min(found.ends, found.beaten + 2 * terms.heartbeat)

    def retired(self, closed: str) -> Record:
        """Return the job as no attempt of it awaits a callback; `closed` is what ended that one."""
        if self.callback is None:
            return self
        tokens = {**self.tokens, self.callback.digest: closed}
        newest = dict(list(tokens.items())[-MOST_TOKENS:])
        return replace(self, tokens=newest, callback=None)

    def job(self, policies: Policies) -> Job:
        """Return the job as callers see it: of a running one with a newer version, that."""
        shown = self.successor or self.version
        attempts = read_log(self.log, shown.spec.skipped)
        found = self.callback
        return Job(
            id=self.id,
            queue=self.queue,
            state=self.state,
            version=shown.number,
            due_at=self.successor.due if self.successor else self.due,
            created_at=created_at(self.id),
            spec=shown.spec,
            first_due_at=self.first_due,
            priority=shown.priority,
            key=self.key,
            attempt=self.attempt + shown.spec.skipped,
            max_attempts=1 + policies.retry(shown.spec.retry).retries,
            pending=self.successor is not None,
            attempts=attempts,
            error=attempts[-1].error if attempts and self.state is State.RETRY else None,
            target=shown.spec.target or policies.settings.target,
            occurrence=self.occurrence,
            awaiting_since=found.since if found else None,
            heard_at=found.heard if found else None,
            progress=found.progress if found else None,
            tokens=self.all_tokens,
            retry_of=self.retry_of,
        )

    def claim(self, policies: Policies) -> Claim:
        """Return what it takes to send and judge the attempt that has begun."""
        spec, settings = self.spec, policies.settings
        assert self.started is not None
        return Claim(
            id=self.id,
            token=self.token,
            environment=ENVIRONMENT,
            queue=self.queue,
            version=self.version.number,
            attempt=self.attempt + spec.skipped,
            failures=self.failures + spec.skipped,
            started_at=self.started,
            first_due_at=self.first_due,
            spec=spec,
            target=spec.target or settings.target,
            policy=policies.retry(spec.retry),
            timeout=spec.timeout or settings.timeout or DEFAULT_TIMEOUT,
            success=settings.success_status if spec.message is None else MESSAGE_SUCCESS,
            result_bytes=settings.result_bytes,
            key=self.key,
            expires_at=self.version.expires,
            attempts_log=self.log,
            occurrence=self.occurrence,
        )

    def underway(self, policies: Policies) -> Underway:
        """Return the running attempt as what follows from its end is decided by."""
        return Underway(
            job=replace(self, successor=None).job(policies),
            attempt=self.attempt,
            failures=self.failures,
            policy=policies.retry(self.spec.retry),
            log=self.log,
            invoked_at=self.started,
            expires_at=self.version.expires,
            token=self.callback.digest if self.callback else "",
        )


class Mint:
    """Makes the ids of jobs, which sort in the order of the pushes, as `push.lua` does."""

    def __init__(self) -> None:
        self._at = 0
        self._count = 0

    def job_id(self, now: int) -> str:
        """Return the next one, minted at `now` (Unix ms)."""
        if now > self._at:
            self._at, self._count = now, 0
        else:
            self._count += 1
        return clock_part(self._at) + clock_part(self._count)[CLOCK - COUNTER :] + ENVIRONMENT
