"""Numbers as shapes: coordinates for the small SVG charts of the macros."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["HEIGHT", "WIDTH", "bars"]

WIDTH = 120
HEIGHT = 28
"""Units of the charts' own coordinates; the page makes them as wide as there is room."""

Number = int | float


def bars(values: Sequence[Number | None]) -> list[tuple[str, str, str, str]]:
    """Return x, y, width and height of a bar for each of `values`; nothing is no bar."""
    top = _top(values)
    step = WIDTH / max(len(values), 1)
    found = []
    for number, value in enumerate(values):
        if not value or value < 0:
            continue
        # One of a million is still to be seen.
        height = max(HEIGHT - _y(value, top), 1.0)
        x = number * step
        found.append((_short(x), _short(HEIGHT - height), _short(step * 0.8), _short(height)))
    return found


def _top(values: Sequence[Number | None]) -> float:
    return float(max((value for value in values if value is not None), default=0)) or 1.0


def _y(value: Number, top: float) -> float:
    return HEIGHT - 1 - max(float(value), 0.0) / top * (HEIGHT - 2)


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
