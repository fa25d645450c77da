"""What every benchmark gets: how thorough to be, where to work, and whom to tell."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Context"]


@dataclass(frozen=True, slots=True)
class Context:
    """The runner's side of a benchmark. `server` is a redis-server program, None the usual one."""

    folder: Path
    server: Path | None
    quick: bool
    repeats: int

    def size(self, full: int, quick: int) -> int:
        """Return how many of something to take."""
        return quick if self.quick else full

    def tell(self, line: str) -> None:
        """Show progress, apart from the table."""
        print(f"  {line}", file=sys.stderr, flush=True)
