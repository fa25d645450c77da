"""Purging: what waits in a queue, or its history of one state, is deleted."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count
from typing import Any

import pytest

from lambdaqueue import purging as purging_module
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import HistoryFilter
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import NotFound
from lambdaqueue.job import State
from lambdaqueue.purging import AT_ONCE, Purging
from lambdaqueue.queues import QueueStore
from lambdaqueue.rate import FlowLimits
from tests.store.desk import full
from tests.store.lines import check, push, push_many, set_up, take
from tests.store.service_desk import QUEUE, ServiceDesk
from tests.store.world import ACTOR, ENV, NOW, Hand, World


@pytest.fixture
def purging(world: World) -> Purging:
    EnvironmentStore(world.client, NOW).found(ENV, "default", b"s", "test")
    return Purging(world.client, NOW)


def history(world: World) -> list[State]:
    page = world.history.page(ENV, "mail", HistoryFilter(), 1_000, None)
    return [job.state for job in page.rows]


class Places:
    """A queue with jobs wherever they can stand."""

    def __init__(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        self.worker = world.worker()
        self.running = push(world, "a", key="running")
        self.retry = push(world, key="retry")
        for claim in take(self.worker):
            if claim.id == self.retry:
                self.worker.retry(claim, delay=60_000)
            else:
                self.claim = claim
        self.pending = [
            push(world, key="ready"),
            push(world, delay=60_000, key="later"),
            push(world, priority=9, delay=60_000),
            push(world, "a", key="lane"),
            push(world, "b"),
            push(world, "a", delay=60_000),
        ]
        lost = world.worker()
        lost.claim_one()
        world.kill(lost)  # a suspect: tried once, so it's RETRY


class TestWaiting:
    @pytest.mark.parametrize(
        ("state", "purged", "stay"),
        [(None, 7, 1), (State.PENDING, 5, 3), (State.RETRY, 2, 6)],
    )
    def test_by_state(
        self, world: World, purging: Purging, state: State | None, purged: int, stay: int
    ) -> None:
        places = Places(world)
        assert len(check(world).jobs) == 8
        done = purging.purge(ACTOR, "mail", state)
        assert (done.count, done.more) == (purged, False)
        jobs = check(world).jobs
        assert len(jobs) == stay
        assert places.running in jobs
        left = {job["state"] for job in jobs.values()}
        assert left <= {"RUNNING", "PENDING", "RETRY"} - {state}
        assert history(world) == []
        info = world.queues.info(ENV, "mail")
        assert info is not None
        assert (info.waiting, info.running) == (stay - 1, 1)

    def test_nothing_is_left_of_them(self, world: World, purging: Purging) -> None:
        places = Places(world)
        purging.purge(ACTOR, "mail", None)
        assert places.worker.settle(places.claim)
        assert take(places.worker) == []
        after = check(world)
        assert (after.jobs, after.rq_jobs, after.line) == ({}, {}, [])
        kept = ("waiting:mail", "payloads:mail", "keys:mail", "flow", "backlog:mail")
        assert not [
            key for key in after.lifetimes if key.startswith(tuple(f"lq:1:{k}" for k in kept))
        ]
        assert world.wake() is None
        assert history(world) == [State.COMPLETED]

    def test_ready_ones_do_not_go_out(self, world: World, purging: Purging) -> None:
        push_many(world, 10)
        assert len(world.line) > 0
        assert purging.purge(ACTOR, "mail", None).count == 10
        worker = world.worker()
        assert take(worker) == []
        later = push(world)
        assert [claim.id for claim in take(worker)] == [later]
        check(world)

    @pytest.mark.parametrize("key", ["ready", "later", "lane", "retry"])
    def test_unique_keys_are_free_again(self, world: World, purging: Purging, key: str) -> None:
        Places(world)
        before = world.jobs.read_by_key(ENV, "mail", key)
        assert before is not None
        purging.purge(ACTOR, "mail", None)
        assert world.jobs.read_by_key(ENV, "mail", key) is None
        assert push(world, key=key) != before.id
        check(world)

    def test_what_runs_ends_as_usual(self, world: World, purging: Purging) -> None:
        places = Places(world)
        purging.purge(ACTOR, "mail", None)
        assert places.worker.retry(places.claim, delay=1_000)
        assert world.job(places.running).state is State.RETRY
        assert purging.purge(ACTOR, "mail", None).count == 1
        check(world)

    @pytest.mark.parametrize("flows", [0, 3])
    @pytest.mark.parametrize("state", [None, State.PENDING])
    @pytest.mark.parametrize("looks", [range(1, 100), [3], [20]], ids=["always", "soon", "late"])
    def test_5_000_while_workers_take_them(
        self,
        world: World,
        purging: Purging,
        monkeypatch: pytest.MonkeyPatch,
        flows: int,
        state: State | None,
        looks: Collection[int],
    ) -> None:
        """What is deleted is not delivered, what was out ends, and nothing waits afterwards."""
        worker = world.worker(50)
        for n in range(10):
            push_many(world, 500, f"f{n % flows}" if flows else None)
        claimed: set[str] = set()
        run, turn = QueueStore.purge, count(1)

        def busy(self: QueueStore, *args: Any, **more: Any) -> int:
            claims = [] if next(turn) not in looks else worker.claim(20) + worker.claim(20)
            claimed.update(claim.id for claim in claims)
            for claim in claims:
                worker.settle(claim)
            return run(self, *args, **more)

        monkeypatch.setattr(QueueStore, "purge", busy)
        done = purging.purge(ACTOR, "mail", state)
        assert done.count == 5_000 - len(claimed)
        assert check(world).jobs == {}
        assert take(worker) == []
        assert len(history(world)) == len(claimed)

    def test_again_does_nothing(self, world: World, purging: Purging) -> None:
        push_many(world, 3)
        assert purging.purge(ACTOR, "mail", None).count == 3
        assert purging.purge(ACTOR, "mail", None).count == 0
        info = world.queues.info(ENV, "mail")
        assert info is not None
        assert (info.waiting, info.cancelled) == (0, 3)

    def test_a_large_number_takes_several_calls(
        self, world: World, purging: Purging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(purging_module, "MOST_LOOKED_AT", 400)
        push_many(world, 1_000)
        done = [purging.purge(ACTOR, "mail", None) for _ in range(3)]
        assert [(each.count, each.more) for each in done] == [
            (400, True),
            (400, True),
            (200, False),
        ]
        check(world)

    def test_a_paused_queue(self, world: World, purging: Purging) -> None:
        push_many(world, 300, "a")
        push_many(world, 300)
        world.queues.pause(ACTOR, "mail")
        assert purging.purge(ACTOR, "mail", None).count == 600
        world.queues.resume(ACTOR, "mail")
        assert take(world.worker()) == []
        check(world)

    def test_a_blocked_lane(self, world: World, purging: Purging) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        push_many(world, 700, "a")
        worker = world.worker()
        (claim,) = take(worker)
        assert purging.purge(ACTOR, "mail", None).count == 699
        check(world)
        worker.settle(claim)
        after = push(world, "a")
        assert [claim.id for claim in take(worker)] == [after]

    def test_another_queue_keeps_its_jobs(self, world: World, purging: Purging) -> None:
        other = world.push(queue="other").job.id
        push(world)
        assert purging.purge(ACTOR, "mail", None).count == 1
        assert world.queues.purge(ENV, "mail", None, [other]) == 0
        assert world.job(other).state is State.PENDING

    def test_when_redis_is_full(self, world: World, purging: Purging) -> None:
        push_many(world, 20)
        with full(world):
            assert purging.purge(ACTOR, "mail", None).count == 20

    def test_executions_are_unlisted(self, world: World, purging: Purging) -> None:
        desk = ServiceDesk(world)
        desk.put(exclusive=True)
        name = desk.run()
        assert purging.purge(ACTOR, QUEUE, None).count == 1
        listed = [key for key in world.snapshot().zsets if key.startswith("lq:1:executions")]
        assert listed == []
        assert "lq:1:unfinished:reports/daily" not in world.snapshot().sets
        # Its lock is free.
        again = desk.run()
        assert again != name
        assert desk.worker.claim(1) == []  # what is left of the first one in the line
        assert desk.call().name == again


def complete(world: World, worker: Hand) -> None:
    worker.settle(worker.claim_one())


def fail(world: World, worker: Hand) -> None:
    worker.settle(worker.claim_one(), Kind.FAILED, error="http_410: gone")


def cancel_waiting(world: World) -> None:
    world.cancel(push(world, delay=60_000))


class TestHistory:
    @pytest.fixture
    def ended(self, world: World) -> None:
        """Of each state some, in turns."""
        worker = world.worker()
        for _ in range(4):
            for act in (complete, fail, complete):
                push(world, key="k")
                act(world, worker)
            cancel_waiting(world)

    @pytest.mark.parametrize(
        ("state", "count"), [(State.COMPLETED, 8), (State.FAILED, 4), (State.CANCELLED, 4)]
    )
    @pytest.mark.usefixtures("ended")
    def test_by_state(self, world: World, purging: Purging, state: State, count: int) -> None:
        before = history(world)
        done = purging.purge(ACTOR, "mail", state)
        assert (done.count, done.more) == (count, False)
        assert history(world) == [each for each in before if each is not state]
        environment = world.snapshot().hashes["lq:1:env"]
        assert int(environment["entries"]) == len(before) - count
        assert len(world.snapshot().hashes["lq:1:ended"]) == len(before) - count
        check(world)

    @pytest.mark.usefixtures("ended")
    def test_all_of_it(self, world: World, purging: Purging) -> None:
        for state in (State.COMPLETED, State.FAILED, State.CANCELLED):
            purging.purge(ACTOR, "mail", state)
        left = world.snapshot()
        assert history(world) == []
        assert "lq:1:ended" not in left.hashes
        assert "lq:1:latest:mail" not in left.hashes
        assert left.hashes["lq:1:env"]["entries"] == "0"

    def test_many(self, world: World, purging: Purging) -> None:
        worker = world.worker(50)
        push_many(world, 700)
        while claims := take(worker):
            for claim in claims:
                worker.settle(claim)
        assert purging.purge(ACTOR, "mail", State.COMPLETED).count == 700
        assert history(world) == []

    def test_executions_are_unlisted(self, world: World, purging: Purging) -> None:
        desk = ServiceDesk(world)
        desk.put()
        name = desk.run()
        desk.finish(desk.start())
        assert purging.purge(ACTOR, QUEUE, State.COMPLETED).count == 1
        assert not [key for key in world.snapshot().zsets if key.startswith("lq:1:executions")]
        with pytest.raises(NotFound):
            desk.executions.execution(ENV, name)

    @pytest.mark.usefixtures("ended")
    def test_waiting_jobs_stay(self, world: World, purging: Purging) -> None:
        job = push(world, delay=1_000)
        purging.purge(ACTOR, "mail", State.FAILED)
        assert world.job(job).state is State.PENDING


class TestWhoMay:
    @pytest.mark.parametrize(
        ("state", "told"), [(None, "mail waiting"), (State.FAILED, "mail FAILED")]
    )
    def test_the_audit_tells(
        self, world: World, purging: Purging, state: State | None, told: str
    ) -> None:
        worker = world.worker()
        for _ in range(AT_ONCE + 1):
            push(world)
            fail(world, worker)
            push(world, delay=1_000)
        purging.purge(ACTOR, "mail", state)
        rows = EnvironmentStore(world.client, NOW).audit(ENV, 10, None).rows
        assert [(row.action, row.object, row.token) for row in rows] == [
            ("queue.purge", told, "test"),
            ("environment.create", "default", "test"),
        ]

    @pytest.mark.parametrize("state", [None, State.RETRY, State.FAILED])
    def test_of_nothing_the_audit_tells_nothing(
        self, world: World, purging: Purging, state: State | None
    ) -> None:
        world.queues.pause(ACTOR, "mail")
        before = world.snapshot()
        assert purging.purge(ACTOR, "mail", state).count == 0
        assert world.snapshot() == before

    def test_a_queue_that_is_not_there(self, world: World, purging: Purging) -> None:
        before = world.snapshot()
        with pytest.raises(NotFound):
            purging.purge(ACTOR, "mail", None)
        assert world.snapshot() == before
