"""The hosts that integrations are made for, called in this process as each calls applications."""

from __future__ import annotations

import asyncio
import base64
import io
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

import django.core.handlers.asgi
import django.core.handlers.wsgi
import flask
from django.test import override_settings
from fastapi import FastAPI
from starlette.applications import Starlette

from lambdaqueue.integrations import (
    asgi,
    aws_lambda,
    google_cloud,
    vercel,
    wsgi,
)
from lambdaqueue.integrations import django as django_integration
from lambdaqueue.integrations import flask as flask_integration
from lambdaqueue.integrations import starlette as starlette_integration
from lambdaqueue.integrations.routes import Queues
from tests.sdk.integrations.events import FORMATS, Headers, Make

__all__ = [
    "HOSTS",
    "Answer",
    "Ask",
    "ask_asgi",
    "ask_lambda",
    "ask_wsgi",
    "django_asgi",
    "django_wsgi",
]


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Ask(Protocol):
    """Sends one request to a host."""

    def __call__(
        self, method: str, url: str, headers: Headers = (), body: bytes = b""
    ) -> Answer: ...


def ask_wsgi(app: WSGIApplication, more: Mapping[str, Any] | None = None, script: str = "") -> Ask:
    """Return how to ask a WSGI application below `script`, with `more` in the environ.

    What is None in `more` isn't in it at all.
    """

    def ask(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Answer:
        path, _, query = url.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": script,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "app.example.com",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "app.example.com",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))
        for name, value in headers:
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
            environ[key] = (
                f"{environ[key]},{value}" if key.startswith("HTTP_") and key in environ else value
            )
        environ |= more or {}
        environ = {name: value for name, value in environ.items() if value is not None}
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Any:
            started.append((status, headers))

        result = app(environ, start_response)
        sent = b"".join(result)
        if hasattr(result, "close"):
            result.close()
        [(status, fields)] = started
        return Answer(int(status[:3]), {n.lower(): v for n, v in fields}, sent)

    return ask


def ask_asgi(app: Callable[..., Awaitable[None]], root: str = "") -> Ask:
    """Return how to ask an ASGI application with this `root_path`, which is in the path too."""

    def ask(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Answer:
        path, _, query = url.partition("?")
        fields = [(name.lower().encode(), value.encode()) for name, value in headers]
        if body:
            fields.append((b"content-length", b"%d" % len(body)))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": root + path,
            "raw_path": (root + path).encode(),
            "root_path": root,
            "query_string": query.encode(),
            "headers": [(b"host", b"app.example.com"), *fields],
            "client": ("192.0.2.1", 50_000),
            "server": ("app.example.com", 443),
            "state": {},
        }
        parts = [body[i : i + 7] for i in range(0, len(body), 7)] or [b""]
        return asyncio.run(_talk(app, scope, parts))

    return ask


async def _talk(app: Callable[..., Awaitable[None]], scope: Any, parts: list[bytes]) -> Answer:
    waiting = list(parts)
    sent: list[Any] = []
    never = asyncio.Event()

    async def receive() -> Any:
        if not waiting:
            await never.wait()
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(m.get("body", b"") for m in bodies))


def ask_lambda(function: aws_lambda.Function, make: Make) -> Ask:
    """Return how to ask a Lambda function by the events that `make` makes."""

    def ask(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Answer:
        answer = function(make(method, url, headers, body), None)
        many = {name: [value] for name, value in answer.get("headers", {}).items()}
        many |= answer.get("multiValueHeaders", {})
        text = answer["body"]
        sent = base64.b64decode(text) if answer["isBase64Encoded"] else text.encode()
        return Answer(answer["statusCode"], {n.lower(): v for n, [v] in many.items()}, sent)

    return ask


def _lambda(queues: Queues, *, make: Make) -> Ask:
    return ask_lambda(aws_lambda.handler(queues), make)


def _flask(queues: Queues) -> Ask:
    app = flask_integration.mount(flask.Flask("app"), queues)
    return ask_wsgi(app)


def _google(queues: Queues) -> Ask:
    """As functions-framework does: one view for all paths, whatever the method."""
    function = google_cloud.handler(queues)
    app = flask.Flask("functions")
    for rule in ("/", "/<path:path>"):
        app.url_map.add(flask.Flask.url_rule_class(rule, endpoint="run"))
    app.view_functions["run"] = lambda path="": function(flask.request._get_current_object())  # type: ignore[attr-defined]
    return ask_wsgi(app)


def urls(patterns: list[Any]) -> Any:
    """Return Django's setting with these urlpatterns."""
    module = ModuleType("urls")
    module.urlpatterns = patterns  # type: ignore[attr-defined]
    return override_settings(ROOT_URLCONF=module)


def django_wsgi(patterns: list[Any], **settings: Any) -> Ask:
    """Return how to ask Django behind WSGI."""

    def ask(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Answer:
        with urls(patterns), override_settings(**settings):
            app = django.core.handlers.wsgi.WSGIHandler()
            return ask_wsgi(app)(method, url, headers, body)

    return ask


def django_asgi(patterns: list[Any], **settings: Any) -> Ask:
    """Return how to ask Django behind ASGI."""

    def ask(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Answer:
        with urls(patterns), override_settings(**settings):
            app = django.core.handlers.asgi.ASGIHandler()
            return ask_asgi(app)(method, url, headers, body)

    return ask


HOSTS: dict[str, Callable[[Queues], Ask]] = {
    "wsgi": lambda queues: ask_wsgi(wsgi.handler(queues)),
    "asgi": lambda queues: ask_asgi(asgi.handler(queues)),
    "flask": _flask,
    "django by wsgi": lambda queues: django_wsgi(django_integration.mount([], queues)),
    "django by asgi": lambda queues: django_asgi(django_integration.mount([], queues)),
    "starlette": lambda queues: ask_asgi(starlette_integration.mount(Starlette(), queues)),
    "fastapi": lambda queues: ask_asgi(starlette_integration.mount(FastAPI(), queues)),
    "google cloud": _google,
    "vercel": lambda queues: ask_asgi(vercel.handler(queues)),
    **{f"aws {name}": partial(_lambda, make=make) for name, make in FORMATS.items()},
}
