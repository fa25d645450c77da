"""Endpoints that mean harm, beside one that doesn't: that one's calls are as prompt as ever.

What the sender does with each kind of answer is in tests/workers/test_sender.py; this is the worst
of them at once, against one real worker.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from lambdaqueue.commands import Push
from lambdaqueue.job import State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from tests.faults.plant import Plant
from tests.waiting import until
from tests.workers.endpoints import Reply, endpoint, reset
from tests.workers.stage import ACTOR, ENVIRONMENT

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")

ONCE = RetryPolicy("constant", delay=1_000, retries=0, jitter=0)
TIMEOUT = 2_000
"""ms for an attempt at a hostile endpoint."""

EACH = 12
"""Jobs for each kind of hostility: there are more than the worker has slots."""

SLOTS = 40
GOOD = 200
PROMPT = 5.0
"""Seconds within which a call must follow its push, on two busy cores."""

GROWTH = 64 * 1_024
"""KiB that the worker may grow by: what hostile endpoints send would be gigabytes."""

OK = b"HTTP/1.1 200 OK\r\n"


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.2)


async def flood(writer: asyncio.StreamWriter, start: bytes, piece: bytes) -> None:
    writer.write(start)
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()


async def reset_it(writer: asyncio.StreamWriter) -> None:
    reset(writer)


FLOOD = b"x" * 65_536
HOSTILE: dict[str, tuple[Reply | bytes, State, str]] = {
    "hangs": (hang, State.FAILED, "timeout"),
    "drips": (drip, State.FAILED, "timeout"),
    "endless body": (partial(flood, start=OK + b"\r\n", piece=FLOOD), State.COMPLETED, ""),
    "endless 1xx": (
        partial(flood, start=b"", piece=b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        State.FAILED,
        "bad_response",
    ),
    "resets": (reset_it, State.FAILED, "bad_response"),
    "huge headers": (
        partial(flood, start=OK, piece=b"X-Junk: " + FLOOD[:8_000] + b"\r\n"),
        State.FAILED,
        "bad_response",
    ),
    "bomb": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: 65536\r\n\r\n" + FLOOD,
        State.COMPLETED,
        "",
    ),
}


@contextmanager
def hostile() -> Iterator[dict[str, str]]:
    """Run an endpoint of each kind in a thread; give their URLs."""
    loop, urls, ready = asyncio.new_event_loop(), dict[str, str](), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for name, (reply, _, _) in HOSTILE.items():
                one = await stack.enter_async_context(endpoint(reply))
                urls[name] = one.url
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield urls
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def resident(pid: int) -> int:
    """Return the KiB of memory that a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_others_are_not_disturbed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Plant(tmp_path) as stage, hostile() as urls:
        stage.scheduler()
        worker = stage.worker(LQ_SLOTS=str(SLOTS), LQ_ALLOW_UNVALIDATED="1")
        stage.push()
        until(lambda: stage.hook.deliveries, "it works")
        before = resident(worker.pid)
        jobs = {}
        for name, url in urls.items():
            queue = f"hostile-{name.replace(' ', '-')}"
            stage.service.configure(ACTOR, queue, {"validation": "none"}, False)
            spec = Spec(target=url, retry=ONCE, timeout=TIMEOUT)
            jobs[name] = [
                stage.service.push(ENVIRONMENT, queue, Push(spec)).job for _ in range(EACH)
            ]
        waits = []
        for number in range(GOOD):
            began = time.monotonic()
            job = stage.push(queue="good", payload=b"%d" % number)
            until(partial(stage.calls, job.id), "it is called")
            waits.append(time.monotonic() - began)
        for name, (_, state, error) in HOSTILE.items():
            for job in stage.until_ended(*jobs[name]):
                assert (job.state, (job.error or "").partition(":")[0]) == (state, error), name
                assert len((job.result and job.result.body) or b"") <= 4_096
        assert max(waits) < PROMPT
        grown = resident(worker.pid) - before
        assert grown < GROWTH
        assert worker.running
        assert "Traceback" not in worker.text
    record_property(
        "fault",
        f"F42-F50 {len(HOSTILE)} kinds of hostile endpoints x {EACH}, {SLOTS} slots: {GOOD} other "
        f"jobs called after {sorted(waits)[GOOD // 2] * 1_000:.0f} ms (median), "
        f"{max(waits) * 1_000:.0f} ms (longest); the worker grew by {grown / 1_024:.0f} MiB",
    )
