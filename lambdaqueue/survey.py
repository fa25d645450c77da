"""All queues of an environment at a glance, and what Redis and the workers are up to.

The cost grows with the queues there are: whoever looks often should remember what was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.connection import redis_clock, scripts_of, translated
from lambdaqueue.schedule import Schedule
from lambdaqueue.schedule_rows import collection_of, schedule_or_why_not

__all__ = ["Coming", "Glance", "Server", "SurveyStore"]

CHUNK = 500
"""Queues of which Redis tells at a time."""

FIELDS = (
    "paused", "jobs", "running", "completed", "failed", "cancelled", "troubled", "opened", "error",
)  # fmt: skip

MOST_RUNS = 5_000
"""Due runs of all environments that are looked through for those of one."""

RUNS_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Glance:
    """A queue as far as an overview needs it; see `QueueInfo`. `error` is "" after a success."""

    name: str
    paused: bool
    waiting: int
    running: int
    ended: int
    failed: int
    troubled: int
    opened: int
    error: str


@dataclass(frozen=True, slots=True)
class Server:
    """What all environments share. Memory is bytes, a `limit` of 0 is none.

    `silence` is how many ms ago the scheduler ticked, None when it never did.
    """

    workers: int
    slots: int
    silence: int | None
    memory: int
    limit: int
    policy: str
    evicted: int


@dataclass(frozen=True, slots=True)
class Coming:
    """A schedule and its next run (Unix ms); `collection` is one of `keys.COLLECTIONS`."""

    schedule: Schedule
    collection: str
    at: int


class SurveyStore:
    """Reads them. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def glances(self, environment: str, first: str = "") -> Iterator[Glance]:
        """Yield an environment's queues by name, from `first` on.

        They are read in chunks, not all of one moment.
        """
        for row in self._walk("glance", environment, first, FIELDS):
            yield _glance(*row)

    def beginning_with(self, environment: str, prefix: str, most: int) -> list[str]:
        """Return the names of queues that begin so."""
        first, last = f"[{prefix}", f"[{prefix}\U0010ffff"
        with translated():
            found: Any = self._client.zrangebylex(keys.queues(environment), first, last, 0, most)
        return [name.decode() for name in found]

    def with_key(
        self, environment: str, key: str, most: int
    ) -> tuple[list[str], list[tuple[str, str]]]:
        """Return where a unique key stands: ids of unfinished jobs, and queues with the name of
        their newest entry of history. Queues are asked until `most` have such a job.
        """
        job_ids: list[str] = []
        entries: list[tuple[str, str]] = []
        for queue, job_id, entry in self._walk("find_key", environment, "", (key,)):
            if job_id:
                job_ids.append(job_id.decode())
            if entry and len(entries) < most:
                entries.append((queue.decode(), entry.decode()))
            if len(job_ids) == most:
                break
        return job_ids, entries

    def server(self) -> Server:
        """Read what all environments share."""
        with translated():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.zcard(keys.workers)
            pipeline.hmget(keys.seq, "slots", "tick_ms")
            pipeline.info("memory")
            pipeline.info("stats")
            workers, (slots, ticked), memory, stats = pipeline.execute()
        now = redis_clock(self._client, self.now)
        return Server(
            workers=int(workers),
            slots=int(slots or 0),
            silence=None if ticked is None else max(now - int(ticked), 0),
            memory=int(memory["used_memory"]),
            limit=int(memory.get("maxmemory", 0)),
            policy=str(memory.get("maxmemory_policy", "noeviction")),
            evicted=int(stats["evicted_keys"]),
        )

    def coming(self, environment: str, most: int) -> list[Coming]:
        """Return the schedules of any collection that run next, the soonest first.

        Those of one environment are looked for among the next `MOST_RUNS` of all.
        """
        found: list[tuple[str, int]] = []
        prefix = f"{environment}:".encode()
        for start in range(0, MOST_RUNS, RUNS_CHUNK):
            with translated():
                rows: Any = self._client.zrange(
                    keys.due_schedules, start, start + RUNS_CHUNK - 1, withscores=True
                )
            found += [(ref.decode(), int(at)) for ref, at in rows if ref.startswith(prefix)]
            if len(rows) < RUNS_CHUNK or len(found) >= most:
                break
        return self._schedules(found[:most])

    def _walk(
        self, script: str, environment: str, first: str, asked: Sequence[str]
    ) -> Iterator[Sequence[bytes]]:
        """Yield what a script says of queues, from the one named `first` on."""
        following = first.encode()
        while True:
            following, *rows = self._scripts.run(script, [], environment, following, CHUNK, *asked)
            yield from rows
            if not following:
                return

    def _schedules(self, found: Sequence[tuple[str, int]]) -> list[Coming]:
        refs = [ref for ref, _ in found]
        rows = self._scripts.run("read_schedules", [], *refs) if refs else []
        coming = []
        for (ref, at), row in zip(found, rows, strict=True):
            schedule = schedule_or_why_not(ref, row) if row else None
            if isinstance(schedule, Schedule):
                coming.append(Coming(schedule, collection_of(row), at))
        return coming


def _glance(name: bytes, paused: bytes, *rest: bytes) -> Glance:
    *numbers, error = rest
    jobs, running, completed, failed, cancelled, troubled, opened = (int(n or 0) for n in numbers)
    return Glance(
        name=name.decode(),
        paused=paused == b"1",
        waiting=jobs - running,
        running=running,
        ended=completed + failed + cancelled,
        failed=failed,
        troubled=troubled,
        opened=opened,
        error=error.decode().partition(" ")[2],
    )
