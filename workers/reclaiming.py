"""Take back what dead workers held."""

from __future__ import annotations

from lambdaqueue.logs import Log
from lambdaqueue.upkeep import Upkeep

__all__ = ["Reclaiming"]

log = Log("lambdaqueue.scheduler")

EVERY = 1.0


class Reclaiming:
    """Looks every second for workers that were silent and leases that ran out."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    def poll(self) -> float:
        """Take back lost attempts; a large number goes in several steps."""
        lost, dead = self._upkeep.reclaim()
        if dead:
            log.warning("workers_lost", count=dead)
        if lost:
            log.warning("attempts_lost", count=lost)
        return 0.0 if lost >= 500 else EVERY
