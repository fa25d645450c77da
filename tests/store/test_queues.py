"""QueueStore: settings, counters, pause and resume, lists, the end of a queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind, Settlement
from lambdaqueue.commands import LastError, QueueInfo
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.identity import Actor
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.statuses import StatusRange
from tests.store.world import ACTOR, ENV, NOW, World

POLICY = RetryPolicy("list", delays=(1, 2), retries=2)
SETTINGS: dict[str, Any] = {
    "target": "http://127.0.0.1/]] '",
    "retry": POLICY,
    "timeout": 5_000,
    "success_status": StatusRange.parse("200-399"),
    "history_limit": 5,
    "failed_limit": 6,
    "history_days": 7,
    "result_bytes": 8,
}


def info(world: World, name: str = "mail") -> QueueInfo:
    found = world.queues.info(ENV, name)
    assert found is not None
    return found


def test_a_queue_exists_from_its_first_job_or_setting_on(world: World) -> None:
    assert world.queues.info(ENV, "mail") is None
    world.push()
    assert info(world) == QueueInfo("mail", False, 1, 0, 0, 0, 0, QueueSettings())
    world.queues.pause(ACTOR, "other")
    assert info(world, "other").paused


def test_counters(world: World) -> None:
    worker = world.worker()
    for _ in range(4):
        world.push()
    delayed = world.push(delay=1_000).job.id
    done, failed, *_ = worker.claim(3)
    assert (info(world).waiting, info(world).running) == (2, 3)
    worker.settle(done)
    worker.settle(failed, Kind.FAILED, error="http_410: gone")
    world.cancel(delayed)
    counted = info(world)
    assert (counted.waiting, counted.running) == (1, 1)
    assert (counted.completed, counted.failed, counted.cancelled) == (1, 1, 1)


def test_settings_come_back(world: World) -> None:
    world.queues.configure(ACTOR, "mail", SETTINGS, None)
    assert info(world).settings == QueueSettings(**SETTINGS)
    world.queues.configure(ACTOR, "mail", {"timeout": 6_000}, None)
    assert info(world).settings == QueueSettings(**{**SETTINGS, "timeout": 6_000})
    world.queues.configure(ACTOR, "mail", {"timeout": 7_000}, QueueSettings())
    assert info(world).settings == QueueSettings(timeout=7_000)
    world.queues.configure(ACTOR, "mail", {}, QueueSettings())
    assert "settings" not in world.snapshot().hashes["lq:1:queue:mail"]
    assert "target" not in world.snapshot().hashes["lq:1:queue:mail"]


def test_two_changes_at_once_both_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.queues._scripts.run
    interfering = [True]

    def run_late(*args: object) -> object:
        if interfering.pop():
            interfering.append(False)
            world.queues.configure(ACTOR, "mail", {"timeout": 5_000}, None)
        interfering.append(False)
        return run(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.queues._scripts, "run", run_late)
    world.queues.configure(ACTOR, "mail", {"retry": POLICY}, None)
    assert info(world).settings == QueueSettings(timeout=5_000, retry=POLICY)


def test_a_pause_holds_what_is_due_and_a_resume_lets_it_go(world: World) -> None:
    world.queues.pause(ACTOR, "mail")
    jobs = [world.push().job.id for _ in range(3)]
    later = world.push(delay=100).job.id
    world.later(100)
    world.upkeep.tick()
    assert world.line == []
    assert world.wake() is None
    world.queues.resume(ACTOR, "mail")
    assert not info(world).paused
    assert world.line == [*jobs, later]


def test_a_resume_of_a_queue_with_future_jobs_sets_the_wake(world: World) -> None:
    world.queues.pause(ACTOR, "mail")
    due = world.push(delay=100).job.due_at
    world.queues.resume(ACTOR, "mail")
    assert world.wake() == due


def test_what_runs_goes_on_in_a_paused_queue(world: World) -> None:
    worker = world.worker()
    job = world.push().job.id
    claim = worker.claim_one()
    world.queues.pause(ACTOR, "mail")
    assert worker.retry(claim, delay=0)
    assert world.job(job).attempt == 1
    assert world.line == []


def test_pages_are_by_name(world: World) -> None:
    names = ["B", "a", "a/b", "b"]
    for name in reversed(names):
        world.push(queue=name)
    first = world.queues.page(ENV, 3, None)
    assert ([row.name for row in first.rows], first.cursor) == (names[:3], "a/b")
    second = world.queues.page(ENV, 3, first.cursor)
    assert ([row.name for row in second.rows], second.cursor) == (names[3:], None)
    assert world.queues.page("2", 3, None).rows == ()


def test_a_queue_with_jobs_is_not_dropped(world: World) -> None:
    world.push(delay=1_000)
    with pytest.raises(Conflict):
        world.queues.drop(ACTOR, "mail")
    with pytest.raises(NotFound):
        world.queues.drop(ACTOR, "unknown")


def test_dropping_a_queue_forgets_all_of_it(world: World) -> None:
    worker = world.worker()
    world.queues.configure(ACTOR, "mail", SETTINGS | {"failed_limit": 10_000}, None)
    other = world.push(queue="other").job.id
    worker.settle(worker.claim_one())
    for number in range(130):  # more than one step forgets
        job = world.push(key=f"k{number}", delay=1_000).job.id
        world.cancel(job)
    ready = world.push().job.id
    world.cancel(ready)
    world.queues.drop(ACTOR, "mail")
    assert world.queues.info(ENV, "mail") is None
    left = [name for name in world.snapshot().lifetimes if "mail" in name]
    assert left == []
    assert world.snapshot().hashes["lq:1:ended"].keys() == {other}
    assert world.snapshot().number("lq:1:env", "entries") == 1
    assert worker.claim() == []  # its tombstone is still popped as one
    assert [name for name in world.snapshot().lifetimes if "mail" in name] == []
    world.push()
    assert info(world).settings == QueueSettings()


class TestLastError:
    """What an operator looks at first: why the queue's newest failed attempt failed."""

    def error(self, world: World, name: str = "mail") -> LastError | None:
        return info(world, name).last_error

    def test_a_queue_that_never_failed_has_none(self, world: World) -> None:
        world.push()
        assert self.error(world) is None
        worker = world.worker()
        worker.settle(worker.claim_one())
        assert self.error(world) is None

    @pytest.mark.parametrize("kind", [Kind.RETRY, Kind.FAILED])
    @pytest.mark.parametrize(
        "error",
        [
            "http_500: no",
            "unverified: 403 without a proof",
            "timeout",
            "x: ]]..'\" é \U0001f600 : ",
        ],
    )
    def test_it_is_that_of_the_newest_attempt(self, world: World, kind: Kind, error: str) -> None:
        worker = world.worker()
        for _ in range(2):
            world.push()
        first, second = worker.claim(2)
        worker.retry(first, error="http_404: before")
        assert self.error(world) == LastError("http_404: before", NOW)
        world.later(1_500)
        worker.settle(second, kind, error=error)
        assert self.error(world) == LastError(error, NOW + 1_500)
        (row,) = world.queues.page(ENV, 5, None).rows
        assert row.last_error == LastError(error, NOW + 1_500)

    def test_a_success_clears_it(self, world: World) -> None:
        worker = world.worker()
        for _ in range(2):
            world.push()
        first, second = worker.claim(2)
        worker.settle(first, Kind.FAILED, error="http_410: gone")
        worker.settle(second)
        assert self.error(world) is None

    @pytest.mark.parametrize("kind", [Kind.RELEASED, Kind.UNSENT])
    def test_what_was_handed_back_says_nothing(self, world: World, kind: Kind) -> None:
        worker = world.worker()
        for _ in range(2):
            world.push()
        first, second = worker.claim(2)
        worker.settle(second, kind)
        assert self.error(world) is None
        worker.retry(first, error="http_500: no")
        worker.settle(worker.claim_one(), kind)
        assert self.error(world) == LastError("http_500: no", NOW)

    def test_of_many_in_one_step_the_last_counts(self, world: World) -> None:
        worker = world.worker()
        for _ in range(3):
            world.push()
        kinds = [(Kind.COMPLETED, ""), (Kind.RETRY, "http_500: a"), (Kind.FAILED, "http_410: b")]
        worker.settle_many(
            [
                Settlement(claim, kind, delay=5, error=error, log="[]")
                for claim, (kind, error) in zip(worker.claim(3), kinds, strict=True)
            ]
        )
        assert self.error(world) == LastError("http_410: b", NOW)

    def test_it_is_the_queues_own(self, world: World) -> None:
        worker = world.worker()
        for queue in ("mail", "other"):
            world.push(queue=queue)
        claims = {claim.queue: claim for claim in worker.claim(2)}
        worker.retry(claims["mail"], error="http_500: no")
        worker.settle(claims["other"])
        assert self.error(world) == LastError("http_500: no", NOW)
        assert self.error(world, "other") is None

    def test_whoever_comes_too_late_says_nothing(self, world: World) -> None:
        worker = world.worker()
        world.push()
        claim = worker.claim_one()
        worker.settle(claim, Kind.RELEASED)
        worker.claim_one()
        assert not worker.retry(claim, error="http_500: stale")
        assert self.error(world) is None

    def test_it_goes_with_its_queue(self, world: World) -> None:
        worker = world.worker()
        world.push()
        worker.settle(worker.claim_one(), Kind.FAILED, error="http_410: gone")
        world.queues.drop(ACTOR, "mail")
        world.push()
        assert self.error(world) is None


