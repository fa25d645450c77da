"""Flow keys: what is limited by itself within a queue, and holds up nobody else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Push
from lambdaqueue.connection import Scripts
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.job import State
from lambdaqueue.places import Places
from lambdaqueue.rate import FlowLimits, Rate
from lambdaqueue.removal import remove_environment
from lambdaqueue.schedule import plan
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.spec import Spec
from tests.store.desk import OTHER, RUN, assert_ended, schedule
from tests.store.lines import check, lane_keys, push, push_many, set_up, take
from tests.store.test_limits import most_in
from tests.store.world import ACTOR, ENV, NOW, TARGET, Hand, World


def left(world: World) -> list[str]:
    """The lanes of which any key stands in Redis."""
    return sorted(set(lane_keys(world.snapshot(), "flow", "backlog")))


def commands_for_another(world: World, worker: Hand) -> int:
    """Return what Redis executes for a push, a claim and an end of a job with a flow of its own."""
    world.client.config_resetstat()
    other = push(world, f"other {random.random()}")
    (claim,) = worker.claim(1)
    assert claim.id == other
    worker.settle(claim)
    world.upkeep.tick()
    stats = world.client.info("commandstats").values()
    return sum(row["calls"] for row in stats)


class TestConcurrency:
    def test_each_key_by_itself(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=2))
        of = {flow: [push(world, flow) for _ in range(5)] for flow in ("a", "b", "é\U0001f600")}
        free = [push(world) for _ in range(5)]
        worker = world.worker()
        first = take(worker)
        expected = [job for flow in of.values() for job in flow[:2]] + free
        assert sorted(claim.id for claim in first) == sorted(expected)
        check(world)
        for claim in first:
            worker.settle(claim)
        assert sorted(c.id for c in take(worker)) == sorted(j for f in of.values() for j in f[2:4])
        check(world)

    def test_it_is_exact_over_several_workers(self, world: World) -> None:
        """Random ends of every kind, four workers, five lanes in a queue with its own limit."""
        chance = random.Random(66)
        set_up(world, flow=FlowLimits(concurrency=3), concurrency=8)
        flow_of = {}
        for n in range(120):
            flow = chance.choice("abcde")
            flow_of[push(world, flow, priority=n % 3)] = flow
        workers = [world.worker() for _ in range(4)]
        out: list[tuple[Hand, Any]] = []
        done: set[str] = set()
        while len(done) < len(flow_of):
            worker = chance.choice(workers)
            out += [(worker, claim) for claim in worker.claim(chance.randint(1, 4))]
            busy = [flow_of[claim.id] for _, claim in out]
            assert len(busy) <= 8
            assert max((busy.count(flow) for flow in "abcde"), default=0) <= 3
            if out and chance.random() < 0.6:
                hand, claim = out.pop(chance.randrange(len(out)))
                match chance.choice(["end", "end", "fail", "retry", "back"]):
                    case "end":
                        hand.settle(claim)
                        done.add(claim.id)
                    case "fail":
                        hand.settle(claim, Kind.FAILED, error="http_410: gone")
                        done.add(claim.id)
                    case "retry":
                        hand.retry(claim, delay=chance.randint(1, 50))
                    case "back":
                        hand.settle(claim, Kind.RELEASED)
            if chance.random() < 0.2:
                world.later(chance.randint(1, 100))
                world.upkeep.tick()
                check(world)
        check(world)
        assert left(world) == []

    @pytest.mark.parametrize(("after", "more"), [(4, 3), (1, 0), (None, 9)])
    def test_a_change_bites_at_once(self, world: World, after: int | None, more: int) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        push_many(world, 10, "a")
        worker = world.worker()
        assert len(take(worker)) == 1
        set_up(world, flow=FlowLimits(concurrency=after) if after else None)
        assert len(take(worker)) == more
        check(world)

    def test_it_is_lowered_while_more_run(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=5))
        push_many(world, 10, "a")
        worker = world.worker()
        claims = take(worker)
        assert len(claims) == 5
        set_up(world, flow=FlowLimits(concurrency=2))
        for claim in claims[:3]:
            worker.settle(claim)
            assert take(worker) == []
        worker.settle(claims[3])
        assert len(take(worker)) == 1
        check(world)

    def test_what_is_in_the_line_already_is_held_back(self, world: World) -> None:
        worker = world.worker()
        push_many(world, 10, "a")
        assert len(world.line) == 10
        set_up(world, flow=FlowLimits(concurrency=3))
        assert len(take(worker)) == 3
        check(world)

    def test_switched_on_and_off_with_waiting_jobs(self, world: World) -> None:
        set_up(world, concurrency=1)
        for n in range(100):
            push(world, f"f{n % 2}")
        worker = world.worker()
        seen = [claim.id for claim in take(worker)]
        assert len(seen) == 1
        set_up(world, concurrency=None, flow=FlowLimits(concurrency=1))
        check(world)
        seen += [claim.id for claim in take(worker)]
        assert len(seen) == 2
        check(world)
        set_up(world, flow=None)
        seen += [claim.id for claim in take(worker)]
        assert len(set(seen)) == len(seen) == 100
        check(world)


class TestABlockedLane:
    def test_it_holds_up_nobody(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        push_many(world, 500, "blocked")
        worker = world.worker()
        assert len(take(worker)) == 1
        others = [push(world), push(world, "a"), push(world, "b", priority=9)]
        assert sorted(claim.id for claim in take(worker)) == sorted(others)
        check(world)

    def test_its_higher_priority_holds_up_nobody(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        push_many(world, 100, "blocked", priority=9)
        worker = world.worker()
        assert len(take(worker)) == 1
        other = push(world)
        assert [claim.id for claim in take(worker)] == [other]

    def test_10_000_of_its_jobs_cost_others_nothing(self, world: World) -> None:
        """Counted in what Redis executes for a push, a claim and an end of another job."""
        set_up(world, flow=FlowLimits(concurrency=1))
        worker = world.worker()
        push(world, "blocked")
        assert len(take(worker)) == 1
        push(world, "blocked")
        alone = commands_for_another(world, worker)
        push_many(world, 10_000, "blocked")
        assert commands_for_another(world, worker) <= alone
        assert world.wake() is None
        check(world)

    def test_a_thousand_blocked_lanes_are_not_looked_at(self, world: World) -> None:
        set_up(world, flow=FlowLimits(rate=Rate(1, 3_600_000)))
        worker = world.worker()
        push_many(world, 2, "f0")
        assert len(take(worker)) == 1
        alone = commands_for_another(world, worker)
        orders = [Push(Spec(b"{}", target=TARGET, flow_key=f"f{n // 2}")) for n in range(1_000)]
        world.jobs.push(ENV, "mail", orders)
        while len(take(worker, 500)):
            world.later(20)
            world.upkeep.tick()
        assert world.snapshot().hashes["lq:1:queue:mail"]["running"] == "500"
        assert commands_for_another(world, worker) <= alone + 1
        check(world)

    def test_many_lanes_come_due_together(self, world: World) -> None:
        """More than one run looks at: none is forgotten."""
        set_up(world, flow=FlowLimits(concurrency=1))
        orders = [
            Push(Spec(b"{}", target=TARGET, flow_key=f"f{n}"), delay=5_000) for n in range(300)
        ]
        world.jobs.push(ENV, "mail", orders)
        worker = world.worker(50)
        assert take(worker) == []
        world.later(5_000)
        seen: list[str] = []
        for _ in range(30):
            world.upkeep.tick()
            claims = take(worker)
            seen += [claim.id for claim in claims]
            for claim in claims:
                worker.settle(claim)
        assert len(set(seen)) == len(seen) == 300
        check(world)
        assert left(world) == []

    def test_a_change_bites_at_once_however_many_are_blocked(self, world: World) -> None:
        set_up(world, flow=FlowLimits(rate=Rate(1, 3_600_000)))
        worker = world.worker(100)
        for start in range(0, 1_200, 300):
            orders = [
                Push(Spec(b"{}", target=TARGET, flow_key=f"f{start + n // 2}")) for n in range(600)
            ]
            world.jobs.push(ENV, "mail", orders)
        seen = everything_ready(world, worker)
        assert len(seen) == 1_200
        set_up(world, flow=None)
        seen |= everything_ready(world, worker)
        assert len(seen) == 2_400
        check(world)

    def test_a_full_queue_keeps_no_lane_from_its_turn(self, world: World) -> None:
        """Nine lanes take turns in a queue with room for one attempt."""
        set_up(world, concurrency=1, flow=FlowLimits(concurrency=1))
        for flow in "abcdefghi":
            push_many(world, 3, flow)
        worker = world.worker()
        seen = []
        while claims := take(worker):
            (claim,) = claims
            seen.append(claim.id)
            worker.settle(claim)
        assert len(set(seen)) == len(seen) == 27
        assert left(world) == []


def everything_ready(world: World, worker: Hand) -> set[str]:
    """Take all that goes at this moment, with as many looks of a scheduler as that needs."""
    seen: set[str] = set()
    while claims := take(worker, 500):
        seen |= {claim.id for claim in claims}
        world.upkeep.tick()
    return seen


class TestRate:
    def test_each_key_by_itself(self, world: World) -> None:
        set_up(world, flow=FlowLimits(rate=Rate(2, 1_000)))
        for n in range(20):
            push(world, f"f{n % 4}")
        worker = world.worker(50)
        begun: list[tuple[int, int]] = []
        while sum(count for _, count in begun) < 20:
            claims = take(worker)
            begun.append((world.now - NOW, len(claims)))
            for claim in claims:
                worker.settle(claim)
            if (wake := world.wake()) is not None:
                world.later(wake - world.now)
                world.upkeep.tick()
        assert begun == [(at, 4) for at in (0, 500, 1_000, 1_500, 2_000)]
        check(world)

    def test_never_above_and_nearly_all_used(self, world: World) -> None:
        chance = random.Random(7)
        set_up(world, flow=FlowLimits(rate=Rate(44, 1_000)))
        flows = {flow: flow for flow in "abc"}
        for flow in flows:
            flows[flow] = Spec(flow_key=flow).flow
            push_many(world, 1_000, flow)
        workers = [world.worker() for _ in range(3)]
        begun: dict[str, list[int]] = {flow: [] for flow in flows}
        while world.now < NOW + 20_000:
            world.later(chance.randint(10, 50))
            world.upkeep.tick()
            while world.line:
                worker = chance.choice(workers)
                for claim in worker.claim(chance.randint(1, 20)):
                    begun[claim.spec.flow_key or ""].append(world.now)
                    worker.settle(claim)
        for times in begun.values():
            assert most_in(1_000, times) <= 44
            assert len(times) >= 0.95 * 44 * 20
        check(world)

    def test_its_state_outlives_the_lane(self, world: World) -> None:
        """Else an empty lane would be a new one, with a token of its own."""
        set_up(world, flow=FlowLimits(rate=Rate(1, 60_000)))
        push(world, "a")
        worker = world.worker()
        worker.settle(take(worker)[0])
        (name,) = left(world)
        key = f"lq:{ENV}:flow:{name}"
        assert set(world.client.hkeys(key)) == {b"tat"}
        assert 0 < world.client.pttl(key) <= 60_000
        later = push(world, "a")
        assert take(worker) == []
        assert world.client.pttl(key) == -1
        check(world)
        world.later(60_000)
        world.upkeep.tick()
        (claim,) = take(worker)
        assert claim.id == later
        world.later(60_001)
        worker.settle(claim)
        assert left(world) == []

    def test_changed_and_removed(self, world: World) -> None:
        set_up(world, flow=FlowLimits(rate=Rate(1, 60_000)))
        push_many(world, 10, "a")
        worker = world.worker()
        assert len(take(worker)) == 1
        set_up(world, flow=FlowLimits(rate=Rate(10, 1_000)))
        world.later(100)
        world.upkeep.tick()
        assert len(take(worker)) == 1
        set_up(world, flow=FlowLimits(concurrency=5))
        assert len(take(worker)) == 3
        check(world)

    def test_a_line_that_nobody_empties_is_left_alone(self, world: World) -> None:
        set_up(world, flow=FlowLimits(rate=Rate(10, 1_000, 2)))
        push_many(world, 5, "a")
        world.later(10_000)
        world.upkeep.tick()
        assert len(world.line) == 2
        assert world.wake() is None

    def test_a_queue_with_a_rate_of_its_own(self, world: World) -> None:
        set_up(world, rate=Rate(10, 1_000), flow=FlowLimits(rate=Rate(1, 1_000)))
        for flow in ("a", "a", "b", "b"):
            push(world, flow)
        worker = world.worker()
        begun = []
        for _ in range(30):
            begun += [(world.now - NOW, claim.spec.flow_key) for claim in take(worker)]
            world.later(50)
            world.upkeep.tick()
        assert [at for at, _ in begun] == [0, 100, 1_000, 1_100]
        assert sorted(flow or "" for _, flow in begun[:2]) == ["a", "b"]
        check(world)


class TestOrdered:
    def test_a_retry_holds_back_its_own_lane_only(self, world: World) -> None:
        set_up(world, flow=FlowLimits(ordered=True))
        of_a, of_b = push_many(world, 3, "a"), push_many(world, 3, "b")
        worker = world.worker()
        claims = {claim.id: claim for claim in take(worker)}
        assert set(claims) == {of_a[0], of_b[0]}
        worker.retry(claims[of_a[0]], delay=1_000)
        worker.settle(claims[of_b[0]])
        assert [claim.id for claim in take(worker)] == [of_b[1]]
        push(world, "a", priority=9)
        assert take(worker) == []
        check(world)
        world.later(1_000)
        world.upkeep.tick()
        (again,) = take(worker)
        assert again.id == of_a[0]
        worker.settle(again)
        assert len(take(worker)) == 1
        check(world)

    @pytest.mark.parametrize(
        "act",
        [
            lambda world, held: world.cancel(held),
            lambda world, held: world.queues.purge(ENV, "mail", None, [held]),
            lambda world, held: world.change(held, delay=60_000),
            lambda world, held: push(world, "a", key="k", delay=60_000),
            lambda world, held: push(world, "b", key="k", delay=60_000),
            lambda world, held: push(world, key="k", delay=60_000),
            lambda world, held: set_up(world, flow=None),
            lambda world, held: set_up(world, flow=FlowLimits(concurrency=1)),
        ],
        ids=["cancelled", "purged", "changed", "replaced", "of another flow", "of none",
             "switched off", "not ordered"],
    )  # fmt: skip
    def test_the_hold_ends_with(self, world: World, act: Callable[[World, str], object]) -> None:
        set_up(world, flow=FlowLimits(ordered=True))
        held = push(world, "a", key="k")
        second = push(world, "a")
        worker = world.worker()
        worker.retry(take(worker)[0], delay=5_000)
        assert take(worker) == []
        act(world, held)
        assert [claim.id for claim in take(worker)] == [second]
        check(world)

    def test_one_that_is_lost_goes_first(self, world: World) -> None:
        set_up(world, flow=FlowLimits(ordered=True))
        first, second = push_many(world, 2, "a")
        lost, worker = world.worker(), world.worker()
        take(lost)
        world.kill(lost)
        (claim,) = take(worker)
        assert claim.id == first
        check(world)
        worker.settle(claim)
        assert [claim.id for claim in take(worker)] == [second]
        check(world)

    def test_one_that_expires(self, world: World) -> None:
        set_up(world, flow=FlowLimits(ordered=True))
        held = push(world, "a", max_age=1_000)
        second = push(world, "a")
        worker = world.worker()
        worker.retry(take(worker)[0], delay=5_000)
        world.later(5_000)
        world.upkeep.tick()
        assert [claim.id for claim in take(worker)] == [second]
        assert (world.ended(held).error or "").startswith("expired")
        check(world)

    def test_a_retry_waits_for_its_lanes_rate(self, world: World) -> None:
        """It's not taken into the line and put back again all the time."""
        set_up(world, flow=FlowLimits(ordered=True, rate=Rate(1, 10_000)))
        first, second = push_many(world, 2, "a")
        worker = world.worker()
        worker.retry(take(worker)[0], delay=1_000)
        world.later(1_000)
        world.upkeep.tick()
        assert (take(worker), world.line) == ([], [])
        assert world.wake() == NOW + 10_000
        world.later(9_000)
        world.upkeep.tick()
        (claim,) = take(worker)
        assert claim.id == first
        worker.settle(claim)
        world.later(10_000)
        world.upkeep.tick()
        assert [claim.id for claim in take(worker)] == [second]
        check(world)

    def test_switched_on_while_jobs_are_in_the_line(self, world: World) -> None:
        worker = world.worker()
        ids = push_many(world, 4, "a")
        assert len(world.line) == 4
        set_up(world, flow=FlowLimits(ordered=True))
        worker.retry(worker.claim_one(), delay=1_000)
        assert take(worker) == []
        check(world)
        world.later(1_000)
        world.upkeep.tick()
        seen = []
        while claims := take(worker):
            seen += [claim.id for claim in claims]
            worker.settle(claims[0])
        assert seen == ids


