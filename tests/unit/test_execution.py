"""What is stored of an execution: its status, its final callback, its terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lambdaqueue.execution import DEFAULT_HEARTBEAT, ExecutionStatus, Final, Terms
from lambdaqueue.job import Job, State
from lambdaqueue.spec import Spec

FINALS = [
    Final("success"),
    Final("success", summary="", state="", correlation_id=""),
    Final("success", summary="é\u2028 \U0001f600", state={"b": [1, None, True], "a": 1.5}),
    Final("success", state=0),
    Final("success", state=False),
    Final("success", state=[]),
    Final("success", state=10**30),
    Final("fail", error="out of paper"),
    Final("fail", error={"message": "no", "code": 7}, correlation_id="c"),
]


def job(state: State, error: str | None = None, awaiting: int | None = None) -> Job:
    spec = Spec(terms=Terms(60_000))
    return Job("0mwq83nuu00001", "q", state, 1, 0, 0, spec, 0, error=error, awaiting_since=awaiting)


@pytest.mark.parametrize(
    ("state", "error", "awaiting", "status"),
    [
        (State.PENDING, None, None, "invoked"),
        (State.RUNNING, None, None, "invoked"),
        (State.RETRY, "http_500: no", None, "invoked"),
        (State.RETRY, "heartbeat_missed: no", None, "invoked"),
        (State.RUNNING, None, 5, "running"),
        (State.RUNNING, None, 0, "running"),
        (State.COMPLETED, None, 5, "success"),
        (State.COMPLETED, None, None, "success"),
        (State.CANCELLED, "cancelled: on request", 5, "cancelled"),
        (State.CANCELLED, "superseded: by a newer version", 5, "cancelled"),
        (State.FAILED, "fail: out of paper", 5, "fail"),
        # A service may say what it likes.
        (State.FAILED, "fail: heartbeat_missed: no", 5, "fail"),
        (State.FAILED, "exclusive_lock: another one", None, "fail"),
        (State.FAILED, "lost: three workers died on this job", None, "fail"),
        (State.FAILED, "expired: no time is left for a retry after heartbeat_missed: …", 5, "fail"),
        (State.FAILED, None, None, "fail"),
        (State.FAILED, "heartbeat_missed: no heartbeat for 60000 ms", 5, "timeout"),
        (State.FAILED, "callback_timeout: no end within 60000 ms of the start", 5, "timeout"),
    ],
)
def test_its_status(state: State, error: str | None, awaiting: int | None, status: str) -> None:
    told = job(state, error, awaiting).execution_status
    assert told is ExecutionStatus(status)
    assert told.ended == state.ended


@pytest.mark.parametrize("final", FINALS)
def test_a_final_callback_comes_back_as_it_was(final: Final) -> None:
    assert Final.unpack(final.pack()) == final
    assert Final.unpack(final.pack().encode()) == final


def test_what_was_not_said_takes_no_room() -> None:
    assert Final("success").pack() == '{"status":"success"}'


def test_each_has_another_digest() -> None:
    """Also those that are equal to Python."""
    digests = {final.digest for final in [*FINALS, Final("fail"), Final("success", state=1)]}
    assert len(digests) == len(FINALS) + 2
    assert all(len(each) == 32 for each in digests)


def test_the_order_of_fields_is_of_no_interest() -> None:
    first, second = ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})
    assert Final("success", state=first).digest == Final("success", state=second).digest
    stored = Final.unpack(Final("success", state=first).pack())
    assert stored.digest == Final("success", state=second).digest


@pytest.mark.parametrize(
    ("error", "summary", "reason"),
    [
        ("out of paper", None, "out of paper"),
        ("out of paper", "no", "out of paper"),
        (None, "no", "no"),
        (None, None, "the service reported a failure"),
        ("", "", "the service reported a failure"),
        ("", "no", "no"),
        ({"message": "no ink"}, "no", "no ink"),
        ({"message": 7}, "no", "no"),
        ({"message": ""}, "no", "no"),
        ({"code": 7}, None, "the service reported a failure"),
        ({}, None, "the service reported a failure"),
        (" two\n lines\t", None, "two lines"),
    ],
)
def test_why_it_failed(
    error: str | Mapping[str, Any] | None, summary: str | None, reason: str
) -> None:
    assert Final("fail", summary=summary, error=error).reason == reason


def test_terms_without_an_interval() -> None:
    assert Terms(60_000).heartbeat == DEFAULT_HEARTBEAT == 30_000
