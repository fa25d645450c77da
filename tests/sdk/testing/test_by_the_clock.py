"""What happens by the clock when a test moves it: schedules, timers, deadlines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdaqueue.sdk.delivery import Job
from lambdaqueue.testing import MemoryLambdaQueue
from tests.sdk.testing.application import START, App


@pytest.fixture
def lq() -> MemoryLambdaQueue:
    return MemoryLambdaQueue(start=START)


@pytest.fixture
def app(lq: MemoryLambdaQueue) -> App:
    return App(lq)


def test_schedules_run_by_the_clock(lq: MemoryLambdaQueue, app: App) -> None:
    app.queue.schedule({"beat": True}, "every(10s)", key="beat")
    lq.clock.advance("35s")
    assert [job.scheduled_for for _, job in app.seen] == [
        START + timedelta(seconds=n) for n in (10, 20, 30)
    ]
    assert {job.schedule for _, job in app.seen} == {"beat"}
    lq.schedules.pause(key="beat")
    lq.clock.advance("1h")
    assert len(app.seen) == 3


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("0 9 * * 1-5", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("cron(0 9 ? * MON-FRI *)", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("rate(1 day)", START + timedelta(days=1)),
        ("at(2026-03-05T00:00:00)", datetime(2026, 3, 4, 23, tzinfo=UTC)),
    ],
)
def test_all_kinds_of_schedules(
    lq: MemoryLambdaQueue, app: App, expression: str, first: datetime
) -> None:
    made = app.queue.schedule(1, expression, key="a", tz="Europe/Warsaw")
    assert made.next_run == first
    lq.clock.move_to(first)
    assert app.seen[0][1].scheduled_for == first


def test_callbacks_end_an_async_item(lq: MemoryLambdaQueue) -> None:
    queue = lq.queue("/report")
    started: list[Job] = []
    queue.handler(lambda payload, job: started.append(job))
    item = queue.push(7, async_ttl="10m", heartbeat="10s")
    lq.run_due()
    (job,) = started
    job.heartbeat(progress=40)
    assert queue.get(item.id).progress == 40
    job.succeed(summary="done", state={"n": 1})
    ended = queue.get(item.id)
    assert ended.state == "COMPLETED"
    assert ended.raw["callback"] == {"status": "success", "summary": "done", "state": {"n": 1}}


def test_a_silent_service_is_noticed(lq: MemoryLambdaQueue) -> None:
    queue = lq.queue("/report")
    queue.handler(lambda payload, job: None)
    item = queue.push(7, async_ttl="10m", heartbeat="10s")
    lq.run_due()
    lq.clock.advance("20s")
    silent = queue.get(item.id)
    assert (silent.state, silent.error) == ("RETRY", "heartbeat_missed: no heartbeat for 20000 ms")


def test_a_service_job(lq: MemoryLambdaQueue) -> None:
    queue, states = lq.queue("/report"), list[Any]()

    @queue.handler
    def work(payload: Any, job: Job) -> None:
        states.append(payload["last_successful_execution"].get("state"))
        job.succeed(state=len(states))

    target = "https://app.example/report"
    lq.services.set("shop", "report", target=target, schedule="rate(1 hour)", ttl="5m")
    lq.clock.advance("3h")
    assert states == [None, 1, 2]


def test_timers_fire(lq: MemoryLambdaQueue, app: App) -> None:
    lq.timers.set("soon", delay="5m", target="/welcome", data={"t": 1})
    lq.periodic.set("often", every="1h", target="/welcome", data={"p": 1})
    lq.clock.advance("2h")
    assert [payload for payload, _ in app.seen] == [{"t": 1}, {"p": 1}, {"p": 1}]


def test_the_clock_goes_along_with_the_test(app: App) -> None:
    lq = MemoryLambdaQueue()
    mine = App(lq)
    before = lq.clock.now
    while datetime.now(UTC) - before < timedelta(milliseconds=2):
        pass
    mine.queue.push(1, on=datetime.now(UTC) + timedelta(minutes=10))
    assert lq.clock.now == before
    lq.clock.advance("10m")
    assert len(mine.seen) == 1


@pytest.mark.parametrize("by", [-1, "10", timedelta(seconds=-1)])
def test_time_does_not_go_back(lq: MemoryLambdaQueue, by: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        lq.clock.advance(by)
    with pytest.raises(ValueError, match="go back"):
        lq.clock.move_to(START - timedelta(seconds=1))
    assert lq.clock.now == START
