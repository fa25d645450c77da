"""A Redis with all its stores and a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import redis

from lambdaqueue import keys
from lambdaqueue.attempt_log import Attempt, extend_log
from lambdaqueue.attempts import AttemptStore, Claimed, Kind, Settlement
from lambdaqueue.claims import Claim
from lambdaqueue.commands import Idempotency, Push, Pushed
from lambdaqueue.connection import Scripts
from lambdaqueue.history import HistoryStore
from lambdaqueue.identity import Actor, Author
from lambdaqueue.job import Job
from lambdaqueue.queues import QueueStore
from lambdaqueue.spec import Spec
from lambdaqueue.store import JobStore
from lambdaqueue.upkeep import Upkeep
from tests.store.snapshot import Snapshot, reader, take

__all__ = [
    "ACTOR",
    "AUTHOR",
    "ENV",
    "NOW",
    "TARGET",
    "Hand",
    "ImmediateScripts",
    "World",
    "at_once",
]

T = TypeVar("T")

NOW = 1_700_000_000_000
TARGET = "http://127.0.0.1/"
ENV = keys.DEFAULT_ENVIRONMENT
ACTOR = Actor(ENV, "test", "192.0.2.1")
AUTHOR = Author(ACTOR.name, ACTOR.address)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waited")


class ImmediateScripts:
    """`AsyncScripts` without an event loop."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def open(self, count: int) -> None:
        """There is nothing to open."""

    async def run(self, name: str, keys_: Any, *args: Any) -> Any:
        return self._scripts.run(name, keys_, *args)


class World:
    """The stores of one Redis; `later` moves the clock of all of them."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._reader = reader(client)
        self.scripts = Scripts(client)
        self.now = NOW
        self.jobs = JobStore(client, NOW)
        self.queues = QueueStore(client, NOW)
        self.upkeep = Upkeep(client, NOW)
        self.history = HistoryStore(client)
        self._hands: list[Hand] = []

    def later(self, ms: int) -> None:
        """Let time pass, or (negative) the clock be set back."""
        self.now += ms
        self.jobs.now = self.queues.now = self.upkeep.now = self.now
        for hand in self._hands:
            hand.store.now = self.now

    def push(
        self,
        queue: str = "mail",
        key: str | None = None,
        *,
        payload: bytes = b"{}",
        target: str | None = TARGET,
        max_age: int | None = None,
        idempotency: Idempotency | None = None,
        **options: Any,
    ) -> Pushed:
        """Push one job, due now unless `delay` or `on` says otherwise."""
        spec = Spec(payload=payload, target=target, max_age=max_age)
        (pushed,) = self.jobs.push(ENV, queue, [Push(spec, key, **options)], idempotency)
        return pushed

    def job(self, job_id: str) -> Job:
        """Read a job that has not ended."""
        job = self.jobs.read(job_id)
        assert job is not None, f"{job_id} has ended"
        return job

    def ended(self, job_id: str) -> Job:
        """Read a job's newest history entry."""
        job = self.history.newest(ENV, job_id)
        assert job is not None, f"{job_id} has no entry"
        return job

    def cancel(self, job_id: str) -> Job | None:
        return self.jobs.cancel(ENV, "", job_id, "")

    def change(self, job_id: str, payload: bytes = b"new", **when: int) -> Job:
        job = self.job(job_id)
        return self.jobs.change(
            job,
            replace(job.spec, payload=payload),
            delay=when.get("delay"),
            on=when.get("on"),
            priority=when.get("priority", job.priority),
        )

    def worker(self, slots: int = 20) -> Hand:
        """A new worker that has joined."""
        hand = Hand(self, slots)
        self._hands.append(hand)
        return hand

    def tick_through(self, seconds: int) -> None:
        """Let the lease clock advance by `seconds`, one tick each."""
        self.upkeep.tick()
        for _ in range(seconds):
            self.later(1_000)
            self.upkeep.tick()

    def kill(self, *hands: Hand) -> tuple[int, int]:
        """Let workers be silent for too long, and take back what they held."""
        for hand in self._hands:
            if hand not in hands:
                hand.beat()
        self.tick_through(11)
        for hand in self._hands:
            if hand not in hands:
                hand.beat()
        self._hands = [hand for hand in self._hands if hand not in hands]
        return self.upkeep.reclaim()

    def close(self) -> None:
        self._reader.close()

    @property
    def line(self) -> list[str]:
        """The ids of the jobs in the line, tombstones too."""
        found: list[Any] = self.client.lrange(keys.line, 0, -1)
        return [rq_id.decode().rpartition("_")[0] for rq_id in found]

    def wake(self, queue: str = "mail") -> int | None:
        """When the queue must be looked at again."""
        score = self.client.zscore("lq:wake", keys.queue_ref(ENV, queue))
        return None if score is None else int(score)

    def snapshot(self) -> Snapshot:
        return take(self._reader)


class Hand:
    """A worker: an `AttemptStore` whose calls return at once."""

    def __init__(self, world: World, slots: int, rq_worker: str = "worker-1") -> None:
        self._world = world
        self.store = AttemptStore(world.client, rq_worker=rq_worker, slots=slots, now=world.now)  # type: ignore[arg-type]
        self.store._scripts = ImmediateScripts(world.scripts)  # type: ignore[assignment]
        at_once(self.store.join())

    @property
    def name(self) -> str:
        return self.store.incarnation

    def look(self, most: int = 20, wanted: Sequence[str] = ()) -> Claimed:
        """Claim, and return all that the store said."""
        return at_once(self.store.claim(most, wanted))

    def claim(self, most: int = 20) -> list[Claim]:
        """Claim, and return the jobs."""
        return list(self.look(most).claims)

    def claim_one(self) -> Claim:
        (claim,) = self.claim(1)
        return claim

    def settle(
        self, claim: Claim, kind: Kind = Kind.COMPLETED, *, took: int = 5, **more: Any
    ) -> bool:
        """Settle one attempt; returns whether it was accepted."""
        made = Attempt(claim.attempt, self._world.now, took, None, more.get("error"))
        log = extend_log(claim.attempts_log, made)
        duration = None if kind in (Kind.RELEASED, Kind.UNSENT) else took
        settlement = Settlement(claim, kind, log=log, duration=duration, **more)
        (accepted,) = self.settle_many([settlement])
        return accepted

    def settle_many(self, settlements: Sequence[Settlement]) -> list[bool]:
        return at_once(self.store.settle(settlements))

    def retry(self, claim: Claim, delay: int = 10_000, error: str = "http_500: no") -> bool:
        return self.settle(claim, Kind.RETRY, delay=delay, error=error)

    def beat(self, renew: Sequence[str] = ()) -> None:
        at_once(self.store.beat(renew))

    def leave(self) -> bool:
        return at_once(self.store.leave())
