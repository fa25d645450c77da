"""The first page of an environment: what waits, runs and fails, what comes next, what is wrong."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from api.admin import session
from api.admin.guard import page
from api.admin.series import SPANS, Series, series_of
from api.current import parts
from lambdaqueue.account import Role
from lambdaqueue.stats import Bar

__all__ = ["blueprint"]

blueprint = Blueprint("overview", __name__)


@blueprint.get("/overview")
@page(Role.VIEWER)
def index() -> str:
    span = request.args.get("span", "hour")
    span = span if span in SPANS else "hour"
    found = parts().overviews.of(session.environment())
    names = [glance.name for glance in found.busiest]
    return render_template(
        "admin/overview.html", found=found, span=span, series=_series_of(names, span)
    )


def _series_of(names: list[str], span: str) -> dict[str, Series]:
    """Return the charts of some queues."""
    found: dict[str, list[Bar]] = parts().overviews.bars(session.environment(), names, SPANS[span])
    return {name: series_of(bars) for name, bars in found.items()}
