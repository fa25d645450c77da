"""From a push to the endpoint on an idle system."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit

from benchmarks.context import Context
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.processes import BenchmarkFailed
from benchmarks.rig import PAYLOAD, SECRET, Rig
from benchmarks.sink import Sink, SinkProtocol
from lambdaqueue.signing import Secret

__all__ = ["measure", "one_round"]

PAUSE = (0.005, 0.045)
"""Seconds between two pushes, at random: none meets the rhythm of anything."""

WARM_UP = 50
ARRIVES_WITHIN = 15.0

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Endpoint(Sink):
    """A sink in this process that remembers when each message came, by the monotonic clock."""

    def __init__(self) -> None:
        super().__init__(secret=Secret.parse(SECRET))
        self.arrived: dict[str, float] = {}

    def deliver(self, headers: dict[bytes, bytes], transport: asyncio.WriteTransport) -> None:
        """Note the time first, then answer."""
        now = time.monotonic()
        self.arrived.setdefault(headers[b"webhook-id"].decode(), now)
        super().deliver(headers, transport)


class Pusher:
    """One kept connection to the API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connected(cls, origin: str) -> Self:
        """Connect to the API at `origin`."""
        parts = urlsplit(origin)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def push(self, request: bytes) -> tuple[float, str]:
        """Push; return when it was sent and the message id of the delivery to come."""
        sent = time.monotonic()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        found = LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 201") or found is None:
            raise BenchmarkFailed(f"the API answered {head!r}")
        item = json.loads(await self._reader.readexactly(int(found[1])))
        return sent, f"{item['id']}_{item['version']}"

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def measure(context: Context) -> Sequence[Figure]:
    """Push one by one, with pauses."""
    seen = []
    with (
        Rig.running(context.folder / "latency", context.server) as rig,
        rig.workforce(),
        rig.web() as origin,
    ):
        for number in range(1, context.size(context.repeats, 2) + 1):
            seen.append(asyncio.run(one_round(rig, origin, context.size(500, 150))))
            p50, p99 = percentile(seen[-1], 0.5), percentile(seen[-1], 0.99)
            context.tell(f"round {number}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    return [
        Figure("push to endpoint, p50", "ms", [percentile(each, 0.5) for each in seen], at_most(3)),
        Figure(
            "push to endpoint, p99", "ms", [percentile(each, 0.99) for each in seen], at_most(9)
        ),
        Figure("push to endpoint, max", "ms", [max(each) for each in seen]),
    ]


async def one_round(rig: Rig, origin: str, pushes: int) -> list[float]:
    """Return the milliseconds that each push took to the endpoint."""
    endpoint = Endpoint()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SinkProtocol(endpoint), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    request = _request(rig, f"http://{host}:{port}/hook")
    pusher = await Pusher.connected(origin)
    sent = []
    for _ in range(WARM_UP + pushes):
        sent.append(await pusher.push(request))
        await asyncio.sleep(random.uniform(*PAUSE))
    deadline = time.monotonic() + ARRIVES_WITHIN
    while len(endpoint.arrived) < len(sent) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    pusher.close()
    server.close()
    if len(endpoint.arrived) < len(sent):
        raise BenchmarkFailed(f"{len(sent) - len(endpoint.arrived)} pushes never arrived")
    return [(endpoint.arrived[message] - at) * 1000 for at, message in sent[WARM_UP:]]


def _request(rig: Rig, target: str) -> bytes:
    head = (
        "POST /api/v1/queues/latency/items HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {rig.credentials.token}\r\nContent-Type: application/json\r\n"
        f"x-lq-target: {target}\r\nContent-Length: {len(PAYLOAD)}\r\n\r\n"
    )
    return head.encode() + PAYLOAD
