"""Which HTTP statuses count as success."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lambdaqueue.errors import InvalidRequest

__all__ = ["MAX_RANGES", "SUCCESS", "StatusRange"]

MAX_RANGES = 20
"""Ranges in one expression: far more than anybody needs, few enough to test on every delivery."""

LOWEST, HIGHEST = 100, 599
RANGE = re.compile(r"([0-9]{3})(?:-([0-9]{3}))?")


@dataclass(frozen=True, slots=True)
class StatusRange:
    """A set of HTTP statuses, written `200-299` or `200-299,304`; bounds are inclusive."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> StatusRange:
        """Read an expression; `str()` of the result reads the same again.

        Raises:
            InvalidRequest: not statuses (100 to 599) or ascending ranges of them, separated by
                commas without spaces; or more than `MAX_RANGES`.
        """
        parts = text.split(",", MAX_RANGES)
        if len(parts) > MAX_RANGES:
            raise _invalid("out_of_range", f"at most {MAX_RANGES} ranges")
        return cls(tuple(_bounds(part) for part in parts))

    def __contains__(self, status: int) -> bool:
        for low, high in self.ranges:  # noqa: SIM110 - any() costs thrice as much, per delivery
            if low <= status <= high:
                return True
        return False

    def __str__(self) -> str:
        return ",".join(f"{low}-{high}" if low < high else str(low) for low, high in self.ranges)


SUCCESS = StatusRange(((200, 299),))
"""What counts as success where neither queue nor environment says otherwise."""


def _bounds(part: str) -> tuple[int, int]:
    found = RANGE.fullmatch(part)
    if found is None:
        raise _invalid("malformed", 'statuses and ranges like "200-299" or "200-299,304"')
    low, high = int(found[1]), int(found[2] or found[1])
    if not LOWEST <= low <= high <= HIGHEST:
        raise _invalid("out_of_range", f"ascending, from {LOWEST} to {HIGHEST}")
    return low, high


def _invalid(code: str, rule: str) -> InvalidRequest:
    return InvalidRequest.of("successStatus", code, f"must be {rule}")
