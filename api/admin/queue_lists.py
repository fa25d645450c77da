"""What a queue holds: its items, its history; ended jobs are pushed again."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session
from api.admin.guard import page
from api.admin.item_page import render_job
from api.admin.looking_for import ROWS, in_utc, read_where
from api.current import parts, replaying, service
from api.history_schemas import ReplaySchema, ReplaysSchema
from api.schemas import loaded
from lambdaqueue.account import Role
from lambdaqueue.commands import HistoryFilter
from lambdaqueue.finding import Where
from lambdaqueue.history import MOST_LOOKED_AT
from lambdaqueue.job import State
from lambdaqueue.rendering.paths import check_queue_name
from lambdaqueue.replaying import Replayed, ReplayOrder

__all__ = ["blueprint"]

blueprint = Blueprint("queue_lists", __name__)

REPLAY = ReplaySchema()
REPLAYS = ReplaysSchema()
MINUTE = 60_000
"""ms: the period of the rate that the form asks for."""


@blueprint.get("/queues/<queue:queue>/items")
@page(Role.VIEWER)
def items(queue: str) -> str:
    where = _where(queue, ended=False)
    info = service().queue(session.environment(), queue)
    cursor = request.args.get("cursor")
    found = parts().finding.items(session.environment(), where, ROWS, cursor)
    return render_template(
        "admin/queue_items.html", queue=info, found=found, where=where, is_first=cursor is None
    )


@blueprint.get("/queues/<queue:queue>/history")
@page(Role.VIEWER)
def history(queue: str) -> str:
    where = _where(queue, ended=True)
    info = service().queue(session.environment(), queue)
    cursor = request.args.get("cursor")
    found = parts().finding.ended(session.environment(), where, ROWS, cursor)
    return render_template(
        "admin/queue_history.html",
        queue=info,
        found=found,
        where=where,
        is_first=cursor is None,
        rows_of_page=ROWS,
        most_entries=MOST_LOOKED_AT,
    )


@blueprint.get("/queues/<queue:queue>/history/<entry>")
@page(Role.VIEWER)
def entry(queue: str, entry: str) -> str:
    check_queue_name(queue)
    return render_job(parts().finding.entry(session.environment(), queue, entry))


@blueprint.post("/queues/<queue:queue>/history/<entry>/replay")
@page(Role.ADMIN)
def replay(queue: str, entry: str) -> Response:
    target = loaded(REPLAY, _given("target")).get("target")
    made = replaying().replay(session.actor(), check_queue_name(queue), entry, target=target)
    return forms.done("It's pushed again, as this item.", _item(made.id))


@blueprint.post("/queues/<queue:queue>/history/replay")
@page(Role.ADMIN)
def replay_many(queue: str) -> Response:
    check_queue_name(queue)
    values = loaded(REPLAYS, _given("state", "key", "since", "until", "target", "limit", "rate"))
    named = {name: values.pop(name) for name in ("key", "since", "until") if name in values}
    where = HistoryFilter(state=State(values.pop("state")), **named)
    done = replaying().replay_many(session.actor(), queue, ReplayOrder(where, **values))
    tone = "good" if done.cursor is None else "warn"
    return forms.done(_told(done), url_for("admin.queue_lists.items", queue=queue), tone)


def _where(queue: str, *, ended: bool) -> Where:
    return read_where(check_queue_name(queue), [state for state in State if state.ended is ended])


def _given(*names: str) -> dict[str, Any]:
    """Return those fields of the form that are filled, as the API's JSON has them."""
    form = forms.values()
    found: dict[str, Any] = {name: form.text(name, limit=4_096) for name in names}
    found |= {name: in_utc(found[name]) for name in ("since", "until") if found.get(name)}
    if "limit" in names:
        found["limit"] = form.whole("limit", 1, 10_000)
    if "rate" in names and form.text("rate_limit"):
        found["rate"] = {"limit": form.whole("rate_limit", 1, 1_000_000), "period": MINUTE}
    return {name: value for name, value in found.items() if value not in ("", None)}


def _told(done: Replayed) -> str:
    more = (
        " Others match too: push them again by a filter that ends earlier." if done.cursor else ""
    )
    return f"Jobs pushed again: {done.count}.{more}"


def _item(job_id: str) -> str:
    return url_for("admin.items.show", item_id=job_id)
