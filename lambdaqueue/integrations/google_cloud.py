"""Google Cloud Run functions (Cloud Functions), and wherever functions-framework runs.

    from lambdaqueue.integrations.google_cloud import handler, mount      # in main.py

    deliveries = handler(lq)        # deliveries are all that comes here
    main = mount(main, lq)          # other requests go to the function that is there

The name is the function's entry point: `functions-framework --target deliveries`. The path counts
from the function's own URL, which is LQ_BASE_URL. A coroutine function as handler runs in an event
loop of its own.

Source: https://cloud.google.com/functions/docs/writing/write-http-functions
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Request, Response

from lambdaqueue.integrations.flask import request_body, response_of
from lambdaqueue.integrations.routes import Routes, Source, answered

__all__ = ["Function", "handler", "mount"]

Function = Callable[[Request], Any]
"""An HTTP function: called with a Flask request, returns what a Flask view may return."""


def handler(queues: Source, *, prefix: str = "") -> Function:
    """Return an HTTP function that answers the deliveries of `queues`, and 404 elsewhere."""
    routes = Routes(queues, prefix, alone=True)

    def deliveries(request: Request) -> Response:
        return _answer(routes, request)

    return deliveries


def mount(function: Function, queues: Source, *, prefix: str = "") -> Function:
    """Return an HTTP function that answers the deliveries of `queues`; `function` gets the rest."""
    routes = Routes(queues, prefix)

    @functools.wraps(function)
    def either(request: Request) -> Any:
        if routes.find(request.path) is None:
            return function(request)
        return _answer(routes, request)

    return either


def _answer(routes: Routes, request: Request) -> Response:
    reply = answered(
        routes.find(request.path),
        request.method,
        request.headers.items(),
        lambda limit: request_body(request, limit),
    )
    return response_of(reply)
