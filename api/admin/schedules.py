"""Schedules: the list with a preview of expressions, one with its next runs and its history."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session, texts
from api.admin.guard import page
from api.admin.looking_for import read_cursor
from api.current import scheduling, service
from api.schemas import PreviewQuery, RunsQuery, SchedulesQuery, loaded
from lambdaqueue.account import Role
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.schedule import Schedule

__all__ = ["blueprint"]

blueprint = Blueprint("schedules", __name__)

ROWS = 100
RUNS = 20
NEXT = 5
"""Runs ahead that are shown of a schedule, and of an expression that is tried."""

LIST = SchedulesQuery()
HISTORY = RunsQuery()
PREVIEW = PreviewQuery()


@blueprint.get("/schedules")
@page(Role.VIEWER)
def index() -> str:
    cursor = read_cursor(LIST)
    found = scheduling().schedules(session.environment(), ROWS, cursor)
    tried = {name: request.args.get(name, "").strip() for name in ("schedule", "tz")}
    runs, issues = _tried(tried) if tried["schedule"] else ([], {})
    return render_template(
        "admin/schedules.html", found=found, tried=tried, runs=runs, issues=issues,
        is_first=cursor is None,
    )  # fmt: skip


@blueprint.get("/schedules/<schedule_id>")
@page(Role.VIEWER)
def show(schedule_id: str) -> str:
    found = scheduling().schedule(session.environment(), schedule_id)
    history = scheduling().history(session.environment(), schedule_id, RUNS, read_cursor(HISTORY))
    spec = found.spec
    return render_template(
        "admin/schedule.html",
        schedule=found,
        has_queue=_has_queue(found.queue),
        runs=_coming(found),
        history=history,
        payload=texts.shown(spec.payload, spec.content_type),
    )


@blueprint.post("/schedules/<schedule_id>/pause")
@page(Role.ADMIN)
def pause(schedule_id: str) -> Response:
    scheduling().pause(session.environment(), schedule_id, by=session.actor())
    return forms.done("The schedule is paused.", _of(schedule_id))


@blueprint.post("/schedules/<schedule_id>/resume")
@page(Role.ADMIN)
def resume(schedule_id: str) -> Response:
    scheduling().resume(session.environment(), schedule_id, by=session.actor())
    return forms.done("The schedule goes on with its next run.", _of(schedule_id))


@blueprint.post("/schedules/<schedule_id>/run")
@page(Role.ADMIN)
def run(schedule_id: str) -> Response:
    job = scheduling().run(session.environment(), schedule_id, by=session.actor())
    return forms.done("It has pushed this item.", url_for("admin.items.show", item_id=job.id))


@blueprint.post("/schedules/<schedule_id>/remove")
@page(Role.ADMIN, recent=True)
def remove(schedule_id: str) -> Response:
    found = scheduling().drop(session.environment(), schedule_id, by=session.actor())
    message = f"Schedule {found.shown_as} is removed; what it pushed goes on."
    return forms.done(message, url_for("admin.schedules.index"))


def _has_queue(queue: str) -> bool:
    """Tell whether the queue is there: its first item makes it."""
    try:
        service().queue(session.environment(), queue)
    except NotFound:
        return False
    return True


def _coming(schedule: Schedule) -> list[int]:
    """Return the next runs of a schedule that has any."""
    if schedule.next_run is None:
        return []
    recurrence = schedule.recurrence
    runs = [schedule.next_run]
    while len(runs) < NEXT:
        run = recurrence.timetable.next_after(runs[-1], schedule.anchor)
        if run is None or (recurrence.ends_at is not None and run > recurrence.ends_at):
            break
        runs.append(run)
    left = None if recurrence.max_runs is None else max(recurrence.max_runs - schedule.runs, 0)
    return runs[:left]


def _tried(given: dict[str, str]) -> tuple[list[int], dict[str, str]]:
    try:
        asked = loaded(PREVIEW, {name: text for name, text in given.items() if text})
        runs = scheduling().preview(asked["schedule"], asked["tz"], None, NEXT)
    except InvalidRequest as error:
        found = forms.issues(error)
        return [], {"tz" if name == "timezone" else name: text for name, text in found.items()}
    return runs, {}


def _of(schedule_id: str) -> str:
    return url_for("admin.schedules.show", schedule_id=schedule_id)
