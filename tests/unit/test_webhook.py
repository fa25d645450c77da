"""The webhook of a service job: its body, from a claim alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue.claims import Claim
from lambdaqueue.execution import ServiceRun, Terms
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import StatusRange
from lambdaqueue.webhook import callback_url, webhook_body

NOW = 1_700_000_000_000
NAME = "0mwq83nuu00001"
URL = callback_url("https://q.example", f"{NAME}_abc")
RUN = ServiceRun("reports", "daily", "rate(1 hour)")
SPEC = Spec(b"p", terms=Terms(600_000, 30_000), service=RUN)
CLAIM = Claim(
    id=NAME,
    token="w.1.1",
    environment="1",
    queue="services.reports",
    version=1,
    attempt=1,
    failures=0,
    started_at=NOW + 50,
    first_due_at=NOW + 20,
    spec=SPEC,
    target="https://a.example/",
    policy=RetryPolicy("constant", retries=0),
    timeout=30_000,
    success=StatusRange.parse("200-299"),
    result_bytes=4_096,
    occurrence=f"reports/daily_{NOW}",
)


def body(claim: Claim = CLAIM, left: bytes = b"", now: int = NOW + 1_500) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(webhook_body(claim, URL, left, now))
    return told


def test_the_fields_of_the_contract() -> None:
    assert body() == {
        "callback_url": f"https://q.example/api/v1/callback/{NAME}_abc",
        "execution_name": NAME,
        "heartbeat_interval_seconds": 30,
        "invocation_latency_ms": 1_500,
        "invocation_latency_pct": 0.2,  # 1 500 / (600 × 10) = 0.25; half to even
        "job_name": "daily",
        "last_successful_execution": {},
        "payload": "p",
        "schedule": "rate(1 hour)",
        "scheduled_time": "2023-11-14T22:13:20.000Z",
        "scheduled_time_ms": NOW,
        "service_name": "reports",
        "ttl_seconds": 600,
    }


def test_they_are_in_the_order_of_the_alphabet() -> None:
    assert list(body()) == sorted(body())


@pytest.mark.parametrize(
    ("latency", "ttl", "percent"),
    [
        (0, 60, 0.0),
        (600, 60, 1.0),
        (60_000, 60, 100.0),
        (90_000, 60, 150.0),
        (61, 60, 0.1),
        (1, 86_400, 0.0),
        (-5_000, 60, 0.0),  # a clock that was set back
    ],
)
def test_latency(latency: int, ttl: int, percent: float) -> None:
    claim = replace(CLAIM, spec=replace(SPEC, terms=Terms(ttl * 1_000)))
    told = body(claim, now=NOW + latency)
    assert told["invocation_latency_ms"] == max(0, latency)
    assert told["invocation_latency_pct"] == percent
    assert isinstance(told["invocation_latency_pct"], float)


def test_the_time_of_one_that_no_clock_started() -> None:
    assert body(replace(CLAIM, occurrence=None))["scheduled_time_ms"] == NOW + 20


@pytest.mark.parametrize(
    ("stored", "told"),
    [(b"", None), (b"p", "p"), ("é\u2028\n\"".encode(), "é\u2028\n\""), (b"{}", "{}")],
)  # fmt: skip
def test_the_payload_is_a_string(stored: bytes, told: str | None) -> None:
    assert body(replace(CLAIM, spec=replace(SPEC, payload=stored)))["payload"] == told


@pytest.mark.parametrize("left", [{"name": "x", "state": {"é": [1, None]}}, {"state": None}])
def test_what_the_last_success_left(left: dict[str, Any]) -> None:
    stored = json.dumps(left, ensure_ascii=False).encode()
    assert body(left=stored)["last_successful_execution"] == left


def test_a_test_is_marked() -> None:
    """And nothing else is."""
    assert body(replace(CLAIM, spec=replace(SPEC, service=replace(RUN, test=True)))) == {
        **body(), "test": True,
    }  # fmt: skip


def test_a_retry_is_the_same_but_for_the_latency() -> None:
    first, second = body(now=NOW), body(replace(CLAIM, attempt=2, failures=1), now=NOW + 60_000)
    assert {name for name in first if first[name] != second[name]} == {
        "invocation_latency_ms",
        "invocation_latency_pct",
    }
