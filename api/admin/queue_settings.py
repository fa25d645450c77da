"""The settings of a queue: shown, and edited by a form that has all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session
from api.admin.guard import is_recent, page
from api.admin.queue_form import BY_NAME, GROUPS, as_json, beside_fields, flat
from api.current import service
from api.schemas import QueueSchema, loaded
from lambdaqueue.account import Role
from lambdaqueue.commands import QueueInfo
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.rendering import queue_render
from lambdaqueue.rendering.paths import check_queue_name

__all__ = ["blueprint"]

blueprint = Blueprint("queue_settings", __name__)

SETTINGS = QueueSchema()
KEPT = ("history_limit", "failed_limit", "history_days")
DEFAULTS = {field.name: field.default for field in fields(QueueSettings)}


@blueprint.get("/queue-settings/<queue:queue>")
@page(Role.VIEWER)
def show(queue: str) -> str:
    info = service().queue(session.environment(), check_queue_name(queue))
    return _page(info, dict(flat(json.loads(queue_render.queue(info)))))


@blueprint.post("/queue-settings/<queue:queue>")
@page(Role.ADMIN)
def change(queue: str) -> Response | tuple[str, int]:
    info = service().queue(session.environment(), check_queue_name(queue))
    try:
        changes = _changes(info.settings)
    except InvalidRequest as error:
        values = {name: forms.values().raw(name) for name in BY_NAME}
        return _page(info, values, beside_fields(error)), 422
    service().configure(session.actor(), queue, changes, True)
    message = f"The settings of queue {queue} are changed."
    return forms.done(message, url_for("admin.queue_settings.show", queue=queue))


def _changes(settings: QueueSettings) -> dict[str, Any]:
    """Return what the form changes; raises InvalidRequest, also where it lacks the password."""
    given = loaded(SETTINGS, as_json(BY_NAME.values()))
    changes = {name: DEFAULTS[name] if value is None else value for name, value in given.items()}
    if _keeps_less(settings, changes) and not is_recent():
        raise InvalidRequest.of("password", "required", "is needed: less history is kept")
    return changes


def _keeps_less(settings: QueueSettings, changes: Mapping[str, Any]) -> bool:
    """Tell whether something is deleted by a change: that takes the password once more."""
    return any(changes.get(name, DEFAULTS[name]) < getattr(settings, name) for name in KEPT)


def _page(
    info: QueueInfo, values: Mapping[str, str], issues: Mapping[str, str] | None = None
) -> str:
    return render_template(
        "admin/queue_settings.html", queue=info, values=values, issues=issues or {}, groups=GROUPS
    )
