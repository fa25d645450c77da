"""An application's tests with the in-memory LambdaQueue: what they may rely on."""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import timedelta
from typing import Any

import pytest

from lambdaqueue.sdk.delivery import Delivery, Job, Reply
from lambdaqueue.sdk.errors import (
    DoNotRetry,
    RetryLater,
)
from lambdaqueue.sdk.options import FollowUp, PushOptions
from lambdaqueue.sdk.replay_guard import MemoryGuard
from lambdaqueue.testing import EndlessWork, MemoryLambdaQueue, in_memory
from tests.sdk.testing.application import START, App
from tests.sdk.testing.sides import TARGET, InMemory, Say

ELSEWHERE = "https://other.example.com/hook"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def lq() -> MemoryLambdaQueue:
    return MemoryLambdaQueue(start=START)


@pytest.fixture
def app(lq: MemoryLambdaQueue) -> App:
    return App(lq)


def test_a_job_is_delivered_when_it_is_due(lq: MemoryLambdaQueue, app: App) -> None:
    item = app.queue.push({"name": "Alfonso"}, key="user-42", delay="10m", event_type="sign-up")
    assert lq.run_due() == []
    lq.clock.advance("9m59s")
    assert app.seen == []
    lq.clock.advance(1)
    ((payload, job),) = app.seen
    assert payload == {"name": "Alfonso"}
    assert (job.id, job.key, job.queue, job.attempt) == (item.id, "user-42", "welcome", 1)
    assert job.scheduled_for == START + timedelta(minutes=10)
    assert job.event_type == "sign-up"
    assert app.queue.get(item.id).state == "COMPLETED"


def test_run_due_tells_what_became_of_each(lq: MemoryLambdaQueue, app: App) -> None:
    app.ends = iter([{"hello": 1}, ValueError("no")])
    first, second = app.queue.push(1), app.queue.push(2)
    done = lq.run_due()
    assert [(each.id, each.state) for each in done] == [
        (first.id, "COMPLETED"),
        (second.id, "RETRY"),
    ]
    assert done[0].raw["result"]["body"] == '{"hello":1}'
    assert done[1].error == "http_500: the endpoint answered 500"


def test_higher_priority_first(lq: MemoryLambdaQueue, app: App) -> None:
    for number, priority in enumerate((0, 9, 5)):
        app.queue.push(number, priority=priority)
    lq.run_due()
    assert [payload for payload, _ in app.seen] == [1, 2, 0]


def test_every_push_carries_its_trace() -> None:
    """Those of a batch and messages, too, as with a real server."""
    memory, seen = InMemory(), list[str | None]()

    def take(delivery: Delivery) -> Reply:
        seen.append(
            {name.lower(): value for name, value in delivery.headers.items()}["traceparent"]
        )
        return Reply(200)

    memory.lq.answer(TARGET, take)
    say = Say(memory)
    say("POST", "/queues/mail/items", 1, x_lq_target=TARGET, traceparent=TRACE)
    say(
        "POST",
        "/queues/mail/items/batch",
        {"items": [{"payload": 1, "target": TARGET}]},
        traceparent=TRACE,
    )
    say("POST", "/messages", {"payload": 1, "url": TARGET}, traceparent=TRACE)
    memory.lq.run_due()
    assert seen == [TRACE] * 3


@pytest.mark.parametrize(
    ("ends", "waits"),
    [
        # The default policy without jitter: 10 s, 30 s, 90 s.
        ([ValueError("a"), KeyError("b"), OSError("c"), None], [10, 30, 90]),
        # Not sooner than the handler asks, nor than the policy says.
        ([RetryLater(60), RetryLater(1), None], [60, 30]),
        ([RetryLater(timedelta(hours=2)), None], [7_200]),
        ([DoNotRetry("no such user")], []),
    ],
)
def test_retries_come_at_their_times(
    lq: MemoryLambdaQueue, app: App, ends: list[Any], waits: list[int]
) -> None:
    app.ends = iter(ends)
    item = app.queue.push("x")
    lq.clock.advance("1d")
    (entry,) = app.queue.history()
    assert entry.id == item.id
    times = [each.started_at for each in entry.attempts]
    assert times[0] == START
    seconds = [(b - a).total_seconds() for a, b in itertools.pairwise(times) if a and b]
    assert seconds == waits
    assert entry.state == ("FAILED" if isinstance(ends[-1], Exception) else "COMPLETED")


