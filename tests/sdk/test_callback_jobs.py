"""Jobs that end by callbacks, from the delivery to the callback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lambdaqueue.sdk.delivery import Delivery, Job
from lambdaqueue.sdk.endpoint import Endpoint
from lambdaqueue.sdk.errors import ConfigurationError, DoNotRetry, ExecutionOver, RetryLater
from lambdaqueue.sdk.execution import Execution
from lambdaqueue.sdk.replay_guard import MemoryGuard
from lambdaqueue.sdk.requests_transport import RequestsTransport
from tests.sdk.callback_server import OVER, CallbackServer
from tests.sdk.signed import NOW, SECRET, delivery

NAME = "0mwqjo94r00001"


@pytest.fixture
def server() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


Make = Callable[..., Endpoint]


@pytest.fixture
def endpoint(server: CallbackServer) -> Iterator[Make]:
    transport = RequestsTransport()

    def execution(url: str) -> Execution:
        return Execution(
            url, api_url=server.origin, transport=transport, sleep=lambda seconds: None
        )

    def made(handler: Callable[[Any, Job], Any], **options: Any) -> Endpoint:
        given: dict[str, Any] = {
            "secrets": lambda: [SECRET],
            "clock": lambda: float(NOW),
            "callbacks": execution,
            **options,
        }
        return Endpoint(handler, **given)

    yield made
    transport.close()


def item(server: CallbackServer, attempt: int = 1, at: int = NOW) -> Delivery:
    """Return the delivery of an item that was pushed as async."""
    return delivery(
        timestamp=at,
        x_lq_callback_url=server.url(f"{NAME}_token-{attempt}"),
        x_lq_heartbeat="9000",
        x_lq_attempt=str(attempt),
    )


def service_job(server: CallbackServer, **more: Any) -> Delivery:
    """Return the webhook of a service job."""
    body = {
        "callback_url": server.url(f"{NAME}_token-1"),
        "execution_name": NAME,
        "heartbeat_interval_seconds": 12,
        "payload": "all of yesterday",
        **more,
    }
    return delivery(json.dumps(body))


@pytest.mark.parametrize(("make", "interval"), [(item, 9.0), (service_job, 12.0)])
def test_a_job_that_calls_back(
    server: CallbackServer,
    endpoint: Make,
    make: Callable[[CallbackServer], Delivery],
    interval: float,
) -> None:
    def handler(payload: Any, job: Job) -> None:
        assert job.is_async
        assert job.execution.interval == interval
        assert job.execution.name == NAME
        assert job.heartbeat(40) is True
        job.succeed(summary="done", state={"up_to": 3}, correlation_id="c")

    reply = endpoint(handler).answer(make(server))
    assert (reply.status, reply.body) == (204, b"")
    assert [heard.said for heard in server.heard] == [
        {"status": "processing", "progress": 40},
        {"status": "success", "summary": "done", "state": {"up_to": 3}, "correlation_id": "c"},
    ]
    assert {heard.path for heard in server.heard} == {f"/api/v1/callback/{NAME}_token-1"}


def test_a_handler_that_returns_before_the_work_ends(
    server: CallbackServer, endpoint: Make
) -> None:
    threads: list[threading.Thread] = []
    answered = threading.Event()

    def handler(payload: Any, job: Job) -> None:
        def work() -> None:
            with job.working() as work:
                assert answered.wait(20)
                work.state = len(payload["payload"])

        threads.append(threading.Thread(target=work))
        threads[0].start()

    assert endpoint(handler).answer(service_job(server)).status == 204
    assert server.said("success") == []
    answered.set()
    threads[0].join(20)
    assert server.said("success") == [{"status": "success", "state": 16}]


def test_a_coroutine_that_works(server: CallbackServer, endpoint: Make) -> None:
    async def handler(payload: Any, job: Job) -> None:
        async with job.working() as work:
            work.summary = "done"

    assert asyncio.run(endpoint(handler).answer_async(item(server))).status == 204
    assert server.said("success") == [{"status": "success", "summary": "done"}]


# Handlers that fail


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ValueError("it's 7"), 500, "ValueError: it's 7"),
        (RetryLater(5, "busy"), 503, "busy"),
        (DoNotRetry("no"), 500, "no"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_a_failure_after_the_first_callback_is_told_by_callback(
    server: CallbackServer, endpoint: Make, begun: bool, error: Exception, status: int, told: str
) -> None:
    """From then on the answer doesn't count; before it, the answer alone does."""

    def handler(payload: Any, job: Job) -> None:
        if begun:
            job.heartbeat()
        raise error

    assert endpoint(handler).answer(item(server)).status == status
    assert server.said("fail") == ([{"status": "fail", "error": told}] if begun else [])


