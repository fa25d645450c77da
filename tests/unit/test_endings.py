"""What follows when an execution is ended: from `end` alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdaqueue.attempt_log import Attempt, extend_log, read_log
from lambdaqueue.endings import Ending, Underway, end
from lambdaqueue.execution import Final, ServiceRun, Terms
from lambdaqueue.job import Job, State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec

NOW = 1_700_000_600_000
BEGAN = NOW - 90_000
NAME = "0mwq83nuu00001"
ITEM = Spec(terms=Terms(600_000, 30_000))
RUN = Spec(terms=Terms(600_000, 5_000), service=ServiceRun("reports", "daily", "rate(1 hour)"))
POLICY = RetryPolicy("constant", delay=1_000, retries=2, jitter=0)
SUCCESS, FAIL = Final("success"), Final("fail", error="out of paper")
SILENT = "heartbeat_missed: no heartbeat for 60000 ms"


def underway(spec: Spec = ITEM, failures: int = 0, **more: Any) -> Underway:
    job = Job(
        NAME, "q", State.RUNNING, 1, BEGAN, BEGAN, spec, BEGAN, occurrence=f"reports/daily_{BEGAN}"
    )
    return Underway(
        **{
            "job": job,
            "attempt": failures + 1,
            "failures": failures,
            "policy": POLICY,
            "invoked_at": BEGAN,
            **more,
        }
    )


class TestItems:
    @pytest.mark.parametrize(
        ("why", "failures", "kind", "error"),
        [
            (SUCCESS, 0, "completed", ""),
            (SUCCESS, 2, "completed", ""),
            (FAIL, 0, "retry", "fail: out of paper"),
            (FAIL, 1, "retry", "fail: out of paper"),
            # Two retries, so the third failure is the last one.
            (FAIL, 2, "failed", "fail: out of paper"),
            ("heartbeat_missed", 0, "retry", SILENT),
            ("heartbeat_missed", 2, "failed", SILENT),
            (
                "callback_timeout", 2, "failed",
                "callback_timeout: no end within 600000 ms of the start",
            ),
        ],
    )  # fmt: skip
    def test_the_policy_goes_on(
        self, why: Final | str, failures: int, kind: str, error: str
    ) -> None:
        ending = end(underway(failures=failures), why, NOW, 0.0)
        assert (ending.kind, ending.error, ending.left) == (kind, error, "")
        assert ending.delay == (1_000 if kind == "retry" else 0)
        assert ending.final == (why if isinstance(why, Final) else None)

    @pytest.mark.parametrize(("failures", "delay"), [(0, 10_000), (1, 20_000), (2, 40_000)])
    def test_the_wait_grows(self, failures: int, delay: int) -> None:
        """10 s, doubled for each failure before."""
        policy = RetryPolicy("exponential", delay=10_000, factor=2, retries=5, jitter=0)
        ending = end(underway(failures=failures, policy=policy), FAIL, NOW, 0.0)
        assert (ending.kind, ending.delay) == ("retry", delay)

    @pytest.mark.parametrize(
        ("expires", "kind"),
        # The retry would begin at NOW + 1 000.
        [(NOW + 1_000, "retry"), (NOW + 999, "failed"), (NOW - 1, "failed"), (None, "retry")],
    )
    def test_no_time_is_left(self, expires: int | None, kind: str) -> None:
        ending = end(underway(expires_at=expires), "heartbeat_missed", NOW, 0.0)
        assert ending.kind == kind
        (made,) = read_log(ending.log.encode())
        assert made.error == SILENT
        if kind == "failed":
            assert ending.error == f"expired: no time is left for a retry after {SILENT}"

    def test_success_is_in_time_always(self) -> None:
        assert end(underway(expires_at=0), SUCCESS, NOW, 0.0).kind == "completed"


class TestServiceJobs:
    @pytest.mark.parametrize(
        ("why", "kind", "error"),
        [
            (SUCCESS, "completed", ""),
            (FAIL, "failed", "fail: out of paper"),
            ("heartbeat_missed", "failed", "heartbeat_missed: no heartbeat for 10000 ms"),
            (
                "callback_timeout", "failed",
                "callback_timeout: no end within 600000 ms of the start",
            ),
        ],
    )  # fmt: skip
    def test_they_end(self, why: Final | str, kind: str, error: str) -> None:
        """The policy is for the start."""
        ending = end(underway(RUN), why, NOW, 0.0)
        assert (ending.kind, ending.error, ending.delay) == (kind, error, 0)

    @pytest.mark.parametrize(
        "final", [SUCCESS, Final("success", "done", {"page": 7}, correlation_id="c")]
    )
    def test_a_success_leaves_something(self, final: Final) -> None:
        assert json.loads(end(underway(RUN), final, NOW, 0.0).left) == {
            "name": NAME,
            "scheduled_time": "2023-11-14T22:21:50.000Z",
            "scheduled_time_ms": BEGAN,
            "service_invoked_at_ms": BEGAN,
            "state": final.state,
            "status": "success",
            "summary": final.summary,
            "correlation_id": final.correlation_id,
        }

    @pytest.mark.parametrize("why", [FAIL, Final("fail", state=1), "heartbeat_missed"])
    def test_nothing_else_does(self, why: Final | str) -> None:
        assert end(underway(RUN), why, NOW, 0.0).left == ""


class TestErrors:
    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            ("https://a.example/?token=x", "fail: https://a.example/[hidden]"),
            ("bell\x07 and\u202e more", "fail: bell and more"),
            ("\n", "fail: the service reported a failure"),
            ("\x07 \u200b", "fail: the service reported a failure"),
            ("whsec_abc leaked", "fail: [hidden] leaked"),
            ("x" * 300, "fail: " + "x" * 193 + "…"),
        ],
    )
    def test_what_a_service_says_is_made_presentable(self, said: str, shown: str) -> None:
        """Errors stand in lists, and 200 characters at most."""
        ending = end(underway(RUN), Final("fail", error=said), NOW, 0.0)
        assert ending.error == shown
        assert ending.final is not None
        assert ending.final.error == said


class TestLog:
    def made(self, ending: Ending) -> list[Attempt]:
        return list(read_log(ending.log.encode()))

    def test_the_answer_to_the_webhook_stays(self) -> None:
        log = extend_log(b"", Attempt(1, BEGAN, 20, status=202)).encode()
        assert self.made(end(underway(log=log), FAIL, NOW, 0.0)) == [
            Attempt(1, BEGAN, 90_000, 202, "fail: out of paper")
        ]

    def test_attempts_before_stay(self) -> None:
        before = Attempt(1, BEGAN - 5_000, 20, 500, "http_500: no")
        log = extend_log(b"", before).encode()
        assert self.made(end(underway(failures=1, log=log), SUCCESS, NOW, 0.0)) == [
            before, Attempt(2, BEGAN, 90_000),
        ]  # fmt: skip

    def test_one_that_was_taken_for_a_failure(self) -> None:
        """Only its log knows when it began; it was none, or another one."""
        log = extend_log(b"", Attempt(1, BEGAN, 20, 500, "http_500: no")).encode()
        ending = end(underway(RUN, log=log, invoked_at=None), SUCCESS, NOW, 0.0)
        assert self.made(ending) == [Attempt(1, BEGAN, 90_000, 500)]
        assert json.loads(ending.left)["service_invoked_at_ms"] == BEGAN

    def test_one_of_which_nothing_was_noted(self) -> None:
        log = extend_log(b"", Attempt(1, BEGAN, 20, 500, "http_500: no")).encode()
        ending = end(underway(RUN, failures=1, log=log, invoked_at=None), SUCCESS, NOW, 0.0)
        assert self.made(ending)[1:] == [Attempt(2, NOW, 0)]
        assert json.loads(ending.left)["service_invoked_at_ms"] == NOW

    def test_a_clock_that_was_set_back(self) -> None:
        (made,) = self.made(end(underway(), SUCCESS, BEGAN - 5, 0.0))
        assert (made.started_at, made.duration) == (BEGAN, 0)

    def test_the_last_twenty_stay(self) -> None:
        log = b""
        for number in range(1, 31):
            log = extend_log(log, Attempt(number, BEGAN, 1, 500, "http_500: no")).encode()
        made = self.made(end(underway(failures=30, log=log), FAIL, NOW, 0.0))
        assert [each.number for each in made] == list(range(12, 32))


@pytest.mark.parametrize(
    ("attempt", "failures", "most"),
    # Two retries; each attempt that was neither a failure nor this one was lost or handed back.
    [(1, 0, 3), (2, 1, 3), (3, 2, 3), (2, 0, 4), (4, 1, 5)],
)
def test_how_many_attempts_there_may_be(attempt: int, failures: int, most: int) -> None:
    assert underway(attempt=attempt, failures=failures).max_attempts == most
