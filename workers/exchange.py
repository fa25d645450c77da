"""One request and its answer, as libcurl does it: the bounds of contract.md, section 3.

A handle is reused for request after request, so what never differs is set once.
Sources: https://curl.se/libcurl/c/, RFC 9110 (methods, Content-Length), RFC 9112 (messages).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pycurl

from lambdaqueue.addresses import AddressRules
from lambdaqueue.outcome import Answer, ErrorClass
from workers.heads import BadHead, read_head
from workers.routes import CLOSED, Gate, Route
from workers.transfers import Ended

__all__ = ["CONNECT_TIMEOUT", "READ_LIMIT", "Exchange", "Outgoing"]

READ_LIMIT: Final = 64 * 1024
"""Bytes of a body that are read; an endpoint that sends more is cut off, its status counts."""

DEFAULT_KEEP: Final = 4096
"""Bytes of a body that are kept when the queue doesn't ask for more."""

MAX_LINES: Final = 102
"""Lines of a head: 100 headers, the status line and the blank one. Interim answers (1xx) before
it and trailers after it count as well."""

MAX_HEAD: Final = 64 * 1024
"""Bytes of all these lines."""

CONNECT_TIMEOUT: Final = 5000
"""Milliseconds of the deadline that look-up, TCP and TLS handshake may use up (fault F43)."""

PINNED: Final = 1000
"""Seconds for which libcurl knows the addresses it was told: longer than the longest attempt, as
it connects again when a kept connection breaks. Every attempt tells them anew."""

OPTIONS: Final = (
    (pycurl.NOSIGNAL, 1),
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.PATH_AS_IS, 1),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.HTTP09_ALLOWED, 0),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.USERAGENT, ""),  # else pycurl names itself and its libraries
    # Nothing comes from the environment: an empty proxy also overrides http_proxy.
    (pycurl.PROXY, ""),
    (pycurl.NETRC, pycurl.NETRC_IGNORED),
    (pycurl.DNS_CACHE_TIMEOUT, PINNED),
    # Nothing is unpacked, even if the endpoint ignores `identity`.
    (pycurl.HTTP_CONTENT_DECODING, 0),
    (pycurl.SSL_VERIFYPEER, 1),
    (pycurl.SSL_VERIFYHOST, 2),
    (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
)
"""What is the same for every request, set once per handle."""

OURS: Final = ("Accept-Encoding: identity", "Expect:", "Content-Type:")
"""Sent with every request, after its own. A name without a value keeps libcurl from adding its
default (100-continue, a form's type); a Content-Type that the request has goes out all the same."""


UNCHECKED: Final = (ErrorClass.BLOCKED_ADDRESS, "the host's addresses were not checked")
"""libcurl wanted to look the name up by itself."""

FAILURES: Final[Mapping[int, tuple[ErrorClass, str]]] = {
    pycurl.E_ABORTED_BY_CALLBACK: UNCHECKED,
    pycurl.E_COULDNT_CONNECT: (ErrorClass.CONNECT, "no connection: refused or unreachable"),
    pycurl.E_UNSUPPORTED_PROTOCOL: (ErrorClass.BAD_RESPONSE, "the answer is not HTTP/1"),
    pycurl.E_GOT_NOTHING: (ErrorClass.BAD_RESPONSE, "the connection was closed unanswered"),
    pycurl.E_PARTIAL_FILE: (ErrorClass.BAD_RESPONSE, "the body ended before its length"),
    pycurl.E_SEND_ERROR: (ErrorClass.BAD_RESPONSE, "the connection broke while sending"),
    pycurl.E_RECV_ERROR: (ErrorClass.BAD_RESPONSE, "the connection broke while reading"),
    pycurl.E_PEER_FAILED_VERIFICATION: (
        ErrorClass.TLS,
        "the certificate is not valid for the host",
    ),
    pycurl.E_SSL_CONNECT_ERROR: (ErrorClass.TLS, "the TLS handshake failed"),
    pycurl.E_SSL_CACERT_BADFILE: (ErrorClass.TLS, "the CA bundle can't be read"),
    pycurl.E_SSL_ENGINE_INITFAILED: (ErrorClass.TLS, "TLS can't be set up"),
    pycurl.E_SSL_CERTPROBLEM: (ErrorClass.TLS, "TLS can't be set up"),
    pycurl.E_SSL_CIPHER: (ErrorClass.TLS, "no cipher in common"),
    pycurl.E_SSL_ISSUER_ERROR: (ErrorClass.TLS, "the certificate's issuer is not the expected one"),
    pycurl.E_SSL_SHUTDOWN_FAILED: (ErrorClass.TLS, "the TLS session was not closed properly"),
}
"""Error class and text by libcurl's code. The texts are fixed: libcurl's own name hosts."""

