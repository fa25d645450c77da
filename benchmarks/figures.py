"""Figures and their targets, and the table and the file in which they end up."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Figure", "Target", "at_least", "at_most", "percentile", "table", "write_json"]


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that the median should keep."""

    bound: float
    is_floor: bool

    def met_by(self, value: float) -> bool:
        """True when `value` is on the right side."""
        return value >= self.bound if self.is_floor else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {_number(self.bound)}"


def at_least(bound: float) -> Target:
    """More is better."""
    return Target(bound, is_floor=True)


def at_most(bound: float) -> Target:
    """Less is better."""
    return Target(bound, is_floor=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, once for each repeat; the median counts, the spread is the noise."""

    name: str
    unit: str
    values: Sequence[float]
    target: Target | None = None

    @property
    def median(self) -> float:
        """The middle of the repeats."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the target; None without one."""
        return None if self.target is None else self.target.met_by(self.median)

    def row(self) -> tuple[str, str, str, str]:
        """Return name, measured, target and verdict as the table shows them."""
        measured = f"{_number(self.median)} {self.unit}".rstrip()
        if len(self.values) > 1:
            measured += f" ({_number(min(self.values))}–{_number(max(self.values))})"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return self.name, measured, str(self.target or ""), verdict

    def to_json(self) -> dict[str, Any]:
        """Return all that is known of it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "values": list(self.values),
            "target": str(self.target) if self.target else None,
            "met": self.met,
        }


def percentile(values: Iterable[float], part: float) -> float:
    """Return the nearest-rank percentile; `part` is 0 to 1."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(part * len(ranked)) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table that also reads well in a terminal."""
    rows = [("figure", "measured (min–max)", "target", "")]
    rows += [figure.row() for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ("-" * widths[0], "-" * widths[1], "-" * widths[2], "-" * widths[3]))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def write_json(path: Path, about: dict[str, Any], figures: Sequence[Figure]) -> None:
    """Write the figures with the machine they were measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / ".gitignore").write_text("*\n")
    content = {**about, "figures": [figure.to_json() for figure in figures]}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
