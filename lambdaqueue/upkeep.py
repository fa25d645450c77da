"""The scheduler's side of the store: what must happen though nobody asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.attempts import SILENCE
from lambdaqueue.connection import scripts_of, translated

__all__ = ["ALARM", "Tick", "Upkeep"]

ALARM = "lq:alarm"
"""The channel on which a script says that something is due sooner than anything before."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One round: Redis' clock in Unix seconds, and when to come again (None: nothing waits)."""

    now: float
    next: float | None


class Upkeep:
    """The scripts of the scheduler and its chores. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def tick(self) -> Tick:
        """Advance the lease clock, admit what is due."""
        micros, head = self._scripts.run("tick", [], self._now())
        return Tick(int(micros) / 1e6, float(head) / 1e3 if head else None)

    def reclaim(self) -> tuple[int, int]:
        """Take back lost attempts; returns how many, and how many workers were declared dead."""
        lost, dead = self._scripts.run("reclaim", [], self._now(), SILENCE)
        return int(lost), int(dead)

    def sweep(self) -> int:
        """Put back jobs whose entry vanished from the line; returns how many entries."""
        return int(self._scripts.run("sweep", [], self._now())[0])

    def stir(self, refs: Sequence[str]) -> int:
        """Admit up to 50 queues, whether or not anything asked for it; returns jobs admitted."""
        return int(self._scripts.run("stir", [], self._now(), *refs)[0])

    def trim(self, ref: str, kind: str, before: int) -> int:
        """Forget entries older than `before` (Unix ms), some at a time; returns how many."""
        return int(self._scripts.run("trim", [], ref, before, kind)[0])

    def limit_history(self, environment: str, most: int) -> None:
        """Set how many entries an environment may have over all its queues."""
        self._scripts.run("limit_history", [keys.environment(environment)], most)

    def excess(self, environment: str) -> int:
        """Return how many entries an environment has beyond its limit (negative: below it)."""
        with translated():
            entries, most = self._client.hmget(
                keys.environment(environment), "entries", "history_max"
            )
        return int(entries or 0) - int(most) if most else -1

    def oldest(self, environment: str, queue: str, kind: str) -> int | None:
        """Return the Unix ms of the oldest entry of one of a queue's streams, or None."""
        with translated():
            rows: Any = self._client.xrange(keys.history(environment, queue, kind), count=1)
        return int(rows[0][0].split(b"-")[0]) if rows else None

    def environments(self) -> list[str]:
        """Return the ids of all environments that hold queues."""
        with translated():
            found: Any = self._client.smembers(keys.environments)
        return sorted(name.decode() for name in found)

    def queues(self, environment: str) -> Iterator[str]:
        """Yield the names of an environment's queues."""
        after = "-"
        while True:
            with translated():
                names: Any = self._client.zrangebylex(keys.queues(environment), after, "+", 0, 500)
            if not names:
                return
            yield from (name.decode() for name in names)
            after = "(" + names[-1].decode()

    def inspect(self, ref: str) -> list[str]:
        """Compare a queue's hashes and indexes; returns one sentence for each difference."""
        return [finding.decode() for finding in self._scripts.run("inspect", [], ref)]

    def _now(self) -> str:
        return "" if self.now is None else str(self.now)
