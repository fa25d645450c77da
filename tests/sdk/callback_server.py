"""A small real server that takes callbacks, and answers as it's told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["OVER", "TAKEN", "CallbackServer", "Heard", "refusal"]

Answer = tuple[int, dict[str, str], bytes]

TAKEN: Answer = (200, {"Content-Type": "application/json"}, b'{"status":"success"}')


def refusal(status: int, detail: str = "", **headers: str) -> Answer:
    """Return an answer as LambdaQueue refuses."""
    body = json.dumps({"status": status, "detail": detail, "issues": []}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, body


OVER = refusal(410, "The job execution status is TIMEOUT")


@dataclass(frozen=True)
class Heard:
    """One callback: where, what, and when (monotonic s)."""

    path: str
    headers: dict[str, str]
    said: dict[str, Any]
    at: float
    raw: bytes = field(repr=False)


class CallbackServer:
    """Hears callbacks; `judge` answers each, TAKEN (204 for a heartbeat) when it returns None."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.judge: Callable[[Heard], Answer | None] = lambda heard: None
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])

    def __enter__(self) -> CallbackServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def url(self, token: str = "0mwqjo94r00001_secret-token") -> str:
        """Return a callback URL."""
        return f"{self.origin}/api/v1/callback/{token}"

    def said(self, status: str) -> list[dict[str, Any]]:
        """Return what came with this status."""
        return [each.said for each in list(self.heard) if each.said["status"] == status]

    def hang(self) -> None:
        """Answer nothing until the test is over."""
        self.released.wait(60)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                heard = Heard(self.path, headers, json.loads(raw), time.monotonic(), raw)
                server.heard.append(heard)
                usual = (204, {}, b"") if heard.said["status"] == "processing" else TAKEN
                status, answered, body = server.judge(heard) or usual
                try:
                    self.send_response(status)
                    for name, value in answered.items():
                        self.send_header(name, value)
                    if status != 204:
                        self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # Who asked has gone.

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler
