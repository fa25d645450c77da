"""Durations by the bound they stay under: how they are stored, told, and read as percentiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

__all__ = ["BOUNDS", "Histogram"]

BOUNDS = (
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000,
    3_600_000,
)  # fmt: skip
"""ms, inclusive; `totals.lua` counts by them. The longest timeout is one of them."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations lie under each of `BOUNDS`, in the last place above all; `total` is ms."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    total: int = 0

    @classmethod
    def read(cls, stored: Mapping[str, int], what: str) -> Histogram:
        """Read the counts that are stored as `<what>:<bound>`, `<what>:inf` and `<what>:sum`."""
        places = (*map(str, BOUNDS), "inf")
        counts = tuple(stored.get(f"{what}:{place}", 0) for place in places)
        return cls(counts, stored.get(f"{what}:sum", 0))

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @property
    def cumulative(self) -> tuple[int, ...]:
        """How many are under each bound, those under the bounds before it included."""
        return tuple(accumulate(self.counts))

    def quantile(self, share: float) -> float | None:
        """Estimate the ms that `share` (0–1) of them stay under; None where there are none.

        Within a bucket they are taken as spread evenly; above the last bound it is that bound.
        """
        wanted, below, low = share * self.count, 0, 0
        if not self.count:
            return None
        for number, bound in zip(self.counts, BOUNDS, strict=False):
            if number and below + number >= wanted:
                return low + (bound - low) * (wanted - below) / number
            below, low = below + number, bound
        return float(BOUNDS[-1])