class TestOrderWithinALane:
    def test_by_priority_then_due_time_then_push(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        low = push(world, "a", priority=0, delay=1)
        third, fourth = (push(world, "a", priority=5, delay=2) for _ in range(2))
        second = push(world, "a", priority=5, delay=1)
        first = push(world, "a", priority=9, delay=2)
        world.later(2)
        world.upkeep.tick()
        worker = world.worker()
        seen = []
        while claims := take(worker):
            seen.append(claims[0].id)
            worker.settle(claims[0])
        assert seen == [first, second, third, fourth, low]

    def test_a_suspect_goes_first_and_alone(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=2))
        ids = push_many(world, 4, "a")
        lost = world.worker()
        assert len(take(lost)) == 2
        worker, other = world.worker(), world.worker()
        world.kill(lost)
        check(world)
        (suspect,) = worker.claim(1)
        assert suspect.id == ids[0]
        (second,) = other.claim(1)
        assert second.id == ids[1]
        worker.settle(suspect)
        other.settle(second)
        assert sorted(claim.id for claim in take(worker)) == ids[2:]
        check(world)

    def test_what_is_not_due_waits_in_its_lane(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        later = push(world, "a", delay=5_000)
        assert world.wake() == NOW + 5_000
        sooner = push(world, "a", delay=1_000)
        assert world.wake() == NOW + 1_000
        world.later(1_000)
        world.upkeep.tick()
        worker = world.worker()
        (claim,) = take(worker)
        assert claim.id == sooner
        worker.settle(claim)
        assert world.wake() == NOW + 5_000
        world.later(4_000)
        world.upkeep.tick()
        assert [claim.id for claim in take(worker)] == [later]
        check(world)


def waiting_in_lane(world: World, worker: Hand) -> str:
    """A lane with one job that runs and one in its backlog; returns the latter's id."""
    set_up(world, flow=FlowLimits(concurrency=1))
    push(world, "a")
    waits = push(world, "a", key="k")
    assert len(take(worker)) == 1
    return waits


def staged_in_queue(world: World, worker: Hand) -> str:
    """A job that its lane has let into the queue, where it waits for a place."""
    set_up(world, concurrency=1, flow=FlowLimits(concurrency=5))
    order = Push(Spec(b"{}", target=TARGET, flow_key="a"))
    pushed = world.jobs.push(ENV, "mail", [order, order, replace(order, key="k")])
    stored = check(world).jobs[pushed[2].job.id]
    assert ("staged" in stored, "admission" in stored) == (True, False)
    return pushed[2].job.id


def ready_in_line(world: World, worker: Hand) -> str:
    """A job of a lane in the line."""
    set_up(world, flow=FlowLimits(concurrency=1))
    ready = push(world, "a", key="k")
    assert world.line == [ready]
    return ready


def waits_for_retry(world: World, worker: Hand) -> str:
    """A job of a lane that waits for another attempt."""
    set_up(world, flow=FlowLimits(concurrency=1))
    waits = push(world, "a", key="k")
    worker.retry(take(worker)[0], delay=5_000)
    return waits


PLACES = [waiting_in_lane, staged_in_queue, ready_in_line, waits_for_retry]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
class TestJobsThatWait:
    """Everything that can happen to a job, wherever in its lane it stands."""

    def test_cancel(self, world: World, place: Callable[[World, Hand], str]) -> None:
        worker = world.worker()
        job = place(world, worker)
        assert world.cancel(job) is not None
        assert world.ended(job).state is State.CANCELLED
        check(world)
        assert job not in drained(world, worker)

    def test_purge(self, world: World, place: Callable[[World, Hand], str]) -> None:
        worker = world.worker()
        job = place(world, worker)
        assert world.queues.purge(ENV, "mail", None, [job]) == 1
        assert world.jobs.read(job) is None
        check(world)
        assert job not in drained(world, worker)

    def test_run_now(self, world: World, place: Callable[[World, Hand], str]) -> None:
        worker = world.worker()
        job = place(world, worker)
        world.jobs.run_now(job, ENV, None)
        check(world)
        assert drained(world, worker).count(job) == 1

    @pytest.mark.parametrize("flow", ["a", "b", None])
    @pytest.mark.parametrize("when", [{}, {"delay": 1_000}, {"priority": 9}])
    def test_replace(
        self,
        world: World,
        place: Callable[[World, Hand], str],
        flow: str | None,
        when: dict[str, int],
    ) -> None:
        worker = world.worker()
        job = place(world, worker)
        assert push(world, flow, key="k", **when) == job
        assert world.job(job).spec.flow_key == flow
        check(world)
        assert drained(world, worker).count(job) == 1

    @pytest.mark.parametrize("flow", ["a", "b", None])
    def test_change(
        self, world: World, place: Callable[[World, Hand], str], flow: str | None
    ) -> None:
        worker = world.worker()
        job = world.job(place(world, worker))
        world.jobs.change(job, replace(job.spec, flow_key=flow), delay=None, on=None, priority=5)
        assert world.job(job.id).spec.flow_key == flow
        check(world)
        assert drained(world, worker).count(job.id) == 1

    def test_pause_and_resume(self, world: World, place: Callable[[World, Hand], str]) -> None:
        worker = world.worker()
        job = place(world, worker)
        world.queues.pause(ACTOR, "mail")
        assert take(worker) == []
        check(world)
        world.queues.resume(ACTOR, "mail")
        check(world)
        assert drained(world, worker).count(job) == 1

    def test_switch_off(self, world: World, place: Callable[[World, Hand], str]) -> None:
        worker = world.worker()
        job = place(world, worker)
        set_up(world, flow=None)
        check(world)
        assert drained(world, worker).count(job) == 1


def drained(world: World, worker: Hand) -> list[str]:
    """Let everything that runs or waits end; returns what was claimed, in order."""
    for job_id, job in world.snapshot().jobs.items():
        if job["state"] == "RUNNING":
            claim_of(world, worker, job_id)
    seen = []
    for _ in range(20):
        world.upkeep.tick()
        for claim in take(worker):
            seen.append(claim.id)
            worker.settle(claim)
            check(world)
        world.later(1_000)
    assert world.snapshot().jobs == {}
    assert [name for name in left(world) if world.client.exists(f"lq:1:backlog:{name}")] == []
    check(world)
    return seen


def claim_of(world: World, worker: Hand, job_id: str) -> None:
    """End an attempt that an earlier claim has begun."""
    world.jobs.cancel_at_once(job_id)


class TestRunningJobs:
    def test_a_new_version_of_another_flow(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        job = push(world, "a", key="k")
        second = push(world, "a")
        worker = world.worker()
        (claim,) = take(worker)
        push(world, "b", key="k")
        check(world)
        assert world.job(job).spec.flow_key == "b"
        worker.settle(claim)
        check(world)
        assert sorted(claim.id for claim in take(worker)) == sorted([job, second])
        check(world)

    def test_a_new_version_of_none(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        job = push(world, "a", key="k")
        worker = world.worker()
        (claim,) = take(worker)
        push(world, None, key="k", delay=1_000)
        worker.retry(claim)
        assert left(world) == []
        world.later(1_000)
        world.upkeep.tick()
        assert [claim.id for claim in take(worker)] == [job]
        check(world)

    def test_a_new_version_that_was_dropped(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1))
        job = push(world, "a", key="k")
        worker = world.worker()
        (claim,) = take(worker)
        push(world, "b", key="k")
        world.cancel(job)
        worker.settle(claim)
        check(world)
        assert left(world) == []


class TestResends:
    """A copy of a call that the network held back changes nothing."""

    def test_of_every_step(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        set_up(world, flow=FlowLimits(concurrency=1, rate=Rate(100, 1_000)))
        run = Scripts.run

        def twice(self: Scripts, name: str, keys_: Any, *args: Any) -> Any:
            answer = run(self, name, keys_, *args)
            if name in (
                "push",
                "change",
                "cancel",
                "run_now",
                "claim",
                "settle",
                "configure",
                "purge",
            ):
                before = world.snapshot()
                assert run(self, name, keys_, *args) == answer
                after = world.snapshot()
                before.lifetimes.clear()
                after.lifetimes.clear()
                assert after == before, name
            return answer

        monkeypatch.setattr(Scripts, "run", twice)
        worker = world.worker()
        first, _, third, fourth = push_many(world, 4, "a")
        (claim,) = worker.claim(5)
        worker.retry(claim, delay=1_000)
        (claim,) = worker.claim(5)
        worker.settle(claim)
        world.cancel(third)
        world.change(fourth, delay=100)
        world.jobs.run_now(first, ENV, None)
        set_up(world, flow=FlowLimits(concurrency=2))
        world.queues.purge(ENV, "mail", None, [first, fourth])
        check(world)


class TestElsewhere:
    def test_a_schedule_pushes_into_its_lane(self, world: World) -> None:
        world.queues.configure(ACTOR, "clock", {"flow": FlowLimits(concurrency=1)}, None)
        store = ScheduleStore(world.client, NOW)
        made = schedule("s", RUN, misfire="all")
        spec = Spec(b"{}", target=TARGET, schedule_id="s", flow_key="a")
        store.put(replace(made, spec=spec), 0)
        (due,) = store.due(1).schedules
        ((first, second),) = store.fire([plan(due, NOW, 0.5)])
        check(world)
        worker = world.worker()
        (claim,) = take(worker)
        assert (claim.id, claim.spec.flow_key) == (first, "a")
        worker.settle(claim)
        assert [claim.id for claim in take(worker)] == [second]
        check(world)

    def test_a_schedule_loses_its_flow_key(self, world: World) -> None:
        store = ScheduleStore(world.client, NOW)
        spec = Spec(b"{}", target=TARGET, schedule_id="s", flow_key="a")
        store.put(replace(schedule("s", RUN), spec=spec), 0)
        store.put(replace(schedule("s", RUN), spec=replace(spec, flow_key=None)), 1)
        (due,) = store.due(1).schedules
        store.fire([plan(due, NOW, 0.5)])
        assert all("flow" not in job for job in check(world).jobs.values())

    def test_an_environment_with_lanes_is_removed(self, world: World) -> None:
        EnvironmentStore(world.client, NOW).found(OTHER, "other", b"s", "test")
        limits = FlowLimits(concurrency=2, rate=Rate(1, 3_600_000))
        actor = replace(ACTOR, environment=OTHER)
        world.queues.configure(actor, "mail", {"flow": limits}, None)
        order = Push(Spec(b"{}", target=TARGET, flow_key="a"))
        world.jobs.push(OTHER, "mail", [order] * 3)
        worker = world.worker()
        worker.settle(take(worker)[0])
        list(remove_environment(world.client, "other", "test"))
        take(worker)
        assert_ended(world, OTHER)

    @pytest.mark.parametrize("state", [None, State.PENDING])
    def test_pages_over_lanes(self, world: World, state: State | None) -> None:
        """Every job once, whatever the size of the pages; then jobs come and go between two."""
        set_up(world, flow=FlowLimits(concurrency=1), concurrency=2)
        world.queues.pause(ACTOR, "mail")
        expected = set()
        for n in range(60):
            options: dict[str, Any] = {"priority": n % 3, "delay": n % 2 * 1_000}
            expected.add(push(world, [None, "a", "b", "c"][n % 4], **options))
        places = Places(world.jobs)
        for size in (1, 7, 100):
            assert sorted(paged(places, size, state)) == sorted(expected)
        seen = []
        for job in paged(places, 5, state):
            seen.append(job)
            push(world, "d")
        assert expected <= set(seen)
        assert len(set(seen)) == len(seen)

    def test_a_lane_is_gone_when_its_page_goes_on(self, world: World) -> None:
        world.queues.pause(ACTOR, "mail")
        jobs = {flow: push_many(world, 3, flow) for flow in "abcd"}
        by_lane = sorted(jobs, key=lambda flow: Spec(flow_key=flow).flow)
        places = Places(world.jobs)
        walk = places.positions(ENV, "mail", None, None)
        for _ in range(4):
            _, cursor = next(walk)
        for job in jobs[by_lane[1]]:
            world.cancel(job)
        rest = [job for job, _ in places.positions(ENV, "mail", None, cursor)]
        assert rest == [*jobs[by_lane[2]], *jobs[by_lane[3]]]

    def test_more_lanes_than_are_counted(self, world: World) -> None:
        """What `inspect` can't count in one run, it says nothing about."""
        world.queues.pause(ACTOR, "mail")
        for start in range(0, 10_100, 1_000):
            orders = [
                Push(Spec(b"{}", target=TARGET, flow_key=str(start + n)))
                for n in range(min(1_000, 10_100 - start))
            ]
            world.jobs.push(ENV, "mail", orders)
        assert world.upkeep.inspect(keys.queue_ref(ENV, "mail")) == []


def paged(places: Places, size: int, state: State | None) -> list[str]:
    """Return the ids of all jobs, read page by page."""
    found: list[str] = []
    cursor = None
    while True:
        walk = places.positions(ENV, "mail", state, cursor)
        page = [place for place, _ in zip(walk, range(size), strict=False)]
        if not page:
            return found
        found += [job for job, _ in page]
        cursor = page[-1][1]
