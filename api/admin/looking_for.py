"""What a query looks for: state, key and time, as filters give them, and where a page begins."""

from __future__ import annotations

import re
from collections.abc import Collection

from flask import request
from marshmallow import Schema

from api.history_schemas import ExportQuery
from api.schemas import field_loaded
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.finding import Where
from lambdaqueue.instants import LAST_INSTANT
from lambdaqueue.job import State

__all__ = ["ROWS", "in_utc", "read_cursor", "read_where"]

ROWS = 50
"""Jobs of one page."""

QUERY = ExportQuery()
ZONED = re.compile(r"(?:Z|[+-][0-9]{2}:[0-9]{2})\Z")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_where(queue: str, states: Collection[State]) -> Where:
    """Return what the request's query looks for, in jobs that have one of `states`.

    Raises:
        InvalidRequest: a parameter breaks its rule.
    """
    state = request.args.get("state", "").strip().upper()
    if state and state not in states:
        raise InvalidRequest.of("state", "not_a_choice", f"must be one of {', '.join(states)}")
    return Where(
        queue=queue,
        state=State(state) if state else None,
        key=_read("key"),
        since=_instant("since"),
        until=_instant("until"),
    )


def read_cursor(query: Schema) -> str | None:
    """Return where the page of a list begins, None for the first; raises InvalidRequest."""
    given = request.args.get("cursor")
    return None if given is None else str(field_loaded(query, "cursor", given))


def in_utc(instant: str) -> str:
    """Return an instant with a zone: one without, as people write it, is meant in UTC."""
    given = instant.strip().replace(" ", "T")
    zoned = given.isdigit() or ZONED.search(given)
    return given if zoned else f"{given}T00:00Z" if DAY.fullmatch(given) else f"{given}Z"


def _read(name: str) -> str | None:
    given = request.args.get(name, "").strip()
    return str(field_loaded(QUERY, name, given)) if given else None


def _instant(name: str) -> int | None:
    given = request.args.get(name, "").strip()
    if not given:
        return None
    try:
        instant = int(field_loaded(QUERY, name, in_utc(given)))
    except InvalidRequest as error:
        text = "must be a time like 2026-03-01 12:00 or 2026-03-01, in UTC or with a zone"
        raise InvalidRequest.of(name, "not_instant", text) from error
    if instant > LAST_INSTANT:  # the form shows it, in words
        raise InvalidRequest.of(name, "not_instant", "must be in the years 1970 to 9999")
    return instant
