"""A fast endpoint for benchmarks: counts, finds repeats, measures lateness.

    python -m benchmarks.sink --port 9100 --delay 50 --lateness

`GET /stats` answers what came in since the start or the last `POST /reset`; every other request
is a delivery and gets a short 200. A HEAD gets the proof that the secret in LQ_SECRET is known
here. HTTP/1.1 with Content-Length bodies, keep-alive and
pipelining; nothing else, as nothing else is sent to it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import time
from collections import deque
from datetime import datetime
from typing import Any, cast

import uvloop

from lambdaqueue.proofs import answer_challenge
from lambdaqueue.signing import Secret

__all__ = ["Sink", "SinkProtocol", "main"]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
PROOF = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-lq-validation: %b\r\n\r\n"
HEADERS = re.compile(
    rb"\r\n(content-length|transfer-encoding|webhook-id|x-lq-attempt|x-lq-scheduled-for):"
    rb"[ \t]*([^\r]*)",
    re.IGNORECASE,
)
"""One pass of the C engine over the head finds all that the sink looks at."""

TICK = 0.001
"""Seconds between two looks at the answers that wait: all due by then go out together."""

BACKLOG = 4096


class Sink:
    """What came in. Times are Unix seconds, lateness and `delay` milliseconds."""

    def __init__(
        self, delay: float = 0, lateness: bool = False, secret: Secret | None = None
    ) -> None:
        self._secret = secret
        self._delay = delay / 1000
        self._wants_lateness = lateness
        self._waiting: deque[tuple[float, asyncio.WriteTransport]] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget everything that came in; answers that wait still go out."""
        self._requests = 0
        self._duplicates = 0
        self._first: float | None = None
        self._last: float | None = None
        self._seen: set[bytes] = set()
        self._lateness: list[float] = []

    def stats(self) -> dict[str, Any]:
        """Return the counts as `GET /stats` shows them."""
        return {
            "requests": self._requests,
            "duplicates": self._duplicates,
            "first": self._first,
            "last": self._last,
            "lateness": _summary(self._lateness),
        }

    def validate(self, head: bytes) -> bytes:
        """Return the answer to a HEAD that asks for a proof."""
        lines = (line.partition(":") for line in head.decode().split("\r\n")[1:])
        asked = {name.lower(): value.strip() for name, _, value in lines}
        proof = answer_challenge([self._secret] if self._secret else [], asked, time.time())
        return PROOF % proof.encode()

    def deliver(self, headers: dict[bytes, bytes], transport: asyncio.WriteTransport) -> None:
        """Count one request and answer it, at once or after the delay."""
        self._count(headers)
        if not self._delay:
            transport.write(ANSWER)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(self._delay, self._answer_due)
        self._waiting.append((time.monotonic() + self._delay, transport))

    def _count(self, headers: dict[bytes, bytes]) -> None:
        now = self._last = time.time()
        if self._first is None:
            self._first = now
        self._requests += 1
        if message := headers.get(b"webhook-id"):
            attempt = message + b" " + headers.get(b"x-lq-attempt", b"")
            if attempt in self._seen:
                self._duplicates += 1
            self._seen.add(attempt)
        if self._wants_lateness and (due := headers.get(b"x-lq-scheduled-for")):
            self._lateness.append((now - _unix(due)) * 1000)

    def _answer_due(self) -> None:
        # The delay is the same for all, so the queue is in order of time and one timer is enough.
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, transport = self._waiting.popleft()
            if not transport.is_closing():
                transport.write(ANSWER)
        if self._waiting:
            pause = max(self._waiting[0][0] - now, TICK)
            asyncio.get_running_loop().call_later(pause, self._answer_due)


class SinkProtocol(asyncio.Protocol):
    """One connection: cuts the bytes into requests and passes each on."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Take every request that is complete by now."""
        buffer = self._buffer + data if self._buffer else data
        start = 0
        while (end := buffer.find(b"\r\n\r\n", start)) >= 0:
            head = buffer[start:end]
            headers = {name.lower(): value for name, value in HEADERS.findall(head)}
            if b"transfer-encoding" in headers:
                self._transport.close()
                return
            stop = end + 4 + int(headers.get(b"content-length", 0))
            if stop > len(buffer):
                break
            self._serve(head, headers)
            start = stop
        self._buffer = buffer[start:] if start else buffer

    def _serve(self, head: bytes, headers: dict[bytes, bytes]) -> None:
        if head.startswith(b"GET /stats "):
            self._transport.write(_json(self._sink.stats()))
        elif head.startswith(b"HEAD "):
            self._transport.write(self._sink.validate(head))
        elif head.startswith(b"POST /reset "):
            self._sink.reset()
            self._transport.write(_json({}))
        else:
            self._sink.deliver(headers, self._transport)


def _json(value: dict[str, Any]) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _unix(iso: bytes) -> float:
    return datetime.fromisoformat(iso.decode()).timestamp()


def _summary(values: list[float]) -> dict[str, float | int | None]:
    ranked = sorted(values)

    def at(part: float) -> float | None:
        return round(ranked[round(part * (len(ranked) - 1))], 3) if ranked else None

    return {"count": len(ranked), "min": at(0), "p50": at(0.5), "p99": at(0.99), "max": at(1)}


async def serve(host: str, port: int, sink: Sink) -> None:
    """Listen on `host:port` until cancelled; port 0 picks a free one. Prints where, once."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SinkProtocol(sink), host, port, backlog=BACKLOG)
    print("sink listening on http://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run the sink from the command line; Ctrl-C ends it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--delay", type=float, default=0, metavar="MS", help="answer this late")
    parser.add_argument("--lateness", action="store_true", help="compare x-lq-scheduled-for")
    options = parser.parse_args()
    secret = os.environ.get("LQ_SECRET")
    sink = Sink(options.delay, options.lateness, Secret.parse(secret) if secret else None)
    try:
        uvloop.run(serve(options.host, options.port, sink))
    except KeyboardInterrupt:
        print("sink stopped")


if __name__ == "__main__":
    main()
