"""The service job as a value: names, expressions, guids, and the schedule that it's stored as."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from lambdaqueue.errors import UnreadableRequest
from lambdaqueue.execution import ServiceRun, Terms
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.service_job import ServiceJob, check_name, check_schedule, queue_of

NAME_RULE = 'Invalid service or job name. Must match "^[a-z0-9-]+$"'


def service_job(service: str = "reports", job: str = "daily", **more: Any) -> ServiceJob:
    return ServiceJob(
        service, job, "https://a.example/", **{"schedule": "rate(1 hour)", "ttl": 60, **more}
    )


@pytest.mark.parametrize("name", ["a", "0", "-", "--", "daily-report-2", "a" * 100])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "a_b", "a.b", "a/b", "a b", " a", "a\n", "é", "\u0661", "a\x00", "..", "%2f", "a:b"],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        check_name(name)
    assert str(caught.value) == NAME_RULE


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(UnreadableRequest):
        check_name("a" * 101)


@pytest.mark.parametrize(
    "expression",
    ["rate(1 minute)", "rate(90 minutes)", "rate(1 hour)", "rate(7 days)",
     "cron(0 12 * * ? *)", "cron(0/5 8-17 ? * MON-FRI *)"],
)  # fmt: skip
def test_schedules(expression: str) -> None:
    assert check_schedule(expression) == expression


@pytest.mark.parametrize(
    "expression",
    ["", "rate", "rate()", "rate(0 minutes)", "rate(-1 hours)", "rate(30 seconds)",
     "rate(1.5 hours)", "rate(1 hour) ", " rate(1 hour)", "rate(1 hour)\n", "rate(1 fortnight)",
     "rate(99999999999999999999 days)", "every(1h)", "0 12 * * *", "@hourly", "cron()",
     "cron(0 12 * * *)", "cron(* * * * * *)", "cron(0 12 * * ? * *)", "cron(61 * * * ? *)",
     "cron(0 12 31 2 ? *)", "RATE(1 hour)", "Cron(0 12 * * ? *)", "at(2030-01-01T00:00:00)",
     "rate(\u0661 hour)", "cron(" + "1," * 500 + "1 * * * ? *)"],
)  # fmt: skip
def test_what_is_no_schedule(expression: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        check_schedule(expression)
    assert str(caught.value) == "Schedule is not a valid schedule expression"


class TestGuid:
    def test_it_stays(self) -> None:
        """Whatever else of the job changes, and however often it's made."""
        assert service_job().guid("1") == service_job(ttl=90, payload="p").guid("1")
        assert service_job().guid("1") == "dea605ab-60b0-5ce0-980c-c9449576fc84"

    def test_it_is_one(self) -> None:
        assert uuid.UUID(service_job().guid("1")).version == 5

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (("a-b", "c"), ("a", "b-c")),
            (("a", "b"), ("b", "a")),
            (("a-", "b"), ("a", "-b")),
            (("ab", "c"), ("a", "bc")),
        ],
    )
    def test_others_have_others(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        assert service_job(*one).guid("1") != service_job(*other).guid("1")

    def test_another_environment_has_another(self) -> None:
        assert service_job().guid("1") != service_job().guid("2")


class TestSpec:
    def test_what_is_delivered(self) -> None:
        retry = RetryPolicy("constant", delay=1_000, retries=3, jitter=0)
        spec = service_job(ttl=90, heartbeat=5, payload="é", retry=retry).spec
        assert spec.payload == "é".encode()
        assert (spec.content_type, spec.method) == ("application/json", "POST")
        assert spec.terms == Terms(90_000, 5_000)
        assert spec.service == ServiceRun("reports", "daily", "rate(1 hour)")
        assert (spec.retry, spec.schedule_id) == (retry, "reports/daily")

    def test_without_a_payload(self) -> None:
        assert service_job().spec.payload == b""

    def test_a_test_is_marked_and_tried_once(self) -> None:
        spec = service_job(retry=RetryPolicy("constant", retries=3)).test_spec
        assert spec.service == ServiceRun("reports", "daily", "rate(1 hour)", test=True)
        assert spec.retry is not None
        assert spec.retry.retries == 0

    def test_its_queue(self) -> None:
        assert queue_of("a" * 100) == "services." + "a" * 100
