"""Addresses that only forms are sent to: loading one leads to the page that has the form.

What a form was answered is a page at such an address. Else a reload of a new token finds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from flask import Flask, redirect, url_for
from werkzeug.routing import Rule
from werkzeug.wrappers import Response

from api.admin.guard import page
from api.admin.headers import is_panel

__all__ = ["install", "leads", "page_of"]

AGAIN = "_again"
"""What the endpoints of these addresses end with."""

ELSEWHERE = {
    "/admin/e/<environment>/queue-drop/<queue:queue>": (
        "/admin/e/<environment>/queues/<queue:queue>"
    )
}
"""Where forms are sent to whose page is not above that; what follows a queue's name is reserved."""


def install(app: Flask) -> None:
    """Let each address of the panel that only forms are sent to lead to the page of the form."""
    rules = [rule for rule in app.url_map.iter_rules() if is_panel(rule.rule)]
    pages = {rule.rule: rule for rule in rules if "GET" in (rule.methods or ())}
    for rule in [rule for rule in rules if rule.rule not in pages]:
        _lead(app, rule, pages)


def page_of(path: str, pages: Set[str]) -> str:
    """Return that of `pages` which has the form that is sent to `path`: the next one above it.

    Raises:
        LookupError: there is none.
    """
    above = ELSEWHERE.get(path, path)
    while above not in pages:
        above, slash, _ = above.rpartition("/")
        if not slash:
            raise LookupError(f"{path} is below no page")
    return above


def leads(rule: Rule) -> bool:
    """Tell whether a rule is one of these addresses, not a page."""
    return str(rule.endpoint).endswith(AGAIN)


def _lead(app: Flask, rule: Rule, pages: Mapping[str, Rule]) -> None:
    target = pages[page_of(rule.rule, pages.keys())]

    @page()
    def again(**arguments: Any) -> Response:
        above = {name: arguments[name] for name in target.arguments & arguments.keys()}
        return redirect(url_for(target.endpoint, **above), 303)

    app.add_url_rule(rule.rule, f"{rule.endpoint}{AGAIN}", again, methods=["GET"])
