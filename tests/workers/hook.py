"""An endpoint in threads that keeps what it got and answers by the path it was called at."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lambdaqueue.proofs import answer_challenge
from lambdaqueue.signing import Secret
from tests.operator import SECRET

__all__ = ["Delivery", "Hook", "Reply"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it came; header names are lower-case, `at` is the monotonic clock's."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        """The webhook-id."""
        return self.headers["webhook-id"]

    @property
    def attempt(self) -> int:
        """The number of the attempt, as the headers tell it."""
        return int(self.headers["x-lq-attempt"])


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int = 200
    body: bytes = b"ok"
    content_type: str = "text/plain"


class Hook(ThreadingHTTPServer):
    """`replies` says what paths answer that are in it.

    Of the others `/status/<n>` answers n, `/flaky/<n>` fails the first n attempts, `/hold/<name>`
    answers 200 once that gate was opened, `/stall/<name>` does so with first attempts only;
    everything else gets 200 at once. Validations are answered by the one of `secrets` that they
    were made with.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.deliveries: list[Delivery] = []
        self.validations: list[str] = []
        self.replies: dict[str, Reply] = {}
        self.secrets = [Secret.parse(SECRET)]
        self._gates: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/") -> str:
        """Return the address of `path` here."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def to(self, path: str) -> list[Delivery]:
        """Return what was delivered to `path`, in the order in which it came."""
        return [each for each in self.deliveries if each.path == path]

    def counts(self) -> Counter[str]:
        """Return how often each webhook-id came."""
        return Counter(each.id for each in self.deliveries)

    def gate(self, name: str) -> threading.Event:
        """Return the gate that `/hold/<name>` waits at; `set` opens it."""
        with self._lock:
            return self._gates.setdefault(name, threading.Event())

    def stop(self) -> None:
        """Open all gates and stop listening."""
        for gate in list(self._gates.values()):
            gate.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever was killed does not wait for its answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: Hook

    def do_HEAD(self) -> None:
        """Prove that the secret is known here, whatever the path."""
        self.server.validations.append(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(200)
        answer = answer_challenge(self.server.secrets, headers, time.time())
        self.send_header("x-lq-validation", answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        delivery = Delivery(self.command, self.path, headers, body, time.monotonic())
        self.server.deliveries.append(delivery)
        reply = self.server.replies.get(self.path) or Reply(self._status(delivery))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def _status(self, delivery: Delivery) -> int:
        kind, _, rest = delivery.path.removeprefix("/").partition("/")
        if kind == "status":
            return int(rest)
        if kind == "flaky":
            return 500 if delivery.attempt <= int(rest) else 200
        if kind == "hold" or (kind == "stall" and delivery.attempt == 1):
            self.server.gate(rest).wait(600)
        return 200

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
