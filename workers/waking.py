"""Wake the queues whose time has come."""

from __future__ import annotations

from lambdaqueue.upkeep import Upkeep

__all__ = ["LONGEST_SLEEP", "Waking"]

LONGEST_SLEEP = 0.05
"""Seconds: how late a job can be when the alarm that should wake us gets lost."""


class Waking:
    """Ticks when the next queue is due, but at least every `LONGEST_SLEEP`."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    def poll(self) -> float:
        """Admit what is due; return the seconds until more will be, by Redis' clock."""
        tick = self._upkeep.tick()
        if tick.next is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, tick.next - tick.now))
