"""A worker's outcomes until they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from lambdaqueue.attempts import AttemptStore, Kind, Settlement
from lambdaqueue.logs import Log

__all__ = ["Outbox"]

log = Log("lambdaqueue.worker")

T = TypeVar("T")


class Persist(Protocol):
    """Calls until Redis answers."""

    async def __call__(self, call: Callable[[], Awaitable[T]], /) -> T:
        """Return the answer."""


class Outbox:
    """Keeps outcomes for as long as Redis is away, and commits all there are at once.

    `persist` decides how long Redis is waited for; `on_commit` is called whenever the task of
    `commit_aside` has ended. `delivered` and `failed` count what was accepted.
    """

    def __init__(
        self, store: AttemptStore, persist: Persist, on_commit: Callable[[], None]
    ) -> None:
        self._store = store
        self._persist = persist
        self._on_commit = on_commit
        self._finished: list[Settlement] = []
        self._settling: list[Settlement] = []
        self._settler: asyncio.Task[None] | None = None
        self.delivered = self.failed = 0

    @property
    def jobs(self) -> list[str]:
        """The ids of the jobs whose outcomes are not stored yet."""
        return [each.claim.id for each in (*self._finished, *self._settling)]

    @property
    def idle(self) -> bool:
        """True while nothing is in it, nor on its way."""
        return not self._finished and self._settler is None

    @property
    def waiting(self) -> bool:
        """True while something is in it and nothing on its way."""
        return bool(self._finished) and self._settler is None

    def add(self, settlement: Settlement) -> None:
        """Put an outcome in."""
        self._finished.append(settlement)

    async def commit(self) -> None:
        """Commit every outcome there is, and those that come meanwhile."""
        while self._finished:
            self._settling, self._finished = self._finished, []
            held = await self._persist(lambda: self._store.settle(self._settling))
            for settlement, accepted in zip(self._settling, held, strict=True):
                self._count(settlement, accepted)
            self._settling = []

    def commit_aside(self) -> None:
        """Commit in a task of its own: meanwhile jobs are claimed and calls go on."""
        if self._settler is not None and self._settler.done():
            self._settler.result()  # a mistake of ours must not go unseen
            self._settler = None
        if self.waiting:
            self._settler = asyncio.create_task(self.commit())
            self._settler.add_done_callback(lambda _: self._on_commit())

    async def committed(self) -> None:
        """Wait for that task: the store's calls are numbered, there must not be two."""
        if self._settler is not None:
            settler, self._settler = self._settler, None
            await settler

    def _count(self, settlement: Settlement, accepted: bool) -> None:
        if not accepted:
            # A callback may have ended the job before its webhook was answered.
            tell = log.warning if settlement.claim.spec.terms is None else log.debug
            tell("outcome_refused", id=settlement.claim.id, reason="the job is no longer ours")
        elif settlement.kind in (Kind.COMPLETED, Kind.STARTED):
            self.delivered += 1
            if log.tells_all:
                _tell(log.debug, "delivery_completed", settlement)
        elif settlement.kind is Kind.RETRY:
            self.failed += 1
            _tell(log.debug, "delivery_retried", settlement, error=settlement.error)
        elif settlement.kind is Kind.FAILED:
            self.failed += 1
            _tell(log.warning, "delivery_failed", settlement, error=settlement.error)


def _tell(say: Callable[..., None], event: str, settlement: Settlement, **more: object) -> None:
    claim = settlement.claim
    say(
        event,
        id=claim.id,
        environment=claim.environment,
        queue=claim.queue,
        attempt=claim.attempt,
        **more,
    )
