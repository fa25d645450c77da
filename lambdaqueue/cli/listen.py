"""`lambdaqueue listen`: a sample endpoint that answers validation, verifies and prints deliveries.

What it decides is in `endpoint`; here it is listened, read, printed and answered. What it does as
a service is in `sample_service`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Any

from lambdaqueue import __version__
from lambdaqueue.cli.credentials import Credentials
from lambdaqueue.cli.delivery_line import Delivery, time_of_day
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.endpoint import Endpoint, Verdict
from lambdaqueue.cli.invocation import Invocation
from lambdaqueue.cli.sample_service import SampleService, declare, sample_service
from lambdaqueue.cli.terminal import printable
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.signing import Secret

__all__ = ["Listener", "configure", "run"]

BASE_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")

HTTP_PORT = 80
"""The port that a URL needn't name."""

LARGEST_BODY = 64 * 1024 * 1024
"""The largest payload that an operator may allow, in bytes."""

EPILOG = """\
examples:
  lambdaqueue listen                          answers 200 at once
  lambdaqueue listen --fail-first 2           the first two attempts of each delivery get 500
  lambdaqueue listen --status 503 --delay 2s  answers 503 after two seconds
  lambdaqueue listen --v1                     as an endpoint with the JavaScript SDK would
  lambdaqueue listen --status 500             fails always: see what is tried again, and when
  lambdaqueue listen --service                works for 10 s on what asks for callbacks, calls back
  lambdaqueue listen --service --silent       begins, then says nothing: see what is missed

As a service it answers 202 to executions of service jobs and to async items, sends heartbeats, then
success or, by chance, fail. It calls back to LQ_API_URL only (http://127.0.0.1:8080 by default).

The secret is --secret, else LQ_SECRET, else the one in ./.lambdaqueue/credentials. Where one is
known, deliveries with a wrong signature or without one get 401 (or --status, if that is a failure
as well). Without one no target is validated, so nothing is delivered unless the queue skips
validation: then its own secret signs. So it is with direct messages where the operator allows it;
`lambdaqueue secret show --queue messages` shows that secret once there was a message.

It answers validation for its own URLs only: those of the loopback address that it listens on, and
LQ_BASE_URL (like https://example.com, or with a prefix of the path that the proxy before it takes
away). On other addresses, and without LQ_BASE_URL, it can't know them and answers for any.
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
    add("--v1", action="store_true", help="prove and verify by x-lq-signature alone")
    declare(parser)


def run(args: argparse.Namespace) -> int:
    """Listen until Ctrl-C."""
    secrets, source = _secrets(args.secret, os.environ)
    endpoint = Endpoint(secrets, args.status, args.delay / 1_000, args.fail_first, args.v1)
    base_url = _base_url(os.environ.get("LQ_BASE_URL", ""))
    service = sample_service(args, os.environ, _say)
    try:
        listener = Listener((args.host, args.port), endpoint, base_url, service)
    except OSError as error:
        raise ConfigurationError(
            f"can't listen on {args.host}:{args.port}: {error.strerror}. "
            "Choose another port with --port"
        ) from error
    with listener:
        more = f"; calls back to {service.api}" if service else ""
        print(f"Listening on {listener.url} ({source}{more}). Stop with Ctrl-C.", flush=True)
        try:
            listener.serve_forever()
        except KeyboardInterrupt:
            print("", flush=True)
    return 0


class Listener(ThreadingHTTPServer):
    """An HTTP server with one endpoint at every path."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        endpoint: Endpoint,
        base_url: str = "",
        service: SampleService | None = None,
    ) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.endpoint = endpoint
        self.base_url = base_url
        self.service = service
        self.closing = threading.Event()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"{self._origin}/"

    @property
    def _origin(self) -> str:
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def spellings(self, path: str) -> list[str] | None:
        """Return the URLs that `path` has here; None when nothing is known of them."""
        origins = [self.base_url] if self.base_url else []
        if ip_address(str(self.server_address[0])).is_loopback:
            port = self.server_address[1]
            origins += [self._origin, f"http://localhost:{port}"]
            if port == HTTP_PORT:
                origins += [origin.removesuffix(f":{port}") for origin in origins[-2:]]
        if not origins:
            return None
        # A URL without a path asks for "/" as well.
        paths = [path, path[1:]] if path.partition("?")[0] == "/" else [path]
        return [origin + path for origin in origins for path in paths]

    def server_close(self) -> None:
        """Close the socket, let those go who still wait to answer, and stop all work."""
        self.closing.set()
        if self.service is not None:
            self.service.close()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line that a client left; anything else is a fault of ours."""
        error = sys.exception()
        if isinstance(error, OSError):
            _say(f"connection lost: {printable(str(error))}")
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
        headers, path = self._headers(), self._path()
        endpoint, service = self.server.endpoint, self.server.service
        asked: Invocation | None = None
        asked_to_prove = endpoint.asked_to_prove(self.command, headers)
        if asked_to_prove:
            verdict = endpoint.prove(headers, received, self.server.spellings(path))
        else:
            verdict = endpoint.judge(headers, body, received)
            if service is not None:
                verdict, asked = service.judge(verdict, headers, body)
        _print(Delivery(self.command, path, headers, body, received).line(verdict))
        if endpoint.delay and not asked_to_prove:
            self.server.closing.wait(endpoint.delay)
        self._answer(verdict)
        if service is not None and asked is not None:
            self.wfile.flush()  # The answer goes first: only then has it begun.
            service.begin(asked)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_POST

    def _headers(self) -> dict[str, str]:
        """Return the headers, names in lower case; one that was sent twice is joined by ", "."""
        names = dict.fromkeys(name.lower() for name in self.headers)
        return {name: ", ".join(self.headers.get_all(name, [])) for name in names}

    def _path(self) -> str:
        """Return path and query as they were sent: `self.path` has only one slash in front."""
        return self.requestline.split()[1]

    def _body(self) -> bytes | None:
        """Return the body; None when it can't be read and that was answered."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            self._answer(Verdict(411, "a Content-Length is needed"))
        elif int(length) > LARGEST_BODY:
            self.close_connection = True
            self._answer(Verdict(413, "too large"))
        else:
            return self.rfile.read(int(length))
        return None

    def _answer(self, verdict: Verdict) -> None:
        text = f"{verdict.words}\n".encode()
        self.send_response(verdict.status)
        for name, value in verdict.headers:
            self.send_header(name, value)
        if _has_body(verdict.status):
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if _has_body(verdict.status) and self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: `do_POST` prints its own line."""


def _say(words: str) -> None:
    _print(f"{time_of_day(time.time())}  {words}")


def _print(line: str) -> None:
    """Print in one piece: there are threads that print, too."""
    print(f"{line}\n", end="", flush=True)


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


def _base_url(text: str) -> str:
    """Check LQ_BASE_URL; return it without a slash at its end."""
    if text and BASE_URL.fullmatch(text) is None:
        raise ConfigurationError("LQ_BASE_URL is an http(s) URL without query and fragment")
    return text.rstrip("/")


def _status(text: str) -> int:
    if not text.isdecimal() or not 200 <= int(text) <= 599:
        raise argparse.ArgumentTypeError("must be a status from 200 to 599")
    return int(text)
