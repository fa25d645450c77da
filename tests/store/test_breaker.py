"""Queues that rest: because too many of their attempts fail, or because their endpoint asks."""

from __future__ import annotations

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Push, QueueInfo
from lambdaqueue.execution import Terms
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


def info(world: World) -> QueueInfo:
    found = world.queues.info(ENV, "mail")
    assert found is not None
    return found


def until(world: World) -> int | None:
    """When the queue goes on, as it's stored; `info` compares that with this machine's clock."""
    rest = world.client.hget("lq:1:queue:mail", "rest")
    return None if rest is None else int(rest)


class TestOpening:
    def test_it_opens(self, world: World) -> None:
        worker = broken(world)
        assert take(worker) == []
        assert world.wake() == until(world) == NOW + 10_000
        assert info(world).opened == 1
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
        succeed(worker, good)
        fail(worker, bad)
        assert (take(worker) == []) is opens

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
        assert "judged" not in world.snapshot().hashes["lq:1:queue:mail"]

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
        assert info(world).opened == 0
        fail(worker, 1)
        assert info(world).opened == 1

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
        assert info(world).opened == 1
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
        assert world.wake() is None
        check(world)

    def test_a_success_closes_it(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        worker.settle(take(worker)[0])
        assert info(world).opened == 0
        assert len(take(worker)) == 19
        check(world)

    def test_what_the_endpoint_thinks_of_one_job_closes_it(self, world: World) -> None:
        worker = broken(world)
        go_on(world, 10_000)
        worker.settle(take(worker)[0], Kind.FAILED, error="http_400: no")
        assert len(take(worker)) == 19

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
        fail(worker, 9)
        assert info(world).opened == 0
        fail(worker, 1)
        assert info(world).opened == 1
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
        fail(worker, 9)
        assert info(world).opened == 1
        go_on(world, 10_000)
        assert len(take(worker)) == 1
        check(world)

    def test_with_flow_keys_and_order(self, world: World) -> None:
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
        row = world.snapshot().hashes["lq:1:queue:mail"]
        assert not {"rest", "opened", "judged", "breaker"} & row.keys()
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
    """429 and 503 with Retry-After: the queue's endpoint wants to be left alone."""

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
        assert len(take(worker)) == (20 if asked == rest else 19)
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
        assert len(take(worker)) >= 1

    def test_no_state_of_a_breaker(self, world: World) -> None:
        self.ask(world, 5_000)
        assert (info(world).breaker_state, info(world).opened) == (None, 0)