class TestAudit:
    """Who changed a queue is told by the script that changed it."""

    def told(self, world: World, environment: str = ENV) -> list[tuple[str, ...]]:
        """Return the audit, oldest first."""
        rows = EnvironmentStore(world.client).audit(environment, 1_000, None).rows[::-1]
        return [(row.token, row.action, row.object, row.address) for row in rows]

    def test_each_action(self, world: World) -> None:
        world.queues.configure(ACTOR, "a/b", {"timeout": 5_000}, None)
        world.queues.configure(ACTOR, "a/b", {}, QueueSettings())
        world.queues.pause(ACTOR, "a/b")
        world.queues.resume(ACTOR, "a/b")
        world.queues.drop(ACTOR, "a/b")
        actions = ["update", "update", "pause", "resume", "delete"]
        assert self.told(world) == [
            (ACTOR.name, f"queue.{action}", "a/b", ACTOR.address) for action in actions
        ]
        assert EnvironmentStore(world.client).audit(ENV, 1, None).rows[0].at == NOW

    @pytest.mark.parametrize("text", ["", " a  b ", "é \U0001f600", "]]..'\"\\{}*", "a\x00b\n"])
    def test_whoever_it_was(self, world: World, text: str) -> None:
        actor = Actor(ENV, f"n{text}", f"a{text}")
        world.queues.pause(actor, "mail")
        world.queues.drop(actor, "mail")
        assert self.told(world) == [
            (actor.name, f"queue.{action}", "mail", actor.address) for action in ("pause", "delete")
        ]

    def test_each_environment_has_its_own(self, world: World) -> None:
        world.queues.pause(Actor("0ther1d0", "x"), "mail")
        assert self.told(world) == []
        assert self.told(world, "0ther1d0") == [("x", "queue.pause", "mail", "")]
        assert world.queues.info(ENV, "mail") is None

    def test_a_queue_that_is_deleted_in_steps_is_told_once(self, world: World) -> None:
        for _ in range(230):
            world.cancel(world.push(delay=1_000).job.id)
        world.queues.drop(ACTOR, "mail")
        assert [row[1] for row in self.told(world)] == ["queue.delete"]

    @pytest.mark.parametrize(
        ("act", "error"),
        [
            (lambda world: world.queues.drop(ACTOR, "mail"), Conflict),
            (lambda world: world.queues.drop(ACTOR, "unknown"), NotFound),
        ],
    )
    def test_what_was_refused_changes_nothing(
        self, world: World, act: Callable[[World], object], error: type[Exception]
    ) -> None:
        world.push(delay=1_000)
        before = world.snapshot()
        with pytest.raises(error):
            act(world)
        assert world.snapshot() == before
        assert self.told(world) == []

    def test_items_are_not_told(self, world: World) -> None:
        """A queue may have millions of them."""
        worker = world.worker()
        world.push(key="k")
        world.cancel(world.push(delay=5).job.id)
        worker.settle(worker.claim_one())
        assert not world.client.exists(keys.audit(ENV))
