"""What requests about history may contain: filters, and how ended jobs are pushed again."""

from __future__ import annotations

from typing import Any

from api.rules import Choice, Cursor, Ended, Moment, Parsed, Target, Text, Time, Whole
from api.schemas import ListQuery, Strict
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import State
from lambdaqueue.rate import Rate

__all__ = ["ExportQuery", "HistoryQuery", "ReplaySchema", "ReplaysSchema"]

MAX_REPLAYS = 10_000
"""Jobs that one request pushes again."""

REPLAYS_CURSOR = r"[1-9][0-9]{0,14}-[0-9]{1,15}-f(?:\.[0-9]{1,15})?"


class ExportQuery(Strict):
    """The query of a queue's history as a file."""

    state = Ended(ended=True, load_default=None)
    key = Text(1, 255, load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)


class HistoryQuery(ListQuery, ExportQuery):
    """The query of a queue's history."""


def _even_rate(value: dict[str, Any]) -> Rate:
    """Read a rate by which due times are spread: nothing is saved up for a burst."""
    rate = Rate.from_json(value)
    if rate.burst is not None:
        raise InvalidRequest.of("burst", "unknown_field", "is no field here")
    return rate


class ReplaySchema(Strict):
    """How an ended job is pushed again."""

    target = Target()


class ReplaysSchema(Strict):
    """Which ended jobs are pushed again, and how."""

    state = Choice(State.FAILED, State.CANCELLED, load_default=State.FAILED)
    key = Text(1, 255)
    since = Time()
    until = Time()
    target = Target()
    rate = Parsed(_even_rate, dict)
    limit = Whole(1, MAX_REPLAYS, load_default=1_000)
    cursor = Cursor(REPLAYS_CURSOR)
