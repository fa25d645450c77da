"""Queues: the list of them, and one with its figures; pause, resume, purge, forget."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session
from api.admin.guard import page
from api.admin.series import SPANS, series_of
from api.current import parts, purging, service
from api.schemas import PurgeSchema, loaded
from lambdaqueue.account import Role
from lambdaqueue.rendering.paths import check_queue_cursor, check_queue_name

__all__ = ["blueprint"]

blueprint = Blueprint("queues", __name__)

ROWS = 100
PURGE = PurgeSchema()
WAITING = "all"
"""What the form calls all that waits. Nothing is not that: it wasn't chosen."""


@blueprint.get("/queues")
@page(Role.VIEWER)
def index() -> str:
    cursor = request.args.get("cursor")
    check_queue_cursor(cursor)
    found = service().queues(session.environment(), ROWS, cursor)
    return render_template("admin/queues.html", found=found, is_first=cursor is None)


@blueprint.get("/queues/<queue:queue>")
@page(Role.VIEWER)
def show(queue: str) -> str:
    check_queue_name(queue)
    info = service().queue(session.environment(), queue)
    recent = parts().overviews.recent(session.environment(), queue)
    return render_template(
        "admin/queue.html",
        queue=info,
        stats=recent.ended,
        endpoints=service().endpoints(session.environment(), queue),
        spans={name: series_of(recent.bars[span]) for name, span in SPANS.items()},
    )


@blueprint.post("/queues/<queue:queue>/pause")
@page(Role.ADMIN)
def pause(queue: str) -> Response:
    service().queue(session.environment(), check_queue_name(queue))
    service().pause(session.actor(), queue)
    return forms.done(f"Queue {queue} is paused: what runs goes on.", _of(queue))


@blueprint.post("/queues/<queue:queue>/resume")
@page(Role.ADMIN)
def resume(queue: str) -> Response:
    service().queue(session.environment(), check_queue_name(queue))
    service().resume(session.actor(), queue)
    return forms.done(f"Queue {queue} goes on.", _of(queue))


@blueprint.post("/queues/<queue:queue>/purge")
@page(Role.ADMIN, recent=True)
def purge(queue: str) -> Response:
    wanted = forms.values().text("state")
    state = loaded(PURGE, {} if wanted == WAITING else {"state": wanted})["state"]
    done = purging().purge(session.actor(), check_queue_name(queue), state)
    more = " There is more: purge again." if done.more else ""
    message = f"Deleted of queue {queue}: {done.count}.{more}"
    return forms.done(message, _of(queue), "warn" if done.more else "good")


@blueprint.post("/queue-drop/<queue:queue>")
@page(Role.ADMIN, recent=True)
def drop(queue: str) -> Response:
    service().drop_queue(session.actor(), check_queue_name(queue))
    return forms.done(f"Queue {queue} is forgotten.", url_for("admin.queues.index"))


def _of(queue: str) -> str:
    return url_for("admin.queues.show", queue=queue)
