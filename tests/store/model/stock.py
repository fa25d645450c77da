"""What a stock worker of RQ does: it pops one entry, then claims, settles and leaves."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.errors import WorkerDeclaredDead
from tests.store.model.crew import Crew
from tests.store.model.stage import Actor
from tests.store.world import at_once

__all__ = ["INTERMEDIATE", "StockCrew"]

INTERMEDIATE = f"{keys.line}:intermediate"
"""Where RQ's workers move what they pop."""


class StockCrew(Crew):
    """Stock workers at random; each may be killed between any two of its calls."""

    def pop(self) -> str:
        entry: Any = self.client.lmove(keys.line, INTERMEDIATE, "LEFT", "RIGHT")
        if entry is None:
            return "nothing"
        rq_id: str = entry.decode()
        self.stock.append(Actor(self._store("", 1), 1, entry=rq_id))
        return rq_id

    def start_popped(self) -> str:
        waiting = [actor for actor in self.stock if not actor.claims]
        if not waiting:
            return "nobody"
        actor = self.chance.choice(waiting)
        if not self.model.alive(actor.store.incarnation):
            with pytest.raises(WorkerDeclaredDead):
                at_once(actor.store.claim(1, (actor.entry,)))
            return self._end_stock(actor)
        told = self._claim(actor, 1, (actor.entry,))
        if not actor.claims:
            at_once(actor.store.leave())
            self.model.leave(actor.store.incarnation)
            self._end_stock(actor)
        return told

    def settle_stock(self) -> str:
        busy = [actor for actor in self.stock if actor.claims]
        if not busy:
            return "nobody"
        actor = self.chance.choice(busy)
        told = self._settle(actor, actor.claims)
        at_once(actor.store.leave())
        self.model.leave(actor.store.incarnation)
        self._end_stock(actor)
        return told

    def _end_stock(self, actor: Actor) -> str:
        """RQ forgets a job that has been run: `result_ttl` is 0."""
        self.stock.remove(actor)
        self.client.delete(f"rq:job:{actor.entry}")
        self.line.deleted.add(actor.entry)
        return actor.store.incarnation

    def lose_popper(self) -> str:
        """A stock worker is killed, with what it popped or runs."""
        if not self.stock:
            return "nobody"
        actor = self.chance.choice(self.stock)
        self.stock.remove(actor)
        if any(claim.spec.terms for claim in actor.claims):
            self.abandoned.add(actor.entry)
        if not (actor.entry in self.before.ready or actor.claims):
            self.client.delete(f"rq:job:{actor.entry}")
        return actor.entry
