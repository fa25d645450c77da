"""Heartbeats beside the work: how they go on, how they end, and what they must not survive."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lambdaqueue.sdk.errors import ExecutionOver, InvalidRequest, NotFound
from lambdaqueue.sdk.execution import Execution
from lambdaqueue.sdk.requests_transport import RequestsTransport
from tests.sdk.callback_server import OVER, TAKEN, CallbackServer, Heard, refusal
from tests.waiting import until

ROOT = Path(__file__).parents[2]

INTERVAL = 0.15
"""Seconds; so there is a heartbeat every 50 ms."""


@pytest.fixture
def server() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


@pytest.fixture
def execution(server: CallbackServer) -> Iterator[Execution]:
    transport = RequestsTransport()
    yield Execution(
        server.url(), api_url=server.origin, transport=transport, interval=INTERVAL, timeout=5
    )
    transport.close()
    until(lambda: not beating(), "the thread of the heartbeats ends")


def beating() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("lambdaqueue ")]


def ends(server: CallbackServer) -> list[dict[str, Any]]:
    return [each.said for each in list(server.heard) if each.said["status"] != "processing"]


def beats(server: CallbackServer) -> int:
    return len(server.said("processing"))


def test_work_that_succeeds(server: CallbackServer, execution: Execution) -> None:
    with execution.working() as work:
        assert beats(server) == 1, "the first one says that it has begun"
        until(lambda: beats(server) >= 4, "heartbeats")
        work.summary, work.state, work.correlation_id = "4 done", {"up_to": 4}, "c"
    assert ends(server) == [
        {"status": "success", "summary": "4 done", "state": {"up_to": 4}, "correlation_id": "c"}
    ]
    assert not beating()
    assert execution.finished
    assert not work.over.is_set()


def test_heartbeats_come_every_third_of_the_interval(
    server: CallbackServer, execution: Execution
) -> None:
    execution.interval = 1.5
    with execution.working():
        until(lambda: beats(server) >= 4, "heartbeats")
    times = [heard.at for heard in server.heard if heard.said["status"] == "processing"]
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert all(0.4 < gap < 1.5 for gap in gaps), gaps


def test_progress_is_sent_soon_and_the_newest_counts(
    server: CallbackServer, execution: Execution
) -> None:
    execution.interval = 600
    with execution.working() as work:
        for percent in range(100):
            work.progress(percent)
        until(lambda: server.said("processing")[-1].get("progress") == 99, "the newest")
        assert beats(server) <= 3


def test_progress_that_makes_no_sense(server: CallbackServer, execution: Execution) -> None:
    with execution.working() as work:
        for percent in (-1, 100.1, float("nan")):
            with pytest.raises(ValueError, match="0 to 100"):
                work.progress(percent)
    assert ends(server) == [{"status": "success"}]


def test_work_that_fails(server: CallbackServer, execution: Execution) -> None:
    with pytest.raises(ValueError, match="it's 7"), execution.working():
        raise ValueError("it's 7")
    assert ends(server) == [{"status": "fail", "error": "ValueError: it's 7"}]
    assert not beating()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
    ],
)
def test_an_end_of_the_process_is_told(
    server: CallbackServer, execution: Execution, error: BaseException, words: str
) -> None:
    with pytest.raises(type(error)), execution.working():
        raise error
    assert ends(server) == [{"status": "fail", "error": words}]


def test_an_end_of_the_process_isnt_kept_waiting(
    server: CallbackServer, execution: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    server.judge = lambda heard: server.hang() if heard.said["status"] == "fail" else None
    begun = time.monotonic()
    with pytest.raises(SystemExit), execution.working():
        raise SystemExit(0)
    assert time.monotonic() - begun < 15, "not the 300 s of any other end"
    assert "nobody has taken that" in caplog.text


def test_a_block_that_tells_its_end_itself(server: CallbackServer, execution: Execution) -> None:
    with execution.working():
        execution.fail("closed on Sundays")
    assert ends(server) == [{"status": "fail", "error": "closed on Sundays"}]


def test_a_block_that_tells_its_end_and_raises(
    server: CallbackServer, execution: Execution
) -> None:
    def work_on() -> None:
        with execution.working():
            execution.succeed(summary="done")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        work_on()
    assert ends(server) == [{"status": "success", "summary": "done"}]


# When somebody else ends it


@pytest.mark.parametrize(("answer", "raised"), [(OVER, ExecutionOver), (refusal(404), NotFound)])
def test_work_that_is_over_stops(
    server: CallbackServer, execution: Execution, answer: Any, raised: type[Exception]
) -> None:
    def work_on() -> None:
        with execution.working() as work:
            until(lambda: beats(server) >= 2, "heartbeats")
            server.judge = lambda heard: answer
            assert work.over.wait(20)
            heard = beats(server)
            with pytest.raises(raised):
                work.check()
            work.progress(50)
            pytest.fail(f"went on after {heard} heartbeats")

    with pytest.raises(raised):
        work_on()
    assert ends(server) == [], "nothing is told of what is over"
    assert not beating()


def test_work_that_doesnt_look_learns_of_it_at_the_end(
    server: CallbackServer, execution: Execution
) -> None:
    def work_on() -> None:
        with execution.working() as work:
            server.judge = lambda heard: OVER
            assert work.over.wait(20)

    with pytest.raises(ExecutionOver):
        work_on()
    assert ends(server) == []


def test_an_end_that_comes_too_late(server: CallbackServer, execution: Execution) -> None:
    execution.interval = 600
    with pytest.raises(ExecutionOver), execution.working():
        server.judge = lambda heard: OVER
    assert len(ends(server)) == 1, "the one that was refused"


def test_an_attempt_that_was_replaced_never_begins(
    server: CallbackServer, execution: Execution
) -> None:
    server.judge = lambda heard: OVER
    with pytest.raises(ExecutionOver), execution.working():
        pytest.fail("it began")
    assert not beating()


def test_work_whose_end_was_told_doesnt_begin_again(
    server: CallbackServer, execution: Execution
) -> None:
    execution.succeed()
    server.judge = lambda heard: OVER
    with pytest.raises(ExecutionOver, match="told already"), execution.working():
        pytest.fail("it began")


# Races and hanging


def test_a_heartbeat_that_is_overtaken_by_the_end(
    server: CallbackServer, execution: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    """The second heartbeat is answered only after the end was taken, and so with 410."""
    caught, ended = threading.Event(), threading.Event()

    def judge(heard: Heard) -> Any:
        if heard.said["status"] == "success":
            ended.set()
            return TAKEN
        if beats(server) < 2:
            return None
        caught.set()
        assert ended.wait(20)
        return OVER

    server.judge = judge
    caplog.set_level(logging.DEBUG, logger="lambdaqueue")
    with execution.working() as work:
        assert caught.wait(20)
    until(lambda: not beating(), "the thread has its answer")
    assert execution.finished
    assert execution.lost is None
    assert not work.over.is_set()
    assert caplog.records == []


def test_the_end_doesnt_wait_for_a_heartbeat_that_hangs(
    server: CallbackServer, execution: Execution
) -> None:
    def judge(heard: Heard) -> Any:
        return server.hang() if heard.said["status"] == "processing" and beats(server) > 1 else None

    server.judge = judge
    execution.interval = 60
    with execution.working() as work:
        work.progress(1)
        until(lambda: beats(server) == 2, "the one that hangs")
        ending = time.monotonic()
    assert server.heard[-1].said == {"status": "success"}
    assert server.heard[-1].at - ending < 4, "the heartbeat's timeout is 5 s"
    server.released.set()


def test_a_heartbeat_that_hangs_is_followed_by_others(
    server: CallbackServer, execution: Execution
) -> None:
    server.judge = lambda heard: server.hang() if beats(server) == 2 else None
    with execution.working():
        until(lambda: beats(server) >= 4, "heartbeats after the one that hung")
    assert ends(server) == [{"status": "success"}]


@pytest.mark.parametrize(
    "answer", [refusal(503), refusal(429, Retry_After="1"), refusal(422, "no"), refusal(403)]
)
def test_heartbeats_go_on_whatever_is_answered(
    server: CallbackServer, execution: Execution, answer: Any
) -> None:
    refusing = True

    def judge(heard: Heard) -> Any:
        return answer if refusing else None

    server.judge = judge
    with execution.working() as work:
        until(lambda: beats(server) >= 3, "heartbeats")
        refusing = False
        until(lambda: beats(server) >= 5, "heartbeats")
        assert not work.over.is_set()
    assert ends(server) == [{"status": "success"}]


def test_heartbeats_survive_what_they_cant_send(
    server: CallbackServer, execution: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(RequestsTransport):
        broken = 2

        def send(self, request: Any) -> Any:
            self.broken -= 1
            if self.broken >= 0:
                raise RuntimeError("out of file descriptors")
            return super().send(request)

    broken = Broken()
    working = Execution(server.url(), api_url=server.origin, transport=broken, interval=INTERVAL)
    with working.working():
        until(lambda: beats(server) >= 1, "a heartbeat")
    assert "out of file descriptors" in caplog.text
    assert ends(server) == [{"status": "success"}]
    broken.close()


# What can't be told


@pytest.mark.parametrize("state", [object(), "too large"])
def test_a_success_that_is_refused_is_told_as_failure(
    server: CallbackServer, execution: Execution, state: Any
) -> None:
    """Else it would be waited for, and the work done again, with the same end."""

    def judge(heard: Heard) -> Any:
        if heard.said["status"] == "success":
            return refusal(422, "state: must have at most 65536 bytes")
        return None

    server.judge = judge
    with pytest.raises((InvalidRequest, TypeError)), execution.working() as work:
        work.state = state
    [told] = server.said("fail")
    assert "state" in told["error"] or "object" in told["error"]
    assert execution.finished


def test_a_failure_that_nobody_takes_is_no_other_error(
    server: CallbackServer, execution: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    server.judge = lambda heard: refusal(422, "no") if heard.said["status"] == "fail" else None
    with pytest.raises(ValueError, match="it's 7"), execution.working():
        raise ValueError("it's 7")
    assert "nobody has taken that" in caplog.text


# Coroutines


def test_a_coroutine(server: CallbackServer, execution: Execution) -> None:
    async def main() -> None:
        async with execution.working() as work:
            while beats(server) < 4:
                await asyncio.sleep(0.01)
            work.summary = "done"

    asyncio.run(main())
    assert ends(server) == [{"status": "success", "summary": "done"}]


def test_a_coroutine_that_is_cancelled(server: CallbackServer, execution: Execution) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def work_on() -> None:
            async with execution.working():
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work_on())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ends(server) == [{"status": "fail", "error": "CancelledError"}]


def test_a_coroutine_that_is_cancelled_as_it_begins(
    server: CallbackServer, execution: Execution
) -> None:
    """No block was entered, so no end of one would ever stop the heartbeats."""

    async def work_on() -> None:
        async with execution.working():
            pytest.fail("it began")

    async def main() -> None:
        server.judge = lambda heard: server.hang()
        task = asyncio.create_task(work_on())
        while beats(server) < 1:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.judge = lambda heard: None
        server.released.set()

    asyncio.run(main())
    until(lambda: not beating(), "no heartbeats")
    assert beats(server) == 1


# Processes that end

PROGRAM = """
import signal, sys, threading
from lambdaqueue.sdk.execution import Execution
from lambdaqueue.sdk.requests_transport import RequestsTransport
url, origin = sys.argv[1:]
execution = Execution(url, api_url=origin, transport=RequestsTransport(), interval=0.15)
"""

SIGTERM_KILLS = """
with execution.working():
    threading.Event().wait()
