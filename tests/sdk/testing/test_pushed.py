"""Assertions about what was pushed: what counts as the same, and what a failed one says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdaqueue.sdk.errors import InvalidRequest
from lambdaqueue.sdk.pushes import Push
from lambdaqueue.testing import MemoryLambdaQueue

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def lq() -> MemoryLambdaQueue:
    return MemoryLambdaQueue(start=START)


SAME: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    ({"a": (1, 2)}, {}, {"payload": {"a": [1, 2]}}),
    ({"a": [1]}, {}, {"payload": {"a": (1,)}}),
    ({"b": 1, "a": 2}, {}, {"payload": {"a": 2, "b": 1}}),
    ("text", {}, {"payload": "text"}),
    ("text", {"content_type": "text/plain"}, {"payload": "text"}),
    (b"\xff", {}, {"payload": b"\xff"}),
    (None, {}, {"payload": None}),
    (1, {"key": "a"}, {"key": "a"}),
    (1, {}, {"key": None}),
    (1, {"delay": "10m"}, {"delay": 600}),
    (1, {"delay": "10m"}, {"delay": timedelta(minutes=10)}),
    (1, {"delay": "10m"}, {"on": START + timedelta(minutes=10)}),
    (1, {"on": START + timedelta(hours=1)}, {"delay": "1h"}),
    (1, {"on": START - timedelta(hours=1)}, {"delay": 0}),
    (1, {"headers": {"X-A": "1", "X-B": "2"}}, {"headers": {"X-A": "1"}}),
    (1, {"priority": 3, "event_type": "e", "flow_key": "f"}, {"priority": 3, "event_type": "e"}),
    (1, {}, {"target": "https://app.example/mail"}),
]


@pytest.mark.parametrize(("payload", "options", "expected"), SAME)
def test_the_same(
    lq: MemoryLambdaQueue, payload: Any, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    item = lq.queue("/mail").push(payload, **options)
    assert lq.assert_pushed("mail", **expected).id == item.id
    lq.assert_pushed("/mail", times=1, **expected)
    with pytest.raises(AssertionError, match="no such push"):
        lq.assert_not_pushed("mail", **expected)


OTHER: list[dict[str, Any]] = [
    {"payload": {"n": 2}},
    {"payload": object()},
    {"payload": b'{"n": 1}'},
    {"key": "b"},
    {"key": None},
    {"delay": "9m"},
    {"on": START},
    {"headers": {"X-A": "2"}},
    {"priority": 1},
    {"target": "https://app.example/other"},
    {"payload": {"n": 1}, "key": "b"},
]


@pytest.mark.parametrize("expected", OTHER)
def test_not_the_same(lq: MemoryLambdaQueue, expected: dict[str, Any]) -> None:
    lq.queue("/mail").push({"n": 1}, key="a", delay="10m", headers={"X-A": "1"})
    lq.assert_not_pushed("mail", **expected)
    with pytest.raises(AssertionError, match=r"expected .* to be pushed to mail") as failed:
        lq.assert_pushed("mail", **expected)
    assert "mail: {'n': 1}, key='a', delay='0:10:00'" in str(failed.value)


def test_how_often(lq: MemoryLambdaQueue) -> None:
    queue = lq.queue("/mail")
    queue.push_many([1, Push(2, key="a"), 1])
    assert [each.payload for each in lq.pushed(queue)] == [1, 2, 1]
    lq.assert_pushed(queue, payload=1, times=2)
    with pytest.raises(AssertionError, match="3 times, found it 2 times"):
        lq.assert_pushed(queue, payload=1, times=3)
    with pytest.raises(ValueError, match="assert_not_pushed"):
        lq.assert_pushed(queue, payload=3, times=0)


def test_other_queues_do_not_count(lq: MemoryLambdaQueue) -> None:
    lq.queue("/mail").push(1)
    lq.assert_not_pushed("sms")
    with pytest.raises(AssertionError, match="nothing was pushed to sms"):
        lq.assert_pushed("sms")
    lq.assert_pushed(payload=1)


def test_what_is_no_push(lq: MemoryLambdaQueue) -> None:
    queue = lq.queue("/mail")
    queue.handler(lambda payload, job: None)
    queue.schedule(1, "every(1h)", key="a")
    lq.clock.advance("1h")
    assert len(list(queue.history())) == 1
    with pytest.raises(InvalidRequest):
        queue.push(1, priority=11)
    lq.assert_not_pushed()


def test_what_was_kept_is_no_push(lq: MemoryLambdaQueue) -> None:
    queue = lq.queue("/mail")
    queue.push(1, key="a", delay="1h")
    queue.push(2, key="a", if_exists="keep")
    lq.assert_pushed(queue, payload=1, times=1)
    lq.assert_not_pushed(queue, payload=2)
    queue.push(3, key="a")
    lq.assert_pushed(queue, payload=3)


def test_forgetting(lq: MemoryLambdaQueue) -> None:
    item = lq.queue("/mail").push(1)
    lq.forget_pushed()
    lq.assert_not_pushed()
    assert lq.get(item.id).state == "PENDING"


def test_a_wrong_name_is_no_match(lq: MemoryLambdaQueue) -> None:
    lq.queue("/mail").push(1)
    with pytest.raises(TypeError, match="payloads can't be expected"):
        lq.assert_pushed("mail", payloads=1)  # type: ignore[call-arg]


def test_long_lists_are_cut(lq: MemoryLambdaQueue) -> None:
    lq.queue("/mail").push_many(["x" * 1_000] * 30)
    with pytest.raises(AssertionError) as failed:
        lq.assert_pushed("mail", payload=1)
    assert "and 10 more" in str(failed.value)
    assert len(str(failed.value)) < 6_000
