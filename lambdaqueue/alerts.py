"""What an operator should know without looking: which conditions hold, and who was told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.connection import scripts_of, translated
from lambdaqueue.spec import Spec
from lambdaqueue.stats import PIECE, read_note
from lambdaqueue.store import request_id

__all__ = ["AlertStore", "Condition", "QueueState", "conditions_of"]

QUEUE = "alerts"
"""The queue of the first environment that alerts are pushed into."""

LEAST = 20
"""Endings in a few minutes that a ratio takes."""

NEARLY_FULL, ROOM_AGAIN = 0.9, 0.85
"""Shares of `maxmemory`: above the one it's told, below the other it's over."""

CHUNK = 500
FIELDS = ("error", "opened", "completed", "failed")


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong: `name` tells it from others, `text` is for people."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """What is looked at of a queue: its newest error, its open breakers, and what ended lately."""

    ref: str
    error: str = ""
    opened: int = 0
    completed: int = 0
    failed: int = 0


def conditions_of(state: QueueState, ratio: float) -> Iterator[Condition]:
    """Yield what is wrong with a queue; `ratio` is the share of failures that is too much."""
    ended = state.completed + state.failed
    if ended >= LEAST and state.failed / ended >= ratio:
        text = f"queue {state.ref}: {state.failed} of {ended} jobs failed lately"
        yield Condition(f"failing {state.ref}", text)
    if state.opened:
        text = f"queue {state.ref}: {state.opened} of its endpoints fail, their breakers are open"
        yield Condition(f"breaker {state.ref}", text)
    if state.error.startswith("unverified"):
        text = f"queue {state.ref}: its target did not prove that it knows the secret"
        yield Condition(f"unverified {state.ref}", text)


class AlertStore:
    """Reads what alerts are about, and tells them. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def known(self) -> set[str]:
        """Return the names of the conditions that were told and are not over."""
        with translated():
            found: Any = self._client.hkeys(keys.alerts)
        return {name.decode() for name in found}

    def tell(self, name: str, spec: Spec, *, over: bool) -> bool:
        """Push the job that tells of a condition, or of its end; False where that was told."""
        answer = self._scripts.run(
            "alert",
            [keys.request(request_id()), keys.alerts],
            "" if self.now is None else self.now,
            name,
            "over" if over else "on",
            keys.queue_ref(keys.DEFAULT_ENVIRONMENT, QUEUE),
            spec.pack(),
        )
        return bool(answer[0] == b"told")

    def workers(self) -> int:
        """Return how many workers live."""
        with translated():
            return int(self._client.zcard(keys.workers))

    def fullness(self) -> float:
        """Return the share of its memory that Redis uses, 0 where it has no limit."""
        with translated():
            memory: Any = self._client.info("memory")
        most = int(memory.get("maxmemory", 0))
        return int(memory["used_memory"]) / most if most else 0.0

    def queues(self, refs: Sequence[str]) -> Iterator[QueueState]:
        """Yield what is looked at of queues."""
        for start in range(0, len(refs), CHUNK):
            chunk = [ref.split(":", 1) for ref in refs[start : start + CHUNK]]
            with translated():
                now = int(self._client.time()[0]) if self.now is None else self.now // 1_000
                pipeline = self._client.pipeline(transaction=False)
                for environment, name in chunk:
                    # First the notes: what ends meanwhile makes it more, never less than none.
                    pieces = (now // PIECE - 1, now // PIECE)
                    pipeline.hmget(keys.pieces(environment, name), pieces)
                    pipeline.hmget(keys.queue(environment, name), FIELDS)
                rows = pipeline.execute()
            for (environment, name), notes, fields in zip(
                chunk, rows[::2], rows[1::2], strict=True
            ):
                yield _state(f"{environment}:{name}", notes, fields)


def _state(ref: str, notes: Sequence[bytes | None], fields: Sequence[bytes | None]) -> QueueState:
    error, opened, *ended = fields
    completed, failed = (int(number or 0) for number in ended)
    began = next((read_note(note) for note in notes if note is not None), None)
    return QueueState(
        ref=ref,
        error=(error or b"").decode().partition(" ")[2],
        opened=int(opened or 0),
        # Nothing was noted: nothing has ended.
        completed=completed - began["completed"] if began else 0,
        failed=failed - began["failed"] if began else 0,
    )
