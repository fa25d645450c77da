"""Endpoints that rest: because too many of their attempts fail, or because they ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.claims import Claim
from lambdaqueue.commands import Endpoint, Push, QueueInfo
from lambdaqueue.execution import Terms
from lambdaqueue.places import Places
from lambdaqueue.rate import Breaker, FlowLimits
from lambdaqueue.spec import Spec
from tests.store.lines import check, push, push_many, set_up, take
from tests.store.world import ACTOR, ENV, NOW, TARGET, Hand, World

FAULTS = ["http_500: no", "http_503: no", "http_429: no", "timeout: t", "connect: c", "dns: d",
          "tls: t", "bad_response: b"]  # fmt: skip
OPINIONS = ["http_400: no", "http_404: no", "http_410: gone", "unverified: u", "no_target: n",
            "http_302: redirects are not followed"]  # fmt: skip


def broken(world: World, window: int = 60_000, ratio: float = 0.5) -> Hand:
    """A queue whose breaker has just opened, with jobs that wait."""
    set_up(world, breaker=Breaker(ratio, window))
    push_many(world, 30)
    worker = world.worker()
    fail(worker, 10)
    return worker


def fail(worker: Hand, times: int, error: str = "http_500: no") -> None:
    for _ in range(times):
        worker.settle(worker.claim_one(), Kind.FAILED, error=error)


def succeed(worker: Hand, times: int) -> None:
    for _ in range(times):
        worker.settle(worker.claim_one())


def go_on(world: World, ms: int) -> None:
    world.later(ms)
    world.upkeep.tick()


def recover(world: World, worker: Hand) -> list[Claim]:
    """Take what comes back: some at first, and more every 50 ms."""
    came = take(worker)
    for _ in range(6):
        go_on(world, 50)
        came += take(worker)
    return came


def info(world: World) -> QueueInfo:
    found = world.queues.info(ENV, "mail")
    assert found is not None
    return found


def endpoints(world: World) -> dict[str, Endpoint]:
    """The queue's endpoints in trouble by their URLs."""
    return {each.url: each for each in world.queues.endpoints(ENV, "mail")}


def opened(world: World) -> int:
    """How often in a row the breaker of the usual target has opened."""
    found = endpoints(world).get(TARGET)
    assert (found is not None and found.opened > 0) == (info(world).opened == 1)
    return 0 if found is None else found.opened


def until(world: World) -> int | None:
    """When the usual target is called again."""
    found = endpoints(world).get(TARGET)
    return None if found is None else found.rests_until


