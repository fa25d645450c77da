"""Requests over kept connections, one after another on each: how many a second are answered."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.processes import BenchmarkFailed

__all__ = ["CLIENTS", "rate", "request"]

CLIENTS = 32
"""Kept connections, each with one request at a time."""

WARM_UP = 0.5
"""Seconds before the clock starts."""

LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)


def request(path: str, body: str, *headers: str) -> bytes:
    """Return the bytes of a POST of JSON to `path` below /api/v1."""
    lines = [
        f"POST /api/v1{path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def rate(origin: str, requests: Iterator[bytes], status: int, seconds: float) -> float:
    """Return how many of `requests` were answered in a second; each must be, with `status`.

    It ends after `seconds`, or with the last request.

    Raises:
        BenchmarkFailed: one was answered otherwise, or there were too few.
    """
    return uvloop.run(_rate(urlsplit(origin).port or 80, requests, status, seconds))


class Client(asyncio.Protocol):
    """One kept connection: sends the next request when the last one is answered."""

    def __init__(self, requests: Iterator[bytes], status: int, ended: asyncio.Event) -> None:
        self._requests = requests
        self._first_line = b"HTTP/1.1 %d" % status
        self._ended = ended
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self.answers = 0
        self.refused = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        found = LENGTH.search(self._buffer, 0, end + 2)
        if len(self._buffer) < end + 4 + (int(found[1]) if found else 0):
            return
        if not self._buffer.startswith(self._first_line):
            self.refused = bytes(self._buffer[:500])
            return self._ended.set()
        self._buffer.clear()
        self.answers += 1
        self._send()

    def stop(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _send(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self._ended.set()
        elif self._transport is not None:
            self._transport.write(following)


async def _rate(port: int, requests: Iterator[bytes], status: int, seconds: float) -> float:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    clients = [
        (await loop.create_connection(lambda: Client(requests, status, ended), "127.0.0.1", port))[
            1
        ]
        for _ in range(CLIENTS)
    ]
    await asyncio.sleep(WARM_UP)
    before, began = sum(each.answers for each in clients), time.perf_counter()
    if ended.is_set():
        raise BenchmarkFailed(f"too few requests: {before} are answered already")
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        pass
    took = time.perf_counter() - began
    answered = sum(each.answers for each in clients) - before
    for each in clients:
        each.stop()
        if each.refused:
            raise BenchmarkFailed(f"unexpected answer: {each.refused!r}")
    return answered / took
