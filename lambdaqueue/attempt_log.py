"""Attempts that have ended, and the log in which a job keeps the last of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["LOGGED", "Attempt", "close_log", "extend_log", "read_log"]

LOGGED = 20
"""How many attempts of a job are remembered; `reclaim.lua` knows the number too."""

ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP call that has ended. `started_at` is Unix ms, `duration` ms."""

    number: int
    started_at: int
    duration: int
    status: int | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the stored form; `reclaim.lua` writes the same."""
        stored: dict[str, Any] = {"n": self.number, "at": self.started_at, "ms": self.duration}
        if self.status is not None:
            stored["s"] = self.status
        if self.error is not None:
            stored["e"] = self.error
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Attempt:
        """Rebuild what `to_json` wrote."""
        return cls(stored["n"], stored["at"], stored["ms"], stored.get("s"), stored.get("e"))


def read_log(stored: bytes, skipped: int = 0) -> tuple[Attempt, ...]:
    """Return the attempts of a stored log, oldest first, numbered from behind those `skipped`."""
    made = [Attempt.from_json(each) for each in json.loads(stored)] if stored else []
    return tuple(replace(each, number=each.number + skipped) if skipped else each for each in made)


def extend_log(stored: bytes, attempt: Attempt) -> str:
    """Return the stored log with `attempt` at its end, cut to the last `LOGGED`."""
    log = json.loads(stored) if stored else []
    log.append(attempt.to_json())
    return ENCODE(log[-LOGGED:])


def close_log(stored: bytes, attempt: Attempt) -> str:
    """Return the stored log with the whole of an attempt that a callback or a deadline ended.

    What its HTTP call was answered may be there already: the status stays, the rest is replaced.
    """
    log = json.loads(stored) if stored else []
    if log and log[-1]["n"] == attempt.number:
        answered = log.pop()
        attempt = replace(attempt, status=answered.get("s"))
    log.append(attempt.to_json())
    return ENCODE(log[-LOGGED:])