"""

SIGTERM_EXITS = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
with execution.working():
    threading.Event().wait()
"""

DAEMON_WORK = """
def work():
    with execution.working():
        threading.Event().wait()
threading.Thread(target=work, daemon=True).start()
signal.sigwait({signal.SIGTERM})
"""

WORK_GOES_ON = """
import time
def work():
    with execution.working():
        signal.sigwait({signal.SIGTERM})
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
threading.Thread(target=work).start()
"""


@pytest.fixture
def start(server: CallbackServer) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def started(text: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PROGRAM + text, server.url(), server.origin]
        running.append(subprocess.Popen(command, cwd=ROOT))
        until(lambda: beats(server) >= 4, "heartbeats")
        return running[-1]

    yield started
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        (SIGTERM_KILLS, -signal.SIGTERM, []),
        (SIGTERM_EXITS, 3, [{"status": "fail", "error": "SystemExit: 3"}]),
        (DAEMON_WORK, 0, []),
        (WORK_GOES_ON, 0, [{"status": "success"}]),
    ],
    ids=["killed", "exits", "daemon", "waited for"],
)
def test_a_process_that_ends(
    server: CallbackServer,
    start: Callable[[str], subprocess.Popen[bytes]],
    program: str,
    code: int,
    told: list[dict[str, Any]],
) -> None:
    """The heartbeats never outlive the work, and never keep a process alive."""
    if program is DAEMON_WORK:
        program = f"signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})\n{program}"
    process = start(program)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == code
    assert ends(server) == told
