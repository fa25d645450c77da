"""Limits of a queue: how many attempts at once, how many in a time, and one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Push
from lambdaqueue.execution import Terms
from lambdaqueue.rate import FlowLimits, Rate
from lambdaqueue.spec import Spec
from tests.store.lines import check, push, push_many, set_up, take
from tests.store.world import ACTOR, ENV, NOW, TARGET, Hand, World


class TestConcurrency:
    def test_it_is_exact_over_several_workers(self, world: World) -> None:
        """Random claims and ends: never more run than may, and never fewer while jobs wait."""
        chance = random.Random(6)
        set_up(world, concurrency=7)
        push_many(world, 150)
        workers = [world.worker() for _ in range(4)]
        out: list[tuple[Hand, Any]] = []
        ended = most = 0
        while ended < 150:
            for worker in chance.sample(workers, 4):
                out += [(worker, claim) for claim in worker.claim(chance.randint(1, 5))]
            assert len(out) == min(7, 150 - ended)
            most = max(most, len(out))
            for _ in range(chance.randint(1, 3)):
                if out:
                    worker, claim = out.pop(chance.randrange(len(out)))
                    worker.settle(claim)
                    ended += 1
        assert most == 7
        check(world)

    def test_it_is_one(self, world: World) -> None:
        set_up(world, concurrency=1)
        ids = push_many(world, 3)
        one, other = world.worker(), world.worker()
        (first,) = take(one)
        assert take(other) == []
        one.settle(first)
        (second,) = take(other)
        assert [first.id, second.id] == ids[:2]

    @pytest.mark.parametrize(("after", "more"), [(8, 5), (3, 0), (2, 0), (None, 17)])
    def test_a_change_bites_at_once(self, world: World, after: int | None, more: int) -> None:
        set_up(world, concurrency=3)
        push_many(world, 20)
        worker = world.worker()
        assert len(take(worker)) == 3
        set_up(world, concurrency=after)
        assert len(take(worker)) == more
        check(world)

    def test_it_is_lowered_while_more_run(self, world: World) -> None:
        set_up(world, concurrency=5)
        push_many(world, 20)
        worker = world.worker()
        claims = take(worker)
        set_up(world, concurrency=2)
        for claim in claims[:3]:
            worker.settle(claim)
            assert take(worker) == []
        worker.settle(claims[3])
        assert len(take(worker)) == 1
        check(world)

    def test_what_is_in_the_line_already_is_held_back(self, world: World) -> None:
        worker = world.worker()
        push_many(world, 10)
        assert len(world.line) == 10
        set_up(world, concurrency=4)
        assert len(take(worker)) == 4
        check(world)

    def test_an_execution_counts_until_its_callback(self, world: World) -> None:
        set_up(world, concurrency=1)
        spec = Spec(b"{}", target=TARGET, terms=Terms(60_000, 30_000))
        world.jobs.push(ENV, "mail", [Push(spec)])
        push(world)
        worker = world.worker()
        (claim,) = take(worker)
        digest = "d" * 43
        assert world.scripts.run("invoke", [], claim.id, claim.token, digest, 60_000, 30_000, "")
        assert worker.settle(claim, Kind.STARTED)
        assert take(worker) == []
        world.jobs.cancel_at_once(claim.id)
        assert len(take(worker)) == 1
        check(world)

    def test_a_dead_worker_frees_its_places(self, world: World) -> None:
        set_up(world, concurrency=2)
        push_many(world, 3)
        lost, worker = world.worker(), world.worker()
        assert len(take(lost)) == 2
        assert take(worker) == []
        assert world.kill(lost) == (2, 1)
        # A worker takes one suspect at a time; the other job is none.
        assert sorted(claim.attempt for claim in take(worker)) == [1, 2]
        check(world)

    def test_waiting_wakes_nobody(self, world: World) -> None:
        """Whoever frees a place lets the next one in: nothing is to be looked at till then."""
        set_up(world, concurrency=1)
        push_many(world, 5)
        assert len(take(world.worker())) == 1
        assert world.wake() is None

    def test_another_queue_is_not_concerned(self, world: World) -> None:
        set_up(world, concurrency=1)
        push_many(world, 500)
        other = world.push(queue="other").job.id
        assert other in {claim.id for claim in take(world.worker())}


def run_for(world: World, seconds: int, workers: list[Hand], look: tuple[int, int]) -> list[int]:
    """Let workers take what there is, and a scheduler look every so many ms; returns when each
    attempt began."""
    chance = random.Random(seconds)
    begun: list[int] = []
    until = world.now + seconds * 1_000
    while world.now < until:
        world.later(chance.randint(*look))
        world.upkeep.tick()
        while world.line:
            worker = chance.choice(workers)
            claims = worker.claim(chance.randint(1, 20))
            begun += [world.now] * len(claims)
            for claim in claims:
                worker.settle(claim)
    return begun


def most_in(period: int, times: list[int]) -> int:
    """Return how many of `times` lie in one period, wherever that begins."""
    most = first = 0
    for at, time in enumerate(times):
        while times[first] <= time - period:
            first += 1
        most = max(most, at - first + 1)
    return most


class TestRate:
    @pytest.mark.parametrize(
        ("rate", "look", "used"),
        [
            (Rate(50, 1_000), (10, 50), 0.95),
            (Rate(1_200, 60_000), (10, 50), 0.95),
            (Rate(120, 1_000), (10, 50), 0.95),
            (Rate(30, 1_000, burst=10), (10, 50), 0.99),
        ],
        ids=str,
    )
    def test_it_is_never_above_and_nearly_all_used(
        self, world: World, rate: Rate, look: tuple[int, int], used: float
    ) -> None:
        set_up(world, rate=rate)
        wanted = rate.limit * 60_000 // rate.period
        push_many(world, wanted + 500)
        begun = run_for(world, 60, [world.worker() for _ in range(4)], look)
        assert most_in(rate.period, begun) <= rate.limit + (rate.burst or 1) - 1
        assert used <= len(begun) / wanted
        check(world)

    def test_the_steps_are_even(self, world: World) -> None:
        """10 a second: one every 100 ms, and the queue sleeps meanwhile."""
        set_up(world, rate=Rate(10, 1_000))
        push_many(world, 5)
        worker = world.worker()
        begun: list[int] = []
        while len(begun) < 5:
            begun += [world.now - NOW] * len(take(worker))
            if (wake := world.wake()) is not None:
                world.later(wake - world.now)
                world.upkeep.tick()
        assert begun == [0, 100, 200, 300, 400]

    @pytest.mark.parametrize(
        ("limit", "period"), [(14, 1_000), (7, 100), (3, 7), (1, 1), (1, 86_400_000)]
    )
    def test_an_interval_that_is_no_whole_number(
        self, world: World, limit: int, period: int
    ) -> None:
        """Rounding must not make a token that never comes."""
        set_up(world, rate=Rate(limit, period))
        push_many(world, 2)
        worker = world.worker()
        assert len(take(worker)) == 1
        world.later(-(-period // limit) + 1)
        world.upkeep.tick()
        assert len(take(worker)) == 1

    @pytest.mark.parametrize(("burst", "at_once"), [(1, 1), (5, 5), (100, 20)])
    def test_a_burst(self, world: World, burst: int, at_once: int) -> None:
        set_up(world, rate=Rate(10, 1_000, burst))
        push_many(world, 20)
        worker = world.worker(50)
        assert len(take(worker)) == at_once
        world.later(100)
        world.upkeep.tick()
        assert len(take(worker)) == min(1, 20 - at_once)

    def test_a_burst_is_saved_up_again(self, world: World) -> None:
        set_up(world, rate=Rate(10, 1_000, 5))
        push_many(world, 5)
        worker = world.worker()
        assert len(take(worker)) == 5
        world.later(250)
        push_many(world, 5)
        assert len(take(worker)) == 2

    def test_a_line_that_nobody_empties_is_left_alone(self, world: World) -> None:
        """Without a worker no token is used: there is nothing to look at."""
        set_up(world, rate=Rate(10, 1_000, 2))
        push_many(world, 5)
        world.later(10_000)
        world.upkeep.tick()
        assert len(world.line) == 2
        assert world.wake() is None
        worker = world.worker()
        assert len(take(worker)) == 2
        assert world.wake() is not None
        check(world)

    @pytest.mark.parametrize(
        ("after", "waited", "begun"),
        [
            (None, 0, 19),
            (Rate(10, 1_000), 0, 0),
            (Rate(10, 1_000), 100, 1),
            # What was used up under the old rate is not made up for by the new one.
            (Rate(1_000, 1_000, 5), 0, 0),
            (Rate(1_000, 1_000, 5), 3, 3),
            (Rate(1_000, 1_000, 1), 1, 1),
        ],
        ids=str,
    )
    def test_a_change_bites_at_once(
        self, world: World, after: Rate | None, waited: int, begun: int
    ) -> None:
        set_up(world, rate=Rate(1, 60_000))
        push_many(world, 20)
        worker = world.worker()
        assert len(take(worker)) == 1
        set_up(world, rate=after)
        world.later(waited)
        world.upkeep.tick()
        assert len(take(worker)) == begun
        check(world)

    def test_it_is_lowered_while_jobs_are_in_the_line(self, world: World) -> None:
        worker = world.worker()
        set_up(world, rate=Rate(10, 1_000, 10))
        push_many(world, 20)
        assert len(world.line) == 10
        set_up(world, rate=Rate(1, 1_000))
        assert len(take(worker)) == 1
        world.later(1_000)
        world.upkeep.tick()
        assert len(take(worker)) == 1
        check(world)

    def test_the_clock_is_set_back(self, world: World) -> None:
        """An hour of standing still would be worse than one token too many."""
        set_up(world, rate=Rate(10, 1_000))
        world.later(3_600_000)
        push_many(world, 3, on=1)
        worker = world.worker()
        assert len(take(worker)) == 1
        world.later(-3_600_000)
        push_many(world, 3)
        world.upkeep.stir(["1:mail"])
        assert take(worker) == []
        world.later(100)
        world.upkeep.tick()
        assert len(take(worker)) == 1

    def test_a_retry_takes_a_token(self, world: World) -> None:
        set_up(world, rate=Rate(1, 1_000))
        push(world)
        worker = world.worker()
        (claim,) = take(worker)
        worker.retry(claim, delay=10)
        world.later(10)
        world.upkeep.tick()
        assert take(worker) == []
        assert world.wake() == NOW + 1_000

    def test_with_concurrency_the_lower_one_holds(self, world: World) -> None:
        set_up(world, rate=Rate(10, 1_000, 5), concurrency=2)
        push_many(world, 10)
        worker = world.worker()
        first = take(worker)
        assert len(first) == 2
        for claim in first:
            worker.settle(claim)
        again = take(worker)
        assert len(again) == 2
        for claim in again:
            worker.settle(claim)
        assert len(take(worker)) == 1
        check(world)

    def test_a_tombstone_takes_no_token(self, world: World) -> None:
        set_up(world, rate=Rate(1, 60_000))
        first, second = push_many(world, 2)
        world.cancel(first)
        assert [claim.id for claim in take(world.worker())] == [second]


def settle(world: World, worker: Hand, claim: Any) -> None:
    worker.settle(claim)


def fail(world: World, worker: Hand, claim: Any) -> None:
    worker.settle(claim, Kind.FAILED, error="http_410: gone")


def hand_back(world: World, worker: Hand, claim: Any) -> None:
    worker.settle(claim, Kind.RELEASED)


class TestOrdered:
    def test_one_after_the_other(self, world: World) -> None:
        set_up(world, ordered=True)
        ids = push_many(world, 6)
        workers = [world.worker(), world.worker()]
        seen = []
        for turn in range(6):
            claims = take(workers[turn % 2]) + take(workers[1 - turn % 2])
            (claim,) = claims
            seen.append(claim.id)
            workers[turn % 2].settle(claim)
        assert seen == ids

    def test_a_retry_holds_back_those_behind_it(self, world: World) -> None:
        set_up(world, ordered=True)
        first, second, third = push_many(world, 3)
        worker = world.worker()
        for attempt in range(1, 4):
            (claim,) = take(worker)
            assert (claim.id, claim.attempt) == (first, attempt)
            worker.retry(claim, delay=5_000)
            assert take(worker) == []
            assert world.wake() == world.now + 5_000
            push(world, priority=9)
            assert take(worker) == []
            check(world)
            world.later(5_000)
            world.upkeep.tick()
        (claim,) = take(worker)
        assert claim.id == first
        worker.settle(claim)
        seen = []
        while claims := take(worker):
            seen.append(claims[0].id)
            worker.settle(claims[0])
        assert seen[3:] == [second, third]
        check(world)

    @pytest.mark.parametrize("end", [settle, fail])
    def test_the_next_follows_every_end(
        self, world: World, end: Callable[[World, Hand, Any], None]
    ) -> None:
        set_up(world, ordered=True)
        _, second = push_many(world, 2)
        worker = world.worker()
        end(world, worker, take(worker)[0])
        assert [claim.id for claim in take(worker)] == [second]

    def test_what_is_handed_back_goes_first(self, world: World) -> None:
        set_up(world, ordered=True)
        first, _ = push_many(world, 2)
        worker = world.worker()
        hand_back(world, worker, take(worker)[0])
        assert [claim.id for claim in take(worker)] == [first]

    def test_what_is_lost_goes_first(self, world: World) -> None:
        set_up(world, ordered=True)
        first, _ = push_many(world, 2)
        lost, worker = world.worker(), world.worker()
        take(lost)
        world.kill(lost)
        assert [claim.id for claim in take(worker)] == [first]
        check(world)

    @pytest.mark.parametrize(
        "act",
        [
            lambda world, held: world.cancel(held),
            lambda world, held: world.queues.purge(ENV, "mail", None, [held]),
            lambda world, held: world.change(held, delay=60_000),
            lambda world, held: push(world, key="k", delay=60_000),
        ],
        ids=["cancelled", "purged", "changed", "replaced"],
    )
    def test_the_hold_ends_with(self, world: World, act: Callable[[World, str], object]) -> None:
        set_up(world, ordered=True)
        held = push(world, key="k")
        second = push(world)
        worker = world.worker()
        worker.retry(take(worker)[0], delay=5_000)
        assert take(worker) == []
        act(world, held)
        assert [claim.id for claim in take(worker)] == [second]
        check(world)

    def test_one_that_was_replaced_while_it_ran_holds_nobody(self, world: World) -> None:
        set_up(world, ordered=True)
        push(world, key="k")
        second = push(world)
        worker = world.worker()
        worker.retry(take(worker)[0], delay=0)
        (claim,) = take(worker)
        assert claim.attempt == 2
        push(world, key="k", delay=60_000)
        worker.retry(claim)
        assert [claim.id for claim in take(worker)] == [second]
        check(world)

    def test_one_that_expires_holds_nobody(self, world: World) -> None:
        set_up(world, ordered=True)
        held = push(world, max_age=1_000)
        second = push(world)
        worker = world.worker()
        worker.retry(take(worker)[0], delay=5_000)
        world.later(5_000)
        world.upkeep.tick()
        assert [claim.id for claim in take(worker)] == [second]
        assert (world.ended(held).error or "").startswith("expired")
        check(world)

    def test_run_now_ends_the_pause(self, world: World) -> None:
        set_up(world, ordered=True)
        held, _ = push_many(world, 2)
        worker = world.worker()
        worker.retry(take(worker)[0], delay=5_000)
        world.jobs.run_now(held, ENV, None)
        assert [claim.id for claim in take(worker)] == [held]

    def test_switched_off(self, world: World) -> None:
        set_up(world, ordered=True)
        push_many(world, 3)
        worker = world.worker()
        worker.retry(take(worker)[0], delay=5_000)
        set_up(world, ordered=False)
        assert len(take(worker)) == 2
        set_up(world, ordered=True)
        push(world)
        assert take(worker) == []
        check(world)

    def test_switched_on_while_jobs_are_in_the_line(self, world: World) -> None:
        """A retry holds back these, too."""
        first, second, third = push_many(world, 3)
        assert len(world.line) == 3
        set_up(world, ordered=True)
        worker = world.worker()
        claim = worker.claim_one()
        worker.retry(claim, delay=5_000)
        assert take(worker) == []
        world.later(5_000)
        world.upkeep.tick()
        seen = []
        while claims := take(worker):
            seen += [claim.id for claim in claims]
            worker.settle(claims[0])
        assert seen == [first, second, third]
        check(world)

    def test_paused_meanwhile(self, world: World) -> None:
        set_up(world, ordered=True)
        ids = push_many(world, 3)
        world.queues.pause(ACTOR, "mail")
        worker = world.worker()
        assert take(worker) == []
        world.queues.resume(ACTOR, "mail")
        assert [claim.id for claim in take(worker)] == ids[:1]

    @pytest.mark.parametrize("flow", ["same", "each"])
    @pytest.mark.parametrize("limits", [None, {"concurrency": 1}, {"ordered": True}])
    def test_with_flow_keys(self, world: World, flow: str, limits: dict[str, Any] | None) -> None:
        """A lane in which many wait lets the one through that the queue waits for."""
        set_up(world, ordered=True, flow=FlowLimits(**limits) if limits else None)
        first = push(world, "f")
        rest = [push(world, "f" if flow == "same" else f"f{n}") for n in range(100)]
        worker = world.worker()
        worker.retry(take(worker)[0], delay=5_000)
        assert take(worker) == []
        check(world)
        world.later(5_000)
        world.upkeep.tick()
        seen = []
        while claims := take(worker):
            (claim,) = claims
            seen.append(claim.id)
            worker.settle(claim)
        assert seen[0] == first
        assert sorted(seen[1:]) == sorted(rest)
        check(world)
