"""Endpoints written from the contract's words, and a record of every byte that reached them."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.workers.by_the_contract import proof, request_proof, signature, signature_v1, url_hash

__all__ = [
    "MARK",
    "NOTHING",
    "RESET",
    "Endpoint",
    "Received",
    "Way",
    "answered",
    "by_javascript_sdk",
    "by_sdk",
    "made_by",
    "plain",
]

MARK = b"payload-"
"""Every payload that is pushed to these endpoints begins with it."""

OF_DELIVERIES = ("webhook-signature", "x-lq-signature", "content-type", "content-digest")
"""What only a delivery has; and of its own headers, all that begin with x-lq- but one."""

NOTHING = b""
RESET = b"\0RST"
"""Close the connection without a word, and with a RST."""


# What came


@dataclass(frozen=True, slots=True)
class Received:
    """One request: its bytes, and what they say. Header names are lower-case."""

    raw: bytes
    url: str
    at: float

    @property
    def method(self) -> str:
        """Its method."""
        return self.raw.partition(b" ")[0].decode()

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers; one that was sent twice counts as an error of the test."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        found = [
            (name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)
        ]
        assert len(dict(found)) == len(found), f"a header came twice: {found}"
        return dict(found)

    @property
    def body(self) -> bytes:
        """Its body."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def asked(self) -> tuple[str, str]:
        """Id and time, as they are signed."""
        return self.headers["webhook-id"], self.headers["webhook-timestamp"]


def made_by(secret: str, delivery: Received) -> bool:
    """Tell whether one of a delivery's signatures, of either kind, was made with `secret`."""
    headers = delivery.headers
    standard = signature(secret, *delivery.asked, delivery.body)
    old = headers.get("x-lq-signature")
    return standard in headers["webhook-signature"].split(" ") or (
        old is not None and old == signature_v1(secret, delivery.body, int(old.split(",")[1][2:]))
    )


# Ways to answer a HEAD


Way = Callable[[Received], bytes]
"""Returns the bytes that answer a HEAD."""


def plain(status: int, *headers: str) -> Way:
    """Answer with a status, and these headers."""
    return lambda _: answered(status, *headers)


def by_sdk(*secrets: str) -> Way:
    """Answer as our SDK does: only a request whose own proof is right, for this very URL."""

    def answer(request: Received) -> bytes:
        message_id, timestamp = request.asked
        fresh = abs(time.time() - int(timestamp)) <= 300
        mine = message_id.rpartition("_")[2] == url_hash(request.url)
        offered = request.headers["x-lq-validation"].split(" ")
        for secret in secrets:
            if request_proof(secret, message_id, timestamp) in offered and fresh and mine:
                return answered(200, f"X-LQ-Validation: {proof(secret, message_id, timestamp)}")
        return answered(401)

    return answer


def by_javascript_sdk(secret: str) -> Way:
    """Answer as the published SDK does: with a v1 signature over the empty body."""

    def answer(_: Received) -> bytes:
        now_ms = int(time.time() * 1_000)
        return answered(200, f"x-lq-signature: {signature_v1(secret, b'', now_ms)}")

    return answer


def answered(status: int, *headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Endpoint(socketserver.ThreadingTCPServer):
    """Answers HEAD by its `way`, which may change, and every delivery with 200.

    `gate`, while it is closed, holds the answers to HEAD back.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, way: Way, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.way = way
        self.requests: list[Received] = []
        self.raw = b""
        self.connections = 0
        self.answers: list[tuple[Received, bytes, float]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.open = True
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/hook") -> str:
        """Return the address of `path` here."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    @property
    def validations(self) -> list[Received]:
        """What came as HEAD."""
        return [request for request in list(self.requests) if request.method == "HEAD"]

    @property
    def deliveries(self) -> list[Received]:
        """Everything else."""
        return [request for request in list(self.requests) if request.method != "HEAD"]

    def reply(self, request: Received) -> bytes:
        """Keep a request and return what to answer."""
        self.requests.append(request)
        if request.method != "HEAD":
            return answered(200, "Content-Type: text/plain", body=b"ok")
        self.gate.wait(60)
        answer = self.way(request)
        self.answers.append((request, answer, time.monotonic()))
        return answer

    def check(self, *environments: Sequence[str]) -> None:
        """Hold all that came against the rule: nothing of a payload, and no signature with one of
        an environment's secrets, before a proof of one of them."""
        for request in list(self.requests):
            if request.method == "HEAD":
                _check_validation(request)
                continue
            for secrets in environments:
                if any(made_by(secret, request) for secret in secrets):
                    assert self._proved(secrets, request.at), request.raw
        if not self.deliveries:
            assert MARK not in self.raw, self.raw

    def _proved(self, secrets: Sequence[str], before: float) -> bool:
        return any(
            _proves(secret, request, answer)
            for request, answer, at in list(self.answers)
            for secret in secrets
            if at < before
        )

    def stop(self) -> None:
        """Stop listening, open the gate, and let go of every connection."""
        if self.open:
            self.open = False
            self.gate.set()
            self.shutdown()
            self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever was killed does not wait for its answer."""


def _proves(secret: str, request: Received, answer: bytes) -> bool:
    headers = Received(answer, "", 0).headers
    sent_at = re.search(r"t=([0-9]+)", headers.get("x-lq-signature", ""))
    return answer[9:10] == b"2" and (
        headers.get("x-lq-validation") == proof(secret, *request.asked)
        or bool(sent_at and headers["x-lq-signature"] == signature_v1(secret, b"", int(sent_at[1])))
    )


def _check_validation(request: Received) -> None:
    names = request.headers.keys()
    assert set(names) <= {
        *("host", "accept", "accept-encoding", "user-agent"),
        *("webhook-id", "webhook-timestamp", "x-lq-validation"),
    }, names
    assert not names & set(OF_DELIVERIES)
    assert request.body == b""
    assert MARK not in request.raw


class _Connection(socketserver.BaseRequestHandler):
    server: Endpoint
    request: socket.socket

    def handle(self) -> None:
        """Serve one connection until one side closes it."""
        self.server.connections += 1
        with contextlib.suppress(OSError):
            received = b""
            while (found := self._read(received)) is not None:
                raw, received = found
                path = raw.split(b" ", 2)[1].decode()
                answer = self.server.reply(Received(raw, self.server.url(path), time.monotonic()))
                if answer == RESET:
                    linger = struct.pack("ii", 1, 0)
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.request.close()
                if answer in (RESET, NOTHING) or not self.server.open:
                    return
                self.request.sendall(answer)

    def _read(self, received: bytes) -> tuple[bytes, bytes] | None:
        """Return one request and what came behind it; None at the end."""
        while b"\r\n\r\n" not in received:
            received = self._more(received)
            if not received:
                return None
        head, _, rest = received.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(rest) < length:
            rest = self._more(rest)
            if not rest:
                return None
        return head + b"\r\n\r\n" + rest[:length], rest[length:]

    def _more(self, received: bytes) -> bytes:
        chunk = self.request.recv(65_536)
        self.server.raw += chunk
        return received + chunk if chunk else b""
