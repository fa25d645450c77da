"""The web server's worker: gunicorn on gevent, patient with clients up to a point.

What it adds to gunicorn's own: errors that arise before the application sees a request are JSON
as well and repeat nothing of the request, in the log neither; every request has a deadline, so
that slow senders hold no connection for long; a stopping worker lets idle connections go at once,
and whoever waits for a job to end.
"""

from __future__ import annotations

import errno
import secrets
import socket
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any

import gevent
from flask import Flask
from gunicorn.errors import AppImportError
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import close_graceful
from gunicorn.workers.ggevent import GeventWorker

from api.current import EXTENSION
from lambdaqueue.errors import LambdaQueueError
from lambdaqueue.rendering.problems import problem

__all__ = ["PatientWorker"]

PATIENCE = 20.0
"""Seconds that a request may take to arrive, and more only for what has arrived already:"""

SLOWEST = 16_384
"""bytes a second are fast enough."""

SEND_WITHIN = 30.0
"""Seconds for a client to take one piece of an answer."""

GONE_AFTER = 30_000
"""ms after which a client that confirms nothing has vanished; the kernel's own is 15 minutes."""

UNSENT_PIECES = 2
"""Pieces that wait to be sent as one: head and body of a usual answer."""

LINGER = 2.0
LINGER_BYTES = 16 * 1024 * 1024
"""How long, and how much, a client may go on sending before its connection is cut: a reset
would overtake the answer that tells it why."""

DRAIN_BYTES = 1024 * 1024
"""So much of a body that nobody read is skipped to keep the connection."""

STATUSES: tuple[tuple[type[Exception], int, str | None], ...] = (
    # Nothing here has so long a name: no such object.
    (LimitRequestLine, 404, "There is no such object: the address is too long."),
    (LimitRequestHeaders, 431, None),
    (UnsupportedTransferCoding, 501, None),
    (ExpectationFailed, 417, None),
    (InvalidResponseHeader, 500, None),
    (InvalidResponseHeaderName, 500, None),
    (ParseException, 400, None),
)
"""gunicorn's errors, the first that fits: the status, and what to say beyond the usual."""


class PatientSocket:
    """A client's connection that gives up on slow requests, as if the client had left.

    What is sent is kept until `flush`, so that head and body of an answer go out in one piece.
    """

    def __init__(self, sock: Any, idle: set[PatientSocket], keepalive: float) -> None:
        self._sock = sock
        self._idle = idle
        self._keepalive = keepalive
        self._deadline: float | None = None
        self._unsent: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        """Return what has come, b"" when the client left or has used up its time."""
        if self._deadline is None:
            return self._begin(size)
        remaining = self._deadline - time.monotonic()
        data = self._recv(size, remaining) if remaining > 0 else b""
        self._deadline += len(data) / SLOWEST
        return data

    def sendall(self, data: bytes) -> None:
        """Take (a piece of) an answer; the next to come is another request."""
        self._deadline = None
        self._unsent.append(data)
        if len(self._unsent) > UNSENT_PIECES:
            self.flush()

    def flush(self) -> None:
        """Send what was taken."""
        if not self._unsent:
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._sock.settimeout(SEND_WITHIN)
        try:
            self._sock.sendall(data)
        except TimeoutError as error:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from error

    def has_left(self, within: float) -> bool:
        """Wait up to `within` seconds for the client to leave; tells whether it has."""
        self._sock.settimeout(within)
        try:
            piece = self._sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        except OSError:  # reset, or let go by `leave`
            return True
        if piece:  # it sends its next request already, which stays where it is
            time.sleep(within)
        return not piece

    def leave(self) -> None:
        """Let no further request come."""
        try:
            self._sock.shutdown(0)
        except OSError:  # it has left by itself
            return

    def close(self) -> None:
        """Close, but let the client see the answer first."""
        close_graceful(self._sock, timeout=LINGER, max_drain=LINGER_BYTES)

    def _begin(self, size: int) -> bytes:
        self._idle.add(self)
        try:
            data = self._recv(size, self._keepalive)
        finally:
            self._idle.discard(self)
        self._deadline = time.monotonic() + PATIENCE
        return data

    def _recv(self, size: int, timeout: float) -> bytes:
        self._sock.settimeout(timeout)
        try:
            return bytes(self._sock.recv(size))
        except OSError as error:
            # gevent tells a greenlet with EBADF that `leave` has ended its wait.
            if isinstance(error, TimeoutError) or error.errno == errno.EBADF:
                return b""
            raise


class PatientWorker(GeventWorker):  # type: ignore[misc]
    """A gevent worker with JSON errors and deadlines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: set[PatientSocket] = set()

    def load_wsgi(self) -> None:
        try:
            super().load_wsgi()
        except LambdaQueueError as error:
            # gunicorn then prints the sentence alone, and the whole server ends.
            raise AppImportError(str(error)) from error

    def timeout_ctx(self) -> AbstractContextManager[None]:
        # PatientSocket watches the time, and tells waiting from sending.
        return nullcontext()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        _bound(client)
        super().handle(listener, PatientSocket(client, self._idle, self.cfg.keepalive), addr)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.flush()
        # One that is idle from now on would be waited for when the worker stops.
        if not self.alive or not _drained(req.body):
            raise StopIteration

    def handle_exit(self, sig: Any, frame: Any) -> None:
        super().handle_exit(sig, frame)
        gevent.spawn(self._let_go)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        status, detail = _meaning(exc)
        mark = secrets.token_hex(8)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("request %s failed", mark, exc_info=exc)
        else:
            self.log.info("request %s is malformed: %s", mark, type(exc).__name__)
        try:
            client.sendall(_answer(status, detail, mark))
            client.flush()
        except OSError as error:
            self.log.debug("the client of request %s has left: %s", mark, error)

    def _let_go(self) -> None:
        app = getattr(self, "wsgi", None)  # it may be told to stop while it starts
        if isinstance(app, Flask):
            app.extensions[EXTENSION].waiters.close()
        for sock in list(self._idle):
            sock.leave()


def _bound(client: socket.socket) -> None:
    """Let the kernel give a client up that has vanished without a word."""
    if sys.platform == "linux" and client.family in (socket.AF_INET, socket.AF_INET6):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER)


def _drained(body: Any) -> bool:
    """Skip what the application left of a body; False if that can't be done in reason."""
    skipped = 0
    while skipped <= DRAIN_BYTES and not body.failed:
        try:
            chunk = body.read(65_536)
        except (OSError, ParseException):  # broken off or framed wrongly
            return False
        if not chunk:
            return not body.failed
        skipped += len(chunk)
    return False


def _meaning(exc: BaseException) -> tuple[int, str | None]:
    for kind, status, detail in STATUSES:
        if isinstance(exc, kind):
            return status, detail
    return 500, None


def _answer(status: int, detail: str | None, mark: str) -> bytes:
    body = problem(status, detail=detail)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"x-request-id: {mark}\r\n\r\n"
    )
    return head.encode() + body
