"""A worker's side of the store: live, claim, settle, leave. For an event loop.

A worker's *incarnation* is the name under which it holds jobs. Whoever was silent for too long is
declared dead and must come back under a new one.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis.asyncio

from lambdaqueue import keys
from lambdaqueue.claims import Claim, read_claims, read_shared
from lambdaqueue.connection import AsyncScripts, translated
from lambdaqueue.errors import WorkerDeclaredDead

__all__ = ["LEASE", "SILENCE", "AttemptStore", "Claimed", "Kind", "Settlement"]

LEASE = 30_000
"""ms that a worker may hold a job without renewing it."""

BEAT_EVERY = 2.0
"""Seconds between two signs of life."""

RENEW_EVERY = 10.0
"""Seconds between two renewals of the leases."""

CALLS_AT_ONCE = 3
"""A claim, a settle and a beat."""

SILENCE = 10_000
"""ms without a sign of life after which a worker counts as dead."""

MOST_AT_ONCE = 500
"""Jobs in one step: a script must not hold Redis for long."""


class Kind(StrEnum):
    """How an attempt ended for the store: see `settle.lua`."""

    COMPLETED = "completed"
    STARTED = "started"
    RETRY = "retry"
    FAILED = "failed"
    RELEASED = "released"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of one attempt, ready to be committed.

    `delay` is ms until the next one; `asked` ms for which the endpoint wants to be
    left alone; `duration` ms that its call took, None where none was made.
    """

    claim: Claim
    kind: Kind
    delay: int = 0
    error: str = ""
    log: str = ""
    result: str = ""
    body: bytes = b""
    asked: int | None = None
    duration: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought.

    `held_back`: jobs are ready that this worker may not take now. `unreadable` are jobs that newer
    code has stored, each with the reason: of these claims only what identifies them is true.
    """

    claims: tuple[Claim, ...]
    suspended: bool = False
    held_back: bool = False
    unreadable: tuple[tuple[Claim, str], ...] = ()


class AttemptStore:
    """The scripts that a worker calls. Not for use by two tasks at once: calls are numbered."""

    def __init__(
        self, client: redis.asyncio.Redis, *, rq_worker: str, slots: int, now: int | None = None
    ) -> None:
        self._client = client
        self._scripts = AsyncScripts(client)
        self._rq_worker = rq_worker
        self._slots = slots
        self._claims = 0
        self._settles = 0
        self._answers: list[bool] = []
        self.incarnation = _new_incarnation()
        self.now = now

    async def join(self) -> None:
        """Take a new name and begin to live under it."""
        # When Redis is slow, a beat can't wait until a new connection has been set up.
        await self._scripts.open(CALLS_AT_ONCE)
        self.incarnation = _new_incarnation()
        self._claims = self._settles = 0
        self._answers = []
        await self._beat("new", ())

    async def beat(self, renew: Sequence[str] = ()) -> None:
        """Give a sign of life, and renew the leases of the jobs `renew`.

        Raises:
            WorkerDeclaredDead
            StorageUnavailable, StorageFull
        """
        await self._beat("", renew)

    async def _beat(self, first: str, renew: Sequence[str]) -> None:
        answer = await self._scripts.run(
            "beat", self._keys(), self.incarnation, first, self._slots, LEASE, *renew
        )
        if answer[0] == b"dead":
            raise WorkerDeclaredDead(self.incarnation)

    async def claim(self, most: int, wanted: Sequence[str] = ()) -> Claimed:
        """Take up to `most` ready jobs, or just the `wanted` entries that were popped before.

        The number of a claim is raised only after an answer came, so whoever calls again after
        an error gets the jobs that the lost answer named.

        Raises:
            WorkerDeclaredDead
            StorageUnavailable, StorageFull
        """
        answer = await self._scripts.run(
            "claim",
            self._keys(),
            self._now(),
            self.incarnation,
            self._claims + 1,
            most,
            self._rq_worker,
            LEASE,
            *wanted,
        )
        if answer[0] == b"dead":
            raise WorkerDeclaredDead(self.incarnation)
        if answer[0] == b"suspended":
            return Claimed((), suspended=True)
        self._claims += 1
        _, now, held_back, queues, environments, *rows = answer
        claims, unreadable = read_claims(rows, int(now), read_shared(queues, environments))
        return Claimed(claims, held_back=held_back != b"0", unreadable=unreadable)

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Commit outcomes, `MOST_AT_ONCE` in a step; False where the job was no longer held.

        Raises:
            StorageUnavailable, StorageFull: nothing is known; call again with the same list.
        """
        # What was answered before an error is not asked again.
        while len(self._answers) < len(settlements):
            start = len(self._answers)
            self._answers += await self._settle(settlements[start : start + MOST_AT_ONCE])
        answers, self._answers = self._answers, []
        return answers

    async def _settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        args: list[str | bytes | int] = []
        for each in settlements:
            args += (
                each.claim.id,
                each.claim.token,
                each.kind,
                each.delay,
                each.error,
                each.log,
                each.result,
                each.body,
                each.claim.max_attempts,
                "" if each.asked is None else each.asked,
                "" if each.duration is None else each.duration,
            )
        answer = await self._scripts.run(
            "settle",
            self._keys(),
            self._now(),
            self.incarnation,
            self._settles + 1,
            "" if self._rq_worker else "rq",
            *args,
        )
        self._settles += 1
        return [status == b"settled" for status in answer]

    async def register(self, claim: Claim, digest: str) -> bytes | None:
        """Let the callback token with `digest` count for an attempt that is about to be sent.

        Returns what the last success of its service job has left, JSON or empty; None where it
        must not be sent: it is no longer ours, or a callback shows that it runs already.

        Raises:
            StorageUnavailable, StorageFull
        """
        terms, run = claim.spec.terms, claim.spec.service
        assert terms is not None
        service_job = "" if run is None else f"{run.service}/{run.job}"
        status, *left = await self._scripts.run(
            "invoke", [], claim.id, claim.token, digest, terms.ttl, terms.heartbeat, service_job
        )
        return left[0] if status == b"registered" else None

    async def leave(self) -> bool:
        """Go for good; False if jobs are still held: then others take them over after a while."""
        answer = await self._scripts.run("leave", self._keys(), self.incarnation)
        return bool(answer[0] == b"gone")

    async def wait_for_ready(self, seconds: float) -> bool:
        """Wait until the line isn't empty; False after `seconds`.

        Moving its head to its head changes nothing but blocks while there is none.
        """
        with translated():
            # Redis takes fractions of a second, its client's types don't.
            patience: Any = seconds
            head = await self._client.blmove(keys.line, keys.line, patience, "LEFT", "LEFT")
        return head is not None

    def _keys(self) -> tuple[str, str]:
        return keys.worker(self.incarnation), keys.held(self.incarnation)

    def _now(self) -> str:
        return "" if self.now is None else str(self.now)


def _new_incarnation() -> str:
    return secrets.token_hex(8)