class TestOpening:
    def test_it_opens(self, world: World) -> None:
        worker = broken(world)
        assert take(worker) == []
        assert world.wake() == until(world) == NOW + 10_000
        assert opened(world) == 1
        check(world)

    @pytest.mark.parametrize(
        ("good", "bad", "ratio", "opens"),
        [
            (0, 9, 0.5, False),  # ten attempts make a judgement
            (0, 10, 1, True),
            (1, 9, 1, False),
            (5, 5, 0.5, True),
            (6, 5, 0.5, False),
            (8, 2, 0.2, True),
            (9, 1, 0.2, False),
        ],
    )
    def test_the_ratio(self, world: World, good: int, bad: int, ratio: float, opens: bool) -> None:
        set_up(world, breaker=Breaker(ratio, 60_000))
        push_many(world, 20)
        worker = world.worker()
        fail(worker, 1)
        succeed(worker, good)
        fail(worker, bad - 1)
        assert (take(worker) == []) is opens

    def test_a_success_does_not_open_it(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.2, 60_000))
        push_many(world, 20)
        worker = world.worker()
        fail(worker, 2)
        succeed(worker, 8)
        assert opened(world) == 0

    def test_what_went_well_before_the_first_failure_is_not_counted(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        push_many(world, 40)
        worker = world.worker()
        succeed(worker, 20)
        fail(worker, 9)
        assert opened(world) == 0
        fail(worker, 1)
        assert opened(world) == 1

    @pytest.mark.parametrize("error", FAULTS)
    @pytest.mark.parametrize("kind", [Kind.RETRY, Kind.FAILED])
    def test_what_is_the_endpoints_fault(self, world: World, error: str, kind: Kind) -> None:
        set_up(world, breaker=Breaker(1, 60_000))
        push_many(world, 20)
        worker = world.worker()
        for _ in range(10):
            worker.settle(worker.claim_one(), kind, delay=60_000, error=error)
        assert take(worker) == []

    @pytest.mark.parametrize("error", OPINIONS)
    def test_what_is_not(self, world: World, error: str) -> None:
        set_up(world, breaker=Breaker(0.1, 60_000))
        push_many(world, 30)
        worker = world.worker()
        fail(worker, 20, error)
        assert len(take(worker)) == 10

    @pytest.mark.parametrize("kind", [Kind.UNSENT, Kind.RELEASED])
    def test_what_was_not_tried_says_nothing(self, world: World, kind: Kind) -> None:
        set_up(world, breaker=Breaker(0.1, 60_000))
        push(world)
        worker = world.worker()
        for _ in range(20):
            worker.settle(worker.claim_one(), kind)
        assert not [name for name in world.snapshot().hashes if ":endpoint:" in name]

    def test_what_is_old_does_not_count(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 5_000))
        push_many(world, 30)
        worker = world.worker()
        fail(worker, 9)
        go_on(world, 5_001)
        fail(worker, 9)
        assert len(take(worker)) == 12

    def test_after_the_clock_was_set_back_it_counts_anew(self, world: World) -> None:
        world.later(3_600_000)
        set_up(world, breaker=Breaker(0.5, 60_000))
        push_many(world, 5)
        worker = world.worker()
        fail(worker, 5)
        world.later(-3_600_000)
        push_many(world, 15)
        fail(worker, 9)
        assert opened(world) == 0
        fail(worker, 1)
        assert opened(world) == 1

    def test_one_batch_opens_it_once(self, world: World) -> None:
        """Attempts that were out when it opened say nothing new."""
        set_up(world, breaker=Breaker(0.5, 60_000))
        push_many(world, 40)
        worker = world.worker(40)
        world.upkeep.stir(["1:mail"])
        claims = worker.claim(20)
        assert len(claims) > 10
        for claim in claims:
            worker.settle(claim, Kind.FAILED, error="timeout: t")
        assert opened(world) == 1
        assert until(world) == NOW + 10_000

    def test_without_one_nothing_rests(self, world: World) -> None:
        push_many(world, 30)
        worker = world.worker()
        fail(worker, 20)
        assert len(take(worker)) == 10

    def test_what_is_in_the_line_is_held_back(self, world: World) -> None:
        worker = broken(world)
        assert len(world.line) > 0
        assert take(worker) == []
        assert world.line == []
        check(world)

    def test_another_queue_goes_on(self, world: World) -> None:
        worker = broken(world)
        other = world.push(queue="other").job.id
        assert [claim.id for claim in take(worker)] == [other]