NOT_HTTP: Final = (ErrorClass.BAD_RESPONSE, "the answer breaks the rules of HTTP")
HUGE_HEAD: Final = (
    ErrorClass.BAD_RESPONSE,
    f"the head has more than {MAX_LINES} lines or {MAX_HEAD} bytes",
)
NO_CONNECTION: Final = (ErrorClass.CONNECT, "no connection: the URL can't be used")
BLOCKED: Final = (ErrorClass.BLOCKED_ADDRESS, CLOSED)
NO_SESSION: Final = (ErrorClass.TLS, "the endpoint refused the TLS session")

TLS_ALERT: Final = " alert "
"""OpenSSL's word for it. With TLS 1.3 a missing client certificate is told after the handshake,
so libcurl reports a failed read."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, complete: nothing but Host, Accept, Accept-Encoding and Content-Length is
    added to `headers`.

    `timeout` is the total deadline in milliseconds, over look-up, connecting, TLS, head and
    body. `keep` is how many bytes of the answer's body are kept, at most `READ_LIMIT`. HEAD has
    no `body`.
    """

    url: str
    method: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    timeout: int
    keep: int = DEFAULT_KEEP


class Exchange:
    """A reused libcurl handle and what the answer has brought so far.

    `rules` say which addresses it may connect to (`Gate`), `connect_timeout` is milliseconds.
    """

    __slots__ = (
        "_chunks",
        "_connect_timeout",
        "_deadlines",
        "_gate",
        "_head_length",
        "_length",
        "_lines",
        "_shape",
        "_url",
        "curl",
    )

    def __init__(self, rules: AddressRules, connect_timeout: int, ca_bundle: str) -> None:
        self._lines: list[bytes] = []
        self._chunks: list[bytes] = []
        self._head_length = self._length = 0
        self._connect_timeout = connect_timeout
        self._url = ""
        self._deadlines = (0, 0)
        self._shape = ("", False)
        self.curl = pycurl.Curl()
        for option, value in OPTIONS:
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.CAINFO, ca_bundle)
        self._gate = Gate(self.curl, rules)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._receive_head)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._receive)

    def prepare(self, request: Outgoing, route: Route, spent: int = 0) -> None:
        """Set what differs from the request before; `spent` ms of its deadline are over.

        Raises ValueError as `send` says.
        """
        curl = self.curl
        self._gate.admit(route)
        if route.pins:
            curl.setopt(pycurl.RESOLVE, route.pins)
        curl.setopt(pycurl.HTTPHEADER, _header_lines(request))
        shape = (request.method, bool(request.body))
        if shape == ("HEAD", True):
            raise ValueError("HEAD carries no body")  # libcurl would leave it out
        if shape != self._shape:
            self._reshape(*shape)
        if request.body:
            curl.setopt(pycurl.POSTFIELDS, request.body)
        if request.url != self._url:
            curl.setopt(pycurl.URL, request.url)
            self._url = request.url
        # 0 would mean: none.
        deadlines = max(request.timeout - spent, 1), max(self._connect_timeout - spent, 1)
        if deadlines != self._deadlines:
            curl.setopt(pycurl.TIMEOUT_MS, deadlines[0])
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, deadlines[1])
            self._deadlines = deadlines

    def _reshape(self, method: str, has_body: bool) -> None:
        """Make it a request with or without a body, and an answer with or without one."""
        curl = self.curl
        self._shape = ("", False)  # until all of it is set
        curl.setopt(pycurl.HTTPGET, 1)
        if method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        elif not has_body and method in ("POST", "PUT", "PATCH"):
            # RFC 9110, 8.6: for these an empty body is stated, with Content-Length: 0.
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, b"")
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        self._shape = (method, has_body)

    def clear(self) -> None:
        """Forget the answer; the handle may be used again."""
        self._lines.clear()
        self._chunks.clear()
        self._head_length = self._length = 0

    def answer(self, ended: Ended, request: Outgoing, duration: int) -> Answer:
        """Return what came of `request`, now that libcurl is done with it."""
        cut = ended.code == pycurl.E_WRITE_ERROR and self._length >= READ_LIMIT
        if ended.code != pycurl.E_OK and not cut:
            failure, detail = self._failure(ended, request)
            if failure is ErrorClass.TIMEOUT:
                # libcurl sees it some moments later: told so, a timeout of 30 s would count as 30
                # to 60 s in the histogram.
                duration = min(duration, request.timeout)
            return Answer(failure=failure, detail=detail, duration=duration)
        try:
            status, headers = read_head(self._lines)
        except BadHead as bad:
            return Answer(failure=ErrorClass.BAD_RESPONSE, detail=str(bad), duration=duration)
        keep = min(request.keep, READ_LIMIT)
        return Answer(
            status=status,
            headers=headers,
            body=b"".join(self._chunks)[:keep],
            truncated=cut or self._length > keep,
            duration=duration,
        )

    def _receive_head(self, line: bytes) -> int | None:
        """Take a line of the head; 0 tells libcurl to stop."""
        self._lines.append(line)
        self._head_length += len(line)
        return 0 if self._head_is_too_big() else None

    def _head_is_too_big(self) -> bool:
        return self._head_length > MAX_HEAD or len(self._lines) > MAX_LINES

    def _receive(self, chunk: bytes) -> int | None:
        """Take a piece of the body; 0 tells libcurl to stop and to close the connection."""
        self._chunks.append(chunk)
        self._length += len(chunk)
        return 0 if self._length >= READ_LIMIT else None

    def _failure(self, ended: Ended, request: Outgoing) -> tuple[ErrorClass, str]:
        reached = bool(self.curl.getinfo(pycurl.PRIMARY_IP))
        if self._gate.refused and not reached:
            return BLOCKED
        if ended.code == pycurl.E_OPERATION_TIMEDOUT:
            return self._timed_out(reached, request)
        if ended.code == pycurl.E_WRITE_ERROR and self._head_is_too_big():
            return HUGE_HEAD
        if TLS_ALERT in ended.message:
            return NO_SESSION
        failure, detail = FAILURES.get(ended.code, NOT_HTTP)
        if failure is ErrorClass.BAD_RESPONSE and not reached:
            return NO_CONNECTION
        return failure, detail

    def _timed_out(self, reached: bool, request: Outgoing) -> tuple[ErrorClass, str]:
        """Tell the total deadline from the connect part, and what that was waiting for."""
        total = ErrorClass.TIMEOUT, f"no complete answer within {request.timeout} ms"
        limit = f"within {self._connect_timeout} ms"
        if request.timeout <= self._connect_timeout:
            return total
        if not reached:
            return ErrorClass.CONNECT, f"no connection {limit}"
        if self._is_shaking_hands(request.url):
            return ErrorClass.TLS, f"no TLS session {limit}"
        return total

    def _is_shaking_hands(self, url: str) -> bool:
        return (
            url[:6].lower() == "https:"
            and self.curl.getinfo(pycurl.NUM_CONNECTS) > 0  # a kept connection has its session
            and not self.curl.getinfo(pycurl.APPCONNECT_TIME)
        )


def _header_lines(request: Outgoing) -> list[str]:
    """Return the headers as libcurl wants them."""
    # "Name:" would remove the header, "Name;" sends it with an empty value.
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in request.headers]
    text = "".join(lines)
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("a header contains a line break")
    lines.extend(OURS)
    return lines
