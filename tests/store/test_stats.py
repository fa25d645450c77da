"""What ended, in pieces of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.claims import Claim
from lambdaqueue.stats import Bar, Span, StatsStore
from tests.store.world import ACTOR, ENV, NOW, Hand, World

MINUTE, HOUR = 60_000, 3_600_000


def run(world: World, worker: Hand, kind: Kind = Kind.COMPLETED, ms: int = 7) -> Claim:
    """Push a job and let it end, or be tried again in a week."""
    world.push()
    claim = worker.claim_one()
    error = "" if kind is Kind.COMPLETED else "http_500: no"
    delay = 7 * 24 * HOUR if kind is Kind.RETRY else 0
    assert worker.settle(claim, kind, took=ms, delay=delay, error=error)
    return claim


def bars(world: World, span: Span = Span.HOUR) -> Sequence[Bar]:
    return StatsStore(world.client, world.now).recent(ENV, "mail").bars[span]


def completed(world: World, span: Span = Span.HOUR) -> list[int]:
    return [bar.completed for bar in bars(world, span)]


class TestHour:
    def test_what_is_in_a_bar(self, world: World) -> None:
        worker = world.worker()
        run(world, worker)
        run(world, worker, ms=300)
        run(world, worker, Kind.FAILED, ms=60_000)
        run(world, worker, Kind.RETRY, ms=2_000)
        world.cancel(world.push(delay=5).job.id)
        *before, last = bars(world)
        assert len(before) == 11
        assert not any(bar.completed + bar.failed + bar.took.count for bar in before)
        assert last.since == NOW // 300_000 * 300
        assert (last.completed, last.failed, last.cancelled) == (2, 1, 1)
        assert (last.took.count, last.took.total) == (4, 62_307)
        assert last.took.quantile(1) == 60_000

    def test_bars_follow_each_other(self, world: World) -> None:
        worker = world.worker()
        for number in (1, 0, 2, 3):
            for _ in range(number):
                run(world, worker)
            world.later(5 * MINUTE)
        assert completed(world) == [0] * 7 + [1, 0, 2, 3, 0]
        world.later(55 * MINUTE)
        assert completed(world) == [0] * 12

    def test_a_clock_that_goes_back_takes_nothing_away(self, world: World) -> None:
        worker = world.worker()
        run(world, worker)
        world.later(-10 * MINUTE)
        run(world, worker)
        world.later(10 * MINUTE)
        assert sum(completed(world)) == 2

    def test_lateness_is_that_of_the_first_start(self, world: World) -> None:
        worker = world.worker()
        world.push(delay=1_000)
        world.later(1_400)
        world.upkeep.tick()
        claim = worker.claim_one()
        worker.retry(claim, delay=0)
        world.later(90_000)
        world.upkeep.tick()
        worker.settle(worker.claim_one())
        late = bars(world)[-1].late
        assert (late.count, late.total) == (1, 400)

    @pytest.mark.parametrize("kind", [Kind.RELEASED, Kind.UNSENT])
    def test_what_was_handed_back_is_no_attempt(self, world: World, kind: Kind) -> None:
        worker = world.worker()
        world.push()
        worker.settle(worker.claim_one(), kind)
        assert [bar.took.count + bar.late.count for bar in bars(world)] == [0] * 12


class TestDay:
    def test_bars_are_of_hours(self, world: World) -> None:
        worker = world.worker()
        for _ in range(26):
            run(world, worker)
            world.later(30 * MINUTE)
            run(world, worker)
            world.later(30 * MINUTE)
        found = bars(world, Span.DAY)
        assert [bar.since % 3_600 for bar in found] == [0] * 24
        assert [bar.completed for bar in found][1:-1] == [2] * 22
        kept = [int(n) for n in world.client.hkeys(keys.pieces(ENV, "mail"))]
        assert len(kept) <= 13 + 25
        assert 25 * HOUR < world.client.pttl(keys.pieces(ENV, "mail")) <= 26 * HOUR

    def test_the_two_agree(self, world: World) -> None:
        worker = world.worker()
        for minutes in (1, 2, 30, 4, 25, 6, 90, 1, 1):
            run(world, worker)
            world.later(minutes * MINUTE)
        assert sum(completed(world, Span.DAY)) == 9
        hour = sum(completed(world))
        assert hour == world.queues.stats(ENV, "mail").last_hour.completed == 2


@pytest.mark.parametrize("idle", [False, True])
def test_an_idle_queue_is_not_written(world: World, idle: bool) -> None:
    worker = world.worker()
    run(world, worker)
    world.later(10 * MINUTE)
    before = world.client.hlen(keys.pieces(ENV, "mail"))
    if not idle:
        run(world, worker)
    assert world.client.hlen(keys.pieces(ENV, "mail")) == before + (not idle)


@pytest.mark.parametrize(
    ("error", "known"),
    [
        ("http_503: no", "http_503"),
        ("bad_response: x", "bad_response"),
        ("Whatever a service says: 1", "?"),
        ("http_12345: no", "?"),
        ("", "?"),
    ],
)
def test_classes_are_few(world: World, error: str, known: str) -> None:
    worker = world.worker()
    world.push()
    worker.settle(worker.claim_one(), Kind.FAILED, error=error)
    assert dict(world.queues.stats(ENV, "mail").today.classes) == {known: 1}


def test_they_go_with_their_queue(world: World) -> None:
    run(world, world.worker())
    world.queues.drop(ACTOR, "mail")
    assert not world.client.exists(keys.pieces(ENV, "mail"), keys.totals(ENV, "mail"))
    assert completed(world) == [0] * 12


def test_many_queues_in_one_look(world: World, count_calls: Callable[[], int]) -> None:
    run(world, world.worker())
    before = count_calls()
    found = StatsStore(world.client, world.now).many(ENV, ["mail", "none"], Span.DAY)
    assert count_calls() - before <= 9  # three reads of each, and what begins and ends them
    assert [sum(bar.completed for bar in found[name]) for name in ("mail", "none")] == [1, 0]


@pytest.fixture
def count_calls(world: World) -> Callable[[], int]:
    """Tells how many commands Redis has run."""
    return lambda: int(world.client.info("stats")["total_commands_processed"])
