"""Where a random history plays: one Redis, its stores, the model beside it, and the clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambdaqueue import attempts
from lambdaqueue.attempts import AttemptStore
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.callbacks import Callbacks
from lambdaqueue.claims import Claim
from lambdaqueue.connection import Redis
from lambdaqueue.endings import Ending
from lambdaqueue.executing import Executions
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.queues import QueueStore
from lambdaqueue.schedule import Round
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.services import ServiceJobs
from lambdaqueue.store import JobStore
from lambdaqueue.upkeep import Upkeep
from tests.store.model import awaiting, invariants
from tests.store.model.executions import ExecutionReference
from tests.store.model.foretelling import Foretelling
from tests.store.model.histories import Histories
from tests.store.model.wire import AsyncWire, Wire
from tests.store.snapshot import Snapshot, reader, take
from tests.store.world import at_once

__all__ = ["ALL_QUEUES", "QUEUES", "SERVICE_QUEUE", "SERVICE_QUEUES", "START", "Actor", "Stage"]

START = 1_700_000_000_000
QUEUES = (("1", "mail"), ("1", "a/b"), ("2", "mail"))
SERVICE_QUEUE = "services.reports"
SERVICE_QUEUES = (("1", SERVICE_QUEUE), ("2", SERVICE_QUEUE))
ALL_QUEUES = (*QUEUES, *SERVICE_QUEUES)


@dataclass(slots=True)
class Actor:
    """A worker: its store, what it works on, and whether it is frozen."""

    store: AttemptStore
    slots: int
    claims: list[Claim] = field(default_factory=list)
    frozen: bool = False
    entry: str = ""
    """What a stock worker has popped."""


class Stage:
    """One seed's world. Each step is one call of a script, then a look at all that stands there."""

    def __init__(self, client: Redis, seed: int) -> None:
        self.client = client
        self.reader = reader(client)
        self.chance = random.Random(seed)
        self.now = START
        self.model = ExecutionReference()
        self.wire = Wire(client, random.Random(seed + 1), Foretelling(self.model))
        self.histories = Histories()
        self.line = invariants.Line()
        self.jobs, self.queues, self.upkeep = (
            JobStore(client), QueueStore(client), Upkeep(client),
        )  # fmt: skip
        self.executions = ExecutionStore(client)
        self.schedules = ScheduleStore(client, collection="services")
        self.stores = (self.jobs, self.queues, self.upkeep, self.executions, self.schedules)
        for store in self.stores:
            store._scripts = self.wire
        self._furnish_use_cases()
        self.workers: list[Actor] = []
        self.stock: list[Actor] = []
        self.abandoned: set[str] = set()
        """Entries of stock workers that were killed: RQ clears up what a callback ended."""
        self.ghosts: list[tuple[AttemptStore, list[Claim]]] = []
        self.idempotent: dict[tuple[str, str], Any] = {}
        self.attempts: set[tuple[str, int, int]] = set()
        self.trace: list[str] = []
        self.before = Snapshot()
        self.names = 0
        self.suspended = False
        self.calling = self.chance.choice((0.2, 0.6, 0.9))
        """How many of the pushed jobs are to be ended by a callback."""
        self.tokens: list[CallbackToken] = []
        self.invoked: dict[str, CallbackToken] = {}
        self.finals: list[tuple[Ending, CallbackToken]] = []
        self.overdue: list[list[Ending]] = []
        self.rounds: list[Round] = []
        self.executed: dict[str, str] = {}
        client.flushdb()

    def _furnish_use_cases(self) -> None:
        """The layer above works with the stage's stores, and so with its wire and its clock."""
        self.callbacks = Callbacks(self.client)
        self.services = ServiceJobs(self.client)
        self.executing = Executions(self.client)
        self.callbacks._executions = self.executing._executions = self.executions
        self.services._schedules = self.schedules
        self.executing._services, self.executing._jobs = self.services, self.jobs

    def step(self, action: Callable[[], str]) -> None:
        """Do one thing, and look whether the world is still in order."""
        self.tell_time()
        at = len(self.trace)
        self.trace.append(f"{self.now - START} {action.__name__}")
        self.trace[at] += f" {action()}"
        after = take(self.reader)
        invariants.check(self.before, after, self.model, self.line, self.now)
        self.rq_is_clean(after)
        self.histories.follow(after, self.model)
        awaiting.check(after, self.model, self.histories)
        self.before = after

    def tell_time(self) -> None:
        for store in self.stores:
            store.now = self.now
        for actor in (*self.workers, *self.stock):
            actor.store.now = self.now

    def rq_is_clean(self, after: Snapshot) -> None:
        """Every RQ job is in the line, was popped, or runs."""
        known = set(after.ready) | {actor.entry for actor in self.stock} | self.abandoned
        for job_id, fields in after.jobs.items():
            if "token" in fields:
                known.add(f"{job_id}_{fields['admission']}")
        stale = after.rq_jobs.keys() - known
        assert not stale, f"RQ jobs of nobody: {stale}"

    def pass_time(self) -> None:
        dice = self.chance.random()
        if dice < 0.6:
            self.now += self.chance.choice((0, 1, 20, 300))
        elif dice < 0.9:
            self.now += self.chance.randrange(3_000)
        elif dice < 0.93:
            self.now += self.chance.randrange(120_000)
        elif dice < 0.935:
            self.now += self.chance.randrange(100_000_000)
        elif dice < 0.97:
            return
        else:
            self.now -= self.chance.randrange(10_000)
            # Their deadlines are found too late by as much.
            for job in self.model.jobs.values():
                job.course.astray = True

    def _store(self, rq_worker: str, slots: int) -> AttemptStore:
        store = AttemptStore(self.client, rq_worker=rq_worker, slots=slots, now=self.now)  # type: ignore[arg-type]
        store._scripts = AsyncWire(self.wire)  # type: ignore[assignment]
        self.names += 1
        name = f"{'w' if rq_worker else 'stock'}{self.chance.randrange(16)}x{self.names}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attempts, "_new_incarnation", lambda: name)
            at_once(store.join())
        self.model.join(name, slots)
        return store
