"""What holds on every host alike: a delivery gets in whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lambdaqueue.proofs import VALIDATION_HEADER
from lambdaqueue.sdk.delivery import Job
from lambdaqueue.sdk.errors import DoNotRetry, RetryLater
from tests.sdk.integrations.deliveries import SECRET, Taken, error_of, signed, validation
from tests.sdk.integrations.hosts import HOSTS, Ask


@pytest.fixture
def taken() -> Taken:
    """Two queues with handlers."""
    taken = Taken()
    taken.add("/welcome")
    taken.add("/mail/eu")
    return taken


@pytest.fixture(params=HOSTS)
def ask(request: pytest.FixtureRequest, taken: Taken) -> Ask:
    """Each host with these queues."""
    return HOSTS[request.param](taken)


BODIES: dict[str, tuple[bytes, str, Any]] = {
    "json": (b'{"b": 1,\n "a":\t2}', "application/json", {"b": 1, "a": 2}),
    "a suffix": (b"[1]", "application/cloudevents+json", [1]),
    "text": ("Grüße\r\n".encode(), "text/plain; charset=utf-8", "Grüße\r\n"),
    "every byte": (bytes(range(256)), "application/octet-stream", bytes(range(256))),
    "a form": (b"a=1&b=%C3%A9", "application/x-www-form-urlencoded", b"a=1&b=%C3%A9"),
    "parts": (
        b"--x\r\n\r\n1\r\n--x--\r\n",
        "multipart/form-data; boundary=x",
        b"--x\r\n\r\n1\r\n--x--\r\n",
    ),
    "none": (b"", "application/json", None),
    "at the limit": (b"x" * 1_000, "application/octet-stream", b"x" * 1_000),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_body_comes_as_it_was_sent(ask: Ask, taken: Taken, name: str) -> None:
    body, kind, payload = BODIES[name]
    answer = ask("POST", "/welcome", signed(body, kind=kind), body)
    assert (answer.status, json.loads(answer.body)) == (200, {"from": "/welcome"})
    assert taken.payloads == [payload]


def test_the_job_is_read_from_the_headers(ask: Ask, taken: Taken) -> None:
    ask("POST", "/welcome", [*signed(), ("X-Own", "one"), ("traceparent", "00-1")], b"{}")
    [(_, job)] = taken.calls
    assert (job.id, job.queue, job.key, job.attempt) == ("job1", "welcome", "user/é", 2)
    assert (job.headers["x-own"], job.headers["content-type"]) == ("one", "application/json")
    assert job.traceparent == "00-1"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_delivery_may_have_any_method(ask: Ask, taken: Taken, method: str) -> None:
    assert ask(method, "/welcome", signed(), b"{}").status == 200
    assert taken.payloads == [{}]


@pytest.mark.parametrize(
    ("url", "queue"),
    [
        ("/welcome", "/welcome"),
        ("/welcome/", "/welcome"),
        ("/welcome?a=1&b=%2F", "/welcome"),
        ("/welcome/?", "/welcome"),
        ("/mail/eu", "/mail/eu"),
        ("/mail/eu/?x", "/mail/eu"),
    ],
)
def test_the_path_names_the_queue(ask: Ask, url: str, queue: str) -> None:
    answer = ask("POST", url, signed(), b"{}")
    assert (answer.status, json.loads(answer.body)) == (200, {"from": queue})


@pytest.mark.parametrize(
    "url", ["/", "/welcom", "/welcome/x", "/mail", "/mail/eu/x", "/Welcome", "/x/welcome", "/mäil"]
)
def test_no_other_path_does(ask: Ask, taken: Taken, url: str) -> None:
    assert ask("POST", url, signed(), b"{}").status == 404
    assert taken.calls == []


def test_a_queue_may_come_later(ask: Ask, taken: Taken) -> None:
    assert ask("POST", "/late", signed(), b"{}").status == 404
    taken.add("/late")
    assert ask("POST", "/late", signed(), b"{}").status == 200


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_no_delivery_has(ask: Ask, taken: Taken, method: str) -> None:
    answer = ask(method, "/welcome", signed(b""))
    assert answer.status == 405
    assert answer.headers["allow"] == "HEAD, GET, POST, PUT, PATCH, DELETE"
    assert answer.headers["content-type"] == "application/json"
    assert "takes HEAD" in error_of(answer.body)
    assert taken.calls == []


def test_a_validation_is_answered(ask: Ask) -> None:
    headers = validation("/welcome")
    answer = ask("HEAD", "/welcome", headers)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[VALIDATION_HEADER].startswith("v1,")
    assert SECRET.reveal() not in str(answer)


@pytest.mark.parametrize(
    "headers",
    [list, lambda: validation("/mail/eu"), lambda: signed(b"")],
    ids=["none", "other", "delivery"],
)
def test_only_a_proven_one(ask: Ask, headers: Callable[[], list[tuple[str, str]]]) -> None:
    answer = ask("HEAD", "/welcome", headers())
    assert (answer.status, answer.body) == (401, b"")
    assert VALIDATION_HEADER not in answer.headers


@pytest.mark.parametrize(
    ("signs", "more", "body"),
    [
        (None, [], b"{}"),
        (None, [], b""),
        (b"{}", [], b"{ }"),
        (b"{}", [], b"\xef\xbb\xbf{}"),
        (b"{}", [], b""),
        (b"", [], b"{}"),
        (b"{}", [("Webhook-Id", "job2_1")], b"{}"),
        (b"{}", [("Webhook-Timestamp", "1")], b"{}"),
    ],
)
def test_what_is_not_signed_reaches_no_handler(
    ask: Ask, taken: Taken, signs: bytes | None, more: list[tuple[str, str]], body: bytes
) -> None:
    headers = [] if signs is None else signed(signs)
    answer = ask("POST", "/welcome", headers + more, body)
    assert answer.status == 401
    assert "not signed" in error_of(answer.body)
    assert taken.calls == []


def test_a_body_over_the_limit_is_refused(ask: Ask, taken: Taken) -> None:
    body = b"x" * 1_001
    answer = ask("POST", "/welcome", signed(body), body)
    assert answer.status == 413
    assert answer.headers["x-lq-retry"] == "never"
    assert "1000 bytes" in error_of(answer.body)
    assert taken.calls == []


def _raise(error: Exception) -> Callable[[Any], Any]:
    def does(payload: Any) -> Any:
        raise error

    return does


@pytest.mark.parametrize(
    ("does", "status", "header", "body"),
    [
        (lambda payload: None, 204, ("content-type", None), b""),
        (
            lambda payload: b"\x00\xff",
            200,
            ("content-type", "application/octet-stream"),
            b"\x00\xff",
        ),
        (lambda payload: "née", 200, ("content-type", "text/plain; charset=utf-8"), "née".encode()),
        (lambda payload: [1], 200, ("content-type", "application/json"), b"[1]"),
        (_raise(ValueError("no")), 500, ("x-lq-retry", None), b'{"error":"ValueError: no"}'),
        (_raise(RetryLater(1.5, "later")), 503, ("retry-after", "2"), b'{"error":"later"}'),
        (_raise(DoNotRetry("over")), 500, ("x-lq-retry", "never"), b'{"error":"over"}'),
    ],
)
def test_the_answer_is_what_the_handler_said(
    ask: Ask,
    taken: Taken,
    does: Callable[[Any], Any],
    status: int,
    header: tuple[str, str | None],
    body: bytes,
) -> None:
    taken.add("/does", does)
    answer = ask("POST", "/does", signed(), b"{}")
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get(header[0]) == header[1]


def test_a_coroutine_function_is_awaited(ask: Ask, taken: Taken) -> None:
    async def handle(payload: Any, job: Job) -> Any:
        return payload

    taken.add_handler("/async", handle)
    answer = ask("POST", "/async", signed(b'"x"'), b'"x"')
    assert (answer.status, answer.body) == (200, b"x")
    taken.add_handler("/async", handle, max_body=2)
    assert ask("POST", "/async", signed(b'"x"'), b'"x"').status == 413
    assert ask("TRACE", "/async").status == 405
