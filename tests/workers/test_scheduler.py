"""The scheduler: its duties by the clock, and real processes of it, alone and several."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.attempts import SILENCE
from lambdaqueue.commands import Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.errors import StorageUnavailable
from lambdaqueue.execution import ExecutionStatus, Terms
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.service import open_service
from lambdaqueue.spec import Spec
from lambdaqueue.upkeep import ALARM, Upkeep
from tests.store.service_desk import ServiceDesk
from tests.store.world import World
from tests.waiting import until
from tests.workers.stage import ENVIRONMENT, Stage
from workers.expiring import LOOK_EVERY, MOST_AT_ONCE, Expiring
from workers.reclaiming import EVERY, Reclaiming
from workers.scheduler import Alarm, Duty, Scheduler
from workers.sweeping import EVERY as SWEEP_EVERY
from workers.sweeping import Sweeping
from workers.waking import LONGEST_SLEEP, Waking

SPEC = Spec(target="http://127.0.0.1:1/")


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A connection to an empty Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def desk(client: redis.Redis) -> Iterator[ServiceDesk]:
    """Executions on an empty Redis, with a clock that only the test moves."""
    world = World(client)
    yield ServiceDesk(world)
    world.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Redis, an endpoint, room for processes."""
    with Stage(tmp_path) as stage:
        yield stage


def delayed(url: str, *delays: int) -> int:
    """Push jobs that are due so many ms from now; return the Unix ms of now, by Redis."""
    service = open_service(Settings(redis_url=url))
    pushed = service.push_many(ENVIRONMENT, "q", [Push(SPEC, delay=delay) for delay in delays])[0]
    return pushed[0].job.due_at - delays[0]


def in_line(client: redis.Redis) -> int:
    """Return how many entries RQ's list has."""
    return client.llen(keys.line)


# Duties, by passed clocks


def test_waking_admits_what_is_due_and_sleeps_until_the_next(
    redis_url: str, client: redis.Redis
) -> None:
    now = delayed(redis_url, 10_000, 10_020)
    upkeep = Upkeep(client, now)
    assert Waking(upkeep).poll() == LONGEST_SLEEP
    upkeep.now = now + 9_980
    assert Waking(upkeep).poll() == pytest.approx(0.020, abs=1e-3)
    assert in_line(client) == 0
    upkeep.now = now + 10_000
    assert Waking(upkeep).poll() <= 0.021
    assert in_line(client) == 1
    upkeep.now = now + 10_020
    assert Waking(upkeep).poll() == LONGEST_SLEEP
    assert in_line(client) == 2


