"""The application of the demo: endpoints that answer well, slowly, late, wrongly or never."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from lambdaqueue import ApiError, Execution, LambdaQueue, LambdaQueueError
from lambdaqueue.cli.endpoint import Endpoint
from lambdaqueue.signing import Secret

__all__ = ["Shop"]

STRANGER = "/partner"
"""An endpoint of somebody else, who doesn't know our secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers, after a while between the two `times` (seconds)."""

    status: int
    body: object
    times: tuple[float, float] = (0.02, 0.12)
    fails: float = 0.0
    """The chance that an attempt gets 500 instead."""
    fail_first: int = 0
    """So many attempts of each job get 500."""


BUSY = {"error": "the search cluster is electing a leader", "retry": True}
INVOICE = {
    "invoice": "2026-11-0417",
    "customer": {"id": "c-1042", "name": "Zoë Nováková", "country": "CZ", "vat": "CZ699001237"},
    "lines": [
        {"sku": f"BK-{100 + n}", "text": text, "quantity": n, "net": price, "vat": "21 %"}
        for n, (text, price) in enumerate(
            [("Notebook, dotted", "6.40"), ("Fountain pen", "38.00"), ("Ink, blue-black", "9.90")],
            start=1,
        )
    ],
    "total": {"net": "112.10", "vat": "23.54", "gross": "135.64", "currency": "EUR"},
    "pdf": "https://files.shop.example/invoices/2026-11-0417.pdf",
}

ANSWERS: Mapping[str, Answer] = {
    "/mail": Answer(200, {"sent": True, "provider": "smtp-2"}, fails=0.03),
    "/invoices": Answer(200, INVOICE, (0.2, 0.7)),
    "/thumbnails": Answer(200, {"sizes": [120, 480, 960]}, (0.05, 0.4), fails=0.1),
    "/hooks/acme": Answer(204, None),
    "/hooks/globex": Answer(503, {"error": "down for maintenance"}),
    "/hooks/initech": Answer(410, {"error": "this endpoint was removed"}),
    "/search": Answer(200, {"indexed": 1}, fail_first=1),
    "/payments": Answer(200, {"captured": True}, (0.4, 1.2)),
    "/stock": Answer(500, BUSY, (0.05, 0.3)),
    "/orders": Answer(200, {"exported": True}, fails=0.05),
    "/exports": Answer(200, {"rows": 48_210}, (300, 300)),
    "/ping": Answer(200, {"ok": True}),
}


@dataclass
class Shop:
    """An HTTP server on a free port of this machine; in a `with` it answers."""

    lq: LambdaQueue | None = None
    secrets: list[Secret] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _attempts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"shop": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "") -> str:
        """Where a path of it is."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def prove(
        self, path: str, headers: Mapping[str, str]
    ) -> tuple[int, tuple[tuple[str, str], ...]]:
        """Answer a validation, as whoever knows the secret does."""
        if path == STRANGER:
            return 200, ()
        verdict = Endpoint(self.secrets).prove(headers, time.time(), None)
        return verdict.status, verdict.headers

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, object]:
        """Do what a job asks for; return status and JSON."""
        work = WORKS.get(path)
        if work is not None:
            threading.Thread(target=self._work, args=(work, body), daemon=True).start()
            return 202, None
        answer = ANSWERS[path]
        self.over.wait(random.uniform(*answer.times))
        if self._count(headers.get("webhook-id", "")) <= answer.fail_first:
            return 500, BUSY
        if random.random() < answer.fails:
            return 500, {"error": "upstream closed the connection"}
        return answer.status, answer.body

    def _count(self, job: str) -> int:
        with self._lock:
            count = self._attempts[job] = self._attempts.get(job, 0) + 1
        return count

    def _work(self, work: Work, body: bytes) -> None:
        """Work on an execution, and tell of it until it or the demo is over."""
        assert self.lq is not None
        execution = self.lq.execution(json.loads(body)["callback_url"])
        try:
            work(execution, self.over)
        except ApiError as error:
            print(f"  an execution was over before its work: {error}")
        except LambdaQueueError:
            if not self.over.is_set():
                raise


Work = Callable[[Execution, threading.Event], Any]


def _import_stock(execution: Execution, over: threading.Event) -> None:
    """Go on for as long as the demo, as a long import does."""
    done = 12.0
    while not over.wait(2.0):
        done += (100 - done) * 0.02
        execution.heartbeat(progress=int(done))


def _report(execution: Execution, over: threading.Event) -> None:
    for progress in (25, 60, 90):
        over.wait(0.7)
        execution.heartbeat(progress=progress)
    execution.succeed(summary="1 204 orders, 38 refunds", state={"up_to": "2026-11-20"})


def _statements(execution: Execution, over: threading.Event) -> None:
    execution.heartbeat(progress=40)
    over.wait(1.5)
    execution.fail({"message": "the ledger of October isn't closed", "code": "ledger_open"})


WORKS: Mapping[str, Work] = {
    "/jobs/stock-import": _import_stock,
    "/jobs/sales-report": _report,
    "/jobs/statements": _statements,
}


class _Handler(BaseHTTPRequestHandler):
    shop: Shop
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        status, headers = self.shop.prove(self.path, self._lower())
        self._reply(status, b"", headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, said = self.shop.answer(self.path, self._lower(), body)
        self._reply(status, b"" if said is None else json.dumps(said, indent=1).encode(), ())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the panel is where it's seen."""

    def _lower(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _reply(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        try:
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # The worker that called has ended meanwhile; who waits for an answer calls again.
            self.close_connection = True
