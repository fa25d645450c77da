"""Any ASGI server (uvicorn, hypercorn, daphne) and any ASGI framework (ASGI 3).

    from lambdaqueue.integrations.asgi import handler, mount

    app = handler(lq)          # deliveries are all that comes here
    app = mount(app, lq)       # beside an application that is there

Handlers that are coroutine functions are awaited; functions run in a thread, so that they don't
hold up the event loop. Below a prefix (`root_path`) it works as it is, whether the server leaves
it in the path or not. Where nobody tells of the prefix, say it: `handler(lq, prefix="/app")`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from lambdaqueue.integrations.routes import (
    Refused,
    Routes,
    Source,
    declared_length,
    expected,
    without_prefix,
)
from lambdaqueue.sdk.delivery import Delivery, Reply
from lambdaqueue.sdk.endpoint import Endpoint

__all__ = ["App", "handler", "mount", "respond", "scope_paths"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def handler(queues: Source, *, prefix: str = "") -> App:
    """Return an ASGI application that answers the deliveries of `queues`, and 404 elsewhere."""
    return _Application(Routes(queues, prefix, alone=True), None)


def mount(app: App, queues: Source, *, prefix: str = "") -> App:
    """Return an ASGI application that answers the deliveries of `queues`; `app` gets the rest.

    What isn't HTTP is for `app` too: WebSockets, start and end of the server (lifespan).
    """
    return _Application(Routes(queues, prefix), app)


class _Application:
    def __init__(self, routes: Routes, app: App | None) -> None:
        self._routes = routes
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = scope["type"] == "http"
        endpoint = self._routes.find(*scope_paths(scope)) if http else None
        if endpoint is None and self._app is not None:
            await self._app(scope, receive, send)
        elif http:
            await respond(endpoint, scope, receive, send)
        else:
            await _decline(scope, receive, send)


def scope_paths(scope: Scope) -> list[str]:
    """Return the path below `root_path`, and the whole one: servers differ in which they give."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    below = without_prefix(path, root)
    return [path] if below is None or below == path else [below, path]


async def respond(endpoint: Endpoint | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer an HTTP request with what `endpoint` answers; nothing to a client that has gone."""
    try:
        reply = await _answered(endpoint, scope, receive)
    except _Gone:
        return
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers
    ]
    if reply.status != 204:  # RFC 9110, section 8.6
        headers.append((b"content-length", b"%d" % len(reply.body)))
    body = b"" if scope["method"] == "HEAD" else reply.body
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Gone(Exception):
    """Raised when the client has gone before its request was complete."""


async def _answered(endpoint: Endpoint | None, scope: Scope, receive: Receive) -> Reply:
    method: str = scope["method"]
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    ]
    try:
        taking = expected(endpoint, method)
        body = await _body(headers, receive, taking.max_body)
    except Refused as error:
        return error.reply
    return await taking.answer_async(Delivery.of(method, headers, body))


async def _body(headers: Iterable[tuple[str, str]], receive: Receive, limit: int) -> bytes:
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    declared_length(lengths[0] if lengths else None, limit)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise Refused(Reply.too_large(limit))
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _decline(scope: Scope, receive: Receive, send: Send) -> None:
    """Take part in the server's start and end; close what is neither that nor HTTP."""
    if scope["type"] == "lifespan":
        stage = ""
        while stage != "lifespan.shutdown":
            stage = (await receive())["type"]
            await send({"type": f"{stage}.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
