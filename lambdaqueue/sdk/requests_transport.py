"""The default transport: requests, with a session for each thread.

A module of its own, because importing requests takes longer than all the rest of the SDK, and who
only answers deliveries never needs it.
"""

from __future__ import annotations

import os
import re
import threading
import time
import weakref
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests

from lambdaqueue.sdk.errors import Unreachable
from lambdaqueue.sdk.transport import Request, Response

__all__ = ["MAX_ANSWER", "RequestsTransport"]

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that are read; a page of the API has 4 MiB, and rarely a little more."""

PIECE = 65_536

LOOPBACK = ("127.0.0.1", "::1", "localhost")

HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|\A[ \t]|[ \t]\Z")
"""In a header's value: control characters, and space at its ends, which HTTP would drop."""

RequestException = requests.exceptions.RequestException


class _Slot(threading.local):
    """A thread's own session, and the process that made it."""

    session: requests.Session | None = None
    process: int = 0


class RequestsTransport:
    """Sends by requests: connections are kept, redirects not followed, cookies not taken.

    Proxies and certificates are those of the environment (HTTPS_PROXY, REQUESTS_CA_BUNDLE, …),
    but never a proxy to this machine itself, and no credentials of a .netrc. An answer may have
    `max_answer` bytes.
    """

    def __init__(self, max_answer: int = MAX_ANSWER) -> None:
        self._max_answer = max_answer
        self._slot = _Slot()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Send it once; see `Transport`.

        The timeout holds for connecting, and then for each wait: requests has none for all of an
        answer. So that is looked at between two pieces of it.
        """
        deadline = time.monotonic() + request.timeout
        session = self._session()
        session.trust_env = urlsplit(request.url).hostname not in LOOPBACK
        try:
            with session.request(
                request.method,
                request.url,
                headers=_encoded(request.headers),
                data=request.body,
                auth=_as_it_is,
                timeout=request.timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = b"".join(self._pieces(answer, deadline))
                names = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status_code, names, body)
        except RequestException as error:
            # Not `from error`: its text has the URL, and that of a callback is a secret.
            if isinstance(error, ValueError):
                raise ValueError(f"no request can be sent there: {type(error).__name__}") from None
            raise Unreachable(_explain(request, error)) from None

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            sessions = list(self._sessions)
            self._sessions.clear()
        for session in sessions:
            session.close()

    def _session(self) -> requests.Session:
        slot = self._slot
        # After a fork two processes would read from the same connection.
        if slot.session is None or slot.process != os.getpid():
            slot.session, slot.process = requests.Session(), os.getpid()
            slot.session.headers.clear()
            slot.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            with self._lock:
                self._sessions.add(slot.session)
        return slot.session

    def _pieces(self, answer: requests.Response, deadline: float) -> Iterator[bytes]:
        size = 0
        for piece in answer.iter_content(PIECE):
            size += len(piece)
            if size > self._max_answer:
                raise RequestException(f"the answer has over {self._max_answer} bytes")
            if time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout
            yield piece


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in for authentication, so that no .netrc replaces the token."""
    return request


def _encoded(headers: tuple[tuple[str, str], ...]) -> dict[str, bytes]:
    encoded = {"Accept-Encoding": b"identity", "Accept": b"application/json"}
    for name, value in headers:
        if HEADER_NAME.fullmatch(name) is None or UNSENDABLE.search(value):
            # Without the value: it may be the token.
            raise ValueError(
                f"{name}: a header can carry neither control characters nor space at its ends"
            )
        encoded[name] = value.encode()
    return encoded


def _explain(request: Request, error: RequestException) -> str:
    parts = urlsplit(request.url)
    where = f"{parts.scheme}://{parts.netloc}"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection to {where} within {request.timeout:g} s"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no complete answer from {where} within {request.timeout:g} s"
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.SSLError):
        return f"nothing answers at {where}: {_reason(error)}"
    if type(error) is RequestException:
        return f"the answer of {where} can't be used: {error}"
    return f"the answer of {where} can't be used: {type(error).__name__}"


def _reason(error: BaseException) -> str:
    """Return the operating system's word for it, which is at the bottom of the chain."""
    reason = type(error).__name__
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            reason = seen.strerror
        seen = seen.__cause__ or seen.__context__
    return reason
