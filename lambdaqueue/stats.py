"""What ended in a queue, and how long it took, in pieces of the last hour and the last day.

`totals.lua` notes a queue's counts before the first of them moves in a piece of five minutes. So
what they were when any piece began is in the first note from then on, or they are the same now if
none follows; what happened between two moments is the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import Endings, QueueStats
from lambdaqueue.connection import translated
from lambdaqueue.histogram import Histogram

__all__ = ["PIECE", "Bar", "Counts", "Notes", "Recent", "Span", "StatsStore", "read_note"]

PIECE = 300
"""Seconds of the pieces of time that counts are noted in; `totals.lua` knows them."""

PER_HOUR, PER_DAY = 12, 288

ENDED = ("completed", "failed", "cancelled")

Counts = Mapping[str, int]
"""Counts that only grow, by the names that `totals.lua` gives them."""


class Span(Enum):
    """A stretch of time up to now: how many bars it has, and of how many pieces each."""

    HOUR = (12, 1)
    DAY = (24, PER_HOUR)


@dataclass(frozen=True, slots=True)
class Bar:
    """What happened in a queue from `since` (Unix s) on, for the length of a span's bar.

    `took` are the durations of attempts, `late` how long after their due times jobs were first
    started.
    """

    since: int
    completed: int
    failed: int
    cancelled: int
    took: Histogram
    late: Histogram


@dataclass(frozen=True, slots=True)
class Recent:
    """What happened in a queue lately, all read at one moment.

    `bars` are of the last hour and day, oldest first; the last of each is unfinished.
    """

    ended: QueueStats
    bars: Mapping[Span, Sequence[Bar]]


@dataclass(frozen=True, slots=True)
class Notes:
    """A queue's counts now, and as they were when pieces of time began."""

    now: Counts
    notes: Mapping[int, bytes]

    def at(self, piece: int) -> Counts:
        """Return the counts with which a piece of time began."""
        first = min((number for number in self.notes if number >= piece), default=None)
        return self.now if first is None else read_note(self.notes[first])

    def bars(self, boundaries: Sequence[int]) -> Iterator[Bar]:
        """Yield a bar from each of the boundaries, which are numbers of pieces, to the next."""
        counts = [self.at(boundary) for boundary in boundaries] + [self.now]
        for since, (before, after) in zip(boundaries, pairwise(counts), strict=True):
            yield _bar(since * PIECE, _difference(after, before))


class StatsStore:
    """Reads what was counted. `now` (Unix ms) replaces Redis' clock in tests."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self.now = now

    def recent(self, environment: str, queue: str) -> Recent:
        """Return all that is told of one queue."""
        piece = self._piece()
        ((_, notes),) = self._notes(environment, [queue])
        bars = {span: list(notes.bars(_boundaries(piece, span))) for span in Span}
        return Recent(_ended(notes, piece), bars)

    def many(self, environment: str, queues: Sequence[str], span: Span) -> dict[str, list[Bar]]:
        """Return the bars of many queues in one round trip; one that isn't there has none."""
        boundaries = _boundaries(self._piece(), span)
        found = self._notes(environment, queues)
        return {name: list(notes.bars(boundaries)) for name, notes in found}

    def ended(self, environment: str, queue: str) -> QueueStats:
        """Count what ended in the last hour, to five minutes, and today (UTC)."""
        piece = self._piece()
        ((_, notes),) = self._notes(environment, [queue])
        return _ended(notes, piece)

    def _piece(self) -> int:
        if self.now is not None:
            return self.now // 1_000 // PIECE
        with translated():
            return int(self._client.time()[0]) // PIECE

    def _notes(self, environment: str, queues: Sequence[str]) -> Iterator[tuple[str, Notes]]:
        with translated():
            # No transaction: Redis refuses these when it's full. Notes come before what only grows,
            # so that no difference is below zero.
            pipeline = self._client.pipeline(transaction=False)
            for name in queues:
                pipeline.hgetall(keys.pieces(environment, name))
                pipeline.hgetall(keys.totals(environment, name))
                pipeline.hmget(keys.queue(environment, name), ENDED)
            rows: list[Any] = pipeline.execute()
        for name, pieces, totals, ended in zip(
            queues, rows[::3], rows[1::3], rows[2::3], strict=True
        ):
            now = {what.decode(): int(number) for what, number in totals.items()}
            now |= {what: int(number or 0) for what, number in zip(ENDED, ended, strict=True)}
            yield name, Notes(now, {int(number): note for number, note in pieces.items()})


def read_note(stored: bytes) -> Counts:
    """Read what `totals.lua` notes: names and numbers in turn."""
    words = stored.decode().split(" ")
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def _ended(notes: Notes, piece: int) -> QueueStats:
    hour, today = notes.at(piece - PER_HOUR + 1), notes.at(piece - piece % PER_DAY)
    return QueueStats(
        _endings(_difference(notes.now, hour)), _endings(_difference(notes.now, today))
    )


def _difference(after: Counts, before: Counts) -> Counts:
    return {what: number - before.get(what, 0) for what, number in after.items()}


def _boundaries(piece: int, span: Span) -> list[int]:
    bars, pieces = span.value
    newest = piece - piece % pieces
    return [newest - ago * pieces for ago in range(bars - 1, -1, -1)]


def _bar(since: int, counts: Counts) -> Bar:
    return Bar(
        since=since,
        completed=counts["completed"],
        failed=counts["failed"],
        cancelled=counts["cancelled"],
        took=Histogram.read(counts, "took"),
        late=Histogram.read(counts, "late"),
    )


def _endings(counts: Counts) -> Endings:
    classes = {
        what.removeprefix("failed:"): number
        for what, number in sorted(counts.items())
        if what.startswith("failed:") and number
    }
    return Endings(counts["completed"], counts["failed"], counts["cancelled"], classes)
