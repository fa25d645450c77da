"""From one environment to another, and to the first page of one."""

from __future__ import annotations

from flask import Blueprint, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from api.admin import session
from api.admin.guard import page
from lambdaqueue.administration import DEFAULT_NAME

__all__ = ["blueprint"]

blueprint = Blueprint("switch", __name__)

FIRST = "admin.overview.index"


@blueprint.get("")
@blueprint.get("/", endpoint="start_slash")
@page()
def start() -> Response | str:
    """Lead to the default environment, or to the first that the account may look at."""
    names = session.environments()
    if not names:
        return render_template("admin/start.html")
    name = DEFAULT_NAME if DEFAULT_NAME in names else names[0]
    return redirect(url_for(FIRST, environment=name), 303)


@blueprint.get("/e/<environment>")
@blueprint.get("/e/<environment>/", endpoint="environment_slash")
@page()
def environment() -> Response:
    """Lead to the first page of an environment."""
    return redirect(url_for(FIRST, environment=g.environment_name), 303)