def test_the_policy_of_a_push_counts(lq: MemoryLambdaQueue, app: App) -> None:
    app.ends = iter([ValueError()] * 3)
    app.queue.push("x", retry={"type": "list", "delays": ["1s"], "retries": 1})
    lq.clock.advance("1s")
    (entry,) = app.queue.history(state="FAILED")
    assert (entry.attempt, entry.max_attempts) == (2, 2)
    assert app.seen[-1][1].is_last_attempt


def test_a_handler_that_pushes(lq: MemoryLambdaQueue) -> None:
    first, second = lq.queue("/first"), lq.queue("/second")
    seen: list[Any] = []

    @first.handler
    def pass_on(payload: Any, job: Job) -> None:
        second.push(payload + 1, delay="1m")

    second.handler(lambda payload, job: seen.append(payload))
    first.push(1)
    lq.clock.advance("1m")
    assert seen == [2]


def test_a_push_of_the_running_key_is_not_lost(lq: MemoryLambdaQueue) -> None:
    queue, seen = lq.queue("/again"), list[Any]()

    @queue.handler
    def handle(payload: Any, job: Job) -> None:
        seen.append(payload)
        if payload == 1:
            assert queue.push(2, key="a").state == "RUNNING"
            raise ValueError("superseded")

    queue.push(1, key="a")
    lq.run_due()
    assert seen == [1, 2]
    states = [(each.state, each.version, each.error) for each in queue.history()]
    assert states == [
        ("COMPLETED", 2, None),
        ("CANCELLED", 1, "superseded: by a newer version"),
    ]


def test_endless_work_is_noticed(lq: MemoryLambdaQueue) -> None:
    queue = lq.queue("/endless")

    @queue.handler
    def again(payload: Any, job: Job) -> None:
        queue.push(1)

    queue.push(1)
    with pytest.raises(EndlessWork, match="no end"):
        lq.run_due()


def test_one_queue_alone(lq: MemoryLambdaQueue, app: App) -> None:
    other = lq.queue("/other")
    other.handler(lambda payload, job: None)
    app.queue.push(1)
    waiting = other.push(2)
    assert len(lq.run_due(app.queue)) == 1
    assert other.get(waiting.id).state == "PENDING"
    assert len(lq.run_due("/other")) == 1


def test_a_paused_queue_waits(lq: MemoryLambdaQueue, app: App) -> None:
    app.queue.push(1)
    app.queue.pause()
    lq.clock.advance("1h")
    assert app.seen == []
    app.queue.resume()
    assert len(lq.run_due()) == 1


def test_a_max_age_ends_it(lq: MemoryLambdaQueue, app: App) -> None:
    app.queue.pause()
    app.queue.push(1, max_age="1m")
    lq.clock.advance("2m")
    app.queue.resume()
    (ended,) = lq.run_due()
    assert (ended.state, ended.error) == ("FAILED", "expired: its max age is over")
    assert app.seen == []


@pytest.mark.parametrize(
    ("by", "state", "error"),
    [
        (200, "COMPLETED", None),
        (410, "FAILED", "http_410: the endpoint answered 410"),
        (503, "RETRY", "http_503: the endpoint answered 503"),
        ("connect", "RETRY", "connect: no connection to the endpoint"),
        ("timeout", "RETRY", "timeout: no complete answer within 30000 ms"),
        (lambda delivery: Reply(204), "COMPLETED", None),
    ],
)
def test_targets_elsewhere(lq: MemoryLambdaQueue, by: Any, state: str, error: str | None) -> None:
    queue = lq.queue("hooks", target=ELSEWHERE)
    queue.push(1, target=f"{ELSEWHERE}?a=1")
    assert lq.run_due() == []
    lq.answer(ELSEWHERE, by)
    (item,) = lq.run_due()
    assert (item.state, item.error) == (state, error)


def test_a_target_elsewhere_gets_the_whole_request(lq: MemoryLambdaQueue) -> None:
    got: list[Delivery] = []

    def take(delivery: Delivery) -> Reply:
        got.append(delivery)
        return Reply(200)

    lq.answer(ELSEWHERE, take)
    lq.queue("hooks", target=ELSEWHERE).push(b"\x00", method="PUT", headers={"X-Own": "1"})
    lq.run_due()
    (delivery,) = got
    assert (delivery.method, delivery.body) == ("PUT", b"\x00")
    assert delivery.headers["x-own"] == "1"
    assert delivery.headers["host"] == "other.example.com"
    assert delivery.headers["webhook-signature"].startswith("v1,")


