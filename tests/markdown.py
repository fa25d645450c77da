"""The code blocks of a page of the docs, for tests that run them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks"]

FENCE = "```"


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its language, the headings that it's below by their texts, and its first line."""

    kind: str
    section: str
    part: str
    line: int
    text: str


def blocks(page: Path, kind: str | None = None) -> list[Block]:
    """Return the blocks of a page, or those of one language; `""` is that of blocks without."""
    return [each for each in _blocks(page.read_text()) if kind in (None, each.kind)]


def _blocks(text: str) -> Iterator[Block]:
    section = part = ""
    inside: Block | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if inside is not None and line.rstrip() == FENCE:
            yield Block(inside.kind, section, part, inside.line, "".join(lines))
            inside = None
        elif inside is not None:
            lines.append(f"{line}\n")
        elif line.startswith(FENCE):
            inside, lines = Block(line[3:].strip(), section, part, number + 1, ""), []
        elif line.startswith("## "):
            section, part = line[3:], ""
        elif line.startswith("### "):
            part = line[4:]
    assert inside is None, f"the block of line {inside.line} has no end"
