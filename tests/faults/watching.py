"""An endpoint that takes its time, fails now and then, and remembers when each call was open."""

from __future__ import annotations

import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

from lambdaqueue.proofs import answer_challenge
from lambdaqueue.signing import Secret
from tests.operator import SECRET

__all__ = ["Call", "Watching"]

LONGEST = 0.1
"""Seconds that an answer takes at most."""

FAILING = 10
"""One in so many first attempts is answered with 500."""


@dataclass(slots=True)
class Call:
    """One request: its webhook-id, its attempt, and from when to when it was open (monotonic)."""

    id: str
    attempt: int
    body: bytes
    began: float
    ended: float = 0.0
    status: int = 0


class Watching(ThreadingHTTPServer):
    """What it answers depends on the webhook-id alone, so a run can be had again."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[Call] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def by_id(self) -> dict[str, list[Call]]:
        """Return the calls of each webhook-id, in the order in which they came."""
        found: dict[str, list[Call]] = {}
        for call in sorted(self.calls, key=lambda call: call.began):
            found.setdefault(call.id, []).append(call)
        return found

    def twice(self) -> list[tuple[str, int]]:
        """Return what came more than once as the same attempt."""
        counted = Counter((call.id, call.attempt) for call in self.calls)
        return [each for each, count in counted.items() if count > 1]

    def overlapping(self) -> list[tuple[Call, Call]]:
        """Return the pairs of a job's calls of which the second began while the first was open."""
        return [
            (first, second)
            for calls in self.by_id().values()
            for first, second in pairwise(calls)
            if not first.ended or second.began < first.ended
        ]

    def stop(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever was killed does not wait for its answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: Watching

    def do_HEAD(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        proof = answer_challenge([Secret.parse(SECRET)], headers, time.time())
        self.send_response(200)
        self.send_header("x-lq-validation", proof)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name, attempt = self.headers["webhook-id"], int(self.headers["x-lq-attempt"])
        call = Call(name, attempt, body, time.monotonic())
        self.server.calls.append(call)
        chance = zlib.crc32(name.encode())
        time.sleep(chance % 1_000 / 1_000 * LONGEST)
        call.status = 500 if attempt == 1 and chance % FAILING == 0 else 200
        call.ended = time.monotonic()
        self.send_response(call.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
