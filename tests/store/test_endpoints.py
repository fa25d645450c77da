"""Endpoints that rest while other things happen: cancels, orders, settings, clocks, stragglers."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.claims import Claim
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.purging import Purging
from lambdaqueue.rate import Breaker, FlowLimits
from lambdaqueue.store import JobStore
from tests.store.lines import check, push, push_many, set_up, take
from tests.store.test_breaker import OTHER, endpoints, fail, go_on, info, opened, until
from tests.store.world import ACTOR, ENV, NOW, TARGET, Hand, World


def let_rest(world: World, worker: Hand, ms: int = 60_000) -> None:
    """Let the usual target ask for a rest."""
    push(world)
    (claim,) = take(worker)
    worker.settle(claim, Kind.FAILED, error="http_429: no", asked=ms)


def ids(claims: list[Claim]) -> list[str]:
    return [claim.id for claim in claims]


class TestOrder:
    @pytest.mark.parametrize("how", ["cancel", "purge", "replace"])
    def test_a_lane_goes_on_when_what_held_it_is_gone(self, world: World, how: str) -> None:
        set_up(world, flow=FlowLimits(ordered=True))
        worker = world.worker()
        let_rest(world, worker)
        first = push(world, "f", key="k")
        second = push(world, "f", target=OTHER)
        assert take(worker) == []
        if how == "cancel":
            world.cancel(first)
        elif how == "purge":
            world.queues.purge(ENV, "mail", None, [first])
        else:
            assert push(world, "g", key="k") == first
        assert ids(take(worker)) == [second]
        check(world)

    def test_a_job_alone_in_its_lane_keeps_the_hold(self, world: World) -> None:
        set_up(world, flow=FlowLimits(ordered=True))
        worker = world.worker()
        let_rest(world, worker)
        first = push(world, "f")
        assert take(worker) == []
        second = push(world, "f", target=OTHER)
        assert take(worker) == []
        go_on(world, 60_000)
        (claim,) = take(worker)
        assert claim.id == first
        worker.settle(claim)
        assert ids(take(worker)) == [second]
        check(world)

    @pytest.mark.parametrize("limits", [{"ordered": True}, {"flow": FlowLimits(ordered=True)}])
    def test_what_is_held_is_the_probe(self, world: World, limits: dict[str, Any]) -> None:
        """Also where others were set aside before order was asked for."""
        set_up(world, breaker=Breaker(0.5, 600_000))
        worker = world.worker()
        push_many(world, 10)
        fail(worker, 10)
        push_many(world, 30, "f")
        assert take(worker) == []
        set_up(world, **limits)
        push_many(world, 1, "f", priority=9)
        take(worker)
        came = 0
        for _ in range(60):
            go_on(world, 1_000)
            for claim in take(worker):
                worker.settle(claim)
                came += 1
        assert came == 31
        check(world)


class TestNoJobs:
    def test_it_is_forgotten(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        worker = world.worker()
        for number in range(30):
            push_many(world, 10, target=f"{TARGET}{number}")
            for claim in take(worker):
                worker.settle(claim, Kind.FAILED, error="connect: c")
        assert info(world).opened == 30
        go_on(world, 60_000)
        assert info(world).opened == 30, "half-open"
        for _ in range(4):
            go_on(world, 600_000)
        assert (info(world).opened, info(world).troubled) == (0, 0)
        assert not [name for name in check(world).lifetimes if ":endpoint:" in name]

    def test_what_is_in_order_leaves_nothing(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        push_many(world, 3)
        worker = world.worker()
        for claim in take(worker):
            worker.settle(claim)
        assert not [name for name in world.snapshot().lifetimes if ":endpoint:" in name]

    def test_a_queue_of_the_same_name_begins_anew(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 3_600_000))
        worker = world.worker()
        push_many(world, 9)
        fail(worker, 9)
        world.queues.drop(ACTOR, "mail")
        go_on(world, 1)
        set_up(world, breaker=Breaker(0.5, 3_600_000))
        push_many(world, 3)
        fail(worker, 1)
        assert opened(world) == 0


class TestProbes:
    def test_what_is_too_old_is_none(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        worker = world.worker()
        push_many(world, 10)
        fail(worker, 10)
        for _ in range(40):
            push(world, max_age=1_000)
        good = push(world)
        assert take(worker) == []
        go_on(world, 10_000)
        assert ids(take(worker)) == [good]
        check(world)

    @pytest.mark.parametrize("kind", [Kind.COMPLETED, Kind.RETRY])
    def test_attempts_of_before_say_nothing(self, world: World, kind: Kind) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        worker = world.worker(40)
        push_many(world, 40)
        world.upkeep.stir(["1:mail"])
        slow, *_ = worker.claim(5)
        fail(worker, 10)
        go_on(world, 10_000)
        (probe,) = take(worker)
        error = "" if kind is Kind.COMPLETED else "timeout: t"
        worker.settle(slow, kind, delay=1_000, error=error)
        assert opened(world) == 1
        worker.settle(probe)
        assert opened(world) == 0


class TestSettings:
    def test_another_target_of_the_queue_gets_the_jobs_at_once(self, world: World) -> None:
        set_up(world, target=TARGET, breaker=Breaker(0.5, 60_000))
        worker = world.worker()
        push_many(world, 110, target=None)
        fail(worker, 10)
        assert take(worker) == []
        set_up(world, target=OTHER)
        came = 0
        for _ in range(20):
            for claim in take(worker):
                worker.settle(claim)
                came += 1
            go_on(world, 50)
        assert came == 100
        check(world)

    def test_breakers_of_many_are_closed_little_by_little(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        worker = world.worker()
        for number in range(50):
            push_many(world, 11, target=f"{TARGET}{number}")
            for claim in take(worker)[:10]:
                worker.settle(claim, Kind.FAILED, error="connect: c")
        assert info(world).opened == 50
        set_up(world, breaker=None)
        for _ in range(5):
            go_on(world, 50)
        assert (info(world).opened, info(world).troubled) == (0, 0)
        check(world)


class TestClocks:
    def test_a_new_wish_counts_after_it_was_set_back(self, world: World) -> None:
        world.later(3_600_000)
        push_many(world, 5)
        worker = world.worker()
        world.upkeep.stir(["1:mail"])
        first, second = worker.claim(2)
        worker.settle(first, Kind.FAILED, error="http_429: no", asked=60_000)
        world.later(-3_600_000)
        worker.settle(second, Kind.FAILED, error="http_429: no", asked=30_000)
        assert until(world) == world.now + 30_000

    def test_run_now_after_it_was_set_back(self, world: World) -> None:
        world.later(3_600_000)
        worker = world.worker()
        let_rest(world, worker)
        job = push(world)
        assert take(worker) == []
        world.later(-3_600_000)
        world.jobs.run_now(job, ENV, None)
        world.upkeep.stir(["1:mail"])
        assert ids(take(worker)) == [job]


def test_an_id_without_a_job_stops_nobody(world: World) -> None:
    """Whatever has deleted it."""
    worker = world.worker()
    let_rest(world, worker)
    lost, left = push_many(world, 2)
    assert take(worker) == []
    world.client.delete(f"lq:1:job:{lost}")
    go_on(world, 60_000)
    assert ids(take(worker)) == [left]
    assert endpoints(world) == {}


def test_a_purge_meets_a_job_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves while its queue is walked over: from the line to those that are set aside."""
    EnvironmentStore(world.client, NOW).found(ENV, "default", b"sealed", "test")
    set_up(world, breaker=Breaker(0.5, 60_000))
    worker = world.worker()
    push_many(world, 10)
    fail(worker, 10)
    push_many(world, 5)
    waiting, moved = JobStore.waiting, list[str]()

    def move_first(self: JobStore, *place: Any) -> list[tuple[str, int]]:
        if not moved:
            moved.extend(ids(worker.claim()) or ["none"])
        return waiting(self, *place)

    monkeypatch.setattr(JobStore, "waiting", move_first)
    purged = Purging(world.client, world.now).purge(ACTOR, "mail", None)
    assert (purged.count, info(world).waiting) == (5, 0)
    assert moved == ["none"]
    check(world)
