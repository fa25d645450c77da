"""What the metrics tell: read from Redis in one moment, so it's true over all processes.

Of more queues than are to be named the busiest are; `_other` is the rest. See `scrape.lua`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.connection import scripts_of, translated
from lambdaqueue.stats import Counts

__all__ = ["Metrics", "MetricsStore", "QueueMetrics", "RedisMetrics"]

OTHER = "_other"
"""Stands for the queues without a name; no queue can be called so."""

PUSHED = ("jobs", "completed", "failed", "cancelled", "versions")
"""Whatever was pushed is one of these: unfinished, ended, or replaced before it ended."""

NOT_GROWING = frozenset({"jobs", "running", "awaiting", "versions", "since"})
"""Fields beside the counts that are left out of them."""


@dataclass(frozen=True, slots=True)
class QueueMetrics:
    """A queue, or all that have no name.

    `counts` only grow: those of `Counts`, and `pushed`. `paused` is None where it's not one queue.
    """

    environment: str
    name: str
    waiting: int
    running: int
    awaiting: int
    counts: Counts
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class RedisMetrics:
    """What Redis tells of itself since its start. Memory is bytes; a `limit` of 0 is none."""

    script_calls: int
    script_seconds: float
    memory: int
    limit: int
    evicted: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """All there is: `ready` jobs stand in the workers' line, `fired` counts by collection.

    `ticked` is the Unix ms of a scheduler's last round, 0 before the first.
    """

    queues: Sequence[QueueMetrics]
    all_queues: int
    ready: int
    workers: int
    slots: int
    ticked: int
    workers_lost: int
    fired: Counts
    redis: RedisMetrics


class MetricsStore:
    """Reads them."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._scripts = scripts_of(client)

    def read(self, most: int) -> Metrics:
        """Read everything; `most` queues are named.

        Raises:
            StorageUnavailable
        """
        flat, others, slots, ticked, workers, ready, queues, *rows = self._scripts.run(
            "scrape", [], most
        )
        totals = _counts(flat)
        named = sorted((_queue(row) for row in rows), key=lambda q: (q.environment, q.name))
        rest = [_of_counts(OTHER, OTHER, _counts(others))] if others else []
        return Metrics(
            queues=[*named, *rest],
            all_queues=int(queues),
            ready=int(ready),
            workers=int(workers),
            slots=int(slots),
            ticked=int(ticked),
            workers_lost=totals.get("dead", 0),
            fired={each: totals.get(f"fired:{each}", 0) for each in keys.COLLECTIONS},
            redis=self._redis(),
        )

    def _redis(self) -> RedisMetrics:
        with translated():
            pipeline = self._client.pipeline(transaction=False)
            for section in ("commandstats", "memory", "stats"):
                pipeline.info(section)
            commands, memory, stats = pipeline.execute()
        scripts = [commands.get(f"cmdstat_{name}", {}) for name in ("eval", "evalsha")]
        return RedisMetrics(
            script_calls=sum(each.get("calls", 0) for each in scripts),
            script_seconds=sum(each.get("usec", 0) for each in scripts) / 1_000_000,
            memory=memory["used_memory"],
            limit=memory.get("maxmemory", 0),
            evicted=stats["evicted_keys"],
        )


def _counts(flat: Sequence[bytes]) -> dict[str, int]:
    return {what.decode(): int(number) for what, number in zip(flat[::2], flat[1::2], strict=True)}


def _queue(row: Sequence[Any]) -> QueueMetrics:
    ref, environment, paused, *numbers, flat = row
    fields = ("jobs", "running", "awaiting", "completed", "failed", "cancelled", "versions")
    counts = _counts(flat) | dict(zip(fields, map(int, numbers), strict=True))
    name = ref.decode().partition(":")[2]
    return replace(_of_counts(environment.decode(), name, counts), paused=paused == b"1")


def _of_counts(environment: str, name: str, counts: Mapping[str, int]) -> QueueMetrics:
    running = counts.get("running", 0)
    kept = {what: number for what, number in counts.items() if what not in NOT_GROWING}
    return QueueMetrics(
        environment=environment,
        name=name,
        waiting=counts.get("jobs", 0) - running,
        running=running,
        awaiting=counts.get("awaiting", 0),
        counts=kept | {"pushed": sum(counts.get(what, 0) for what in PUSHED)},
    )