def test_a_failure_that_was_told_is_told_once(server: CallbackServer, endpoint: Make) -> None:
    def handler(payload: Any, job: Job) -> None:
        with job.working():
            raise ValueError("it's 7")

    assert endpoint(handler).answer(item(server)).status == 500
    assert server.said("fail") == [{"status": "fail", "error": "ValueError: it's 7"}]


def test_a_failure_is_told_in_private(server: CallbackServer, endpoint: Make) -> None:
    def handler(payload: Any, job: Job) -> None:
        with job.working():
            raise ValueError("password 123")

    assert endpoint(handler, show_errors=False).answer(item(server)).status == 500
    assert server.said("fail") == [{"status": "fail", "error": "ValueError"}]


def test_a_failure_that_nobody_takes(
    server: CallbackServer, endpoint: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(payload: Any, job: Job) -> None:
        job.heartbeat()
        server.judge = lambda heard: OVER
        raise ValueError("x")

    assert endpoint(handler).answer(item(server)).status == 500
    assert "nobody has taken" in caplog.text


def test_work_that_is_over_is_no_failure(server: CallbackServer, endpoint: Make) -> None:
    server.judge = lambda heard: OVER

    def handler(payload: Any, job: Job) -> None:
        with job.working():
            pytest.fail("it began")

    assert endpoint(handler).answer(item(server)).status == 204
    assert server.said("fail") == []


def test_that_other_work_is_over_is_a_failure(server: CallbackServer, endpoint: Make) -> None:
    def handler(payload: Any, job: Job) -> None:
        raise ExecutionOver("of another one")

    assert endpoint(handler).answer(item(server)).status == 500


# Who may be called


@pytest.mark.parametrize(
    "request_",
    [
        delivery(x_lq_callback_url="http://evil.example/api/v1/callback/a_b"),
        delivery(
            json.dumps(
                {
                    "callback_url": "http://evil.example/api/v1/callback/a_b",
                    "execution_name": NAME,
                }
            )
        ),
    ],
    ids=["item", "service job"],
)
def test_who_wants_callbacks_elsewhere_doesnt_reach_the_handler(
    endpoint: Make, request_: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(payload: Any, job: Job) -> None:
        pytest.fail("it was called")

    assert endpoint(handler).answer(request_).status == 500
    assert "LQ_API_URL" in caplog.text


def test_a_payload_that_only_looks_like_a_service_job(
    server: CallbackServer, endpoint: Make
) -> None:
    def handler(payload: Any, job: Job) -> str:
        assert not job.is_async
        with pytest.raises(ConfigurationError):
            job.heartbeat()
        return "called"

    for payload in (
        {"callback_url": "https://customer.example/done"},
        {"callback_url": server.url(), "execution_name": "0mwqjo94r00002"},
    ):
        assert endpoint(handler).answer(delivery(json.dumps(payload))).body == b"called"
    assert server.heard == []


# With a guard


def test_a_new_attempt_begins_anew_and_a_replay_doesnt(
    server: CallbackServer, endpoint: Make
) -> None:
    """The id is the same on every attempt, and the first one had succeeded in beginning."""
    urls: list[str] = []
    at = endpoint(
        lambda payload, job: urls.append(job.headers["x-lq-callback-url"]), guard=MemoryGuard()
    )
    assert at.answer(item(server)).status == 204
    replayed = at.answer(item(server))
    assert (replayed.status, replayed.header("retry-after")) == (503, "10")
    altered = {**item(server).headers, "x-lq-attempt": "2", "x-lq-callback-url": server.url("a_b")}
    assert at.answer(Delivery("POST", altered, item(server).body)).status == 503, "isn't signed"
    assert at.answer(item(server, attempt=2, at=NOW + 60)).status == 204
    assert urls == [server.url(f"{NAME}_token-{attempt}") for attempt in (1, 2)]


def test_without_a_way_to_call_back(server: CallbackServer, endpoint: Make) -> None:
    jobs: list[Job] = []
    at = endpoint(lambda payload, job: jobs.append(job), callbacks=None)
    assert at.answer(item(server)).status == 204
    assert not jobs[0].is_async
