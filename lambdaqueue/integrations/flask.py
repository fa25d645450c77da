"""Flask.

    from lambdaqueue.integrations.flask import mount

    app = Flask(__name__)
    mount(app, lq)

Every handler gets a rule of its own (`flask routes` shows it), in the application's context, with
its `before_request` and `teardown` functions. One that checks logins or CSRF must let deliveries
pass, which are checked by their signature: for Flask-WTF
`csrf.exempt("lambdaqueue.integrations.flask.deliver")`.

A coroutine function as handler runs in an event loop of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from lambdaqueue.integrations.routes import (
    Refused,
    Routes,
    Source,
    answered,
    declared_length,
)
from lambdaqueue.integrations.wsgi import environ_body
from lambdaqueue.sdk.delivery import Reply

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["mount", "request_body", "response_of"]

ENDPOINT = "lambdaqueue"
"""Flask's name for the view of all queues."""


def mount(app: Flask, queues: Source, *, prefix: str = "") -> Flask:
    """Let `app` answer the deliveries of `queues`; return it."""
    routes = Routes(queues, prefix)

    def deliver() -> Response:
        reply = answered(
            routes.find(request.path),
            request.method,
            request.headers.items(),
            lambda limit: request_body(request, limit),
        )
        return response_of(reply)

    name = ENDPOINT
    while name in app.view_functions:
        name += "_"
    app.view_functions[name] = deliver
    # What Flask documents for middleware.
    app.wsgi_app = _Rules(app, routes, name)  # type: ignore[method-assign]
    return app


class _Rules:
    """Adds a rule for each handler, also for those that are declared after `mount`."""

    def __init__(self, app: Flask, routes: Routes, name: str) -> None:
        self._app = app
        self._next = app.wsgi_app
        self._routes = routes
        self._name = name
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._add()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._add()
        return self._next(environ, start_response)

    def _add(self) -> None:
        if self._routes.paths() <= self._known:
            return
        with self._lock:
            for path in sorted(self._routes.paths() - self._known):
                # Any method: `deliver` answers 405 by itself, and OPTIONS is no delivery.
                rule = self._app.url_rule_class(
                    path, endpoint=self._name, methods=None, strict_slashes=False
                )
                self._app.url_map.add(rule)
                self._known.add(path)


def request_body(request: Request, limit: int) -> bytes:
    """Return the body of a Flask request, as `environ_body` does.

    Raises:
        Refused: as `environ_body`, or the application's own limit is lower.
    """
    try:
        length = declared_length(request.environ.get("CONTENT_LENGTH"), limit)
        body = b"" if length is not None else environ_body(request.environ, limit)
        # It may have been read already, by a function that ran before.
        return body or request.get_data()
    except RequestEntityTooLarge:
        raise Refused(Reply.too_large(request.max_content_length or limit)) from None


def response_of(reply: Reply) -> Response:
    """Return `reply` as Flask's."""
    response = Response(reply.body, reply.status, list(reply.headers))
    if reply.header("Content-Type") is None:
        # Else it's text/html.
        response.headers.pop("Content-Type", None)
    return response
