"""Django, behind WSGI or ASGI.

    from lambdaqueue.integrations.django import mount      # in urls.py

    urlpatterns = mount([path("admin/", admin.site.urls)], lq)

Below a prefix: `path("hooks/", include(mount([], lq)))`, with LQ_BASE_URL ending in `/hooks`.

Neither CSRF nor LoginRequiredMiddleware keeps deliveries back: they are checked by their
signature. A function runs in a sync view, so Django's database connections are what they are
everywhere; with ATOMIC_REQUESTS a failed delivery is rolled back. A coroutine function runs in an
async view, without ATOMIC_REQUESTS, as Django has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import RequestDataTooBig
from django.core.handlers.wsgi import WSGIRequest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import URLPattern
from django.urls.resolvers import RegexPattern

from lambdaqueue.integrations.routes import (
    Refused,
    Routes,
    Source,
    answered,
    declared_length,
    expected,
)
from lambdaqueue.integrations.wsgi import environ_body
from lambdaqueue.sdk.delivery import Delivery, Reply
from lambdaqueue.sdk.endpoint import Endpoint

__all__ = ["mount"]

View = TypeVar("View", bound=Callable[..., Any])


def mount(urlpatterns: list[Any], queues: Source, *, prefix: str = "") -> list[Any]:
    """Put the paths of `queues` before the patterns that are there; return the list."""
    routes = Routes(queues, prefix)
    deliver_async = _deliver_async
    for alias in connections:
        # With ATOMIC_REQUESTS Django refuses to call an async view that isn't so marked.
        deliver_async = transaction.non_atomic_requests(using=alias)(deliver_async)
    urlpatterns[:0] = [
        URLPattern(_Paths(routes, coroutines=False), _deliver),
        URLPattern(_Paths(routes, coroutines=True), deliver_async),
    ]
    return urlpatterns


class _Paths(RegexPattern):
    """Matches the paths that have a handler at the time of the request."""

    def __init__(self, routes: Routes, *, coroutines: bool) -> None:
        super().__init__("", is_endpoint=True)
        self._routes = routes
        self._coroutines = coroutines

    def match(self, path: str) -> tuple[str, tuple[Any, ...], dict[str, Any]] | None:
        endpoint = self._routes.find(f"/{path}")
        if endpoint is None or endpoint.is_coroutine is not self._coroutines:
            return None
        return "", (), {"endpoint": endpoint}


def _signed(view: View) -> View:
    """Mark a view that checks signatures: neither a form's token nor a login is asked for."""
    view.csrf_exempt = True  # type: ignore[attr-defined]
    view.login_required = False  # type: ignore[attr-defined]
    return view


@_signed
def _deliver(request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
    reply = answered(
        endpoint,
        request.method or "",
        request.headers.items(),
        lambda limit: _body(request, limit),
    )
    if reply.status >= 400:
        _roll_back()
    return _response(request, reply)


@_signed
async def _deliver_async(request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
    try:
        body = _body(request, expected(endpoint, request.method or "").max_body)
    except Refused as error:
        return _response(request, error.reply)
    delivery = Delivery.of(request.method or "", request.headers.items(), body)
    return _response(request, await endpoint.answer_async(delivery))


def _roll_back() -> None:
    """Undo what the handler wrote: Django itself does so only when a view raises."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            transaction.set_rollback(True, using=connection.alias)


def _body(request: HttpRequest, limit: int) -> bytes:
    length = declared_length(request.META.get("CONTENT_LENGTH"), limit)
    if length is None and isinstance(request, WSGIRequest):
        # Django takes a body without a length for none.
        return environ_body(request.environ, limit)
    try:
        return request.body
    except RequestDataTooBig:
        raise Refused(Reply.too_large(limit)) from None
    except UnreadablePostError:
        raise Refused(Reply.error(400, "the body ended too soon")) from None


def _response(request: HttpRequest, reply: Reply) -> HttpResponse:
    body = b"" if request.method == "HEAD" else reply.body
    response = HttpResponse(body, status=reply.status, headers=dict(reply.headers))
    if reply.header("Content-Type") is None:
        # Else it's text/html.
        del response.headers["Content-Type"]
    return response
