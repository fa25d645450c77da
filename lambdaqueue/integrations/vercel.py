"""Vercel's Python runtime, for files in `api/`.

    from lambdaqueue.integrations import vercel      # in api/welcome.py

    lq = LambdaQueue()
    welcome = lq.queue("/api/welcome")     # Vercel serves api/welcome.py at /api/welcome

    app = vercel.handler(lq)

Vercel looks for the names `app` and `handler` in such a file, so import the module, not `handler`
from it: that one would be taken for a BaseHTTPRequestHandler.

This `app` is an ASGI application. It gets the path as it was asked for, also below a rewrite. With
one file for several queues, vercel.json has to bring them there:
`{"rewrites": [{"source": "/queues/(.*)", "destination": "/api/queues"}]}`, and a queue is
`lq.queue("/queues/welcome")`.

A project that has Flask, Django or FastAPI among its requirements is that one application for
Vercel, and files in `api/` are nothing to it: use the framework's module there.

LQ_BASE_URL needs no value there: the SDK takes the deployment's URL from Vercel's variables, and
with Protection Bypass for Automation it lets LambdaQueue through. Set LQ_TOKEN, LQ_SECRET and
LQ_API_URL in the project's settings.

Handlers that are coroutine functions are awaited; functions run in a thread.

Source: https://vercel.com/docs/functions/runtimes/python/api-directory
"""

from __future__ import annotations

from lambdaqueue.integrations.asgi import App
from lambdaqueue.integrations.asgi import handler as asgi_handler
from lambdaqueue.integrations.routes import Source

__all__ = ["handler"]


def handler(queues: Source, *, prefix: str = "") -> App:
    """Return the `app` of a file in `api/`: it answers deliveries of `queues`, else 404."""
    return asgi_handler(queues, prefix=prefix)
