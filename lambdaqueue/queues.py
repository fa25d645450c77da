"""Queues: their settings, counters and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import Endpoint, LastError, Page, QueueInfo, QueueStats
from lambdaqueue.connection import scripts_of, translated
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.identity import Actor, named
from lambdaqueue.job import State
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.rate import FlowLimits
from lambdaqueue.stats import StatsStore
from lambdaqueue.store import request_id

__all__ = ["QueueStore"]

FIELDS = (
    "created", "paused", "settings", "error", "troubled", "opened",
    "jobs", "running", "completed", "failed", "cancelled",
)  # fmt: skip


MOST_ENDPOINTS = 100
"""Endpoints in trouble that are told of a queue."""


class QueueStore:
    """Reads queues, and changes what their owners may set."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def info(self, environment: str, name: str) -> QueueInfo | None:
        """Return a queue, or None when nothing was ever pushed or set."""
        with translated():
            row: Any = self._client.hmget(keys.queue(environment, name), FIELDS)
        return _info(name, row) if row[0] is not None else None

    def stats(self, environment: str, name: str) -> QueueStats:
        """Count what ended in the last hour, to five minutes, and today (UTC)."""
        return StatsStore(self._client, self.now).ended(environment, name)

    def endpoints(self, environment: str, name: str) -> tuple[Endpoint, ...]:
        """Return the endpoints of a queue that are in trouble: the first of them, not thousands."""
        with translated():
            found: Any = self._client.zrange(keys.resting(environment, name), 0, MOST_ENDPOINTS - 1)
            pipeline = self._client.pipeline(transaction=False)
            pipeline.time()
            for digest in found:
                endpoint = digest.decode()
                pipeline.hmget(keys.endpoint(environment, name, endpoint), "url", "rest", "opened")
                pipeline.zcard(keys.aside(environment, name, endpoint))
            clock, *rows = pipeline.execute()
        now = clock[0] * 1_000 + clock[1] // 1_000 if self.now is None else self.now
        return tuple(
            Endpoint(
                url=(url or b"").decode(),
                rests_until=int(rest) if rest and int(rest) > now else None,
                opened=int(opened or 0),
                aside=aside,
            )
            for (url, rest, opened), aside in zip(rows[::2], rows[1::2], strict=True)
        )

    def page(self, environment: str, limit: int, after: str | None) -> Page[QueueInfo]:
        """Return queues by name, beginning behind `after`."""
        start = f"({after}" if after else "-"
        with translated():
            found: Any = self._client.zrangebylex(
                keys.queues(environment), start, "+", 0, limit + 1
            )
            names = [name.decode() for name in found]
            pipeline = self._client.pipeline(transaction=False)
            for name in names[:limit]:
                pipeline.hmget(keys.queue(environment, name), FIELDS)
            rows = pipeline.execute()
        infos = [
            _info(name, row) for name, row in zip(names, rows, strict=False) if row[0] is not None
        ]
        return Page(tuple(infos), names[limit - 1] if len(names) > limit else None)

    def configure(
        self, actor: Actor, name: str, changes: Mapping[str, Any], base: QueueSettings | None
    ) -> None:
        """Change settings: those named in `changes`, on top of `base` or of what is stored."""
        key = keys.queue(actor.environment, name)
        while True:
            with translated():
                stored = self._client.hget(key, "settings") or b""
            before = QueueSettings.unpack(stored)
            settings = replace(base or before, **changes)
            fields = {
                "settings": settings.pack(),
                "target": settings.target or "",
                "history_limit": settings.history_limit,
                "failed_limit": settings.failed_limit,
                "concurrency": settings.concurrency or "",
                "rate": settings.rate.terms if settings.rate else "",
                "ordered": int(settings.ordered) or "",
                **_flow_fields(settings.flow or FlowLimits()),
                "breaker": settings.breaker.terms if settings.breaker else "",
                "on_success": settings.on_success.pack() if settings.on_success else "",
                "on_failure": settings.on_failure.pack() if settings.on_failure else "",
            }
            if self._set(actor, name, "queue.update", stored, fields):
                return

    def pause(self, actor: Actor, name: str) -> None:
        """Start no further attempt of the queue; what runs goes on."""
        self._set(actor, name, "queue.pause", "*", {"paused": 1})

    def resume(self, actor: Actor, name: str) -> None:
        """Lift a pause; what is due goes out at once."""
        self._set(actor, name, "queue.resume", "*", {"paused": ""})

    def purge(
        self,
        environment: str,
        name: str,
        state: State | None,
        job_ids: Sequence[str],
        *,
        by: Actor | None = None,
    ) -> int:
        """Delete those of the jobs that wait, of one state or of both; returns how many.

        The audit names `by` if any were.
        """
        args = (state or "", *named(by), *job_ids)
        return self._delete("purge", keys.queue_ref(environment, name), *args)

    def forget_entries(
        self,
        environment: str,
        name: str,
        state: State,
        entries: Sequence[str],
        *,
        by: Actor | None = None,
    ) -> int:
        """Forget entries of a queue's history, all of one state; returns how many there were.

        The audit names `by` if there were any.
        """
        args = (state, *named(by), *entries)
        return self._delete("forget_entries", keys.queue_ref(environment, name), *args)

    def _delete(self, script: str, *args: str) -> int:
        row = self._scripts.run(script, [keys.request(request_id())], self._now(), *args)
        return int(row[0])

    def drop(self, actor: Actor, name: str) -> None:
        """Forget a queue with its history.

        Raises:
            Conflict: items wait or run. NotFound: there is no such queue.
        """
        ref, by, status = keys.queue_ref(actor.environment, name), named(actor), b"more"
        while status == b"more":
            request = [keys.request(request_id())]
            status = self._scripts.run("drop_queue", request, ref, self._now(), *by)[0]
            by = named(None)  # one entry, with the first step
        if status == b"busy":
            raise Conflict("the queue has items that wait or run")
        if status == b"absent":
            raise NotFound("there is no such queue")

    def _set(
        self,
        actor: Actor,
        name: str,
        action: str,
        made_from: bytes | str,
        fields: Mapping[str, Any],
    ) -> bool:
        answer = self._scripts.run(
            "configure",
            [keys.request(request_id())],
            self._now(),
            keys.queue_ref(actor.environment, name),
            made_from,
            actor.name,
            actor.address,
            action,
            *(part for pair in fields.items() for part in pair),
        )
        if answer[0] == b"closed":
            raise NotFound("the environment has ended")
        return bool(answer[0] == b"configured")

    def _now(self) -> str:
        return "" if self.now is None else str(self.now)


def _info(name: str, row: Sequence[bytes | None]) -> QueueInfo:
    _, paused, settings, error, troubled, opened, *counters = row
    jobs, running, completed, failed, cancelled = (int(counter or 0) for counter in counters)
    return QueueInfo(
        name=name,
        paused=paused == b"1",
        waiting=jobs - running,
        running=running,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        settings=QueueSettings.unpack(settings or b""),
        last_error=_last_error(error),
        troubled=int(troubled or 0),
        opened=int(opened or 0),
    )


def _flow_fields(flow: FlowLimits) -> dict[str, Any]:
    """Return what `lanes.lua` reads; "" removes a field."""
    return {
        "flow_concurrency": flow.concurrency or "",
        "flow_rate": flow.rate.terms if flow.rate else "",
        "flow_ordered": int(flow.ordered) or "",
    }


def _last_error(stored: bytes | None) -> LastError | None:
    """Read what `settle.lua` keeps: `<Unix ms> <error>`, or "" after a success."""
    if not stored:
        return None
    at, _, error = stored.decode().partition(" ")
    return LastError(error, int(at))