def test_reclaiming_takes_back_what_a_silent_worker_held(
    redis_url: str, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    now = int(client.time()[0]) * 1_000
    upkeep = Upkeep(client, now)
    upkeep.tick()
    upkeep._scripts.run("beat", (keys.worker("gone"), keys.held("gone")), "gone", "new", 5, 30_000)
    for second in range(1, SILENCE // 1_000 + 1):
        upkeep.now = now + second * 1_000
        upkeep.tick()
        assert Reclaiming(upkeep).poll() == EVERY
        assert client.zcard("lq:workers") == 1
    upkeep.now = now + SILENCE + 1_000
    upkeep.tick()
    assert Reclaiming(upkeep).poll() == EVERY
    assert client.zcard("lq:workers") == 0
    assert "workers_lost count=1" in caplog.text


def test_an_outage_lets_nobody_die(redis_url: str, client: redis.Redis) -> None:
    now = int(client.time()[0]) * 1_000
    upkeep = Upkeep(client, now)
    upkeep.tick()
    upkeep._scripts.run("beat", (keys.worker("w"), keys.held("w")), "w", "new", 5, 30_000)
    upkeep.now = now + 3_600_000
    upkeep.tick()
    Reclaiming(upkeep).poll()
    assert client.zcard("lq:workers") == 1


def test_sweeping_puts_back_what_vanished_from_the_line(
    redis_url: str, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    delayed(redis_url, 0)
    upkeep = Upkeep(client)
    Sweeping(upkeep).poll()
    client.delete(keys.line)
    assert Sweeping(upkeep).poll() == SWEEP_EVERY
    assert in_line(client) == 0  # it may just have been popped
    Sweeping(upkeep).poll()
    assert in_line(client) == 1
    assert "entries_swept count=1" in caplog.text


def started(desk: ServiceDesk, count: int, ttl: int) -> list[str]:
    """Let so many items run until a callback ends them; return their ids."""
    once = RetryPolicy("constant", retries=0)
    for _ in range(count):
        desk.push(terms=Terms(ttl, heartbeat=ttl), retry=once)
    return [desk.start().name for _ in range(count)]


def expiring(desk: ServiceDesk) -> Expiring:
    """A scheduler's duty at the desk's time."""
    return Expiring(ExecutionStore(desk.world.client, desk.world.now))


def test_expiring_ends_what_is_overdue_and_sleeps_until_the_next(
    desk: ServiceDesk, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (started(desk, 1, ttl) for ttl in (10_000, 10_040))
    assert expiring(desk).poll() == LOOK_EVERY
    desk.world.later(9_980)
    assert expiring(desk).poll() == pytest.approx(0.020, abs=1e-3)
    desk.world.later(19)
    assert expiring(desk).poll() == pytest.approx(0.001, abs=1e-3)
    assert caplog.text == ""
    desk.world.later(1)
    assert [expiring(desk).poll() for _ in range(2)] == [0, pytest.approx(0.040, abs=1e-3)]
    assert desk.job(first[0]).execution_status is ExecutionStatus.TIMEOUT
    assert desk.job(second[0]).execution_status is ExecutionStatus.RUNNING
    assert "executions_overdue count=1" in caplog.text
    desk.world.later(40)
    assert [expiring(desk).poll() for _ in range(2)] == [0, LOOK_EVERY]
    assert desk.job(second[0]).execution_status is ExecutionStatus.TIMEOUT


def test_expiring_ends_any_number_without_a_pause(desk: ServiceDesk) -> None:
    names = started(desk, 2 * MOST_AT_ONCE + 5, 10_000)
    desk.world.later(10_000)
    duty = expiring(desk)
    assert [duty.poll() for _ in range(4)] == [0, 0, 0, LOOK_EVERY]
    ended = {desk.job(name).execution_status for name in names}
    assert ended == {ExecutionStatus.TIMEOUT}


def test_a_look_at_deadlines_costs_the_same_however_many_run(desk: ServiceDesk) -> None:
    def commands() -> int:
        stats: dict[str, dict[str, int]] = desk.world.client.info("commandstats")
        return sum(each["calls"] for each in stats.values())

    def cost(ttl: int) -> int:
        (name,) = started(desk, 1, ttl)
        desk.world.later(ttl)
        before = commands()
        expiring(desk).poll()
        spent = commands() - before
        assert desk.job(name).execution_status is ExecutionStatus.TIMEOUT
        return spent

    alone = cost(5_000)
    started(desk, 300, 60_000)
    assert cost(5_000) == alone


# The loop


class Counting:
    """A duty that counts how often it was asked."""

    def __init__(self, pause: float, error: Exception | None = None) -> None:
        self.pause, self.error, self.polls = pause, error, 0

    def poll(self) -> float:
        """Count."""
        self.polls += 1
        if self.error and self.polls < 3:
            raise self.error
        return self.pause


def run_until(scheduler: Scheduler, done: Duty, polls: int) -> None:
    """Run `scheduler` in a thread until `done` was asked so often."""
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        until(lambda: getattr(done, "polls") >= polls, "asked often enough")  # noqa: B009
    finally:
        scheduler.stop()
        thread.join(20)


def test_each_duty_is_asked_in_its_time_whatever_redis_does(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.scheduler.AWAY_PAUSE", 0.01)
    first, second = Counting(0.005, StorageUnavailable("away")), Counting(3_600)
    alarm = Alarm(connect(Settings(redis_url=redis_url), answer_within=5))
    run_until(Scheduler([first, second], alarm), first, 10)
    alarm.close()
    assert second.polls == 1


def test_the_alarm_wakes_early(redis_url: str, client: redis.Redis) -> None:
    alarm = Alarm(connect(Settings(redis_url=redis_url), answer_within=5))
    alarm.wait(0)
    until(lambda: client.pubsub_numsub(ALARM)[0][1] == 1, "it listens")
    delayed(redis_url, 60_000)
    began = time.monotonic()
    alarm.wait(20)
    assert time.monotonic() - began < 5
    alarm.close()


def test_the_alarm_survives_restarts_of_redis(stage: Stage) -> None:
    alarm = Alarm(connect(Settings(redis_url=stage.redis.url), answer_within=5))
    alarm.wait(0)
    for _ in range(2):
        stage.redis.stop()
        with pytest.raises(StorageUnavailable):
            until(lambda: alarm.wait(0.1), "never: it fails")
        with pytest.raises(StorageUnavailable):
            alarm.wait(5)
        stage.redis.start()
        alarm.wait(0)
        until(lambda: stage.client.pubsub_numsub(ALARM)[0][1] == 1, "it listens again")
    alarm.close()


# Processes


def test_three_schedulers_deliver_each_delayed_job_once_and_never_early(stage: Stage) -> None:
    for _ in range(3):
        stage.scheduler()
    stage.worker()
    jobs = [stage.push(delay=50 + 20 * n, queue=f"q{n % 4}") for n in range(60)]
    due = {f"{job.id}_1": job.due_at for job in jobs}
    stage.until_ended(*jobs)
    assert stage.hook.counts() == dict.fromkeys(due, 1)
    clock = time.time() - time.monotonic()
    for delivery in stage.hook.deliveries:
        late = (delivery.at + clock) * 1_000 - due[delivery.id]
        assert -1 < late < 5_000
    assert stage.left_over() == []


def test_a_scheduler_goes_on_after_redis_was_away(tmp_path: Path) -> None:
    with Stage(tmp_path, append_only=True) as stage:
        scheduler = stage.scheduler()
        stage.worker()
        jobs = [stage.push(delay=delay) for delay in (100, 800, 1_500)]
        stage.until_ended(jobs[0])
        stage.redis.stop()
        until(lambda: "storage_unavailable" in scheduler.text, "it has noticed")
        stage.redis.start()
        stage.until_ended(*jobs)
        assert scheduler.running
        assert stage.hook.counts() == {f"{job.id}_1": 1 for job in jobs}
        assert "Traceback" not in scheduler.text
        assert scheduler.end() == 0


def test_a_scheduler_stops_at_once(stage: Stage) -> None:
    scheduler = stage.scheduler()
    began = time.monotonic()
    assert scheduler.end() == 0
    assert time.monotonic() - began < 5
    assert "scheduler_stopped" in scheduler.text
