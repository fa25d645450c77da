"""What is particular to ASGI: scopes, messages, the event loop, the application beside."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from lambdaqueue.integrations.asgi import handler, mount
from lambdaqueue.integrations.vercel import handler as vercel_handler
from lambdaqueue.sdk.delivery import Job
from tests.sdk.integrations.deliveries import Taken, signed
from tests.sdk.integrations.hosts import ask_asgi
from tests.sdk.integrations.vercel_host import is_asgi


@pytest.fixture
def taken() -> Taken:
    """A queue with a handler."""
    taken = Taken()
    taken.add("/welcome")
    return taken


async def beside(scope: Any, receive: Any, send: Any) -> None:
    """An application of its own, which says what it was called for."""
    if scope["type"] != "http":
        await send({"type": f"{scope['type']}.seen"})
        return
    message = await receive()
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode() + message["body"]})


def _scope(path: str = "/welcome", **more: Any) -> dict[str, Any]:
    headers = [(name.lower().encode(), value.encode()) for name, value in signed()]
    return {"type": "http", "method": "POST", "path": path, "headers": headers, **more}


def _run(app: Any, scope: Any, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Call an application with what it will receive; return what it sent."""
    waiting, sent = list(messages), []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def test_what_is_not_ours_goes_to_the_application(taken: Taken) -> None:
    app = mount(beside, taken)
    ask = ask_asgi(app)
    answer = ask("POST", "/else", [], b"own")
    assert (answer.status, answer.body) == (418, b"/elseown")
    assert ask("POST", "/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/welcome", [], b"{}").status == 401
    for kind in ("lifespan", "websocket"):
        assert _run(app, {"type": kind, "path": "/welcome"}) == [{"type": f"{kind}.seen"}]


def test_without_one_it_takes_part_in_start_and_end(taken: Taken) -> None:
    sent = _run(
        handler(taken),
        {"type": "lifespan"},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    )
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_without_one_it_takes_no_websocket(taken: Taken) -> None:
    scope = {"type": "websocket", "path": "/welcome"}
    sent = _run(handler(taken), scope, {"type": "websocket.connect"})
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/app/welcome", "/app"),
        ("/app/welcome/", "/app/"),
        ("/welcome", "/app"),
        ("/welcome", ""),
        ("/welcome", None),
    ],
)
def test_below_a_prefix(taken: Taken, path: str, root: str | None) -> None:
    scope = _scope(path) if root is None else _scope(path, root_path=root)
    sent = _run(handler(taken), scope, {"type": "http.request", "body": b"{}"})
    assert sent[0]["status"] == 200
    ask = ask_asgi(handler(taken, prefix="/app"))
    assert ask("POST", "/app/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/welcome", signed(), b"{}").status == 404


def test_a_body_in_parts(taken: Taken) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": b"}"},
    ]
    assert _run(handler(taken), _scope(), *parts)[0]["status"] == 200
    assert taken.payloads == [{}]


def test_no_more_is_read_than_the_limit(taken: Taken) -> None:
    part = {"type": "http.request", "body": b"x" * 600, "more_body": True}
    # A third one isn't there to be read.
    assert _run(handler(taken), _scope(), part, part)[0]["status"] == 413


@pytest.mark.parametrize(("length", "status"), [(b"1001", 413), (b"1e3", 400)])
def test_nothing_is_read_of_a_wrong_length(taken: Taken, length: bytes, status: int) -> None:
    scope = _scope()
    scope["headers"].append((b"content-length", length))
    assert _run(handler(taken), scope)[0]["status"] == status


def test_a_client_that_goes_gets_no_answer(taken: Taken) -> None:
    part = {"type": "http.request", "body": b"{", "more_body": True}
    assert _run(handler(taken), _scope(), part, {"type": "http.disconnect"}) == []
    assert taken.calls == []


def test_head_has_no_body(taken: Taken) -> None:
    answer = ask_asgi(handler(taken))("HEAD", "/else")
    assert (answer.status, answer.body) == (404, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_function_does_not_hold_up_the_event_loop(taken: Taken) -> None:
    released = threading.Event()

    def waits(payload: Any, job: Job) -> str:
        assert released.wait(20)
        return threading.current_thread().name

    taken.add_handler("/waits", waits)
    ask = handler(taken)

    async def talk() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Any) -> None:
            sent.append(message)

        async def other() -> None:
            # Only a loop that isn't held up gets here.
            released.set()

        await asyncio.gather(ask(_scope("/waits"), receive, send), other())
        return sent

    start, body = asyncio.run(talk())
    assert start["status"] == 200
    assert body["body"] != threading.current_thread().name.encode()


def test_a_coroutine_function_runs_in_the_loop(taken: Taken) -> None:
    async def handle(payload: Any, job: Job) -> bool:
        await asyncio.sleep(0)
        return threading.current_thread() is threading.main_thread()

    taken.add_handler("/async", handle)
    assert ask_asgi(handler(taken))("POST", "/async", signed(), b"{}").body == b"true"


def test_vercel_takes_it_for_what_it_is(taken: Taken) -> None:
    assert is_asgi(vercel_handler(taken))
