"""Deliveries that ask for callbacks: which they are, and to whom those may go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdaqueue.cli.api_client import api_origin
from lambdaqueue.cli.invocation import Invocation, Stranger

API = "https://lq.example.com"
URL = f"{API}/api/v1/callback/1"
SIGNED = {"webhook-id": "0mf3_1"}
JOB = {"execution_name": "0mf3"}
"""What the webhook of a service job says beside its callback URL."""


@pytest.mark.parametrize(
    ("api", "url", "token"),
    [
        (API, f"{API}/api/v1/callback/0mf3_a-B", "0mf3_a-B"),
        (API, "HTTPS://LQ.Example.com:443/api/v1/callback/1", "1"),
        ("http://[::1]:8080", "http://[::1]:8080/api/v1/callback/1", "1"),
        (API, "http://lq.example.com/api/v1/callback/1", None),
        (API, "https://lq.example.com:8443/api/v1/callback/1", None),
        (API, "https://lq.example.com@example.org/api/v1/callback/1", None),
        (API, "https://lq.example.com:443@example.org/api/v1/callback/1", None),
        (API, "https://example.org#@lq.example.com/api/v1/callback/1", None),
        (API, "https://example.org\\@lq.example.com/api/v1/callback/1", None),
        (API, "https://lq.example.com.example.org/api/v1/callback/1", None),
        (API, "https://lq.example.com%2eexample.org/api/v1/callback/1", None),
        (API, "https://lq.example.com/api/v1/callback/../queues", None),
        (API, "https://lq.example.com/api/v1/callback/1?x=1", None),
        (API, "https://lq.example.com/api/v1/callback/1\n", None),
        (API, " https://lq.example.com/api/v1/callback/1", None),
        (API, "//lq.example.com/api/v1/callback/1", None),
        (API, "https://lq.example.com/api/v1/queues/q/items", None),
        (API, "https://lq.example.com:99999999999/api/v1/callback/1", None),
        (API, "file:///etc/passwd", None),
        (API, "", None),
    ],
)
def test_whom_it_calls_back(api: str, url: str, token: str | None) -> None:
    body = json.dumps({"callback_url": url, **JOB}).encode()
    if token is None:
        with pytest.raises(Stranger):
            Invocation.read(SIGNED, body, api)
        return
    found = Invocation.read(SIGNED, body, api)
    assert found is not None
    assert found.token == token


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b""),
        ({}, b"\xff"),
        ({}, b"[" * 100_000),
        ({}, b'["callback_url"]'),
        ({}, b'{"callback_url": 1}'),
        ({}, b'{"callback_url": null}'),
        (SIGNED, b'{"callback_url": "https://lq.example.com/api/v1/callback/1"}'),
        ({}, json.dumps({"callback_url": URL, **JOB}).encode()),
        ({"webhook-id": "0mf4_1"}, json.dumps({"callback_url": URL, **JOB}).encode()),
        ({"x-lq-heartbeat": "1000"}, b'{"url": "https://lq.example.com/api/v1/callback/1"}'),
    ],
)
def test_what_asks_for_no_callback(headers: dict[str, str], body: bytes) -> None:
    assert Invocation.read(headers, body, API) is None


@pytest.mark.parametrize(
    ("told", "header", "seconds"),
    [
        (5, None, 5),
        (3_600, None, 3_600),
        (3_600, "1000", 1),
        (None, "4500", 4.5),
        (None, None, 30),
        (0, None, 30),
        (-1, None, 30),
        ("5", None, 30),
        (10**300, None, 30),
        (None, "0", 30),
        (None, "99999999999", 30),
        (None, "-1", 30),
    ],
)
def test_the_interval(told: Any, header: str | None, seconds: float) -> None:
    asked = {"callback_url": URL, "heartbeat_interval_seconds": told, **JOB}
    item = {} if header is None else {"x-lq-heartbeat": header, "x-lq-callback-url": URL}
    found = Invocation.read({**SIGNED, **item}, json.dumps(asked).encode(), API)
    assert found is not None
    assert found.interval == seconds


@pytest.mark.parametrize(
    ("last", "runs"),
    [
        ({"state": {"runs": 3}}, 3),
        ({}, 0),
        (None, 0),
        ([], 0),
        ({"state": None}, 0),
        ({"state": "3"}, 0),
        ({"state": {"runs": True}}, 0),
        ({"state": {"runs": -1}}, 0),
        ({"state": {"runs": 10**300}}, 0),
    ],
)
def test_the_counter_in_the_state(last: Any, runs: int) -> None:
    asked = {"callback_url": URL, "last_successful_execution": last, **JOB}
    found = Invocation.read(SIGNED, json.dumps(asked).encode(), API)
    assert found is not None
    assert found.runs == runs


@pytest.mark.parametrize(
    ("env", "origin"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"LQ_API_URL": "https://lq.example.com/"}, "https://lq.example.com"),
    ],
)
def test_where_the_api_is(env: dict[str, str], origin: str) -> None:
    assert api_origin(env) == origin


@pytest.mark.parametrize(
    ("new", "known", "follows"),
    [
        (("b", 2), ("a", 1), True),
        (("b", 1), ("a", 1), True),
        (("a", 1), ("a", 1), False),
        (("a", 1), ("b", 2), False),
    ],
)
def test_a_newer_attempt(new: tuple[str, int], known: tuple[str, int], *, follows: bool) -> None:
    one, other = (Invocation("1", "0mf3", attempt, token) for token, attempt in (new, known))
    assert one.follows(other) is follows


def test_what_is_read_of_a_service_job() -> None:
    asked = {
        "callback_url": URL,
        "execution_name": "0mf3",
        "service_name": "shop",
        "job_name": "report",
        "heartbeat_interval_seconds": 60,
    }
    headers = {"webhook-id": "0mf3_1", "x-lq-attempt": "2", "x-lq-id": "0mf3"}
    found = Invocation.read(headers, json.dumps(asked).encode(), API)
    assert found == Invocation("0mf3_1", "shop/report 0mf3", 2, "1", 60, 0)
    assert "token" not in repr(found)
