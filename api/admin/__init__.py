"""The panel: pages below /admin for people, over the same services as the API."""

from __future__ import annotations

from typing import Protocol

from flask import Blueprint, Flask
from werkzeug.exceptions import NotFound

from api.admin import (
    account,
    accounts,
    again,
    assets,
    audit,
    environments,
    failures,
    guard,
    headers,
    items,
    overview,
    queue_lists,
    queue_settings,
    queues,
    rq,
    schedules,
    search,
    services,
    session,
    settings,
    sign_in,
    switch,
    views,
)
from api.admin.guard import open_page

__all__ = ["ENVIRONMENT_PAGES", "PAGES", "install"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class _Pages(Protocol):
    blueprint: Blueprint


PAGES: tuple[_Pages, ...] = (
    account,
    accounts,
    environments,
    rq,
    sign_in,
    switch,
)
"""Below /admin, for those who are signed in or are about to be."""

ENVIRONMENT_PAGES: tuple[_Pages, ...] = (
    audit,
    items,
    overview,
    queue_lists,
    queue_settings,
    queues,
    schedules,
    search,
    services,
    settings,
)
"""Below /admin/e/<environment>."""


def install(app: Flask) -> None:
    """Give `app` the panel."""
    panel = Blueprint("admin", __name__, url_prefix="/admin")
    panel.url_value_preprocessor(session.take_environment)
    panel.url_defaults(session.give_environment)
    panel.before_request(guard.check)
    failures.install(panel)
    views.install(app, panel)
    for each in PAGES:
        panel.register_blueprint(each.blueprint)
    for each in ENVIRONMENT_PAGES:
        panel.register_blueprint(each.blueprint, url_prefix="/e/<environment>")
    panel.add_url_rule("/static/<filename>", "static", assets.send)
    panel.add_url_rule("/<path:rest>", "absent", _absent, methods=METHODS)
    app.register_blueprint(panel)
    again.install(app)
    headers.install(app)


@open_page
def _absent(rest: str) -> str:
    raise NotFound(f"There is no page {rest} here.")
