"""Schedules as the scripts hand them out: rows of fields, which newer code may have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.spec import Spec

__all__ = ["Unreadable", "collection_of", "read_schedule", "schedule_or_why_not"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A due schedule that this version can't read, because a newer one wrote it.

    It stays as it is; `ref` is `environment:id`, `next_run` its run as it's stored.
    """

    ref: str
    revision: str
    next_run: str
    reason: str


def read_schedule(ref: str, row: Sequence[bytes]) -> Schedule:
    """Read a row; `ref` is `environment:id`."""
    environment, _, schedule_id = ref.partition(":")
    stored = dict(zip(row[::2], row[1::2], strict=True))
    return Schedule(
        id=schedule_id,
        environment=environment,
        queue=stored[b"queue"].decode(),
        spec=Spec.unpack(stored[b"spec"]),
        recurrence=Recurrence.unpack(stored[b"recurrence"]),
        created=int(stored[b"created"]),
        anchor=int(stored[b"anchor"]),
        key=stored[b"key"].decode() or None,
        priority=int(stored.get(b"priority", 0)),
        paused=stored.get(b"paused") == b"1",
        next_run=_ms(stored.get(b"next")),
        last_run=_ms(stored.get(b"last")),
        runs=int(stored.get(b"runs", 0)),
        revision=int(stored[b"revision"]),
        notes=stored.get(b"notes", b"").decode(),
        exclusive=stored.get(b"exclusive") == b"1",
    )


def schedule_or_why_not(ref: str, row: Sequence[bytes]) -> Schedule | Unreadable:
    """Read a row by itself: one that can't be read must not keep the others."""
    try:
        return read_schedule(ref, row)
    except (InvalidRequest, KeyError, TypeError, ValueError) as error:
        stored = dict(zip(row[::2], row[1::2], strict=True))
        revision, next_run = (stored.get(name, b"").decode() for name in (b"revision", b"next"))
        return Unreadable(ref, revision, next_run, repr(error))


def collection_of(row: Sequence[bytes]) -> str:
    """Return the `keys.Collection` that a row's schedule belongs to."""
    stored = dict(zip(row[::2], row[1::2], strict=True))
    return stored.get(b"collection", b"schedules").decode()


def _ms(stored: bytes | None) -> int | None:
    return None if stored is None else int(stored)
