"""The environments in which one has a role. They are made and removed by command only."""

from __future__ import annotations

from flask import Blueprint, render_template

from api.admin import session
from api.admin.guard import page
from api.current import administration

__all__ = ["blueprint"]

blueprint = Blueprint("environments", __name__)


@blueprint.get("/environments")
@page()
def index() -> str:
    account = session.current().account
    found = [(each, account.role_in(each.id)) for each in administration().environments()]
    return render_template(
        "admin/environments.html", found=[(each, role) for each, role in found if role is not None]
    )
