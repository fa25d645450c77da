"""How Flask finds names in paths (`lambdaqueue/rendering/paths.py` says where they end)."""

from __future__ import annotations

from werkzeug.routing import BaseConverter

from lambdaqueue.rendering import paths

__all__ = ["KeyConverter", "QueueConverter", "ScheduleKeyConverter"]


class KeyConverter(BaseConverter):
    """Takes a unique key."""

    regex = paths.KEY
    part_isolating = False


class ScheduleKeyConverter(BaseConverter):
    """Takes a schedule's key."""

    regex = paths.SCHEDULE_KEY
    part_isolating = False


class QueueConverter(BaseConverter):
    """Takes a queue's name with its slashes."""

    regex = paths.QUEUE
    part_isolating = False
