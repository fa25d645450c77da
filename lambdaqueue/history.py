"""Ended jobs: reads of the history streams and of the indexes that lead into them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import HistoryFilter, Page
from lambdaqueue.connection import translated
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import Job, State
from lambdaqueue.queue_settings import Policies

__all__ = ["MOST_LOOKED_AT", "PAGE_BYTES", "HistoryStore"]

PAGE_BYTES = 4 * 1024 * 1024
"""A page ends early when its payloads and bodies are larger than this."""

MOST_LOOKED_AT = 5_000
"""Entries that one page looks at; it ends early where fewer of them match than were asked for."""

CURSOR = re.compile(r"[1-9][0-9]{0,14}-[0-9]{1,15}-[cf]")
ENTRY = re.compile(r"[cf][1-9][0-9]{0,14}-[0-9]{1,15}")
CHUNK = 100
KINDS = {State.COMPLETED: "c", State.FAILED: "f", State.CANCELLED: "f"}

Fields = Mapping[bytes, bytes]

Position = tuple[int, int, str]
"""Where an entry is: its stream id in two numbers, and which of the queue's two streams."""


class HistoryStore:
    """Reads history; it's written by the scripts that end jobs."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def newest(self, environment: str, job_id: str) -> Job | None:
        """Return the newest entry of a job, or None."""
        with translated():
            found: Any = self._client.hget(keys.ended(environment), job_id)
        if found is None:
            return None
        entry, _, queue = found.decode().partition(" ")
        return self._entry(environment, queue, entry)

    def newest_of(self, environment: str, job_ids: Sequence[str]) -> list[Job]:
        """Return the newest entries of jobs, of those that have one, in order."""
        if not job_ids:
            return []
        with translated():
            found: Any = self._client.hmget(keys.ended(environment), list(job_ids))
            places = [each.decode().partition(" ") for each in found if each]
            pipeline = self._client.pipeline(transaction=False)
            for entry, _, queue in places:
                pipeline.xrange(
                    keys.history(environment, queue, entry[0]), entry[1:], entry[1:], count=1
                )
            entries = pipeline.execute()
        queues = {queue for _, _, queue in places}
        policies = {queue: self._policies(environment, queue) for queue in queues}
        return [
            Job.from_entry(queue, entry, rows[0][1], policies[queue])
            for (entry, _, queue), rows in zip(places, entries, strict=True)
            if rows
        ]

    def newest_by_key(self, environment: str, queue: str, key: str) -> Job | None:
        """Return the newest entry with that unique key, or None."""
        with translated():
            entry: Any = self._client.hget(keys.latest(environment, queue), key)
        return self._entry(environment, queue, entry.decode()) if entry else None

    def entry(self, environment: str, queue: str, name: str) -> Job | None:
        """Return the entry of that name, or None."""
        return self._entry(environment, queue, name) if ENTRY.fullmatch(name) else None

    def entries(
        self, environment: str, queue: str, where: HistoryFilter, cursor: str | None = None
    ) -> Iterator[tuple[str, Job]]:
        """Yield all entries, newest first, each with the cursor that leads behind it.

        They are read in chunks as they are asked for. Raises as `page`.
        """
        found = self._looked_at(environment, queue, where, cursor)
        return ((at, job) for at, job in found if job is not None)

    def page(
        self, environment: str, queue: str, where: HistoryFilter, limit: int, cursor: str | None
    ) -> Page[Job]:
        """Return entries, newest first; of those that match none too, if they are far between.

        Raises:
            InvalidRequest: `cursor` is not one that an earlier page gave.
        """
        rows: list[Job] = []
        size, previous = 0, cursor
        found = self._looked_at(environment, queue, where, cursor)
        for number, (at, job) in enumerate(found):
            is_full = len(rows) == limit or (rows and size > PAGE_BYTES)
            if is_full or number == MOST_LOOKED_AT:
                return Page(tuple(rows), previous)
            previous = at
            if job is not None:
                rows.append(job)
                size += len(job.spec.payload) + (len(job.result.body) if job.result else 0)
        return Page(tuple(rows))

    def _looked_at(
        self, environment: str, queue: str, where: HistoryFilter, cursor: str | None = None
    ) -> Iterator[tuple[str, Job | None]]:
        """Yield as `entries`, and None in the place of each entry that doesn't match."""
        start = _position(cursor) if cursor else None
        policies = self._policies(environment, queue)
        for position, fields in self._merged(environment, queue, where, start):
            at = _cursor(position)
            if _matches(where, fields):
                yield at, Job.from_entry(queue, _name(position), fields, policies)
            else:
                yield at, None

    def _merged(
        self, environment: str, queue: str, where: HistoryFilter, start: Position | None
    ) -> Iterator[tuple[Position, Fields]]:
        kinds = [KINDS[where.state]] if where.state else ["c", "f"]
        streams = [_Stream(self, environment, queue, kind, where, start) for kind in kinds]
        while True:
            heads = [stream for stream in streams if stream.head is not None]
            if not heads:
                return
            newest = max(heads, key=lambda stream: stream.position)
            assert newest.head is not None
            yield newest.position, newest.head
            newest.advance()

    def read_chunk(
        self, environment: str, queue: str, kind: str, highest: str, lowest: str
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Return up to `CHUNK` raw entries of one stream, newest first."""
        with translated():
            rows: Any = self._client.xrevrange(
                keys.history(environment, queue, kind), highest, lowest, CHUNK
            )
        return list(rows)

    def _entry(self, environment: str, queue: str, entry: str) -> Job | None:
        kind, stream_id = entry[0], entry[1:]
        rows = self.read_chunk(environment, queue, kind, stream_id, stream_id)
        if not rows:
            return None
        return Job.from_entry(queue, entry, rows[0][1], self._policies(environment, queue))

    def _policies(self, environment: str, queue: str) -> Policies:
        with translated():
            settings: Any = self._client.hget(keys.queue(environment, queue), "settings")
            retry: Any = self._client.hget(keys.environment(environment), "retry")
        return Policies.unpack(settings or b"", retry or b"")


class _Stream:
    """One of a queue's two streams, read backwards with its next entry in hand."""

    def __init__(
        self,
        store: HistoryStore,
        environment: str,
        queue: str,
        kind: str,
        where: HistoryFilter,
        start: Position | None,
    ) -> None:
        lowest = "-" if where.since is None else str(where.since)
        self._read: Callable[[str], list[tuple[bytes, dict[bytes, bytes]]]] = lambda highest: (
            store.read_chunk(environment, queue, kind, highest, lowest)
        )
        self._kind = kind
        self._rows: list[tuple[bytes, dict[bytes, bytes]]] = []
        self._highest: str | None = str(where.until) if where.until is not None else "+"
        if start is not None:
            # Of entries with equal stream ids, "f" comes before "c".
            equal_is_left = self._kind < start[2]
            from_cursor = f"{start[0]}-{start[1]}"
            self._highest = from_cursor if equal_is_left else f"({from_cursor}"
            if where.until is not None and where.until < start[0]:
                self._highest = str(where.until)
        self.head: Fields | None = None
        self.position: Position = (0, 0, "")
        self.advance()

    def advance(self) -> None:
        if not self._rows and self._highest is not None:
            self._rows = self._read(self._highest)[::-1]
            full = len(self._rows) == CHUNK
            self._highest = f"({self._rows[0][0].decode()}" if full else None
        if not self._rows:
            self.head = None
            return
        name, self.head = self._rows.pop()
        ms, _, seq = name.decode().partition("-")
        self.position = (int(ms), int(seq), self._kind)


def _matches(where: HistoryFilter, fields: Fields) -> bool:
    if where.key is not None and fields.get(b"key") != where.key.encode():
        return False
    return where.state is None or fields[b"state"] == where.state.encode()


def _name(position: Position) -> str:
    return f"{position[2]}{position[0]}-{position[1]}"


def _cursor(position: Position) -> str:
    return f"{position[0]}-{position[1]}-{position[2]}"


def _position(cursor: str) -> Position:
    if not CURSOR.fullmatch(cursor):
        raise InvalidRequest.of("cursor", "invalid_cursor", "must come from an earlier page")
    ms, seq, kind = cursor.split("-")
    return int(ms), int(seq), kind
