"""What an entry of the audit is about, as a link; and the entries of one actor among all."""

from __future__ import annotations

from flask import url_for

from api.admin import session
from api.current import administration
from lambdaqueue.account import Role
from lambdaqueue.commands import AuditEntry, Page

__all__ = ["MOST_LOOKED_AT", "by", "link_of"]

MOST_LOOKED_AT = 1_000
"""Entries that one page looks through for those of an actor."""

GONE = frozenset({"queue.delete", "account.delete"})
SETTINGS = frozenset({"token", "secret", "environment"})


def link_of(entry: AuditEntry) -> str | None:
    """Return the page of what an entry is about; None where there is none, or none any more.

    Schedules have none here: the entry has their key, their page is found by their id.
    """
    kind = entry.action.partition(".")[0]
    first, _, rest = entry.object.partition(" ")
    if not first or entry.action in GONE:
        return None
    if kind == "queue":
        return url_for("admin.queues.show", queue=first)
    if kind == "item" and rest:
        return url_for("admin.items.show", item_id=rest)
    if kind == "service" and "/" in first:
        service, _, job = first.partition("/")
        return url_for("admin.services.show", service=service, job=job)
    if kind == "execution":
        return url_for("admin.services.execution", name=first)
    if kind == "account" and session.current().account.everywhere is Role.ADMIN:
        return url_for("admin.accounts.show", account=first.rstrip(":"))
    return url_for("admin.settings.index") if kind in SETTINGS else None


def by(who: str, rows: int, cursor: str | None) -> Page[AuditEntry]:
    """Return entries of an actor, newest first, from behind the entry `cursor`.

    There may be fewer than `rows` and more to come: a page looks through so many and no more.
    """
    found = administration().audit(session.environment(), MOST_LOOKED_AT, cursor)
    theirs = tuple(entry for entry in found.rows if entry.token == who)
    more = len(theirs) > rows
    return Page(theirs[:rows], theirs[rows - 1].id if more else found.cursor)
