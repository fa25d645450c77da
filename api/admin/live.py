"""Parts of pages that keep themselves fresh: by server-sent events on the page's own address.

A template marks a part with `{% call live("name") %}`. For a browser that asks for events the view
is called again and again, and what has changed is sent. No script and no second set of views.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flask import Flask, current_app, g, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from api.admin import session
from api.admin.streams import Streams, Watcher
from api.current import parts
from lambdaqueue.errors import RequestError, StorageUnavailable
from lambdaqueue.waiting import Waiters

__all__ = ["EVERY", "LIFE", "is_wanted", "over", "part", "stream"]

EVERY = 2.0
"""Seconds between two looks."""

LIFE = 600.0
"""Seconds after which a browser must ask again."""

TYPE = "text/event-stream"


def is_wanted() -> bool:
    """Tell whether the browser asks for events, not for the page."""
    return request.headers.get("Accept", "").startswith(TYPE)


def part(name: str, caller: Callable[[], str]) -> Markup:
    """Return a part of a page that is kept fresh. Templates know it as `live`."""
    body = Markup(caller())  # the template has escaped it
    g.setdefault("parts", {})[name] = str(body)
    return Markup('<div class="live" data-live="{}">{}</div>').format(name, body)


def over() -> Response:
    """Return events that let the page be loaded anew: that says where to go first."""
    return Response(_event("over", ""), content_type=TYPE)


def stream(admit: Callable[[], bool], view: Callable[..., Any]) -> Response:
    """Return the events of the page that is asked for; `admit` says whether it still may be."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    environ, arguments = request.environ, dict(request.view_args or {})
    environment = g.get("environment_name")

    def look() -> dict[str, str] | None:
        with app.request_context(environ):
            g.request_id, g.environment_name = "stream", environment
            try:
                if not admit():
                    return None
                view(**arguments)
            except (HTTPException, RequestError):
                return None
            return dict(g.get("parts", {}))

    place = _Place(Streams.of(app), Watcher.of(session.current()))
    line = _Line.of(environ.get("gunicorn.socket"))
    events = _events(place, line, parts().waiters, look)
    headers = {"X-Accel-Buffering": "no"}  # nginx would keep them back
    return Response(events, content_type=TYPE, headers=headers)


class _Place(NamedTuple):
    streams: Streams
    watcher: Watcher


class _Line(NamedTuple):
    """The client's connection: sends at once what was yielded, waits and tells who has left."""

    flush: Callable[[], None]
    has_left: Callable[[float], bool]

    @classmethod
    def of(cls, sock: Any) -> _Line:
        """Return that of gunicorn's socket; without one, nobody can tell."""
        return cls(lambda: None, _stayed) if sock is None else cls(sock.flush, sock.has_left)


def _stayed(within: float) -> bool:
    time.sleep(within)
    return False


def _events(
    place: _Place, line: _Line, waiters: Waiters, look: Callable[[], dict[str, str] | None]
) -> Iterator[bytes]:
    """Yield what changes for as long as there is a place, and the client there."""
    # Here, not before: of a generator that never began nothing would give the place back.
    if not place.streams.take(place.watcher):
        yield _event("full", "")
        return
    ends, pieces = time.monotonic() + LIFE, _looks(look)
    try:
        while time.monotonic() < ends and not waiters.is_closed:
            piece = next(pieces, None)
            if piece is None:
                return
            yield piece
            line.flush()
            if line.has_left(EVERY):
                return
    finally:
        place.streams.give_back(place.watcher)


def _looks(look: Callable[[], dict[str, str] | None]) -> Iterator[bytes]:
    """Yield what has changed at each look, a comment where nothing has, `away` without Redis."""
    known: dict[str, str] = {}
    while True:
        try:
            found = look()
        except StorageUnavailable:
            # Then all of it is sent, so that the page knows that it's live again.
            known = {}
            yield _event("away", "")
            continue
        if found is None:
            yield _event("over", "")
            return
        changed = {name: html for name, html in found.items() if known.get(name) != html}
        known = {**known, **found}
        yield _event("parts", json.dumps(changed)) if changed else b":\n\n"


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()
