"""An environment's settings: its retry policy, its tokens, its signature secret."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session
from api.admin.guard import page
from api.admin.looking_for import read_cursor
from api.admin.queue_form import RETRY, as_json, beside_fields, flat
from api.current import administration
from api.schemas import EnvironmentSchema, RotationSchema, TokenSchema, TokensQuery, loaded
from lambdaqueue.account import Role
from lambdaqueue.commands import SecretInfo
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.identity import Scope, Token
from lambdaqueue.instants import iso
from lambdaqueue.rendering.render import policy_fields

__all__ = ["blueprint"]

blueprint = Blueprint("settings", __name__)

ENVIRONMENT = EnvironmentSchema()
ROTATION = RotationSchema()
TOKEN = TokenSchema()
TOKENS = TokensQuery()
ROWS = 100
DAY = 86_400_000
HOUR = 3_600_000


@blueprint.get("/settings")
@page(Role.VIEWER)
def index() -> str:
    return _page()


@blueprint.post("/settings/retry")
@page(Role.ADMIN)
def change_retry() -> Response | tuple[str, int]:
    given = as_json(RETRY.fields)
    try:
        changes = loaded(ENVIRONMENT, given or {"retry": None})
    except InvalidRequest as error:
        return _page(issues=beside_fields(error)), 422
    administration().change_environment(session.actor(), changes)
    return forms.done("The retry policy is changed.", url_for("admin.settings.index"))


@blueprint.post("/settings/tokens")
@page(Role.ADMIN, recent=True)
def issue() -> str | tuple[str, int]:
    form = forms.values()
    try:
        days = form.whole("days", 1, 3_650)
        expires = None if days is None else iso(int(time.time() * 1_000) + days * DAY)
        asked = {"name": form.text("name"), "scopes": list(form.all("scope")), "expires": expires}
        made, _ = administration().issue_token(session.actor(), **loaded(TOKEN, asked))
    except InvalidRequest as error:
        return _page(issues=beside_fields(error)), 422
    return _page(made=made)


@blueprint.post("/settings/tokens/<token_id>/revoke")
@page(Role.ADMIN, recent=True)
def revoke(token_id: str) -> Response:
    administration().revoke_token(session.actor(), token_id)
    return forms.done("The token is of no use any more.", url_for("admin.settings.index"))


@blueprint.post("/settings/secret")
@page(Role.ADMIN, recent=True)
def show_secret() -> str:
    return _page(secret=administration().secret(session.actor()))


@blueprint.post("/settings/secret/rotate")
@page(Role.ADMIN, recent=True)
def rotate_secret() -> str:
    hours = forms.values().whole("hours", 0, 168, 24) or 0
    overlap = loaded(ROTATION, {"overlap": hours * HOUR})["overlap"]
    return _page(secret=administration().rotate_secret(session.actor(), overlap))


def _page(
    made: Token | None = None,
    secret: SecretInfo | None = None,
    issues: dict[str, str] | None = None,
) -> str:
    info = administration().environment(session.environment())
    policy = policy_fields(info.retry) if info.retry else {}
    values = dict(flat({"retry": policy}))
    if issues:
        values |= {field.name: forms.values().raw(field.name) for field in RETRY.fields}
    return render_template(
        "admin/settings.html", info=info, retry=RETRY, values=values, made=made, secret=secret,
        issues=issues or {}, scopes=list(Scope), chosen=_chosen(), tokens=_tokens(),
        given=forms.values(),
    )  # fmt: skip


def _chosen() -> frozenset[str]:
    """Return the scopes that are ticked: at first what an application needs, and no more."""
    given = frozenset(forms.values().all("scope"))
    return given if forms.values().has("name") else frozenset({Scope.PUSH, Scope.READ})


def _tokens() -> Any:
    """Return a page of the tokens for those who may see them."""
    if not session.allows(Role.ADMIN):
        return None
    # Of the page alone: what a form has made is lost to who asked if the answer to it is a refusal.
    cursor = read_cursor(TOKENS) if request.method == "GET" else None
    return administration().tokens(session.environment(), ROWS, cursor)
