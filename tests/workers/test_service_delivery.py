"""Executions through a real worker: what a service gets, and what its answer and callbacks do."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from lambdaqueue.commands import Push
from lambdaqueue.errors import ExecutionOver
from lambdaqueue.executing import ExecutionFilter
from lambdaqueue.execution import ExecutionStatus, Final, Terms
from lambdaqueue.instants import iso
from lambdaqueue.job import State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from tests.faults.proxy import Proxy
from tests.operator import SECRET
from tests.waiting import until
from tests.workers.hook import Delivery
from tests.workers.service_stage import ONCE, SERVICE, SUCCESS, ServiceStage, callback_url, token_of
from tests.workers.stage import ENVIRONMENT, QUICK

# One process of the run has them, so that the stage which they share is set up once.
pytestmark = pytest.mark.xdist_group("service-delivery")

QUEUE = f"services.{SERVICE}"
SLOW = RetryPolicy("constant", delay=600, retries=2, jitter=0)
HOUR = RetryPolicy("constant", delay=3_600_000, retries=2, jitter=0)

BODY = {
    "callback_url", "execution_name", "heartbeat_interval_seconds", "invocation_latency_ms",
    "invocation_latency_pct", "job_name", "last_successful_execution", "payload", "schedule",
    "scheduled_time", "scheduled_time_ms", "service_name", "ttl_seconds",
}  # fmt: skip
"""What the contract's section 7 puts into a webhook."""

NUMBERS = count()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceStage]:
    """A Redis, an endpoint, a worker and a scheduler, for those tests that leave them alive."""
    with ServiceStage(tmp_path_factory.mktemp("services")) as stage:
        stage.scheduler()
        stage.worker()
        yield stage


@pytest.fixture
def own_stage(tmp_path: Path) -> Iterator[ServiceStage]:
    """One for this test alone, without processes."""
    with ServiceStage(tmp_path) as stage:
        yield stage


@pytest.fixture
def job() -> str:
    """The name of a service job that no other test has."""
    return f"job-{next(NUMBERS)}"


