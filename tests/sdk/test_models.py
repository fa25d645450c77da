"""What the API answers, as values; the JSON is that of its documentation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdaqueue.errors import UnreadableRequest
from lambdaqueue.sdk.models import Callback, Entry, Item, Result, Schedule, Target
from lambdaqueue.sdk.queue_settings import QueueInfo, TroubledEndpoint

ITEM: dict[str, Any] = {
    "id": "0mwq83nuu00001",
    "queue": "welcome",
    "created": "2026-11-21T09:46:13.254Z",
    "target": {"url": "http://127.0.0.1:9000/welcome", "method": "POST"},
    "type": "HTTP",
    "state": "RETRY",
    "version": 2,
    "attempt": 1,
    "maxAttempts": 6,
    "priority": 3,
    "dueAt": "2026-11-21T09:56:13.254Z",
    "payloadType": "application/json",
    "key": "user-42",
    "payloadEncoding": "json",
    "payload": {"name": "Alfonso"},
    "error": "http_500: the endpoint answered 500",
    "lastAttempt": {
        "attempt": 1,
        "startedAt": "2026-11-21T09:46:57.012Z",
        "durationMs": 1500,
        "status": 500,
        "error": "http_500: the endpoint answered 500",
    },
    "added": "by a newer server",
}
ENDED = {
    **ITEM,
    "state": "COMPLETED",
    "entry": "c1795254417017-0",
    "endedAt": "2026-11-21T09:46:57.016Z",
    "attempts": [ITEM["lastAttempt"], {"attempt": 2, "startedAt": "2026-11-21T09:47:57.012Z"}],
    "result": {
        "status": 200,
        "contentType": "application/json",
        "body": '{"n":1}',
        "bodyEncoding": "text",
        "truncated": False,
    },
}


def test_an_item() -> None:
    item = Item.read(ITEM)
    assert (item.id, item.queue, item.key, item.state) == (
        "0mwq83nuu00001",
        "welcome",
        "user-42",
        "RETRY",
    )
    assert item.created == datetime(2026, 11, 21, 9, 46, 13, 254_000, tzinfo=UTC)
    assert item.due_at == datetime(2026, 11, 21, 9, 56, 13, 254_000, tzinfo=UTC)
    assert item.target == Target("http://127.0.0.1:9000/welcome", "POST")
    assert (item.version, item.attempt, item.max_attempts, item.priority) == (2, 1, 6, 3)
    assert item.payload == {"name": "Alfonso"}
    assert item.last_attempt is not None
    assert item.last_attempt.duration == timedelta(seconds=1.5)
    assert item.last_attempt.status == 500
    assert item.raw["added"] == "by a newer server"
    assert not item.ended
    assert item.entry is None


def test_an_item_that_has_ended() -> None:
    item = Item.read(ENDED)
    assert item.ended
    assert item.succeeded
    entry = item.entry
    assert entry is not None
    assert entry.entry_id == "c1795254417017-0"
    assert [attempt.number for attempt in entry.attempts] == [1, 2]
    assert entry.attempts[1].status is None
    assert entry.result is not None
    assert entry.result.value == {"n": 1}
    assert isinstance(entry, Entry)


def test_the_least_that_is_an_item() -> None:
    assert Item.read({"id": "a"}) == Item(id="a", queue="", state="")
    assert Entry.read({"id": "a", "entry": "f1"}).result is None


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        ({"payload": "AP8=", "payloadEncoding": "base64"}, b"\x00\xff"),
        ({"payload": "AP8=", "payloadEncoding": "text"}, "AP8="),
        ({"payload": None, "payloadEncoding": "json"}, None),
        ({}, None),
    ],
)
def test_payloads(fields: dict[str, Any], payload: Any) -> None:
    assert Item.read({"id": "a", **fields}).payload == payload


@pytest.mark.parametrize(
    ("kind", "body", "encoding", "value"),
    [
        ("application/json", "[1]", "text", [1]),
        ("text/plain; charset=utf-8", "é", "text", "é"),
        ("application/octet-stream", "AP8=", "base64", b"\x00\xff"),
        (None, "", "text", None),
        (None, "x", "text", b"x"),
    ],
)
def test_what_a_handler_returned(kind: str | None, body: str, encoding: str, value: Any) -> None:
    raw = {"status": 200, "contentType": kind, "body": body, "bodyEncoding": encoding}
    result = Result.read(raw)
    assert result is not None
    assert result.value == value


def test_a_result_that_was_cut_off() -> None:
    raw = {"status": 200, "contentType": "application/json", "body": '{"a', "truncated": True}
    result = Result.read(raw)
    assert result is not None
    assert (result.text, result.truncated) == ('{"a', True)
    with pytest.raises(UnreadableRequest):
        _ = result.value


def test_what_a_service_said() -> None:
    said = Callback.read({"status": "success", "state": {"n": 1}, "correlationId": "c"})
    assert said == Callback("success", None, {"n": 1}, None, "c")


def test_a_schedule() -> None:
    schedule = Schedule.read(
        {
            "id": "0mwqfwdyexac1pct",
            "key": "daily-report",
            "created": "2026-11-21T13:24:30.758Z",
            "paused": False,
            "schedule": "0 9 * * 1-5",
            "timezone": "Europe/Warsaw",
            "nextRun": "2026-11-23T08:00:00.000Z",
            "queue": "reports",
            "target": {"url": "http://127.0.0.1:9000/report", "method": "POST"},
            "payloadEncoding": "json",
            "payload": {"report": "daily"},
        }
    )
    assert (schedule.key, schedule.timezone, schedule.queue) == (
        "daily-report",
        "Europe/Warsaw",
        "reports",
    )
    assert schedule.next_run == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert schedule.last_run is None
    assert schedule.payload == {"report": "daily"}


def test_a_queue() -> None:
    info = QueueInfo.read(
        {
            "name": "mail",
            "paused": True,
            "waiting": 1,
            "running": 2,
            "completed": 3,
            "failed": 4,
            "cancelled": 5,
            "lastError": {"error": "timeout: …", "at": "2026-11-21T13:24:30.758Z"},
            "endpoints": [
                {
                    "url": "https://example.com/mail",
                    "state": "resting",
                    "restsUntil": "2026-11-21T13:24:30.758Z",
                    "opened": 0,
                    "aside": 7,
                },
                {"url": "https://example.com/other", "state": "half-open", "opened": 2, "aside": 0},
            ],
            "breakerState": "open",
            "timeout": 10_000,
            "lastHour": {},
        }
    )
    assert (info.waiting, info.running, info.completed, info.failed, info.cancelled) == (
        (1, 2, 3, 4, 5)
    )
    assert info.paused
    assert info.last_error == "timeout: …"
    when = datetime(2026, 11, 21, 13, 24, 30, 758_000, tzinfo=UTC)
    assert info.endpoints == (
        TroubledEndpoint("https://example.com/mail", "resting", when, 0, 7),
        TroubledEndpoint("https://example.com/other", "half-open", None, 2, 0),
    )
    assert info.settings == {"timeout": 10_000}
