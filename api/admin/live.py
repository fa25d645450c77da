"""Parts of pages that keep themselves fresh: by server-sent events on the page's own address.

A template marks a part with `{% call live("name") %}`. For a browser that asks for events the view
is called again and again, and what has changed is sent. No script and no second set of views.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, current_app, g, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from api.current import parts
from lambdaqueue.errors import RequestError, StorageUnavailable
from lambdaqueue.waiting import Waiters

__all__ = ["EVERY", "LIFE", "MOST_STREAMS", "Streams", "is_wanted", "over", "part", "stream"]

EVERY = 2.0
"""Seconds between two looks."""

LIFE = 600.0
"""Seconds after which a browser must ask again."""

MOST_STREAMS = 100
"""Pages that one process keeps fresh; further ones stay as they were loaded."""

EXTENSION = "lambdaqueue.streams"
TYPE = "text/event-stream"


class Streams:
    """Counts the streams of a process."""

    def __init__(self) -> None:
        self.open = 0

    @classmethod
    def of(cls, app: Flask) -> Streams:
        """Return those of an app."""
        found = app.extensions.setdefault(EXTENSION, cls())
        assert isinstance(found, cls)
        return found


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

    streams = Streams.of(app)
    if streams.open >= MOST_STREAMS:
        return Response(status=204)  # to an EventSource that says: don't ask again
    flush = getattr(environ.get("gunicorn.socket"), "flush", None)
    events = _events(streams, parts().waiters, look, flush)
    headers = {"X-Accel-Buffering": "no"}  # nginx would keep them back
    return Response(events, content_type=TYPE, headers=headers)


def _events(
    streams: Streams,
    waiters: Waiters,
    look: Callable[[], dict[str, str] | None],
    flush: Callable[[], None] | None,
) -> Iterator[bytes]:
    """Yield what has changed at each look, a comment where nothing has, `away` without Redis."""
    ends = time.monotonic() + LIFE
    known: dict[str, str] = {}
    streams.open += 1
    try:
        while time.monotonic() < ends and not waiters.is_closed:
            try:
                found = look()
            except StorageUnavailable:
                # Then all of it is sent, so that the page knows that it's live again.
                known, piece = {}, _event("away", "")
            else:
                if found is None:
                    yield _event("over", "")
                    return
                changed = {name: html for name, html in found.items() if known.get(name) != html}
                known = {**known, **found}
                piece = _event("parts", json.dumps(changed)) if changed else b":\n\n"
            yield piece
            if flush is not None:
                flush()
            time.sleep(EVERY)
    finally:
        streams.open -= 1


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()