def verified(delivery: Delivery) -> Any:
    """Return the body of a delivery that the reference library takes for genuine."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    headers = {name: delivery.headers[name] for name in names}
    return Webhook(SECRET).verify(delivery.body, headers)


def unix_ms(delivery: Delivery) -> float:
    """Return when it came."""
    return (time.time() - time.monotonic() + delivery.at) * 1_000


# What a service gets


def test_the_webhook_is_the_contracts(stage: ServiceStage, job: str) -> None:
    stage.define("/in", job, ttl=90, heartbeat=45, payload="käse", schedule="cron(0 4 * * ? *)")
    name = stage.run(job)
    call = stage.until_invoked(name)
    body = verified(call)
    assert set(body) == BODY
    at = stage.shown(name).event_ms
    assert (
        body.items()
        >= {
            "execution_name": name,
            "heartbeat_interval_seconds": 45,
            "job_name": job,
            "last_successful_execution": {},
            "payload": "käse",
            "schedule": "cron(0 4 * * ? *)",
            "scheduled_time": iso(at),
            "scheduled_time_ms": at,
            "service_name": SERVICE,
            "ttl_seconds": 90,
        }.items()
    )
    address = rf"{re.escape(stage.origin)}/api/v1/callback/{name}_[A-Za-z0-9_-]{{43}}"
    assert re.fullmatch(address, body["callback_url"])
    digest = base64.b64encode(hashlib.sha256(call.body).digest()).decode()
    assert (call.method, call.path) == ("POST", "/in")
    assert (
        call.headers.items()
        >= {
            "content-type": "application/json",
            "content-length": str(len(call.body)),
            "content-digest": f"sha-256=:{digest}:",
            "webhook-id": f"{name}_1",
            "x-lq-id": name,
            "x-lq-queue": QUEUE,
            "x-lq-attempt": "1",
            "x-lq-max-attempts": "4",
            "x-lq-schedule": f"{SERVICE}/{job}",
            "x-lq-scheduled-for": iso(at),
        }.items()
    )
    assert "x-lq-callback-url" not in call.headers
    assert stage.hook.validations.count("/in") == 1


def test_a_payload_that_was_left_out_is_null(stage: ServiceStage, job: str) -> None:
    stage.define("/", job, payload=None)
    assert verified(stage.until_invoked(stage.run(job)))["payload"] is None


def test_latency_is_from_the_scheduled_time_to_this_attempt(stage: ServiceStage, job: str) -> None:
    stage.define("/flaky/1", job, ttl=60, retry=SLOW)
    name = stage.run(job)
    for number, at_least in ((1, 0), (2, 600)):
        call = stage.until_invoked(name, number)
        body = json.loads(call.body)
        latency = body["invocation_latency_ms"]
        assert type(latency) is int
        assert at_least <= latency <= unix_ms(call) - body["scheduled_time_ms"] + 1
        assert body["invocation_latency_pct"] == round(latency / 600, 1)
    assert stage.started(name)


def test_what_the_last_success_left_comes_to_the_next_run(stage: ServiceStage, job: str) -> None:
    stage.define("/", job)

    def done(final: Final) -> tuple[str, Any]:
        name = stage.run(job)
        (token,) = stage.started(name)
        stage.callbacks.finish(token, final)
        return name, json.loads(stage.calls(name)[0].body)

    failed = Final("fail", summary="no", error={"message": "out of paper"})
    _, first = done(failed)
    name, second = done(SUCCESS)
    assert (first["last_successful_execution"], second["last_successful_execution"]) == ({}, {})
    began = stage.shown(name).attempts[0].started_at
    left = {
        "name": name,
        "scheduled_time": second["scheduled_time"],
        "scheduled_time_ms": second["scheduled_time_ms"],
        "service_invoked_at_ms": began,
        "state": {"page": 7},
        "status": "success",
        "summary": "done",
        "correlation_id": "c-1",
    }
    assert second["scheduled_time_ms"] <= began <= unix_ms(stage.calls(name)[0]) + 1
    _, third = done(failed)
    _, fourth = done(Final("success"))
    assert third["last_successful_execution"] == fourth["last_successful_execution"] == left
    _, fifth = done(failed)
    last = fifth["last_successful_execution"]
    assert last["name"] == fourth["execution_name"]
    assert (last["state"], last["summary"], last["correlation_id"]) == (None, None, None)


def test_an_async_item_keeps_its_body_and_has_the_url_in_a_header(stage: ServiceStage) -> None:
    item = stage.push_async(
        "/a", 1_500, 700, payload=b"\0any", content_type="a/b", headers={"x-own": "1"}
    )
    call = stage.until_invoked(item)
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    signed = {name: call.headers[name] for name in names}
    Webhook(SECRET).verify(call.body, signed, json_parse=False)
    assert (call.body, call.headers["content-type"], call.headers["x-own"]) == (
        b"\0any",
        "a/b",
        "1",
    )
    assert callback_url(call) == f"{stage.origin}/api/v1/callback/{token_of(call)}"
    assert (call.headers["x-lq-async"], call.headers["x-lq-heartbeat"]) == ("1500", "700")
    stage.callbacks.finish(token_of(call), SUCCESS)
    assert stage.until_status(item, ExecutionStatus.SUCCESS).final == SUCCESS


def test_a_trial_is_marked_and_is_no_run(stage: ServiceStage, job: str) -> None:
    stage.define("/status/500", job)
    name = stage.executions.try_out(ENVIRONMENT, SERVICE, job)
    failed = stage.until_status(name, ExecutionStatus.FAIL)
    (call,) = stage.calls(name)
    body = verified(call)
    assert (body.pop("test"), set(body)) == (True, BODY)
    assert failed.error == "http_500: the endpoint answered 500"
    assert stage.hook.validations.count("/status/500") >= 1
    where = ExecutionFilter((f"{SERVICE}/{job}",))
    assert stage.executions.search(ENVIRONMENT, where).rows == ()
    stage.define("/", job)
    name = stage.executions.try_out(ENVIRONMENT, SERVICE, job)
    stage.callbacks.finish(stage.started(name)[0], SUCCESS)
    run = stage.until_invoked(stage.run(job))
    assert json.loads(run.body)["last_successful_execution"] == {}


# Starting


@pytest.mark.parametrize(
    ("path", "calls", "error"),
    [
        ("/status/500", 4, "http_500: the endpoint answered 500"),
        ("/status/302", 4, "http_302: the endpoint answered 302; redirects are not followed"),
        ("/status/410", 1, "http_410: the endpoint answered 410"),
    ],
)
def test_who_does_not_start_fails_by_the_retry_policy(
    stage: ServiceStage, job: str, path: str, calls: int, error: str
) -> None:
    stage.define(path, job, exclusive=True)
    name = stage.run(job)
    ended = stage.until_status(name, ExecutionStatus.FAIL)
    assert (ended.state, ended.error, ended.awaiting_since) == (State.FAILED, error, None)
    assert len(ended.attempts) == calls
    assert {call.id for call in stage.calls(name)} == {f"{name}_1"}
    assert {json.loads(call.body)["execution_name"] for call in stage.calls(name)} == {name}
    tokens = [token_of(call) for call in stage.calls(name)]
    assert len(set(tokens)) == calls
    expected = ["REPLACED"] * (calls - 1) + ["FAIL"]
    for token, status in zip(tokens, expected, strict=True):
        with pytest.raises(ExecutionOver, match=f"status is {status}$"):
            stage.callbacks.finish(token, SUCCESS)
    stage.define("/", job, exclusive=True)
    assert stage.started(stage.run(job)), "its lock is free"


def test_only_the_newest_attempt_may_call_back(stage: ServiceStage, job: str) -> None:
    stage.define("/flaky/2", job)
    name = stage.run(job)
    (token,) = stage.started(name)
    old = [token_of(call) for call in stage.calls(name)[:2]]
    for each in old:
        with pytest.raises(ExecutionOver, match=r"status is REPLACED$"):
            stage.callbacks.heartbeat(each)
    stage.callbacks.heartbeat(token, 12.5)
    assert stage.shown(name).progress == 12.5
    stage.callbacks.finish(token, SUCCESS)
    ended = stage.until_status(name, ExecutionStatus.SUCCESS)
    assert [each.status for each in ended.attempts] == [500, 500, 200]


def test_a_heartbeat_while_the_answer_is_out_starts_it(stage: ServiceStage, job: str) -> None:
    stage.define(f"/hold/{job}", job)
    name = stage.run(job)
    token = token_of(stage.until_invoked(name))
    assert stage.shown(name).execution_status is ExecutionStatus.INVOKED
    stage.callbacks.heartbeat(token, 50)
    running = stage.shown(name)
    assert (running.execution_status, running.progress) == (ExecutionStatus.RUNNING, 50)
    stage.hook.gate(job).set()
    until(lambda: stage.client.hget(f"lq:1:job:{name}", "token") is None, "its worker lets go")
    again = stage.shown(name)
    assert (again.awaiting_since, again.progress) == (running.awaiting_since, 50)
    stage.callbacks.finish(token, SUCCESS)
    ended = stage.until_status(name, ExecutionStatus.SUCCESS)
    assert [(each.number, each.status) for each in ended.attempts] == [(1, 200)]


def test_the_end_may_come_before_the_answer(stage: ServiceStage, job: str) -> None:
    stage.define(f"/hold/{job}", job, exclusive=True)
    name = stage.run(job)
    stage.callbacks.finish(token_of(stage.until_invoked(name)), SUCCESS)
    ended = stage.shown(name)
    assert (ended.state, len(ended.attempts)) == (State.COMPLETED, 1)
    following = stage.run(job)
    stage.until_invoked(following)
    stage.hook.gate(job).set()
    stage.callbacks.finish(stage.started(following)[0], SUCCESS)
    assert stage.shown(name) == ended
    assert [len(stage.calls(each)) for each in (name, following)] == [1, 1]


def test_who_calls_back_was_reached_whatever_became_of_the_answer(stage: ServiceStage) -> None:
    """Its call ends by its deadline; one heartbeat came before that, one comes after it."""
    early, late = (
        stage.push_async(f"/hold/{name}", timeout=1_000, retry=HOUR) for name in ("early", "late")
    )
    tokens = {name: token_of(stage.until_invoked(name)) for name in (early, late)}
    stage.callbacks.heartbeat(tokens[early])
    until(lambda: stage.shown(late).state is State.RETRY, "it is to be tried again")
    until(lambda: stage.client.hget(f"lq:1:job:{early}", "token") is None, "its worker lets go")
    assert stage.shown(late).error is not None
    stage.callbacks.heartbeat(tokens[late])
    for name, token in tokens.items():
        running = stage.shown(name)
        assert (running.state, running.execution_status) == (
            State.RUNNING, ExecutionStatus.RUNNING
        )  # fmt: skip
        assert (running.attempt, running.max_attempts) == (1, 3)
        stage.callbacks.finish(token, SUCCESS)
        assert stage.shown(name).state is State.COMPLETED
    for gate in ("early", "late"):
        stage.hook.gate(gate).set()
    assert [len(stage.calls(name)) for name in tokens] == [1, 1]


def test_a_refused_run_sends_no_webhook(stage: ServiceStage, job: str) -> None:
    stage.define("/", job, exclusive=True)
    first = stage.run(job)
    (token,) = stage.started(first)
    refused = stage.shown(stage.run(job))
    assert refused.state is State.FAILED
    assert str(refused.error).startswith("exclusive_lock: ")
    stage.callbacks.finish(token, SUCCESS)
    following = stage.run(job)
    assert stage.started(following)
    assert stage.calls(refused.id) == []


# Deadlines


@pytest.mark.parametrize(
    ("ttl", "heartbeat", "error"),
    [
        (700, 30_000, "callback_timeout: no end within 700 ms of the start"),
        (60_000, 400, "heartbeat_missed: no heartbeat for 800 ms"),
    ],
)
def test_silence_is_an_attempt_that_failed(
    stage: ServiceStage, ttl: int, heartbeat: int, error: str
) -> None:
    policy = RetryPolicy("constant", delay=50, retries=1, jitter=0)
    item = stage.push_async("/", ttl, heartbeat, retry=policy)
    ended = stage.until_status(item, ExecutionStatus.TIMEOUT)
    assert (ended.state, ended.error) == (State.FAILED, error)
    assert [(each.status, each.error) for each in ended.attempts] == [(200, error)] * 2
    first, second = stage.calls(item)
    assert 0.6 < second.at - first.at < 0.8 + 2
    assert first.id == second.id
    for call, status in ((first, "REPLACED"), (second, "TIMEOUT")):
        with pytest.raises(ExecutionOver, match=f"status is {status}$"):
            stage.callbacks.finish(token_of(call), SUCCESS)


def test_a_fail_of_an_item_is_retried(stage: ServiceStage) -> None:
    item = stage.push_async("/", retry=QUICK)
    stage.started(item)
    stage.callbacks.finish(token_of(stage.calls(item)[0]), Final("fail", error="not yet"))
    token = token_of(stage.until_invoked(item, 2))
    stage.started(item)
    stage.callbacks.finish(token, SUCCESS)
    ended = stage.until_status(item, ExecutionStatus.SUCCESS)
    assert [each.error for each in ended.attempts] == ["fail: not yet", None]


# Workers


def test_no_slot_is_held_while_executions_run(own_stage: ServiceStage) -> None:
    stage = own_stage
    worker = stage.worker(LQ_SLOTS="1")
    stage.define()
    names = [stage.run() for _ in range(2)] + [stage.push_async()]
    tokens = stage.started(*names)
    stage.until_ended(stage.push("/", queue=QUEUE))  # the slot is free
    assert worker.end() == 0
    assert {stage.shown(name).execution_status for name in names} == {ExecutionStatus.RUNNING}
    assert stage.service.queue(ENVIRONMENT, QUEUE).running == 2
    for token in tokens:
        stage.callbacks.finish(token, SUCCESS)
    assert {stage.shown(name).state for name in names} == {State.COMPLETED}
    assert stage.service.queue(ENVIRONMENT, QUEUE).running == 0
    assert stage.left_over() == []


def test_a_burst_leaves_connections_to_claims_and_beats(own_stage: ServiceStage) -> None:
    stage = own_stage
    worker = stage.worker()
    stage.scheduler()  # brings back what a host that hasn't answered yet had no place for
    spec = Spec(target=stage.hook.url(), terms=Terms(600_000))
    pushed = stage.service.push_many(ENVIRONMENT, "q", [Push(spec)] * 400)[0]
    for each in pushed:
        stage.until_status(each.job.id, ExecutionStatus.RUNNING)
    assert stage.hook.counts() == {f"{each.job.id}_1": 1 for each in pushed}
    assert "StorageUnavailable" not in worker.text
    assert stage.client.info("clients")["connected_clients"] < 40


def test_a_stock_worker_runs_them_too(own_stage: ServiceStage) -> None:
    stage = own_stage
    stage.define("/flaky/1", retry=ONCE)
    lost = stage.run()
    stage.define("/in")
    name = stage.run()
    rq = str(Path(sys.executable).with_name("rq"))
    command = [rq, "worker", "-S", "rq.serializers.JSONSerializer", "--url", stage.redis.url]
    worker = stage.start("stock", [*command, "--burst", "lambdaqueue"])
    assert worker.wait(60) == 0, worker.text
    assert "Traceback" not in worker.text
    assert stage.shown(lost).execution_status is ExecutionStatus.FAIL
    (token,) = stage.started(name)
    assert set(verified(stage.calls(name)[0])) == BODY
    stage.callbacks.heartbeat(token, 99)
    stage.callbacks.finish(token, SUCCESS)
    assert stage.shown(name).final == SUCCESS
    assert stage.left_over() == []
    assert stage.client.zcard("lq:workers") == 0


def test_without_a_registered_token_nothing_is_sent(tmp_path: Path) -> None:
    """Redis goes away when the token is to be registered, and comes back."""
    with (
        ServiceStage(tmp_path, append_only=True) as stage,
        Proxy(stage.redis.socket, stage.folder) as proxy,
    ):
        stage.define("/in")
        worker = stage.worker(REDIS_URL=proxy.url)
        hold = proxy.hold("invoke", "request")
        name = stage.run()
        hold.wait()
        stage.redis.stop()
        hold.lose()
        until(lambda: f"not_sent id={name}" in worker.text, "it gives up")
        assert stage.calls(name) == []
        stage.redis.start()
        (token,) = stage.started(name)
        (call,) = stage.calls(name)
        assert call.attempt == 1
        stage.callbacks.finish(token, SUCCESS)
        assert [each.number for each in stage.shown(name).attempts] == [1]
