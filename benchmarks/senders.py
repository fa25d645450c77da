"""What a request costs the worker: CurlSender against aiohttp, on asyncio and on uvloop.

    python -m benchmarks.senders

Starts a sink of its own (`benchmarks.sink`) in another process. CPU is the sender's process
alone, user and system. The rounds of the four are interleaved, so that a neighbour's noise
hits all; the best and the median round are shown. aiohttp isn't shipped: this is where the
choice is made again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import aiohttp
import uvloop

from lambdaqueue.outcome import Answer, ErrorClass
from lambdaqueue.targets import TargetRules
from workers.sender import READ_LIMIT, CurlSender, Outgoing, Sender

__all__ = ["AiohttpSender", "main"]

WARM_UP: Final = 1000
"""Requests before the clock starts: connections are open by then."""

HEADERS: Final = (
    ("content-type", "application/json"),
    ("webhook-id", "01jd2v9m8k3x7q_1"),
    ("webhook-timestamp", "1614265330"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ("x-lq-id", "01jd2v9m8k3x7q"),
    ("x-lq-queue", "mail"),
    ("x-lq-attempt", "1"),
    ("x-lq-max-attempts", "10"),
    ("x-lq-scheduled-for", "2026-01-01T00:00:00.000Z"),
    ("content-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
    ("user-agent", "LambdaQueue/1.0"),
)
"""What every delivery carries (contract.md, section 3)."""

BODY: Final = b"x" * 300


class AiohttpSender:
    """The same bounds with aiohttp, as far as aiohttp lets one."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Content-Type"),
        )

    async def send(self, request: Outgoing) -> Answer:
        """See `Sender.send`."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(request.timeout / 1000):
                answer = await self._exchange(request)
        except TimeoutError:
            return Answer(failure=ErrorClass.TIMEOUT)
        except aiohttp.ClientError:
            return Answer(failure=ErrorClass.BAD_RESPONSE)
        status, headers, body = answer
        return Answer(
            status=status,
            headers=headers,
            body=body[: request.keep],
            truncated=len(body) > request.keep,
            duration=int((time.monotonic() - started) * 1000),
        )

    async def _exchange(self, request: Outgoing) -> tuple[int, dict[str, str], bytes]:
        async with self._session.request(
            request.method,
            request.url,
            headers=[*request.headers, ("accept-encoding", "identity")],
            data=request.body,
            allow_redirects=False,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) >= READ_LIMIT:
                    response.close()
                    break
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, headers, bytes(body)

    async def close(self) -> None:
        """See `Sender.close`."""
        await self._session.close()


class Round(NamedTuple):
    """One measurement: requests per second, and CPU microseconds per request."""

    rate: float
    cpu: float


SENDERS: Final[dict[str, Callable[[], Sender]]] = {
    "curl": lambda: CurlSender(TargetRules(loopback=True)),
    "aiohttp": AiohttpSender,
}
LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def measure(make: Callable[[], Sender], url: str, requests: int, at_once: int) -> Round:
    """Send `requests` to `url`, `at_once` at the same time."""
    sender = make()
    try:
        await _send_all(sender, url, WARM_UP, at_once)
        clock, cpu = time.perf_counter(), time.process_time()
        await _send_all(sender, url, requests, at_once)
        seconds = time.perf_counter() - clock
        return Round(requests / seconds, (time.process_time() - cpu) / requests * 1e6)
    finally:
        await sender.close()


async def _send_all(sender: Sender, url: str, requests: int, at_once: int) -> None:
    left = iter(range(requests))

    async def slot() -> None:
        for _ in left:
            answer = await sender.send(Outgoing(url, "POST", HEADERS, BODY, 30_000))
            if answer.status != 200:
                raise RuntimeError(f"the sink answered {answer}")

    await asyncio.gather(*(slot() for _ in range(at_once)))


@contextlib.contextmanager
def sink(delay: float) -> Iterator[str]:
    """Run a sink in a process of its own; gives its URL."""
    command = [sys.executable, "-m", "benchmarks.sink", "--port", "0", "--delay", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1] + "/hook"
        finally:
            process.terminate()


def main() -> None:
    """Measure and print one line for each sender and loop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.senders", description=__doc__)
    parser.add_argument("--requests", type=int, default=6000, help="per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0, metavar="MS", help="the sink's")
    options = parser.parse_args()
    rounds: dict[tuple[str, str], list[Round]] = {}
    with sink(options.delay) as url:
        for _ in range(options.rounds):
            for name, make in SENDERS.items():
                for loop, new_loop in LOOPS.items():
                    with asyncio.Runner(loop_factory=new_loop) as runner:
                        job = measure(make, url, options.requests, options.at_once)
                        rounds.setdefault((name, loop), []).append(runner.run(job))
    print(f"{'':16}  requests/s best  median    CPU us each best  median")
    for (name, loop), done in rounds.items():
        rates, cpus = [one.rate for one in done], [one.cpu for one in done]
        rate = f"{max(rates):17.0f}{statistics.median(rates):8.0f}"
        print(f"{name:8}{loop:8}{rate}{min(cpus):21.1f}{statistics.median(cpus):8.1f}")


if __name__ == "__main__":
    main()