class TestHalfOpen:
    def test_one_probe_at_a_time(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        assert len(take(worker)) == 1
        assert world.wake() == world.now + 1_000, "then it's looked whether that is still out"
        check(world)

    def test_a_success_closes_it(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        worker.settle(take(worker)[0])
        assert opened(world) == 0
        assert len(recover(world, worker)) == 19
        check(world)

    def test_what_the_endpoint_thinks_of_one_job_closes_it(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        worker.settle(take(worker)[0], Kind.FAILED, error="http_400: no")
        assert len(recover(world, worker)) == 19

    def test_a_failure_opens_it_for_twice_as_long(self, world: World) -> None:
        worker = broken(world)
        rests = []
        for _ in range(9):
            go_on(world, (until(world) or 0) - world.now)
            (claim,) = take(worker)
            worker.settle(claim, Kind.FAILED, error="timeout: t")
            rests.append((until(world) or 0) - world.now)
            assert take(worker) == []
        doubled = [20_000, 40_000, 80_000, 160_000, 320_000]
        assert rests == [*doubled, 600_000, 600_000, 600_000, 600_000]
        check(world)

    def test_after_closing_it_takes_ten_again(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        worker.settle(take(worker)[0])
        for _ in range(2):
            go_on(world, 50)
        fail(worker, 9)
        assert opened(world) == 0
        fail(worker, 1)
        assert opened(world) == 1
        assert until(world) == world.now + 10_000

    def test_a_probe_that_is_lost_is_followed_by_another(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        assert len(take(worker)) == 1
        other = world.worker()
        world.kill(worker)
        assert len(take(other)) == 1
        check(world)

    def test_a_probe_that_was_not_sent_is_followed_by_another(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        worker.settle(take(worker)[0], Kind.UNSENT)
        assert len(take(worker)) == 1

    def test_executions_that_await_their_end_are_no_probes(self, world: World) -> None:
        """They may take days; the endpoint is tried meanwhile."""
        set_up(world, breaker=Breaker(0.5, 60_000))
        spec = Spec(b"{}", target=TARGET, terms=Terms(86_400_000, 3_600_000))
        world.jobs.push(ENV, "mail", [Push(spec)])
        worker = world.worker()
        (claim,) = take(worker)
        arguments = (claim.id, claim.token, "d" * 43, 86_400_000, 3_600_000, "")
        assert world.scripts.run("invoke", [], *arguments)[0] == b"registered"
        worker.settle(claim, Kind.STARTED)
        push_many(world, 20)
        fail(worker, 10)
        assert opened(world) == 1
        go_on(world, 10_000)
        assert len(take(worker)) == 1
        check(world)

    def test_with_flow_keys(self, world: World) -> None:
        set_up(world, flow=FlowLimits(concurrency=1), breaker=Breaker(0.5, 60_000))
        for n in range(30):
            push(world, f"f{n % 3}")
        worker = world.worker()
        fail(worker, 10)
        assert take(worker) == []
        go_on(world, 10_000)
        (claim,) = take(worker)
        worker.settle(claim)
        assert len(take(worker)) == 3
        check(world)


class TestSettings:
    def test_switched_off_it_goes_on_at_once(self, world: World) -> None:
        worker = broken(world)
        set_up(world, breaker=None)
        assert len(take(worker)) == 20
        assert (info(world).opened, info(world).troubled) == (0, 0)
        assert not [name for name in world.snapshot().hashes if ":endpoint:" in name]
        check(world)

    def test_changed_it_stays_open(self, world: World) -> None:
        worker = broken(world)
        set_up(world, breaker=Breaker(0.9, 5_000))
        assert take(worker) == []
        go_on(world, 10_000)
        assert len(take(worker)) == 1

    def test_another_setting_leaves_its_state_alone(self, world: World) -> None:
        worker = broken(world)
        set_up(world, timeout=5_000)
        assert take(worker) == []
        assert until(world) == NOW + 10_000

    def test_paused_and_resumed_meanwhile(self, world: World) -> None:
        worker = broken(world)
        world.queues.pause(ACTOR, "mail")
        world.queues.resume(ACTOR, "mail")
        assert take(worker) == []
        go_on(world, 10_000)
        assert len(take(worker)) == 1


class TestAsked:
    """429 and 503 with Retry-After: the endpoint wants to be left alone."""

    def ask(self, world: World, *asked: int) -> Hand:
        push_many(world, 20)
        worker = world.worker()
        for ms in asked:
            claim = worker.claim_one()
            worker.settle(claim, Kind.RETRY, delay=ms, error="http_429: no", asked=ms)
        return worker

    @pytest.mark.parametrize(
        ("asked", "rest"), [(1_000, 1_000), (60_000, 60_000), (86_400_000, 60_000)]
    )
    def test_all_of_it_waits(self, world: World, asked: int, rest: int) -> None:
        worker = self.ask(world, asked)
        assert take(worker) == []
        assert world.wake() == NOW + rest
        go_on(world, rest)
        assert len(recover(world, worker)) == (20 if asked == rest else 19)
        check(world)

    def test_the_longest_wish_counts(self, world: World) -> None:
        push_many(world, 20)
        worker = world.worker()
        for claim, ms in zip(worker.claim(3), (2_000, 9_000, 1_000), strict=True):
            worker.settle(claim, Kind.RETRY, delay=ms, error="http_503: no", asked=ms)
        assert until(world) == NOW + 9_000

    def test_a_pause_by_settings_does_not_end_it(self, world: World) -> None:
        worker = self.ask(world, 5_000)
        set_up(world, timeout=5_000)
        assert take(worker) == []

    def test_beside_a_breaker_the_longer_rest_counts(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        (claim,) = take(worker)
        worker.settle(claim, Kind.RETRY, delay=60_000, error="http_503: no", asked=60_000)
        assert until(world) == world.now + 60_000

    def test_a_clock_that_was_set_back_keeps_nobody_waiting(self, world: World) -> None:
        """No rest is longer than ten minutes."""
        world.later(3_600_000)
        worker = self.ask(world, 60_000)
        world.later(-3_600_000)
        push_many(world, 1)
        world.upkeep.stir(["1:mail"])
        # The new one, and what was in the line already; by this clock the others aren't due yet.
        assert len(recover(world, worker)) == 17

    def test_no_state_of_a_breaker(self, world: World) -> None:
        self.ask(world, 5_000)
        assert (info(world).breaker_state, info(world).opened) == (None, 0)


OTHER = f"{TARGET}other"


class TestTargets:
    """Each target of a queue is judged, and rests, by itself."""

    def test_others_go_on(self, world: World) -> None:
        worker = broken(world)
        fine = push_many(world, 30, target=OTHER)
        assert [claim.id for claim in take(worker)] == fine
        check(world)
        go_on(world, 10_000)
        assert [claim.target for claim in take(worker)] == [TARGET], "a probe"

    def test_a_query_makes_no_other_target(self, world: World) -> None:
        worker = broken(world)
        push_many(world, 2, target=f"{TARGET}?page=2")
        assert take(worker) == []
        assert endpoints(world)[TARGET].aside == 22

    def test_the_queues_own_is_one_of_them(self, world: World) -> None:
        set_up(world, target=TARGET)
        worker = broken(world)
        push_many(world, 3, target=None)
        (fine,) = push_many(world, 1, target=OTHER)
        assert [claim.id for claim in take(worker)] == [fine]
        check(world)

    def test_what_is_said_of_them(self, world: World) -> None:
        worker = broken(world)
        push_many(world, 2, target=OTHER)
        claim = take(worker)[-1]
        worker.settle(claim, Kind.RETRY, delay=5_000, error="http_503: no", asked=5_000)
        take(worker)
        found = endpoints(world)
        assert (found[TARGET].state, found[TARGET].aside, found[TARGET].opened) == ("open", 20, 1)
        assert (found[OTHER].state, found[OTHER].rests_until) == ("resting", world.now + 5_000)
        assert (info(world).troubled, info(world).opened, info(world).breaker_state) == (
            2,
            1,
            "open",
        )
        go_on(world, 10_000)
        assert endpoints(world)[TARGET].state == "half-open"
        assert endpoints(world).keys() == {TARGET}
        check(world)

    def test_nothing_is_left_of_a_trouble_that_is_over(self, world: World) -> None:
        set_up(world, breaker=None)
        push_many(world, 3)
        worker = world.worker()
        worker.settle(worker.claim_one(), Kind.RETRY, error="http_503: no", asked=1_000)
        assert take(worker) == []
        go_on(world, 1_000)
        for claim in take(worker):
            worker.settle(claim)
        left = [name for name in world.snapshot().lifetimes if name.startswith("lq:1:")]
        assert not [name for name in left if name.split(":")[2] in ("endpoint", "aside", "resting")]

    def test_what_is_counted_is_forgotten_with_the_window(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        push_many(world, 1)
        fail(world.worker(), 1)
        (lifetime,) = (
            lifetime
            for name, lifetime in world.snapshot().lifetimes.items()
            if ":endpoint:" in name
        )
        assert 0 < lifetime <= 60_000

    def test_many_come_back_in_the_order_of_their_priorities_and_pushes(self, world: World) -> None:
        worker = broken(world)
        take(worker)
        low, high = push_many(world, 150), push_many(world, 150, priority=9)
        assert take(worker) == []
        go_on(world, 10_000)
        (probe,) = take(worker)
        worker.settle(probe)
        came: list[str] = []
        while got := take(worker):
            came += [claim.id for claim in got]
            for claim in got:
                worker.settle(claim)
            go_on(world, 50)
        highest = [job_id for job_id in came if job_id in high]
        assert highest == high[1:] if probe.id == high[0] else highest == high
        assert [job_id for job_id in came if job_id in low] == low
        assert len(came) == 319
        check(world)

    def test_more_targets_than_one_look_takes(self, world: World) -> None:
        set_up(world, breaker=Breaker(0.5, 60_000))
        targets = [f"{TARGET}{n}" for n in range(50)]
        worker = world.worker()
        for target in targets:
            push_many(world, 2, target=target)
            first = worker.claim(1)[0]
            worker.settle(first, Kind.RETRY, delay=1_000, error="http_429: no", asked=1_000)
            assert take(worker) == []
        assert len(endpoints(world)) == 50
        world.later(1_000)
        came = set()
        for _ in range(10):
            world.upkeep.tick()
            came |= {claim.target for claim in take(worker)}
        assert came == set(targets)
        check(world)

    @pytest.mark.parametrize("how", ["cancel", "purge", "replace", "change", "target", "run"])
    def test_what_is_set_aside_can_be_changed(self, world: World, how: str) -> None:
        worker = broken(world)
        mine = push(world, key="k")
        assert take(worker) == []
        assert "aside" in check(world).jobs[mine]
        if how == "cancel":
            assert world.cancel(mine) is not None
        elif how == "purge":
            assert world.queues.purge(ENV, "mail", None, [mine]) == 1
        elif how == "replace":
            assert push(world, key="k", delay=60_000) == mine
        elif how == "change":
            world.change(mine, delay=60_000)
        elif how == "target":
            assert push(world, key="k", target=OTHER) == mine
        else:
            world.jobs.run_now(mine, ENV, None)
        assert [claim.id for claim in take(worker)] == ([mine] if how == "target" else [])
        job = check(world).jobs.get(mine)
        assert (job is None) == (how in ("cancel", "purge"))
        assert ("aside" in (job or {})) == (how == "run")

    def test_it_is_listed_among_the_items_of_its_queue(self, world: World) -> None:
        worker = broken(world)
        take(worker)
        push_many(world, 250)
        take(worker)
        places = Places(world.jobs)
        found = [job_id for job_id, _ in places.positions(ENV, "mail", None, None)]
        assert len(found) == len(set(found)) == 270
        for at in (0, 100, 269):
            cursor = list(places.positions(ENV, "mail", None, None))[at][1]
            rest = [job_id for job_id, _ in places.positions(ENV, "mail", None, cursor)]
            assert rest == found[at + 1 :]

    def test_a_maximum_age_ends_it(self, world: World) -> None:
        worker = broken(world)
        mine = push(world, max_age=5_000)
        assert take(worker) == []
        go_on(world, 10_000)
        worker.settle(take(worker)[0])
        recover(world, worker)
        assert world.ended(mine).error == "expired: its max age is over"

    @pytest.mark.parametrize("limits", [{"ordered": True}, {"flow": FlowLimits(ordered=True)}])
    def test_order_is_kept(self, world: World, limits: dict[str, Any]) -> None:
        """What rests holds back those behind it, whatever their targets."""
        set_up(world, breaker=Breaker(0.5, 60_000), **limits)
        pushed = [push(world, "f", target=(TARGET, OTHER)[n % 2]) for n in range(6)]
        worker = world.worker()
        claim = worker.claim_one()
        worker.settle(claim, Kind.RETRY, delay=500, error="http_503: no", asked=3_000)
        go_on(world, 500)
        assert take(worker) == []
        check(world)
        assert take(worker) == []
        go_on(world, 2_500)
        came = []
        while got := take(worker):
            (claim,) = got
            came.append(claim.id)
            worker.settle(claim)
            go_on(world, 1)
        assert came == pushed
        check(world)

    def test_the_queue_is_dropped_with_what_is_known_of_them(self, world: World) -> None:
        worker = broken(world)
        for job_id in world.snapshot().jobs:
            world.cancel(job_id)
        take(worker)
        world.queues.drop(ACTOR, "mail")
        left = [name for name in world.snapshot().lifetimes if name.startswith("lq:1:")]
        assert not [name for name in left if ":mail" in name]
