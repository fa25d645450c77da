"""Put back jobs whose entry vanished from the line."""

from __future__ import annotations

from lambdaqueue.logs import Log
from lambdaqueue.upkeep import Upkeep

__all__ = ["Sweeping"]

log = Log("lambdaqueue.scheduler")

EVERY = 5.0
"""Seconds: an entry that a stock worker has popped must be claimed within this time."""


class Sweeping:
    """Compares, every few seconds, the entries that should be in the line with its head."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    def poll(self) -> float:
        """Sweep once."""
        swept = self._upkeep.sweep()
        if swept:
            log.warning("entries_swept", count=swept)
        return EVERY
