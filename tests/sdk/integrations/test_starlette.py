"""What is particular to Starlette and FastAPI."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Match, Mount, Route

from lambdaqueue.integrations.starlette import mount
from tests.sdk.integrations.deliveries import Taken, signed
from tests.sdk.integrations.hosts import ask_asgi


@pytest.fixture
def taken() -> Taken:
    """A queue with a handler."""
    taken = Taken()
    taken.add("/welcome")
    return taken


async def page(request: Request) -> PlainTextResponse:
    """A page of its own."""
    return PlainTextResponse(f"page {request.url.path}")


def _starlette() -> Starlette:
    return Starlette(routes=[Route("/own", page), Route("/{path:path}", page)])


def _fastapi() -> FastAPI:
    app, router = FastAPI(), APIRouter()

    @router.get("/own")
    @router.get("/{path:path}")
    async def own(request: Request) -> Any:
        return PlainTextResponse(f"page {request.url.path}")

    app.include_router(router)
    return app


@pytest.mark.parametrize("make", [_starlette, _fastapi])
def test_other_paths_are_the_application_s(taken: Taken, make: Any) -> None:
    app = make()
    assert mount(app, taken) is app
    ask = ask_asgi(app)
    assert ask("GET", "/own").body == b"page /own"
    assert ask("GET", "/some/page").body == b"page /some/page"
    assert ask("POST", "/welcome", signed(), b"{}").status == 200
    assert ask("GET", "/welcome").status == 401


@pytest.mark.parametrize("make", [_starlette, _fastapi])
def test_below_a_prefix(taken: Taken, make: Any) -> None:
    app = mount(make(), taken)
    assert ask_asgi(app, root="/app")("POST", "/welcome", signed(), b"{}").status == 200
    ask = ask_asgi(Starlette(routes=[Mount("/shop", app)]))
    assert ask("POST", "/shop/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/welcome", signed(), b"{}").status == 404


def test_a_sub_application_of_fastapi(taken: Taken) -> None:
    app = FastAPI()
    app.mount("/shop", mount(FastAPI(), taken))
    assert ask_asgi(app)("POST", "/shop/welcome", signed(), b"{}").status == 200


def test_routes_that_come_later_work_too(taken: Taken) -> None:
    app = mount(FastAPI(), taken)

    @app.get("/later")
    async def later() -> str:
        return "later"

    ask = ask_asgi(app)
    assert ask("GET", "/later").body == b'"later"'
    assert ask("POST", "/welcome", signed(), b"{}").status == 200


def test_it_is_not_in_the_openapi_document(taken: Taken) -> None:
    app = mount(_fastapi(), taken)
    assert ask_asgi(app)("GET", "/openapi.json").status == 200
    assert set(app.openapi()["paths"]) == {"/own", "/{path}"}


def test_what_looks_at_all_routes_finds_what_it_looks_for(taken: Taken) -> None:
    app: Any = mount(_starlette(), taken)
    scope = {"type": "http", "method": "POST", "path": "/welcome", "headers": []}
    matching = [route for route in app.routes if route.matches(scope)[0] is Match.FULL]
    assert (matching[0].path, matching[0].name) == ("/{queue:path}", "lambdaqueue")
    assert app.url_path_for("page", path="x") == "/x"


def test_a_websocket_is_never_ours(taken: Taken) -> None:
    route = mount(_starlette(), taken).routes[0]
    assert route.matches({"type": "websocket", "path": "/welcome"})[0] is Match.NONE
