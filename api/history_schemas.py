"""What requests about history may contain: filters, and how ended jobs are pushed again."""

from __future__ import annotations

from api.loading import Checked
from api.rules import TARGET
from api.schemas import ListQuery, Strict
from lambdaqueue.job import State
from lambdaqueue.reading import fields

__all__ = ["ExportQuery", "HistoryQuery", "ReplaySchema", "ReplaysSchema"]


class ExportQuery(Strict):
    """The query of a queue's history as a file."""

    state = Checked(fields.ENDED, load_default=None)
    key = Checked(fields.KEY, load_default=None)
    since = Checked(fields.MOMENT, load_default=None)
    until = Checked(fields.MOMENT, load_default=None)


class HistoryQuery(ListQuery, ExportQuery):
    """The query of a queue's history."""


class ReplaySchema(Strict):
    """How an ended job is pushed again."""

    target = Checked(TARGET)


class ReplaysSchema(Strict):
    """Which ended jobs are pushed again, and how."""

    state = Checked(fields.REPLAYABLE, load_default=State.FAILED)
    key = Checked(fields.KEY)
    since = Checked(fields.TIME)
    until = Checked(fields.TIME)
    target = Checked(TARGET)
    rate = Checked(fields.REPLAYS_RATE)
    limit = Checked(fields.REPLAYS_LIMIT, load_default=1_000)
    cursor = Checked(fields.REPLAYS_CURSOR)
