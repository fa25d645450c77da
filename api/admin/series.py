"""What happened in a queue, as numbers for its charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lambdaqueue.histogram import Histogram
from lambdaqueue.stats import Bar, Span

__all__ = ["SPANS", "Series", "series_of"]

SPANS = {"hour": Span.HOUR, "day": Span.DAY}
"""By the word in the query."""


@dataclass(frozen=True, slots=True)
class Series:
    """The bars of a span, oldest first. `p95` and `late` are ms, None where nothing was.

    `took` and `lag` have the 95th percentile of each bar: of attempts' durations, and of how long
    after their due times jobs were first started. `p95` and `late` are those of the whole span.
    """

    ended: Sequence[int]
    failed: Sequence[int]
    took: Sequence[float | None]
    lag: Sequence[float | None]
    all_ended: int
    all_failed: int
    p95: float | None
    late: float | None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing happened."""
        return not self.all_ended and self.p95 is None


def series_of(bars: Sequence[Bar]) -> Series:
    """Return the numbers of a span's bars."""
    ended = [bar.completed + bar.failed + bar.cancelled for bar in bars]
    failed = [bar.failed for bar in bars]
    took, late = _sum([bar.took for bar in bars]), _sum([bar.late for bar in bars])
    return Series(
        ended=ended,
        failed=failed,
        took=[bar.took.quantile(0.95) for bar in bars],
        lag=[bar.late.quantile(0.95) for bar in bars],
        all_ended=sum(ended),
        all_failed=sum(failed),
        p95=took.quantile(0.95),
        late=late.quantile(0.95),
    )


def _sum(histograms: Sequence[Histogram]) -> Histogram:
    if not histograms:
        return Histogram()
    counts = tuple(map(sum, zip(*(each.counts for each in histograms), strict=True)))
    return Histogram(counts, sum(each.total for each in histograms))
