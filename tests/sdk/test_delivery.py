"""Requests and answers as values, and what a handler sees of a delivery."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from lambdaqueue.claims import Claim
from lambdaqueue.envelope import headers_for
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.sdk.delivery import Delivery, Job, Reply, UnreadablePayload
from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import SUCCESS
from tests.sdk.signed import NOW, SECRET, delivery

JSON = "application/json"


@pytest.mark.parametrize(
    ("content_type", "body", "payload"),
    [
        (JSON, b'{"a": [1, 2.5, null, "\xc3\xa9"]}', {"a": [1, 2.5, None, "é"]}),
        (JSON, b"12345678901234567890", 12345678901234567890),
        (JSON, b"null", None),
        (JSON, b"", None),
        ("Application/JSON; charset=utf-8", b"[]", []),
        ("application/vnd.shop.order+json", b"{}", {}),
        ("text/plain", b"hello \xc3\xa9", "hello é"),
        ("text/csv;charset=ISO-8859-1", b"\xe9", "é"),
        ('text/plain; format=flowed; charset="utf-16"', "é".encode("utf-16"), "é"),
        ("text/plain; charset=", b"a", "a"),
        ("text/plain", b"", None),
        ("application/octet-stream", b"\x00\xff", b"\x00\xff"),
        ("application/jsonlines", b"{}\n{}", b"{}\n{}"),
        ("application/xml", b"<a/>", b"<a/>"),
        ("", b"{}", b"{}"),
    ],
)
def test_what_a_body_says(content_type: str, body: bytes, payload: Any) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert Delivery("POST", headers, body).payload() == payload


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b"{"),
        (JSON, b"{'a': 1}"),
        (JSON, b"NaN"),
        (JSON, b'"\xff"'),
        (JSON, b"[" * 100_000),
        (JSON, b"[-Infinity]"),
        ("text/plain", b"\xff"),
        ("text/plain; charset=nonsense", b"a"),
        ("text/plain; charset=base64", b"YQ=="),
        ("text/plain; charset=\x00", b"a"),
    ],
)
def test_what_no_body_of_its_type_says(content_type: str, body: bytes) -> None:
    with pytest.raises(UnreadablePayload):
        Delivery("POST", {"content-type": content_type}, body).payload()


def test_json_that_a_push_takes_is_read() -> None:
    """The server has never looked into it: what Python can read is no failure."""
    for value in ({f"k{n}": n for n in range(1_500)}, json.loads("[" * 200 + "]" * 200), "\ud800"):
        assert (
            Delivery("POST", {"content-type": JSON}, json.dumps(value).encode()).payload() == value
        )


def test_header_names_are_lower_case_and_joined() -> None:
    made = Delivery.of("post", [("X-A", "1"), ("Webhook-Id", "i"), ("x-a", "2")], b"")
    assert (made.method, made.headers) == ("POST", {"x-a": "1, 2", "webhook-id": "i"})


def test_what_is_private_is_not_shown() -> None:
    made = delivery("my secret", x_lq_callback_url="http://127.0.0.1:8080/api/v1/callback/token")
    for shown in (repr(made), repr(Job.of(made.headers))):
        assert "my secret" not in shown
        assert "callback/token" not in shown
        assert made.headers["webhook-signature"] not in shown


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        (None, 204, None, b""),
        (b"\x00", 200, "application/octet-stream", b"\x00"),
        (bytearray(b"a"), 200, "application/octet-stream", b"a"),
        (memoryview(b"a"), 200, "application/octet-stream", b"a"),
        ("é", 200, "text/plain; charset=utf-8", b"\xc3\xa9"),
        ("", 200, "text/plain; charset=utf-8", b""),
        ({"b": 1, "a": "é"}, 200, JSON, b'{"b":1,"a":"\xc3\xa9"}'),
        ([], 200, JSON, b"[]"),
        (False, 200, JSON, b"false"),
        (0, 200, JSON, b"0"),
    ],
)
def test_the_answer_for_a_result(
    result: Any, status: int, content_type: str | None, body: bytes
) -> None:
    reply = Reply.of(result)
    assert (reply.status, reply.header("content-type"), reply.body) == (status, content_type, body)


def circular() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    "result", [object(), {1, 2}, float("nan"), circular(), "\ud800", {"a": "\ud800"}]
)
def test_results_that_nothing_can_carry(result: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Reply.of(result)


def test_refusals_say_what_to_do() -> None:
    assert Reply.too_large(10).status == 413
    assert Reply.too_large(10).header("X-LQ-Retry") == "never"
    assert Reply.not_found().status == 404
    assert Reply.not_found().header("x-lq-retry") is None
    assert Reply.wrong_method().status == 405
    assert Reply.wrong_method().header("allow") == "HEAD, GET, POST, PUT, PATCH, DELETE"
    assert Reply.error(400, "é\n").body == b'{"error":"\\u00e9\\n"}'


def test_a_job_is_read_from_what_the_server_sends() -> None:
    spec = Spec(
        b"{}",
        target="https://a.example/q",
        event_type="order 50%",
        schedule_id="s1",
        schedule_key="täglich/ an",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        headers={"X-Mine": "yes"},
    )
    claim = Claim(
        id="0mwqjo94r00001",
        token="w.1.1",
        environment="default",
        queue="shop/orders",
        version=3,
        attempt=2,
        failures=1,
        started_at=NOW * 1_000,
        first_due_at=1_614_265_300_250,
        spec=spec,
        target=spec.target,
        policy=RetryPolicy(retries=2),
        timeout=30_000,
        success=SUCCESS,
        result_bytes=4_096,
        key=" user 42% ł",
    )
    sent = headers_for(claim, [SECRET], NOW * 1_000)
    job = Job.of(Delivery.of("POST", sent, b"{}").headers)
    assert (job.id, job.queue, job.key) == ("0mwqjo94r00001", "shop/orders", " user 42% ł")
    assert (job.attempt, job.max_attempts, job.is_last_attempt) == (2, 3, False)
    assert job.scheduled_for == datetime(2021, 2, 25, 15, 1, 40, 250_000, UTC)
    assert (job.schedule, job.event_type) == ("täglich/ an", "order 50%")
    assert job.message_id == "0mwqjo94r00001_3"
    assert job.traceparent == spec.traceparent
    assert job.headers["x-mine"] == "yes"
    assert not job.is_async


def test_a_job_needs_no_more_than_a_signature() -> None:
    job = Job.of(delivery(message_id="msg_1").headers)
    assert (job.id, job.message_id, job.queue, job.key) == ("msg_1", "msg_1", "", None)
    assert (job.attempt, job.max_attempts, job.is_last_attempt) == (1, 1, True)
    assert job.scheduled_for == datetime.fromtimestamp(NOW, UTC)
    assert (job.schedule, job.event_type, job.traceparent) == (None, None, None)


@pytest.mark.parametrize(
    ("attempt", "most", "expected"),
    [
        ("3", "3", (3, 3, True)),
        ("2", "", (2, 2, True)),
        ("-1", "6", (1, 6, False)),
        ("\u00b2", "9" * 5_000, (1, 1, True)),
    ],
)
def test_attempts(attempt: str, most: str, expected: tuple[int, int, bool]) -> None:
    job = Job.of(delivery(x_lq_attempt=attempt, x_lq_max_attempts=most).headers)
    assert (job.attempt, job.max_attempts, job.is_last_attempt) == expected


@pytest.mark.parametrize(
    ("told", "id"),
    [("0mwqjo94r00001", "0mwqjo94r00001"), ("other", "0mwqjo94r00001_1"), ("", "0mwqjo94r00001_1")],
)
def test_an_id_counts_as_it_is_signed(told: str, id: str) -> None:
    assert Job.of(delivery(x_lq_id=told).headers).id == id


def test_a_test_can_make_a_job_by_itself() -> None:
    job = Job(id="j1", attempt=2, max_attempts=6)
    assert (job.key, job.is_last_attempt, job.is_async) == (None, False, False)


def test_a_plain_job_takes_no_callbacks() -> None:
    job = Job(id="j1")
    for call in (job.heartbeat, job.succeed, job.fail, job.working):
        with pytest.raises(ConfigurationError, match="ends with its handler"):
            call()
