"""Search: what a word names, or jobs of one queue or all by state, key and time."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import session
from api.admin.guard import page
from api.admin.looking_for import ROWS, read_where
from api.current import parts
from lambdaqueue.account import Role
from lambdaqueue.job import State
from lambdaqueue.rendering.paths import check_queue_name

__all__ = ["blueprint"]

blueprint = Blueprint("search", __name__)

LONGEST = 255


@blueprint.get("/search")
@page(Role.VIEWER)
def index() -> str | Response:
    word = request.args.get("q", "").strip()[:LONGEST]
    return _named(word) if word else _listed()


def _named(word: str) -> str | Response:
    found = parts().finding.named(session.environment(), word)
    if len(found.jobs) == 1 and not found.queues:
        return redirect(url_for("admin.items.show", item_id=found.jobs[0].id), 303)
    if word in found.queues and not found.jobs:
        return redirect(url_for("admin.queues.show", queue=word), 303)
    return render_template("admin/search_named.html", word=word, found=found)


def _listed() -> str:
    queue = request.args.get("queue", "").strip()
    where = read_where(check_queue_name(queue) if queue else "", list(State))
    cursor = request.args.get("cursor")
    found = parts().finding.search(session.environment(), where, ROWS, cursor)
    return render_template("admin/search.html", where=where, found=found, is_first=cursor is None)
