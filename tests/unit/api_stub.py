"""A stand-in for the server: keeps what it was asked, answers what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.listening import Listening


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class ApiStub(Listening[tuple[int, Any]]):
    """Answers with statuses and JSON or bytes; see `Listening`."""

    asked: list[Asked] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    stub: ApiStub

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query))
        self.stub.asked.append(Asked(self.command, parts.path, query, headers, body))
        status, answer = self.stub.next_answer()
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


ApiStub.handler = _Handler

Serve = Callable[..., ApiStub]
"""Starts one; takes its answers."""
