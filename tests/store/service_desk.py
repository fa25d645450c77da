"""A world with service jobs: somebody defines them, workers invoke services, these call back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.callbacks import Callbacks
from lambdaqueue.claims import Claim
from lambdaqueue.commands import Push
from lambdaqueue.endings import end
from lambdaqueue.errors import ExecutionOver
from lambdaqueue.executing import Executions
from lambdaqueue.execution import ExecutionStatus, Final, Terms
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.job import Job
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.schedule import plan
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.service_job import ServiceJob
from lambdaqueue.services import ServiceJobs
from lambdaqueue.spec import Spec
from tests.store.world import ENV, TARGET, Hand, World, at_once

__all__ = [
    "FAIL",
    "QUEUE",
    "SUCCESS",
    "TERMS",
    "Called",
    "ServiceDesk",
    "service_job",
]

QUEUE = "services.reports"
TERMS = Terms(ttl=600_000, heartbeat=30_000)
SUCCESS = Final("success", summary="done", state={"page": 7}, correlation_id="c-1")
FAIL = Final("fail", summary="no", error="out of paper")
OTHER_END = Final("fail", error="something else")


def service_job(job: str = "daily", **more: Any) -> ServiceJob:
    """A job that runs every hour; its executions may take ten minutes."""
    fields: dict[str, Any] = {"schedule": "rate(1 hour)", "ttl": 600, "payload": "p", **more}
    return ServiceJob("reports", job, TARGET, **fields)


@dataclass(frozen=True)
class Called:
    """An attempt whose webhook is out: the worker's claim, and the token that the service got."""

    claim: Claim
    token: str
    left: bytes | None

    @property
    def name(self) -> str:
        return self.claim.id


class ServiceDesk:
    """Service jobs and executions in a world; its clock is theirs."""

    def __init__(self, world: World, worker: Hand | None = None) -> None:
        self.world = world
        self.worker = worker or world.worker()
        self.schedules = ScheduleStore(world.client, world.now, "services")
        self.services = ServiceJobs(world.client, world.now)
        self.store = ExecutionStore(world.client, world.now)
        self.executions = Executions(world.client, world.now)
        self.callbacks = Callbacks(world.client, world.now)

    def put(self, job: str = "daily", **more: Any) -> ServiceJob:
        self._follow()
        return self.services.put(ENV, service_job(job, **more))

    def run(self, job: str = "daily") -> str:
        self._follow()
        return self.executions.run(ENV, "reports", job)

    def fire(self) -> list[str]:
        """Fire what is due by the world's clock; returns the executions."""
        self._follow()
        due = self.schedules.due(100)
        rounds = [plan(each, self.world.now, 0.0) for each in due.schedules]
        return [name for names in self.schedules.fire(rounds, due.gone) for name in names]

    def push(self, key: str | None = None, **more: Any) -> str:
        """Push an item of a queue that a callback is to end; one retry after 1 s."""
        policy = RetryPolicy("constant", delay=1_000, retries=1, jitter=0)
        spec = replace(Spec(b"{}", target=TARGET, terms=TERMS, retry=policy), **more)
        (pushed,) = self.world.jobs.push(ENV, "mail", [Push(spec, key)])
        return pushed.job.id

    def call(self, worker: Hand | None = None) -> Called:
        """Claim the next execution and register its callback token: its webhook is out."""
        worker = worker or self.worker
        claim = worker.claim_one()
        token = CallbackToken.mint(claim.id)
        return Called(claim, token.text, at_once(worker.store.register(claim, token.digest)))

    def start(self) -> Called:
        """The same, and the service has answered."""
        called = self.call()
        assert self.worker.settle(called.claim, Kind.STARTED)
        return called

    def beat(self, called: Called, **more: Any) -> None:
        self._follow()
        self.callbacks.heartbeat(called.token, **more)

    def finish(self, called: Called, final: Final = SUCCESS) -> None:
        self._follow()
        self.callbacks.finish(called.token, final)

    def expire(self) -> int:
        """End what is overdue, as the scheduler does; returns how many."""
        self._follow()
        due = self.store.due(100)
        return sum(self.store.end([end(each, why, due.now, 0.0) for each, why in due.executions]))

    def job(self, name: str) -> Job:
        self._follow()
        return self.executions.execution(ENV, name).job

    def cancel(self, name: str) -> Job:
        self._follow()
        return self.executions.cancel(ENV, name)

    def status(self, name: str) -> ExecutionStatus:
        return self.job(name).execution_status

    def refuse(self, called: Called, delay: int = 10_000) -> None:
        """The webhook's call was taken for a failure; another attempt is to follow."""
        assert self.worker.retry(called.claim, delay=delay)

    def next_attempt(self, called: Called, delay: int = 10_000) -> Called:
        """That, and the other attempt is out."""
        self.refuse(called, delay)
        self.world.later(delay)
        self.world.upkeep.tick()
        return self.call()

    def assert_over(self, called: Called, status: str) -> None:
        """Its callbacks come too late, and are told of what."""
        comes: list[Callable[[], None]] = [
            lambda: self.beat(called),
            lambda: self.finish(called, OTHER_END),
        ]
        for late in comes:
            with pytest.raises(ExecutionOver) as caught:
                late()
            assert str(caught.value) == f"The job execution status is {status}"

    def assert_sound(self) -> None:
        """The counters agree with the indexes, and these with the jobs."""
        snapshot = self.world.snapshot()
        for ref in {keys.queue_ref(ENV, job["queue"]) for job in snapshot.jobs.values()}:
            assert self.world.upkeep.inspect(ref) == []
        awaiting = {
            name: members for name, members in snapshot.zsets.items() if ":awaiting:" in name
        }
        told = {name for members in awaiting.values() for name in members}
        assert told == {name for name, job in snapshot.jobs.items() if "awaiting" in job}
        for name, members in awaiting.items():
            ref = name.removeprefix("lq:").replace(":awaiting:", ":", 1)
            assert snapshot.zsets[keys.deadlines][ref] <= min(members.values())
        out = {name for held in snapshot.held.values() for name in held}
        assert out == {name for name, job in snapshot.jobs.items() if "token" in job}
        wip = {
            entry.partition(":")[0].rpartition("_")[0]
            for entry in snapshot.zsets.get("rq:wip:lambdaqueue", {})
        }
        assert wip == out

    def _follow(self) -> None:
        """Set all clocks by the world's."""
        now = self.world.now
        self.schedules.now = self.store.now = now
        self.services = ServiceJobs(self.world.client, now)
        self.executions = Executions(self.world.client, now)
        self.callbacks = Callbacks(self.world.client, now)
