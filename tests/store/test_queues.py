"""QueueStore: settings, counters, pause and resume, lists, the end of a queue."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.commands import QueueInfo
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.statuses import StatusRange
from tests.store.world import ENV, World

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
    world.queues.pause(ENV, "other")
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
    world.queues.configure(ENV, "mail", SETTINGS, None)
    assert info(world).settings == QueueSettings(**SETTINGS)
    world.queues.configure(ENV, "mail", {"timeout": 6_000}, None)
    assert info(world).settings == QueueSettings(**{**SETTINGS, "timeout": 6_000})
    world.queues.configure(ENV, "mail", {"timeout": 7_000}, QueueSettings())
    assert info(world).settings == QueueSettings(timeout=7_000)
    world.queues.configure(ENV, "mail", {}, QueueSettings())
    assert "settings" not in world.snapshot().hashes["lq:1:queue:mail"]
    assert "target" not in world.snapshot().hashes["lq:1:queue:mail"]


def test_two_changes_at_once_both_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.queues._scripts.run
    interfering = [True]

    def run_late(*args: object) -> object:
        if interfering.pop():
            interfering.append(False)
            world.queues.configure(ENV, "mail", {"timeout": 5_000}, None)
        interfering.append(False)
        return run(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.queues._scripts, "run", run_late)
    world.queues.configure(ENV, "mail", {"retry": POLICY}, None)
    assert info(world).settings == QueueSettings(timeout=5_000, retry=POLICY)


def test_a_pause_holds_what_is_due_and_a_resume_lets_it_go(world: World) -> None:
    world.queues.pause(ENV, "mail")
    jobs = [world.push().job.id for _ in range(3)]
    later = world.push(delay=100).job.id
    world.later(100)
    world.upkeep.tick()
    assert world.line == []
    assert world.wake() is None
    world.queues.resume(ENV, "mail")
    assert not info(world).paused
    assert world.line == [*jobs, later]


def test_a_resume_of_a_queue_with_future_jobs_sets_the_wake(world: World) -> None:
    world.queues.pause(ENV, "mail")
    due = world.push(delay=100).job.due_at
    world.queues.resume(ENV, "mail")
    assert world.wake() == due


def test_what_runs_goes_on_in_a_paused_queue(world: World) -> None:
    worker = world.worker()
    job = world.push().job.id
    claim = worker.claim_one()
    world.queues.pause(ENV, "mail")
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
        world.queues.drop(ENV, "mail")
    with pytest.raises(NotFound):
        world.queues.drop(ENV, "unknown")


def test_dropping_a_queue_forgets_all_of_it(world: World) -> None:
    worker = world.worker()
    world.queues.configure(ENV, "mail", SETTINGS | {"failed_limit": 10_000}, None)
    other = world.push(queue="other").job.id
    worker.settle(worker.claim_one())
    for number in range(130):  # more than one step forgets
        job = world.push(key=f"k{number}", delay=1_000).job.id
        world.cancel(job)
    ready = world.push().job.id
    world.cancel(ready)
    world.queues.drop(ENV, "mail")
    assert world.queues.info(ENV, "mail") is None
    left = [name for name in world.snapshot().lifetimes if "mail" in name]
    assert left == []
    assert world.snapshot().hashes["lq:1:ended"].keys() == {other}
    assert world.snapshot().number("lq:1:env", "entries") == 1
    assert worker.claim() == []  # its tombstone is still popped as one
    assert [name for name in world.snapshot().lifetimes if "mail" in name] == []
    world.push()
    assert info(world).settings == QueueSettings()
