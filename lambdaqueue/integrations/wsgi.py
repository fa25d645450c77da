"""Any WSGI server (gunicorn, uWSGI, mod_wsgi, Waitress) and any WSGI framework (PEP 3333).

    from lambdaqueue.integrations.wsgi import handler, mount

    application = handler(lq)               # deliveries are all that comes here
    application = mount(application, lq)    # beside an application that is there

Below a prefix (SCRIPT_NAME) it works as it is. Where the server doesn't take the prefix off the
path, say it: `handler(lq, prefix="/app")`. A coroutine function as handler runs in an event loop
of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from lambdaqueue.integrations.routes import (
    Refused,
    Routes,
    Source,
    answered,
    declared_length,
)
from lambdaqueue.sdk.delivery import Reply

if TYPE_CHECKING:
    from wsgiref.types import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["environ_body", "environ_headers", "handler", "mount"]

CHUNK = 65_536
"""Bytes that are asked for at once, where the length isn't known."""

TWICE = ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH")

PHRASES = {status.value: status.phrase for status in HTTPStatus}


def handler(queues: Source, *, prefix: str = "") -> WSGIApplication:
    """Return a WSGI application that answers the deliveries of `queues`, and 404 elsewhere."""
    return _Application(Routes(queues, prefix, alone=True), None)


def mount(app: WSGIApplication, queues: Source, *, prefix: str = "") -> WSGIApplication:
    """Return a WSGI application that answers the deliveries of `queues`; `app` gets the rest."""
    return _Application(Routes(queues, prefix), app)


class _Application:
    def __init__(self, routes: Routes, app: WSGIApplication | None) -> None:
        self._routes = routes
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # PEP 3333: the path's bytes, decoded as Latin-1.
        path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
        endpoint = self._routes.find(path)
        if endpoint is None and self._app is not None:
            return self._app(environ, start_response)
        method = environ["REQUEST_METHOD"]
        reply = answered(
            endpoint,
            method,
            environ_headers(environ),
            lambda limit: environ_body(environ, limit),
        )
        start_response(f"{reply.status} {PHRASES.get(reply.status, 'Unknown')}", _headers(reply))
        # PEP 3333 leaves it to the application that HEAD has no body; not every server helps.
        return [] if method == "HEAD" else [reply.body]


def environ_headers(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    """Return a request's headers, by lower-case name."""
    for name, value in environ.items():
        # Some hosts (Vercel's) give these two as HTTP_… as well; joined they'd be wrong.
        if name.startswith("HTTP_") and name not in TWICE:
            yield name[5:].replace("_", "-").lower(), value
    if environ.get("CONTENT_TYPE"):
        yield "content-type", environ["CONTENT_TYPE"]


def environ_body(environ: WSGIEnvironment, limit: int) -> bytes:
    """Return a request's body; one byte more than `limit`, which an endpoint refuses, at the most.

    Raises:
        Refused: its length is over the limit or no number, or the server can't tell its end.
    """
    length = declared_length(environ.get("CONTENT_LENGTH"), limit)
    stream = environ["wsgi.input"]
    if length is not None:
        return _read(stream, length)
    if environ.get("wsgi.input_terminated"):
        # A chunked body, which the server ends for us.
        return _read(stream, limit + 1)
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise Refused(Reply.error(411, "this server needs a Content-Length"))
    return b""


def _read(stream: InputStream, size: int) -> bytes:
    """Read `size` bytes, or all that come: a read may return fewer than it was asked for."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(min(size, CHUNK))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _headers(reply: Reply) -> list[tuple[str, str]]:
    # RFC 9110, section 8.6: none with 204.
    length = [] if reply.status == 204 else [("Content-Length", str(len(reply.body)))]
    return [*reply.headers, *length]
