"""Limits that a queue's owner sets: how many attempts at once, and how many in a time. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lambdaqueue.errors import InvalidRequest, Issue

__all__ = ["MAX_CONCURRENCY", "Breaker", "FlowLimits", "Rate"]

MAX_CONCURRENCY = 100_000

LEAST_RATIO = 0.001
"""A breaker's: less than one failure in a thousand attempts is no trouble."""
BOUNDS: Mapping[str, tuple[int, int]] = {
    "limit": (1, 1_000_000),
    "period": (1, 86_400_000),
    "burst": (1, 1_000_000),
}
"""`period` is ms, at most a day."""

SMOOTH = 22
"""A rate that names no burst may save up a 22nd of it, so that a late look costs nothing: 48 ms
late, where it's a rate per second."""

GRAIN = 2_048
"""Parts of a ms that an interval is rounded up to: sums with Unix ms are then exact doubles until
the year 2109, so no token is lost or won by rounding."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` attempts in any `period` (ms).

    With `burst` it's a bucket: it holds so many attempts, and `limit` per period flow in; so after
    a pause there may be up to `burst` more in a period.
    """

    limit: int
    period: int
    burst: int | None = None

    @property
    def terms(self) -> str:
        """What `limits.lua` reads: the ms between two attempts, and how many may come at once.

        GCRA lets `burst - 1 + period / interval` come in any period, which is `limit` where
        nothing else was asked for.
        """
        saved = self.limit // SMOOTH if self.burst is None else self.burst - 1
        each = self.limit - saved if self.burst is None else self.limit
        return f"{math.ceil(self.period / each * GRAIN) / GRAIN:.12f} {1 + saved}"

    @classmethod
    def from_json(cls, value: Any) -> Rate:
        """Build the rate that a user wrote.

        Raises:
            InvalidRequest: with an issue for every broken rule, paths relative to the rate.
        """
        issues = list(_broken_rules(value))
        if issues:
            raise InvalidRequest(issues)
        return cls(**value)

    def to_json(self) -> dict[str, int]:
        """Return what `from_json` turns into an equal rate."""
        given = {"limit": self.limit, "period": self.period}
        return given if self.burst is None else {**given, "burst": self.burst}


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """What holds for each flow key of a queue by itself."""

    concurrency: int | None = None
    rate: Rate | None = None
    ordered: bool = False

    @classmethod
    def from_json(cls, value: Any) -> FlowLimits:
        """Build the limits that a user wrote; raises as `Rate.from_json`."""
        issues = [
            Issue((str(name),), "unknown_field", "is no field of a flow")
            for name in value
            if name not in ("concurrency", "rate", "ordered")
        ]
        if "concurrency" in value:
            issues += _whole("concurrency", value["concurrency"], (1, MAX_CONCURRENCY))
        if type(value.get("ordered", False)) is not bool:
            issues.append(Issue(("ordered",), "not_boolean", "must be true or false"))
        if "rate" in value:
            issues += [issue.at("rate") for issue in _broken_rules(value["rate"])]
        if issues:
            raise InvalidRequest(issues)
        rate = Rate.from_json(value["rate"]) if "rate" in value else None
        return cls(value.get("concurrency"), rate, value.get("ordered", False))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` turns into equal limits."""
        given: dict[str, Any] = {}
        if self.concurrency is not None:
            given["concurrency"] = self.concurrency
        if self.rate is not None:
            given["rate"] = self.rate.to_json()
        if self.ordered:
            given["ordered"] = True
        return given


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a queue stops calling its endpoint: `ratio` of the attempts within `window` (ms) failed.

    It goes on with single attempts after a rest, which doubles while these fail.
    """

    ratio: float
    window: int

    @property
    def terms(self) -> str:
        """What `endpoints.lua` reads."""
        return f"{self.ratio:.4f} {self.window}"

    @classmethod
    def from_json(cls, value: Any) -> Breaker:
        """Build the breaker that a user wrote; raises as `Rate.from_json`."""
        issues = [
            Issue((str(name),), "unknown_field", "is no field of a breaker")
            for name in value
            if name not in ("ratio", "window")
        ]
        for name in ("ratio", "window"):
            if name not in value:
                issues.append(Issue((name,), "required", "is required"))
        ratio = value.get("ratio", 1)
        if type(ratio) not in (int, float) or not LEAST_RATIO <= ratio <= 1:
            message = f"must be a number from {LEAST_RATIO} to 1"
            issues.append(Issue(("ratio",), "out_of_range", message))
        issues += _whole("window", value.get("window", 1_000), (1_000, 3_600_000))
        if issues:
            raise InvalidRequest(issues)
        return cls(value["ratio"], value["window"])

    def to_json(self) -> dict[str, float]:
        """Return what `from_json` turns into an equal breaker."""
        return {"ratio": self.ratio, "window": self.window}


def _broken_rules(rate: Any) -> Iterator[Issue]:
    if type(rate) is not dict:
        yield Issue((), "not_object", "must be an object")
        return
    for name in rate:
        if name not in BOUNDS:
            yield Issue((str(name),), "unknown_field", "is no field of a rate")
    for name in ("limit", "period"):
        if name not in rate:
            yield Issue((name,), "required", "is required")
    for name, bounds in BOUNDS.items():
        if name in rate:
            yield from _whole(name, rate[name], bounds)


def _whole(name: str, value: Any, bounds: tuple[int, int]) -> Iterator[Issue]:
    low, high = bounds
    if type(value) is not int:
        yield Issue((name,), "not_integer", "must be a whole number")
    elif not low <= value <= high:
        yield Issue((name,), "out_of_range", f"must be from {low} to {high}")
