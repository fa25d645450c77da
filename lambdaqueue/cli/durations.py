"""Durations as people type them: `500ms`, `10s`, `5m`, `2h`, `1d`; a bare number is ms."""

from __future__ import annotations

import argparse
import re

__all__ = ["duration"]

MILLISECONDS = {"": 1, "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d|)")


def duration(text: str) -> int:
    """Return the milliseconds; made for `type=` of an argument.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration like 500ms, 10s, 5m, 2h or 1d")
    return int(found[1]) * MILLISECONDS[found[2]]
