"""`lambdaqueue listen`: a sample endpoint that verifies signatures and prints deliveries."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any
from urllib.parse import unquote

from lambdaqueue import __version__
from lambdaqueue.cli.credentials import Credentials
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.terminal import printable
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.instants import parse_instant
from lambdaqueue.signing import InvalidSignature, Secret, verify

__all__ = ["Endpoint", "Listener", "configure", "run"]

BODY_SHOWN = 200
"""Characters of a body that are printed."""

LARGEST_BODY = 64 * 1024 * 1024
"""The largest payload that an operator may allow, in bytes."""

REMEMBERED = 10_000
"""Deliveries whose attempts are counted for --fail-first."""

EPILOG = """\
examples:
  lambdaqueue listen                          answers 200 at once
  lambdaqueue listen --fail-first 2           the first two attempts of each delivery get 500
  lambdaqueue listen --status 503 --delay 2s  answers 503 after two seconds

The secret is --secret, else LQ_SECRET, else the one in ./.lambdaqueue/credentials. Where one is
known, deliveries with a wrong signature or without one get 401.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=int, default=9000, help="port to listen on, 0: any (default: 9000)")
    add("--status", type=_status, default=200, help="what to answer (default: 200)")
    add("--delay", type=duration, default=0, metavar="TIME", help="before answering: 500ms, 10s")
    add("--fail-first", type=int, default=0, metavar="N", help="attempts of each that get 500")
    add("--secret", action="append", metavar="whsec_…", help="twice while one is being rotated")


def run(args: argparse.Namespace) -> int:
    """Listen until Ctrl-C."""
    secrets, source = _secrets(args.secret, os.environ)
    endpoint = Endpoint(secrets, args.status, args.delay / 1_000, args.fail_first)
    try:
        listener = Listener((args.host, args.port), endpoint)
    except OSError as error:
        raise ConfigurationError(
            f"can't listen on {args.host}:{args.port}: {error.strerror}. "
            "Choose another port with --port"
        ) from error
    with listener:
        print(f"Listening on {listener.url} ({source}). Stop with Ctrl-C.", flush=True)
        try:
            listener.serve_forever()
        except KeyboardInterrupt:
            print("", flush=True)
    return 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer, and why, in a few words for the line that is printed."""

    status: int
    words: str


@dataclass(slots=True)
class Endpoint:
    """Decides what a delivery gets. `delay` is seconds."""

    secrets: list[Secret]
    status: int = 200
    delay: float = 0.0
    fail_first: int = 0
    _attempts: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        """Verify the delivery, received at `now` (Unix s), and choose its answer."""
        words = "unverified (no secret known)"
        if self.secrets:
            try:
                verify(self.secrets, headers, body, now)
            except InvalidSignature as error:
                unsigned = "webhook-signature" not in headers
                return Verdict(401, "UNSIGNED" if unsigned else f"WRONG SIGNATURE ({error})")
            words = "verified"
        if self._count(headers.get("webhook-id", "")) <= self.fail_first:
            return Verdict(500, f"{words}, failed on purpose")
        return Verdict(self.status, words)

    def _count(self, message_id: str) -> int:
        with self._lock:
            count = self._attempts.pop(message_id, 0) + 1
            self._attempts[message_id] = count
            if len(self._attempts) > REMEMBERED:
                self._attempts.popitem(last=False)
        return count


class Listener(ThreadingHTTPServer):
    """An HTTP server with one endpoint at every path."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], endpoint: Endpoint) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.endpoint = endpoint
        self.closing = threading.Event()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """Where it is reached."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}/" if ":" in str(host) else f"http://{host!s}:{port}/"

    def server_close(self) -> None:
        """Close the socket and let those go who still wait to answer."""
        self.closing.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line that a client left; anything else is a fault of ours."""
        error = sys.exception()
        if isinstance(error, OSError):
            print(f"{_clock()}  connection lost: {printable(str(error))}", flush=True)
        else:
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads a delivery, prints one line about it, answers."""

    protocol_version = "HTTP/1.1"
    server_version = f"LambdaQueue-listen/{__version__}"
    disable_nagle_algorithm = True
    wbufsize = 65_536  # The answer leaves in one packet.
    server: Listener

    def do_POST(self) -> None:
        received = time.time()
        body = self._body()
        if body is None:
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        endpoint = self.server.endpoint
        verdict = endpoint.judge(headers, body, received)
        print(_line(self.command, self.path, headers, body, received, verdict), flush=True)
        if endpoint.delay:
            self.server.closing.wait(endpoint.delay)
        self._answer(verdict.status, verdict.words)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

    def _body(self) -> bytes | None:
        """Return the body; None when it can't be read and that was answered."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            self._answer(411, "a Content-Length is needed")
        elif int(length) > LARGEST_BODY:
            self.close_connection = True
            self._answer(413, "too large")
        else:
            return self.rfile.read(int(length))
        return None

    def _answer(self, status: int, words: str) -> None:
        text = f"{words}\n".encode() if _has_body(status) else b""
        self.send_response(status)
        if _has_body(status):
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: `do_POST` prints its own line."""


def _line(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    received: float,
    verdict: Verdict,
) -> str:
    """One line about a delivery, in which nothing from outside is more than text."""
    parts = [f"{method} {path}"]
    if "x-lq-queue" in headers:
        parts.append(f"queue={headers['x-lq-queue']}")
    if "x-lq-key" in headers:
        parts.append(f"key={unquote(headers['x-lq-key'])}")
    if "x-lq-attempt" in headers:
        most = headers.get("x-lq-max-attempts", "?")
        parts.append(f"attempt {headers['x-lq-attempt']}/{most}")
    parts.append(verdict.words)
    parts.append(_lateness(headers.get("x-lq-scheduled-for"), received))
    parts.append(f"-> {verdict.status}")
    parts.append(body.decode("utf-8", "backslashreplace"))
    shown = [printable(part, BODY_SHOWN) for part in parts if part]
    return "  ".join([_clock(received), *shown])


def _lateness(scheduled_for: str | None, received: float) -> str:
    if scheduled_for is None:
        return ""
    try:
        due = parse_instant(scheduled_for)
    except ValueError:
        return "x-lq-scheduled-for is no instant"
    return f"{round(received * 1_000) - due:+d} ms"


def _clock(at: float | None = None) -> str:
    """The time of day here, with milliseconds."""
    return datetime.fromtimestamp(at or time.time()).isoformat(timespec="milliseconds")[11:]


def _has_body(status: int) -> bool:
    return status >= 200 and status not in (204, 304)


def _secrets(given: list[str] | None, env: Mapping[str, str]) -> tuple[list[Secret], str]:
    """Return the secrets and a few words about where they come from."""
    if given:
        return [Secret.parse(text) for text in given], "verifying with --secret"
    if env.get("LQ_SECRET"):
        return [Secret.parse(env["LQ_SECRET"])], "verifying with LQ_SECRET"
    kept = Credentials.find()
    if kept is not None:
        return [Secret.parse(kept.secret)], "verifying with ./.lambdaqueue/credentials"
    return [], "no secret known: nothing is verified; give one with --secret"


def _status(text: str) -> int:
    if not text.isdecimal() or not 200 <= int(text) <= 599:
        raise argparse.ArgumentTypeError("must be a status from 200 to 599")
    return int(text)
