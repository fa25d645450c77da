"""Callback jobs against the real API, worker and scheduler: handlers in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.delivery import Delivery, Job
from lambdaqueue.sdk.endpoint import Endpoint
from lambdaqueue.sdk.errors import ExecutionOver
from lambdaqueue.sdk.options import Retry
from lambdaqueue.sdk.queue import Queue
from lambdaqueue.sdk.replay_guard import MemoryGuard
from tests.operator import SECRET, TOKEN
from tests.waiting import until
from tests.workers.service_stage import ServiceStage
from tests.workers.stage import Process

# One process of the run has them, so that the stage which they share is set up once.
pytestmark = pytest.mark.xdist_group("executions-live")

SOON: Retry = {"type": "constant", "delay": 0.05, "retries": 3, "jitter": 0}
NUMBERS = count()


class Application:
    """A web server whose only purpose is the endpoints of a client."""

    def __init__(self) -> None:
        self.endpoints: Callable[[str], Endpoint]
        application = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                request = Delivery.of(self.command, self.headers.items(), self.rfile.read(size))
                reply = application.endpoints(self.path).answer(request)
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_HEAD = do_POST  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Application:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Everything(ServiceStage):
    """All the processes of a server, and a client whose handlers are in this process."""

    def __enter__(self) -> Everything:
        super().__enter__()
        self.web_server: Process = self.web()
        self.scheduler()
        self.worker()
        return self


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with Everything(tmp_path_factory.mktemp("live")) as stage:
        yield stage


@pytest.fixture(scope="module")
def lq(stage: Everything) -> Iterator[LambdaQueue]:
    with (
        Application() as application,
        LambdaQueue(TOKEN, SECRET, stage.origin, application.url, env={}) as client,
    ):
        application.endpoints = lambda path: client.handlers[path]
        yield client


@pytest.fixture
def queue(lq: LambdaQueue) -> Queue:
    """A queue of this test alone, whose items end by callbacks."""
    return lq.queue(f"/q{next(NUMBERS)}", async_ttl="10m", heartbeat="5s", retry=SOON)


def in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def test_an_item_that_is_worked_on_after_the_answer(lq: LambdaQueue, queue: Queue) -> None:
    go_on = threading.Event()

    @queue.handler
    def begin(payload: Any, job: Job) -> None:
        def work() -> None:
            with job.working() as work:
                work.progress(40)
                assert go_on.wait(20)
                work.summary, work.state = "watched", {"video": payload["video"]}

        in_thread(work)

    item = queue.push({"video": 7})
    until(lambda: lq.services.execution(item.id).progress == 40, "its progress is shown")
    assert lq.get(item.id).state == "RUNNING"
    go_on.set()
    ended = lq.wait(item.id)
    assert ended.state == "COMPLETED"
    assert ended.raw["callback"] == {
        "status": "success",
        "summary": "watched",
        "state": {"video": 7},
    }


def test_an_item_that_is_worked_on_before_the_answer(lq: LambdaQueue, queue: Queue) -> None:
    @queue.handler
    async def work(payload: Any, job: Job) -> None:
        async with job.working() as work:
            await asyncio.sleep(0)
            work.summary = "done at once"

    ended = lq.wait(queue.push({}).id)
    assert (ended.state, ended.raw["callback"]["summary"]) == ("COMPLETED", "done at once")


def test_failures_of_every_kind_are_tried_again_at_once(lq: LambdaQueue, queue: Queue) -> None:
    """Nobody waits for a heartbeat to be missed; and a guard lets each attempt begin."""
    attempts: list[tuple[int, str]] = []

    @queue.handler(guard=MemoryGuard())
    def work(payload: Any, job: Job) -> None:
        attempts.append((job.attempt, job.message_id))
        if job.attempt == 1:
            raise ValueError("before the first callback")
        if job.attempt == 2:
            assert job.heartbeat(10)
            raise ValueError("after the first callback")
        with job.working():
            if job.attempt == 3:
                raise ValueError("beside the heartbeats")

    ended = lq.wait(queue.push({}).id)
    assert ended.state == "COMPLETED"
    assert attempts == [(n, f"{ended.id}_1") for n in (1, 2, 3, 4)]


def test_an_attempt_that_was_replaced_is_told_to_stop(lq: LambdaQueue, queue: Queue) -> None:
    jobs: list[Job] = []

    @queue.handler
    def begin(payload: Any, job: Job) -> None:
        jobs.append(job)

    item = queue.push({})
    until(lambda: len(jobs) == 1, "the first attempt")
    jobs[0].heartbeat()
    jobs[0].fail("of no use")
    until(lambda: len(jobs) == 2, "the second attempt")
    # The same final callback may be repeated until then; now the attempt is another's.
    with pytest.raises(ExecutionOver, match="REPLACED"):
        jobs[0].heartbeat()
    with pytest.raises(ExecutionOver), jobs[0].working():
        pytest.fail("it began")
    jobs[1].succeed()
    assert lq.wait(item.id).state == "COMPLETED"
    jobs[1].succeed()
    with pytest.raises(ExecutionOver, match="SUCCESS"):
        jobs[1].fail("the other end")


def test_work_that_is_cancelled_stops(lq: LambdaQueue, queue: Queue) -> None:
    stopped: list[str] = []

    @queue.handler
    def begin(payload: Any, job: Job) -> None:
        def work() -> None:
            try:
                with job.working() as work:
                    assert work.over.wait(20)
            except ExecutionOver as over:
                stopped.append(str(over))

        in_thread(work)

    item = queue.push({})
    until(lambda: lq.services.execution(item.id).status == "running", "it runs")
    lq.services.cancel(item.id)
    until(lambda: stopped, "the work has stopped")
    assert "CANCELLED" in stopped[0]
    assert lq.get(item.id).state == "CANCELLED"


def test_a_service_job_gets_what_the_last_run_has_left(lq: LambdaQueue) -> None:
    seen: list[Any] = []
    reports = lq.queue("/reports")

    @reports.handler
    def report(payload: Any, job: Job) -> None:
        seen.append(payload["last_successful_execution"].get("state"))
        with job.working() as work:
            work.state = {"runs": len(seen)}
            if len(seen) == 2:
                raise ValueError("the warehouse is closed")

    lq.services.set(
        "shop", "report", target="/reports", schedule="rate(1 day)", ttl="10m", heartbeat="5s"
    )
    names = []
    for status in ("success", "fail", "success"):
        name = lq.services.run("shop", "report")
        until(lambda name=name: lq.services.execution(name).ended, "its end")  # type: ignore[misc]
        assert lq.services.execution(name).status == status
        names.append(name)
    assert seen == [None, {"runs": 1}, {"runs": 1}]
    assert "the warehouse is closed" in str(lq.services.execution(names[1]).error)


def test_an_end_waits_for_the_server_to_come_back(
    lq: LambdaQueue, queue: Queue, stage: Everything
) -> None:
    working, down, done = threading.Event(), threading.Event(), threading.Event()

    @queue.handler
    def begin(payload: Any, job: Job) -> None:
        def work() -> None:
            with job.working():
                working.set()
                assert down.wait(20)
            done.set()

        in_thread(work)

    item = queue.push({})
    assert working.wait(20)
    until(lambda: lq.services.execution(item.id).status == "running", "it runs")
    stage.web_server.kill()
    down.set()
    assert not done.wait(0.5)
    stage.web_server = stage.web()
    assert lq.wait(item.id).state == "COMPLETED"
    assert done.wait(20)
