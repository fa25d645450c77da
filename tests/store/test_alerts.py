"""What an operator is told, and that it's told once."""

from __future__ import annotations

import pytest

from lambdaqueue import keys
from lambdaqueue.alerts import LEAST, AlertStore, QueueState, conditions_of
from lambdaqueue.attempts import Kind
from lambdaqueue.rate import Breaker
from lambdaqueue.spec import Spec
from tests.store.world import ACTOR, ENV, NOW, TARGET, World

MAIL = keys.queue_ref(ENV, "mail")
SPEC = Spec(b'{"type":"alert"}', target=TARGET)


@pytest.fixture
def alerts(world: World) -> AlertStore:
    return AlertStore(world.client, NOW)


@pytest.mark.parametrize(
    ("state", "names"),
    [
        (QueueState(MAIL), []),
        (QueueState(MAIL, completed=LEAST // 2, failed=LEAST // 2), ["failing"]),
        (QueueState(MAIL, completed=LEAST // 2 + 1, failed=LEAST // 2), []),
        (QueueState(MAIL, failed=LEAST - 1), []),
        (QueueState(MAIL, failed=LEAST), ["failing"]),
        (QueueState(MAIL, opened=1), ["breaker"]),
        (QueueState(MAIL, error="unverified: no proof"), ["unverified"]),
        (QueueState(MAIL, error="timeout: none"), []),
        (QueueState(MAIL, "unverified: x", 2, 0, 50), ["failing", "breaker", "unverified"]),
    ],
)
def test_what_is_wrong_with_a_queue(state: QueueState, names: list[str]) -> None:
    found = list(conditions_of(state, 0.5))
    assert [each.name for each in found] == [f"{name} {MAIL}" for name in names]
    assert all(MAIL in each.text for each in found)


def test_a_condition_is_told_once_and_its_end_once(world: World, alerts: AlertStore) -> None:
    worker = world.worker()
    assert not alerts.tell("full", SPEC, over=True)
    assert alerts.tell("full", SPEC, over=False)
    assert not alerts.tell("full", SPEC, over=False)
    assert alerts.known() == {"full"}
    assert alerts.tell("full", SPEC, over=True)
    assert not alerts.tell("full", SPEC, over=True)
    assert alerts.known() == set()
    told = worker.claim()
    assert [(claim.queue, claim.spec) for claim in told] == [("alerts", SPEC)] * 2


def test_what_is_looked_at(world: World, alerts: AlertStore) -> None:
    world.queues.configure(ACTOR, "mail", {"breaker": Breaker(0.5, 60_000)}, None)
    worker = world.worker()
    for kind, error in ((Kind.COMPLETED, ""), *[(Kind.FAILED, "unverified: no")] * 9):
        world.push()
        worker.settle(worker.claim_one(), kind, error=error)
    (state,) = alerts.queues([MAIL])
    # What an endpoint didn't prove is no fault of its breaker's kind.
    assert state == QueueState(MAIL, "unverified: no", 0, 1, 9)
    assert alerts.workers() == 1
    assert alerts.fullness() == 0.0
    world.client.config_set("maxmemory", world.client.info("memory")["used_memory"] * 2)
    assert 0.3 < alerts.fullness() < 0.7
    world.client.config_set("maxmemory", 0)


def test_endings_are_counted_by_hour_and_day(world: World) -> None:
    worker = world.worker()
    ends = [(Kind.COMPLETED, "")] * 3 + [(Kind.FAILED, "http_500: x"), (Kind.FAILED, "timeout: y")]
    for kind, error in ends:
        world.push()
        worker.settle(worker.claim_one(), kind, error=error)
    world.cancel(world.push(delay=1_000).job.id)
    for later, in_hour in ((0, 3), (54 * 60_000, 3), (6 * 60_000, 0)):
        world.later(later)
        stats = world.queues.stats(ENV, "mail")
        assert stats.last_hour.completed == in_hour
    assert (stats.today.completed, stats.today.failed, stats.today.cancelled) == (3, 2, 1)
    assert stats.today.classes == {"http_500": 1, "timeout": 1}
    world.later(86_400_000)
    assert world.queues.stats(ENV, "mail").today.completed == 0
