"""Text for a terminal: what came from outside can neither break a line nor command the screen."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["printable", "table"]


def printable(text: str, limit: int | None = None) -> str:
    """Return `text` with control, format and separator characters escaped, cut to `limit`."""
    shown = text if limit is None or len(text) <= limit else text[:limit] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with aligned columns; numbers stand to the right."""
    cells = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(_aligned(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _aligned(cell: str, width: int) -> str:
    return cell.rjust(width) if cell.isdigit() else cell.ljust(width)
