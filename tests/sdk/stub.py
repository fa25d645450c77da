"""A small real HTTP server: answers what a test tells it to, and breaks off."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.listening import Listening

__all__ = ["Asked", "Stub", "Told", "problem"]


@dataclass(frozen=True)
class Asked:
    """One request as it came; headers by lower-case name, as Latin-1."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]


@dataclass(frozen=True)
class Told:
    """One answer. With `drop` the connection is closed instead; `first` is called before."""

    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    drop: bool = False
    first: Callable[[], object] | None = None

    def bytes(self) -> bytes:
        """Return the body."""
        if self.body is not None:
            return self.body
        return b"" if self.json is None else json.dumps(self.json).encode()


def problem(status: int, code: str, detail: str = "", **more: Any) -> Told:
    """Return an error as the API answers it."""
    head = {"type": code, "title": code, "status": status, "detail": detail, "message": detail}
    return Told(status, {**head, **more}, headers=(("x-request-id", "req1"),))


@dataclass
class Stub(Listening[Told]):
    """Answers with what a test tells it to; see `Listening`."""

    asked: list[Asked] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up, as some tests have them do."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    stub: Stub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(
            self.command, self.path, headers, self.rfile.read(length), self.client_address
        )
        self.stub.asked.append(asked)
        told = self.stub.next_answer()
        if told.first is not None:
            told.first()
        if told.drop:
            self.close_connection = True
            return
        self._answer(told)

    def _answer(self, told: Told) -> None:
        self.send_response(told.status)
        data = told.bytes()
        if told.status != 204:
            self.send_header("Content-Length", str(len(data)))
        for name, value in told.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


Stub.handler = _Handler
Stub.server = _Server
