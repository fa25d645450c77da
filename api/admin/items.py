"""One item: look, run now, cancel, edit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, current_app, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session
from api.admin.guard import page
from api.admin.item_page import is_text, render_job
from api.current import service
from api.schemas import ChangeSchema, field_loaded
from lambdaqueue import strict_json
from lambdaqueue.account import Role
from lambdaqueue.commands import Change
from lambdaqueue.errors import Conflict, InvalidRequest, Issue, UnreadableRequest
from lambdaqueue.instants import iso
from lambdaqueue.job import Job
from lambdaqueue.media_types import is_json

__all__ = ["blueprint"]

blueprint = Blueprint("items", __name__)

CHANGE = ChangeSchema()


@blueprint.get("/items/<item_id>")
@page(Role.VIEWER)
def show(item_id: str) -> str:
    return render_job(service().item(session.environment(), item_id))


@blueprint.post("/items/<item_id>/run")
@page(Role.ADMIN)
def run(item_id: str) -> Response:
    service().run_now(session.environment(), item_id, by=session.actor())
    return forms.done("It's due now.", _of(item_id))


@blueprint.post("/items/<item_id>/cancel")
@page(Role.ADMIN)
def cancel(item_id: str) -> Response:
    found = service().cancel(session.environment(), item_id, by=session.actor())
    text = "It's cancelled." if found.state.ended else "It runs; it won't be tried again."
    return forms.done(text, _of(item_id))


@blueprint.get("/items/<item_id>/edit")
@page(Role.ADMIN)
def edit(item_id: str) -> str:
    job = _changeable(item_id)
    return _form(job, {"due": iso(job.due_at), "priority": job.priority, "payload": _text(job)})


@blueprint.post("/items/<item_id>/edit")
@page(Role.ADMIN)
def change(item_id: str) -> Response | tuple[str, int]:
    job = _changeable(item_id)
    try:
        wanted = _wanted(job)
    except InvalidRequest as error:
        names = ("due", "priority", "payload")
        given = {name: forms.values().raw(name) for name in names}
        return _form(job, given, forms.issues(error)), 422
    if wanted == Change():
        return forms.done("Nothing was changed.", _of(item_id), "warn")
    service().change(session.environment(), item_id, wanted, by=session.actor())
    return forms.done("It's changed.", _of(item_id))


def _changeable(item_id: str) -> Job:
    job = service().item(session.environment(), item_id)
    if job.entry is not None:
        raise Conflict("The item has ended.")
    if job.spec.service is not None:
        raise Conflict("An execution is as its service job was: change that.")
    if request.method == "POST" and forms.values().text("version") != str(job.version):
        raise Conflict("The item was changed meanwhile. Load its page anew.")
    return job


def _form(job: Job, given: dict[str, Any], issues: dict[str, str] | None = None) -> str:
    return render_template(
        "admin/item_edit.html",
        job=job,
        given=given,
        issues=issues or {},
        is_text=is_text(job.spec.payload),
    )


def _wanted(job: Job) -> Change:
    """Return what the form changes: what it brings back as it was stays as it is."""
    given: dict[str, Any] = {}
    issues: list[Issue] = []
    for name, read in (("on", _due), ("priority", _priority), ("spec", _spec)):
        try:
            given[name] = read(job)
        except InvalidRequest as error:
            issues += error.issues
    if issues:
        raise InvalidRequest(issues)
    return Change(**given)


def _due(job: Job) -> int | None:
    text = forms.values().text("due")
    if not text or text == iso(job.due_at):
        return None
    try:
        return int(field_loaded(CHANGE, "on", text))
    except InvalidRequest as error:
        raise InvalidRequest([replace(issue, path=("due",)) for issue in error.issues]) from error


def _priority(job: Job) -> int | None:
    found = forms.values().whole("priority", 0, 9, job.priority)
    return None if found == job.priority else found


def _spec(job: Job) -> dict[str, Any]:
    text = forms.values().raw("payload")
    if not (forms.values().has("payload") and is_text(job.spec.payload)) or text == _text(job):
        return {}
    payload = text.encode()
    if len(payload) > int(current_app.config["MAX_PAYLOAD"]):
        raise InvalidRequest.of("payload", "too_large", "is too large")
    if is_json(job.spec.content_type):
        try:
            strict_json.parse(payload)
        except (UnreadableRequest, InvalidRequest) as error:
            raise InvalidRequest.of("payload", "not_json", str(error)) from error
    return {"payload": payload}


def _text(job: Job) -> str:
    """Return the payload as a form brings it back unchanged, "" where it can't."""
    if not is_text(job.spec.payload):
        return ""
    return job.spec.payload.decode().replace("\r\n", "\n").replace("\r", "\n")


def _of(item_id: str) -> str:
    return url_for("admin.items.show", item_id=item_id)
