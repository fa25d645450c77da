"""Starlette, and FastAPI, which is made of it.

    from lambdaqueue.integrations.starlette import mount

    app = FastAPI()            # or Starlette()
    mount(app, lq)

Handlers that are coroutine functions are awaited; functions run in a thread, so that they don't
hold up the event loop. The route goes before all others, so that none that takes every path hides
it; it takes the paths of handlers alone. It isn't in FastAPI's OpenAPI document. Below a prefix
(`root_path`, `Mount`) it works as it is.
"""

from __future__ import annotations

from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from lambdaqueue.integrations.asgi import respond, scope_paths
from lambdaqueue.integrations.routes import Routes, Source

__all__ = ["mount"]


Application = TypeVar("Application", bound=Starlette)


def mount(app: Application, queues: Source, *, prefix: str = "") -> Application:
    """Let `app` answer the deliveries of `queues`; return it."""
    app.router.routes.insert(0, _Deliveries(Routes(queues, prefix)))
    return app


class _Deliveries(BaseRoute):
    # Not read here: what counts requests by route asks every route for them.
    path = "/{queue:path}"
    name = "lambdaqueue"
    include_in_schema = False

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        endpoint = self._routes.find(*scope_paths(scope)) if scope["type"] == "http" else None
        return (Match.NONE, {}) if endpoint is None else (Match.FULL, {})

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(self._routes.find(*scope_paths(scope)), scope, receive, send)
