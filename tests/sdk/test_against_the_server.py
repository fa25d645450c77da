"""The client against the real API on a real Redis: every call, and what comes back of it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unauthorized,
)
from lambdaqueue.sdk.models import Entry
from lambdaqueue.sdk.options import FollowUp
from lambdaqueue.sdk.pushes import Push
from lambdaqueue.sdk.queue import Queue
from lambdaqueue.sdk.queue_settings import Rate
from tests.sdk.conftest import SECRET, TOKEN

HERE = "http://127.0.0.1:9"


@pytest.fixture
def mail(lq: LambdaQueue) -> Queue:
    return lq.queue("/mail")


def test_a_push(mail: Queue) -> None:
    before = datetime.now(UTC)
    item = mail.push({"name": "Alfonso", "n": 2**70}, key="user-42", delay="10m", priority=3)
    assert (item.queue, item.key, item.state, item.version) == ("mail", "user-42", "PENDING", 1)
    assert item.payload == {"name": "Alfonso", "n": 2**70}
    assert item.content_type == "application/json"
    assert item.target is not None
    assert (item.target.url, item.target.method) == (f"{HERE}/mail", "POST")
    assert item.priority == 3
    assert item.due_at is not None
    assert abs(item.due_at - before - timedelta(minutes=10)) < timedelta(seconds=20)
    assert mail.get(item.id) == mail.get_by_key("user-42") == item


def test_every_option_is_taken(mail: Queue) -> None:
    on = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    item = mail.push(
        "<a/>",
        content_type="application/xml",
        key="schlüssel/ä ☃ 100%",
        if_exists="keep",
        on=on,
        target="/other?a=1",
        method="PUT",
        headers={"Authorization": "Basic x", "X-A": "b"},
        retry={"type": "list", "delays": [1, "5s"], "max": "1h", "retries": 7},
        timeout=timedelta(seconds=15),
        max_age="1d",
        priority=9,
        event_type="a.b",
        flow_key="kunde ä",
        async_ttl="1h",
        heartbeat=10,
        on_success="none",
        on_failure={"queue": "bad", "target": "/bad", "format": "slack"},
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    assert item.target is not None
    assert (item.target.url, item.target.method) == (f"{HERE}/other?a=1", "PUT")
    assert item.due_at == on
    assert (item.key, item.flow_key, item.max_attempts) == ("schlüssel/ä ☃ 100%", "kunde ä", 8)
    assert item.payload == "<a/>"
    assert (item.raw["async"], item.raw["heartbeat"]) == (3_600_000, 10_000)
    assert (item.on_success, item.on_failure) == (
        ("none", {"queue": "bad", "target": f"{HERE}/bad", "format": "slack"})
    )
    assert mail.get_by_key("schlüssel/ä ☃ 100%") == item
    kept = mail.push("new", key="schlüssel/ä ☃ 100%", if_exists="keep")
    assert kept == item


@pytest.mark.parametrize("payload", [b"\x00\xff", "text", None, [1, 2], 1.5, True])
def test_payloads_come_back(mail: Queue, payload: Any) -> None:
    assert mail.get(mail.push(payload).id).payload == payload
    (item,) = mail.push_many([payload])
    assert mail.get(item.id).payload == payload


def test_follow_ups_of_ones_own(lq: LambdaQueue) -> None:
    done: FollowUp = {"queue": "done", "target": "/done"}
    shown = {"queue": "done", "target": f"{HERE}/done", "format": "json"}
    mail = lq.queue("/mail", on_success=done)
    mine, other = mail.push_many([1, Push(2, on_success="none", on_failure=done)])
    assert (mine.on_success, mine.on_failure) == (shown, None)
    assert (other.on_success, other.on_failure) == ("none", shown)
    assert mail.push(3, on_success=None).on_success is None
    assert mail.change(mine.id, on_failure=done).on_failure == shown
    schedule = mail.schedule(1, "every(1d)")
    assert (schedule.on_success, schedule.on_failure) == (shown, None)
    changed = lq.schedules.change(schedule.id, on_success=None, on_failure=done)
    assert (changed.on_success, changed.on_failure) == (None, shown)
    with pytest.raises(InvalidRequest, match=r"x-lq-on-failure\.target: is required"):
        mail.push(1, on_failure={"queue": "done"})  # type: ignore[arg-type]


def test_a_queue_has_defaults(lq: LambdaQueue) -> None:
    queue = lq.queue("mail", target="https://example.com/m", retry={"retries": 2}, priority=5)
    item = queue.push({})
    assert (item.max_attempts, item.priority) == (3, 5)
    assert item.target is not None
    assert item.target.url == "https://example.com/m"
    assert queue.push({}, retry=None, priority=1).max_attempts == 6
    assert queue.push_many([{}])[0].max_attempts == 3


def test_a_queue_with_its_target_on_the_server(lq: LambdaQueue) -> None:
    queue = lq.queue("mail")
    with pytest.raises(InvalidRequest, match="x-lq-target"):
        queue.push({})
    rate: Rate = {"limit": 5, "period": "1s"}
    info = queue.configure(target="https://example.com/m", timeout="5s", rate=rate)
    assert info.settings["timeout"] == 5_000
    assert info.settings["rate"] == {"limit": 5, "period": 1_000}
    item = queue.push({})
    assert item.target is not None
    assert item.target.url == "https://example.com/m"


def test_many(mail: Queue) -> None:
    items = mail.push_many(
        [
            {"n": 1},
            Push({"n": 2}, key="b", delay=60),
            Push("text", content_type="text/plain"),
            Push(b"\xff", target="https://example.com/"),
        ]
    )
    assert [item.payload for item in items] == [{"n": 1}, {"n": 2}, "text", b"\xff"]
    assert [item.target and item.target.url for item in items] == [
        f"{HERE}/mail",
        f"{HERE}/mail",
        f"{HERE}/mail",
        "https://example.com/",
    ]
    assert mail.get_by_key("b") == items[1]
    assert mail.push_many([]) == []


def test_many_are_all_or_none(mail: Queue) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mail.push_many([{}, Push({}, target="ftp://x"), {}])
    assert caught.value.issues[0].path == ("items", 1, "target")
    assert "items.1.target: " in str(caught.value)
    assert list(mail.items()) == []
    with pytest.raises(InvalidRequest):
        mail.push_many([{}] * 1001)


def test_an_idempotency_key_of_ones_own(mail: Queue) -> None:
    first = mail.push({"n": 1}, idempotency_key="order-7")
    assert mail.push({"n": 1}, idempotency_key="order-7") == first
    assert mail.push({"n": 1}) != first
    with pytest.raises(InvalidRequest):
        mail.push({"n": 2}, idempotency_key="order-7")


def test_change_and_run_now(mail: Queue) -> None:
    item = mail.push({"n": 1}, key="k", delay="1h")
    changed = mail.change(item.id, payload={"n": 2}, delay="2h", target="/other")
    assert (changed.id, changed.version, changed.payload) == (item.id, 2, {"n": 2})
    assert changed.target is not None
    assert changed.target.url == f"{HERE}/other"
    assert mail.change(key="k", payload=None).payload is None
    assert mail.change(key="k", priority=4).priority == 4
    due = mail.run_now(key="k").due_at
    assert due is not None
    assert due <= datetime.now(UTC) + timedelta(seconds=5)
    assert mail.run_now(item.id).id == item.id
    with pytest.raises(ValueError, match="say what to change"):
        mail.change(item.id)
    with pytest.raises(ValueError, match="changed with its payload"):
        mail.change(item.id, content_type="text/plain")


def test_cancel_wait_and_history(lq: LambdaQueue, mail: Queue) -> None:
    one, two = mail.push({"n": 1}, key="a", delay=60), mail.push({"n": 2}, key="b", delay=60)
    assert not mail.wait(one.id, longest=0).ended
    assert mail.cancel(key="a").state == "CANCELLED"
    assert lq.cancel(two.id).id == two.id
    waited = mail.wait(key="a")
    assert waited.state == "CANCELLED"
    assert waited.error is not None
    entry = waited.entry
    assert isinstance(entry, Entry)
    assert list(mail.history()) == [lq.get(two.id).entry, entry]
    assert [each.key for each in mail.history("CANCELLED", key="a")] == ["a"]
    assert list(mail.history("FAILED")) == []
    assert entry.ended_at is not None
    late = entry.ended_at + timedelta(hours=1)
    assert list(mail.history(since=late)) == []
    assert len(list(mail.history(until=late))) == 2
    with pytest.raises(NotFound):
        mail.cancel(one.id)
    assert mail.cancel(one.id, missing_ok=True) is None
    with pytest.raises(Conflict):
        mail.run_now(one.id)
    again = mail.replay(entry.entry_id, target="https://example.com/")
    assert (again.replay_of, again.payload) == (one.id, {"n": 1})
    assert mail.replay_all("CANCELLED", key="b", rate={"limit": 1, "period": "1s"}) == 1
    assert mail.replay_all("FAILED") == 0


def test_pages_are_gone_through(mail: Queue) -> None:
    mail.push_many([{"n": n} for n in range(250)])
    assert [item.payload["n"] for item in mail.items()] == list(range(250))
    assert len(list(itertools.islice(mail.items("PENDING"), 3))) == 3
    assert list(mail.items("RETRY")) == []


def test_a_queue_itself(lq: LambdaQueue, mail: Queue) -> None:
    with pytest.raises(NotFound):
        mail.info()
    mail.push({}, delay=60)
    assert mail.pause().paused
    assert mail.info().waiting == 1
    assert not mail.resume().paused
    assert [info.name for info in lq.queues()] == ["mail"]
    with pytest.raises(Conflict):
        mail.delete()
    assert mail.purge("RETRY") == 0
    assert mail.purge() == 1
    assert mail.secret().startswith("whsec_")
    mail.delete()
    assert list(lq.queues()) == []


def test_every_setting_is_taken(mail: Queue) -> None:
    info = mail.configure(
        target="https://example.com/",
        retry={"type": "constant", "delay": "1m"},
        timeout=5,
        concurrency=3,
        rate={"limit": 10, "period": "1s", "burst": 2},
        flow={"concurrency": 2, "rate": {"limit": 1, "period": 60}, "ordered": True},
        ordered=False,
        breaker={"ratio": 0.5, "window": "1m"},
        on_success={"queue": "done", "target": "/done"},
        on_failure={"queue": "bad", "target": "https://example.com/bad", "format": "slack"},
        success_status="200-299,304",
        validation="required",
        history_limit=10,
        failed_limit=20,
        history_days=5,
        result_bytes=100,
    )
    assert info.settings["flow"]["rate"]["period"] == 60_000
    assert info.settings["breaker"] == {"ratio": 0.5, "window": 60_000}
    assert info.settings["retry"]["delay"] == 60_000
    assert info.settings["historyLimit"] == 10
    assert info.settings["onFailure"]["format"] == "slack"
    assert info.settings["onSuccess"]["target"] == f"{HERE}/done"
    assert mail.configure(target="/mail").settings["target"] == f"{HERE}/mail"
    assert "concurrency" not in mail.configure(concurrency=None).settings
    with pytest.raises(TypeError, match="no setting 'conc'"):
        mail.configure(conc=1)  # type: ignore[call-arg]


def test_schedules(lq: LambdaQueue, mail: Queue) -> None:
    made = mail.schedule(
        {"report": 1},
        "0 9 * * MON-FRI",
        key="daily",
        tz="Europe/Warsaw",
        jitter="5s",
        misfire="skip",
        overlap="skip",
        starts_at=datetime.now(UTC),
        max_runs=10,
        timeout=5,
    )
    assert (made.key, made.queue, made.timezone) == ("daily", "mail", "Europe/Warsaw")
    assert made.payload == {"report": 1}
    assert made.target is not None
    assert made.target.url == f"{HERE}/mail"
    assert (made.raw["jitter"], made.raw["timeout"]) == (5_000, 5_000)
    assert made.next_run is not None
    assert lq.schedules.get(key="daily") == lq.schedules.get(made.id) == made
    other = mail.schedule(b"\xff", "every(10s)")
    assert other.payload == b"\xff"
    assert [each.id for each in lq.schedules] == [made.id, other.id]
    changed = lq.schedules.change(key="daily", schedule="@daily", max_runs=None, timeout=None)
    assert (changed.schedule, "maxRuns" in changed.raw, "timeout" in changed.raw) == (
        "@daily",
        False,
        False,
    )
    assert lq.schedules.change(made.id, payload=[1]).payload == [1]
    assert lq.schedules.pause(key="daily").paused
    assert not lq.schedules.resume(key="daily").paused
    item = lq.schedules.run(key="daily")
    assert item.schedule_id == made.id
    assert lq.schedules.history(key="daily") == [lq.get(item.id)]
    lq.cancel(item.id)
    assert isinstance(lq.schedules.history(made.id)[0], Entry)
    lq.schedules.delete(key="daily")
    with pytest.raises(NotFound):
        lq.schedules.get(key="daily")
    with pytest.raises(TypeError, match="either its id, or key="):
        lq.schedules.get()


def test_a_schedule_with_a_key_is_set_at_every_start(mail: Queue) -> None:
    first = mail.schedule({}, "rate(5 minutes)", key="k")
    assert mail.schedule({}, "rate(5 minutes)", key="k") == first


def test_previews(lq: LambdaQueue) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    runs = lq.schedules.preview("0 9 * * *", tz="Europe/Warsaw", start=start, count=2)
    assert runs == [datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 3, 2, 8, tzinfo=UTC)]
    assert len(lq.schedules.preview("@hourly")) == 5


def test_service_jobs(lq: LambdaQueue) -> None:
    made = lq.services.set(
        "shop",
        "report",
        target="/report",
        schedule="rate(1 hour)",
        ttl="5m",
        heartbeat=10,
        exclusive=True,
        payload="all",
        retry={"type": "constant", "delay": 1, "retries": 1},
    )
    assert (made.target, made.ttl, made.heartbeat, made.payload) == (
        f"{HERE}/report",
        300,
        10,
        "all",
    )
    assert made.raw["retry"]["delay"] == 1_000
    assert lq.services.get("shop", "report") == made
    assert lq.services.list("shop") == [made]
    name = lq.services.run("shop", "report")
    known = lq.services.execution(name)
    assert (known.service, known.job, known.status) == ("shop", "report", "invoked")
    assert not known.ended
    assert [each.name for each in lq.services.executions("shop")] == [name]
    late = datetime.now(UTC) + timedelta(hours=1)
    assert list(lq.services.executions("shop", "report", since=late)) == []
    assert lq.services.cancel(name).status == "cancelled"
    assert lq.services.execution(name).ended
    again = lq.services.retry(name)
    assert lq.services.execution(again).raw["retry_of"] == name
    assert lq.services.test("shop", "report") != again
    lq.services.delete("shop", "report")
    with pytest.raises(NotFound):
        lq.services.get("shop", "report")
    with pytest.raises(ValueError, match="ttl: must be whole seconds"):
        lq.services.set("a", "b", target="/c", schedule="rate(1 hour)", ttl=1.5)


def test_timers(lq: LambdaQueue) -> None:
    made = lq.timers.set("a/b", {"n": 1}, delay="1h", target="/timer")
    assert (made.id, made.data, made.shard) == ("a/b", {"n": 1}, "shard0")
    assert lq.timers.get("a/b") == made
    lq.timers.delete("a/b")
    lq.timers.delete("a/b")
    with pytest.raises(NotFound):
        lq.timers.get("a/b")
    assert lq.timers.set("c", at=datetime.now(UTC), shard="s1").shard == "s1"
    with pytest.raises(TypeError, match="either at=, or delay="):
        lq.timers.set("c")
    periodic = lq.periodic.set("d", every="90s", target="/timer")
    assert periodic.data == {"id": "d", "type": "hourlyPeriodic"}
    assert lq.periodic.set("e", minute_of_hour=15).raw["timeShardId"] == "15:e"
    assert lq.periodic.get("d") == periodic
    lq.periodic.delete("d")
    with pytest.raises(ValueError, match="every: must be whole seconds"):
        lq.periodic.set("d", every="500ms")


def test_messages(lq: LambdaQueue) -> None:
    id = lq.send_message("https://example.com/", {"order": 7}, event_type="order.paid", attempt=2)
    item = lq.get(id)
    assert (item.queue, item.payload) == ("messages", {"order": 7})
    assert lq.get(lq.send_message("https://example.com/", None)).payload is None


def test_administration(lq: LambdaQueue, server_url: str) -> None:
    admin = lq.administration
    made = admin.issue_token("ci", ["push"], expires=datetime.now(UTC) + timedelta(days=1))
    with LambdaQueue(made["token"], api_url=server_url, env={}) as other:
        assert other.queue("a", target="https://example.com/").push({}).state == "PENDING"
        with pytest.raises(Forbidden, match="lacks the scope"):
            list(other.queues())
        admin.revoke_token(made["id"])
    assert {"ci"}.isdisjoint(token["name"] for token in admin.tokens())
    assert admin.secret()["secret"] == SECRET
    assert admin.rotate_secret(overlap="1h")["previous"] == SECRET
    assert {"token.create", "token.revoke"} <= {row["action"] for row in admin.audit()}
    assert admin.set_retry({"retries": 1})["retry"]["retries"] == 1
    assert "retry" not in admin.set_retry(None)
    assert admin.environment()["id"]


def test_errors_carry_the_request(lq: LambdaQueue, server_url: str) -> None:
    queue = lq.queue("mail", target="https://example.com/")
    with pytest.raises(InvalidRequest) as caught:
        queue.push({}, delay="400d")
    error = caught.value
    assert [issue.path for issue in error.issues] == [("x-lq-delay",)]
    assert error.status == 422
    assert error.request_id
    assert error.request_id in str(error)
    assert "x-lq-delay: must be" in str(error)
    with (
        LambdaQueue("lqk_wrong", api_url=server_url, env={}) as stranger,
        pytest.raises(Unauthorized) as refused,
    ):
        stranger.get("x")
    assert "lqk_wrong" not in str(refused.value)
    assert TOKEN not in str(refused.value)
    with pytest.raises(NotFound):
        lq.get("0mwq83nuu00001")
