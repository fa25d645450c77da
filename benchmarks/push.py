"""How fast the API takes pushes; measured by `push_rate.py`."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import push_rate
from benchmarks.context import Context
from benchmarks.figures import Figure, at_least

__all__ = ["measure"]


def measure(context: Context) -> Sequence[Figure]:
    """All cases of `push_rate`."""
    figures = []
    for case in push_rate.CASES:
        rounds = push_rate.measure(case, 2.0 if context.quick else 5.0, context.repeats)
        rates = [each.rate for each in rounds]
        figures.append(Figure(case.name, "/s", rates, at_least(case.target)))
        figures.append(Figure("  web CPU each", "µs", [each.cpu for each in rounds]))
        context.tell(f"{case.name}: {figures[-2].median:,.0f}/s")
    return figures
