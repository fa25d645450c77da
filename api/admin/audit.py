"""The audit of an environment: who did what, newest first."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from api.admin import audited, session
from api.admin.guard import page
from api.admin.looking_for import read_cursor
from api.current import administration
from api.schemas import AuditQuery
from lambdaqueue.account import Role

__all__ = ["blueprint"]

blueprint = Blueprint("audit", __name__)

QUERY = AuditQuery()
ROWS = 100


@blueprint.get("/audit")
@page(Role.ADMIN)
def index() -> str:
    who, cursor = request.args.get("who", "").strip(), read_cursor(QUERY)
    if who:
        found = audited.by(who, ROWS, cursor)
    else:
        found = administration().audit(session.environment(), ROWS, cursor)
    return render_template("admin/audit.html", found=found, who=who, link_of=audited.link_of)
