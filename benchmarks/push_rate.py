"""How fast the API takes pushes: single ones and batches, through one web process and two.

    python -m benchmarks.push_rate --seconds 5 --rounds 3

Starts a redis-server (AOF, everysec) and gunicorn as the Procfile does; this process is the
client: raw requests on kept connections, a few microseconds each. Nothing consumes the jobs;
Redis is emptied between the rounds. CPU is the web processes' alone, user and system.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import redis
import uvloop

from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.vault import Vault

__all__ = ["CASES", "Case", "Figure", "main", "measure"]

ROOT = Path(__file__).parents[1]
TOKEN = "lqk_benchmrk_" + "b" * 43
TARGET = "http://127.0.0.1:9/hook"

CLIENTS = 32
"""Kept connections, each with one request at a time."""

BATCH = 500
START_WITHIN = 20.0
WARM_UP = 0.5
"""Seconds before the clock starts: connections are open and caches warm by then."""

PAYLOAD = {
    "event": "order.created",
    "user": "u_1234567",
    "data": {"id": 123456, "amount": 99.5, "currency": "EUR", "lines": [{"sku": "A-1", "n": 2}]},
    "note": "x" * 160,
}
"""About 300 bytes."""

LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)


class Case(NamedTuple):
    """What is pushed, through how many web processes, and what is to be reached."""

    name: str
    processes: int
    batch: int
    clients: int
    target: int


CASES = (
    Case("single pushes, 1 process", 1, 1, CLIENTS, 2_000),
    Case("single pushes, 2 processes", 2, 1, CLIENTS, 3_000),
    Case(f"items in batches of {BATCH}, 1 process", 1, BATCH, 4, 12_000),
)


class Figure(NamedTuple):
    """What one round came to: items a second, and CPU of the web processes for each, in µs."""

    rate: float
    cpu: float


class Client(asyncio.Protocol):
    """One kept connection: sends the next request when the answer to the last is complete."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = bytearray()
        self._missing = 0
        self._transport: asyncio.WriteTransport | None = None
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._buffer += data
            if not self._head_read():
                return
        if self._missing == 0 and self._transport is not None:
            self.answers += 1
            self._transport.write(self._request)

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _head_read(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        found = LENGTH.search(self._buffer, 0, end + 2)
        if found is None or not self._buffer.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(f"unexpected answer: {bytes(self._buffer[:500])!r}")
        self._missing = end + 4 + int(found[1]) - len(self._buffer)
        self._buffer.clear()
        return True


def measure(case: Case, seconds: float, rounds: int) -> list[Figure]:
    """Return the figures of `rounds` rounds."""
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedRedis(Path(directory)) as server,
        redis.Redis.from_url(server.url) as store,
        _web(server.url, case.processes) as web,
    ):
        figures = []
        for _ in range(rounds):
            store.flushall()
            figures.append(uvloop.run(_round(web, case, seconds)))
        return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all cases and print each beside its target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    print(f"{'':40} {'best/s':>8} {'median/s':>9} {'target/s':>9} {'web CPU µs each':>16}")
    for case in CASES:
        figures = measure(case, options.seconds, options.rounds)
        rates = [figure.rate for figure in figures]
        cpu = min(figure.cpu for figure in figures)
        print(
            f"{case.name:40} {max(rates):8,.0f} {statistics.median(rates):9,.0f} "
            f"{case.target:9,} {cpu:16.0f}",
            flush=True,
        )


class _Web(NamedTuple):
    port: int
    pid: int


@contextmanager
def _web(redis_url: str, processes: int) -> Iterator[_Web]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "api/gunicorn.py")]
        command += ["--bind", f"fd://{listener.fileno()}", "api:create_app()"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "REDIS_URL": redis_url,
                "WEB_CONCURRENCY": str(processes),
                "LQ_BOOTSTRAP_TOKEN": TOKEN,
                "LQ_MASTER_KEYS": Vault.new_key(),
                "LQ_DEVELOPMENT": "1",
                "LQ_LOG_LEVEL": "WARNING",
            },
            pass_fds=(listener.fileno(),),
        )
        try:
            _wait_for(port, process)
            yield _Web(port, process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers; the listener is open from the start, so one request waits."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=START_WITHIN) as answer:
        if answer.status != 200 or process.poll() is not None:
            raise RuntimeError("the web server did not start")


async def _round(web: _Web, case: Case, seconds: float) -> Figure:
    loop = asyncio.get_running_loop()
    failures: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    request = _request(case.batch)
    clients = [
        (await loop.create_connection(lambda: Client(request), "127.0.0.1", web.port))[1]
        for _ in range(case.clients)
    ]
    await asyncio.sleep(WARM_UP)
    before, cpu, begun = sum(each.answers for each in clients), _cpu(web.pid), time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - begun
    items = (sum(each.answers for each in clients) - before) * case.batch
    cpu = _cpu(web.pid) - cpu
    for each in clients:
        each.stop()
    if failures or not items:
        raise RuntimeError("the web server refused") from (failures[0] if failures else None)
    return Figure(items / took, cpu / items * 1e6)


def _request(batch: int) -> bytes:
    if batch == 1:
        path, options, body = "items", f"x-lq-target: {TARGET}\r\n", json.dumps(PAYLOAD)
    else:
        items = [{"payload": PAYLOAD, "target": TARGET}] * batch
        path, options, body = "items/batch", "", json.dumps({"items": items})
    return (
        f"POST /api/v1/queues/bench/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"{options}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _cpu(master: int) -> float:
    """Return the CPU seconds of the processes whose parent is `master`; 0 without /proc."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended in between
            continue
        if int(fields[1]) == master:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