def test_no_target_at_all(lq: MemoryLambdaQueue) -> None:
    queue = lq.queue("bare")
    queue.configure(target=ELSEWHERE)
    queue.push(1)
    queue.configure(target=None)
    (item,) = lq.run_due()
    assert (item.state, item.error) == (
        "FAILED",
        "no_target: neither the item nor its queue has a target",
    )


def test_an_endpoint_that_proves_nothing(
    lq: MemoryLambdaQueue, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app.queue.push(1, target="https://app.example/welcome/")
    assert lq.run_due() == []  # There is no handler at this path.
    with in_memory(lq, base_url="https://moved.example") as memory:
        app.queue.push(1)
        (item,) = memory.run_due()
        assert item.state == "COMPLETED"  # The endpoint knows its URL by the settings.
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_coroutine_handlers(lq: MemoryLambdaQueue) -> None:
    queue, loops = lq.queue("/async"), list[Any]()

    @queue.handler
    async def handle(payload: Any, job: Job) -> str:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return "done"

    queue.push(1)
    lq.run_due()

    async def inside() -> asyncio.AbstractEventLoop:
        queue.push(2)
        lq.run_due()  # in a loop of its own, in a thread
        queue.push(3)
        await lq.run_due_async()
        queue.push(4, delay="1m")
        await lq.advance_async("1m")
        return asyncio.get_running_loop()

    mine = asyncio.run(inside())
    assert [loop is mine for loop in loops] == [False, False, True, True]
    assert {entry.state for entry in queue.history()} == {"COMPLETED"}


def test_text_and_bytes_arrive_as_they_are(lq: MemoryLambdaQueue, app: App) -> None:
    app.queue.push("Grüße", content_type="text/plain")
    app.queue.push(b"\xff\x00")
    app.queue.push(None)
    lq.run_due()
    assert [payload for payload, _ in app.seen] == ["Grüße", b"\xff\x00", None]


OWN_FOLLOW_UPS: list[PushOptions] = [
    {},  # as its queue says
    {"on_failure": "none"},
    {"on_failure": {"queue": "ends", "target": "/ends", "format": "slack"}},
    {"on_success": {"queue": "ends", "target": "/ends"}, "on_failure": "none"},
]


def test_follow_ups(lq: MemoryLambdaQueue, app: App) -> None:
    ends, told = lq.queue("/ends"), list[Any]()
    ends.handler(lambda payload, job: told.append((job.event_type, payload)))
    app.queue.configure(on_failure={"queue": "ends", "target": "/ends"})
    slack: FollowUp = {"queue": "ends", "target": "/ends", "format": "slack"}
    for options in OWN_FOLLOW_UPS:
        app.ends = iter([DoNotRetry("no")])
        app.queue.push(1, **options)
        lq.run_due()
    app.queue.push(1, on_success=slack)
    lq.run_due()
    (first, report), (second, line), (third, fine) = told
    assert (first, second, third) == ("job.failed", "job.failed", "job.completed")
    assert report["job"]["error"].startswith("http_500")
    assert "has failed: http_500" in line["text"]
    assert fine["text"].endswith("has completed.")


def test_a_queue_without_history(lq: MemoryLambdaQueue, app: App) -> None:
    app.queue.configure(history_limit=0)
    app.queue.push(1)
    assert lq.run_due() == []
    assert len(app.seen) == 1


def test_a_delivery_may_cancel_the_next(lq: MemoryLambdaQueue) -> None:
    queue, seen = lq.queue("/one"), list[Any]()

    @queue.handler
    def only_one(payload: Any, job: Job) -> None:
        seen.append(payload)
        for item in queue.items("PENDING"):
            queue.cancel(item.id)

    for number in range(3):
        queue.push(number)
    assert len(lq.run_due()) == 1
    assert seen == [0]


def test_a_replay_guard_is_asked(lq: MemoryLambdaQueue) -> None:
    queue, seen = lq.queue("/guarded"), list[Any]()
    queue.handler(guard=MemoryGuard())(lambda payload, job: seen.append(job.message_id))
    item = queue.push(1)
    lq.run_due()
    queue.push(1)
    lq.run_due()
    assert len(set(seen)) == 2
    assert seen[0] == f"{item.id}_1"
