"""What the model knows of a job as an execution: its callback tokens, and how its attempt goes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

__all__ = ["MISSED", "Course"]

MOST_TOKENS = 64
MISSED = 2
"""Intervals without a heartbeat that end an attempt."""


@dataclass(slots=True)
class Course:
    """An execution's part of a job. Times are ms; `beaten` is by the lease clock."""

    callback: str | None = None
    tokens: tuple[str, ...] = ()
    """Those that count no more: a digest, with `=` and how it ended the attempt, if it did."""
    ttl: int | None = None
    beat: int | None = None
    awaiting: int | None = None
    ends: int = 0
    beaten: int = 0
    deadline: int = 0
    heard: int | None = None
    called: int | None = None
    rate: tuple[int, ...] = ()
    """When the heartbeats of the last second came, the newest first."""
    progress: str | None = None
    failed: int | None = None
    astray: bool = False
    """The clock was set back since its deadline was worked out."""

    @property
    def known(self) -> tuple[str, ...]:
        """Its tokens as they are remembered, the newest last."""
        all_ = self.tokens if self.callback is None else (*self.tokens, self.callback)
        return all_[-MOST_TOKENS:]

    @property
    def closed(self) -> dict[str, str]:
        """By the digests of its tokens, the newest last, how each ended its attempt, or ""."""
        return {digest: how for digest, _, how in (each.partition("=") for each in self.known)}

    @property
    def silence_ends(self) -> int:
        assert self.beat is not None
        return self.beaten + MISSED * self.beat

    def overdue(self, now: int, lease: int) -> str | None:
        """Why its time is over, or None."""
        if now >= self.ends:
            return "callback_timeout"
        return "heartbeat_missed" if lease >= self.silence_ends else None

    def watch(self, now: int, lease: int) -> None:
        self.astray = False
        self.deadline = min(self.ends, now + max(1, self.silence_ends - lease))

    def hear(self, now: int, lease: int) -> None:
        """Somebody has heard of it: it runs, if that wasn't known yet."""
        assert self.ttl is not None
        self.beaten = lease
        if self.awaiting is None:
            self.awaiting, self.ends = now, now + self.ttl
        self.watch(now, lease)

    def registered(self, digest: str, terms: tuple[int, int], attempt: int) -> Course:
        """What it is when an attempt with another token begins."""
        return Course(digest, self.known, *terms, called=attempt)

    def over(self, how: str = "") -> Course:
        """What is left of it when the attempt was ended in that way and another may follow."""
        left = Course(None, self.known, self.ttl, self.beat)
        if how and self.callback is not None:
            left.tokens = (*self.known[:-1], f"{self.callback}={how}")
        return left

    def stored(self) -> dict[str, object]:
        """The fields of the job's hash that tell of it; None stands for one that is absent."""
        runs = self.awaiting is not None
        return {
            "callback": self.callback,
            "tokens": " ".join(self.tokens) or None,
            "ttl": self.ttl,
            "beat": self.beat,
            "awaiting": self.awaiting,
            "ends": self.ends if runs else None,
            "beaten": self.beaten if runs else None,
            "heard": self.heard,
            "called": self.called,
            "rate": _paced(self.rate) or None,
            "progress": self.progress,
            "failed": self.failed,
        }


def _paced(times: tuple[int, ...]) -> str:
    """The newest time, then how long before it each other came."""
    gaps = (later - earlier for later, earlier in itertools.pairwise(times))
    return " ".join(map(str, (*times[:1], *gaps)))
