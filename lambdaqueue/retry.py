"""When a failed job is tried again: the retry policy, and what `Retry-After` asks for.

Pure: the time and the chance are arguments. All durations are milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal, get_args

from lambdaqueue.errors import InvalidRequest, Issue

__all__ = [
    "DEFAULT_MAX",
    "DEFAULT_POLICY",
    "DELAY_BOUNDS",
    "MAX_DELAYS",
    "NUMBER_BOUNDS",
    "RETRY_AFTER_BOUNDS",
    "WHOLE_BOUNDS",
    "PolicyType",
    "RetryPolicy",
    "retry_after",
]

PolicyType = Literal["exponential", "quadratic", "power", "linear", "constant", "list"]

DEFAULT_MAX = 900_000
"""The cap of a growing policy that names none: a quarter of an hour."""

MAX_DELAYS = 50
"""Entries of a list policy; no policy has more retries than that."""

DELAY_BOUNDS = (0, 86_400_000)
WHOLE_BOUNDS: Mapping[str, tuple[int, int]] = {
    "delay": DELAY_BOUNDS,
    "max": (0, 604_800_000),
    "retries": (0, 50),
}
NUMBER_BOUNDS: Mapping[str, tuple[int, int]] = {
    "factor": (1, 10),
    "exponent": (1, 5),
    "jitter": (0, 1),
}
RETRY_AFTER_BOUNDS = (1_000, 86_400_000)
"""An endpoint may ask for a pause between a second and a day."""

UNCAPPED = frozenset({"constant", "list"})

# Every form of an HTTP-date begins with the day's name; the parser alone would take more.
HTTP_DATE = re.compile(r"[A-Z][a-z]{2,8},? [0-9A-Za-z: +-]{1,40}")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait after each failure, and how many retries there are.

    `retries` is how many attempts may follow the first one. `jitter` is the share of the delay
    that chance may add. `max` is the cap; left out it is `DEFAULT_MAX`, or none for `constant`
    and `list`. The constructor trusts its caller; `from_json` checks.
    """

    type: PolicyType = "exponential"
    delay: int = 10_000
    factor: float = 3
    exponent: float = 3
    delays: tuple[int, ...] = ()
    max: int | None = None
    retries: int = 5
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if self.max is None and self.type not in UNCAPPED:
            object.__setattr__(self, "max", DEFAULT_MAX)

    @classmethod
    def from_json(cls, value: object) -> RetryPolicy:
        """Build the policy that a user wrote; a field left out has its default.

        Raises:
            InvalidRequest: with an issue for every broken rule, paths relative to the policy.
        """
        if not isinstance(value, dict):
            raise InvalidRequest([Issue((), "not_object", "must be an object")])
        issues = list(_broken_rules(value))
        if issues:
            raise InvalidRequest(issues)
        return cls(**{**value, "delays": tuple(value.get("delays", ()))})

    def to_json(self) -> dict[str, Any]:
        """Return the smallest object that `from_json` turns into an equal policy.

        For the default policy that is the empty object.
        """
        plain = RetryPolicy(self.type)
        given = {
            name: value for name in FIELDS if (value := getattr(self, name)) != getattr(plain, name)
        }
        if self.type != DEFAULT_POLICY.type:
            given["type"] = self.type
        if self.delays:
            given["delays"] = list(self.delays)
        return given

    def delay_after(self, failures: int, chance: float) -> int:
        """Return how long to wait after failure number `failures` (from 1).

        `chance` in [0, 1) picks the jitter, which is added after the cap.
        """
        delay = GROWTH[self.type](self, failures)
        if self.max is not None:
            delay = min(delay, self.max)
        return round(delay + chance * self.jitter * delay)


FIELDS = tuple(field.name for field in fields(RetryPolicy))

DEFAULT_POLICY = RetryPolicy()
"""What holds where neither item nor queue nor environment has a policy."""

GROWTH: Mapping[str, Callable[[RetryPolicy, int], float]] = {
    "exponential": lambda policy, n: policy.delay * policy.factor ** (n - 1),
    "quadratic": lambda policy, n: policy.delay * n * n,
    "power": lambda policy, n: (n + 1) ** policy.exponent * 1_000,
    "linear": lambda policy, n: policy.delay * n,
    "constant": lambda policy, n: policy.delay,
    "list": lambda policy, n: policy.delays[min(n, len(policy.delays)) - 1],
}
"""The delay after failure n, before cap and jitter."""


def retry_after(value: str | None, now_ms: int) -> int | None:
    """Return the pause that a `Retry-After` header asks for, within `RETRY_AFTER_BOUNDS`.

    Takes delta-seconds or an HTTP-date (RFC 9110, section 10.2.3); a date that has passed asks
    for the shortest pause. Never raises: anything else is None.
    """
    text = (value or "").strip(" \t")
    pause = _seconds(text) if text.isascii() and text.isdigit() else _until(text, now_ms)
    if pause is None:
        return None
    shortest, longest = RETRY_AFTER_BOUNDS
    return min(max(pause, shortest), longest)


def _seconds(digits: str) -> int:
    # Python refuses to read thousands of digits; eighteen are more than the longest pause.
    return int(digits.lstrip("0")[:18] or "0") * 1_000


def _until(date: str, now_ms: int) -> int | None:
    if HTTP_DATE.fullmatch(date) is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * 1_000 - now_ms
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _broken_rules(policy: Mapping[Any, object]) -> Iterator[Issue]:
    for name in policy:
        if name not in FIELDS:
            yield Issue((str(name),), "unknown_field", "is no field of a retry policy")
    if policy.get("type", "exponential") not in get_args(PolicyType):
        choices = ", ".join(get_args(PolicyType))
        yield Issue(("type",), "unknown_type", f"must be one of {choices}")
    for name, bounds in WHOLE_BOUNDS.items():
        if name in policy:
            yield from _whole((name,), policy[name], bounds)
    for name, bounds in NUMBER_BOUNDS.items():
        if name in policy:
            yield from _number((name,), policy[name], bounds)
    if "delays" in policy:
        yield from _delays(policy["delays"])
    elif policy.get("type") == "list":
        yield Issue(("delays",), "required", "is required for the type list")


def _delays(value: object) -> Iterator[Issue]:
    if not isinstance(value, list):
        yield Issue(("delays",), "not_list", "must be a list of milliseconds")
    elif not 1 <= len(value) <= MAX_DELAYS:
        yield Issue(("delays",), "out_of_range", f"must have 1 to {MAX_DELAYS} entries")
    else:
        for index, delay in enumerate(value):
            yield from _whole(("delays", index), delay, DELAY_BOUNDS)


def _whole(path: tuple[str | int, ...], value: object, bounds: tuple[int, int]) -> Iterator[Issue]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield Issue(path, "not_integer", "must be a whole number")
    else:
        yield from _number(path, value, bounds)


def _number(path: tuple[str | int, ...], value: object, bounds: tuple[int, int]) -> Iterator[Issue]:
    low, high = bounds
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield Issue(path, "not_number", "must be a number")
    elif not low <= value <= high:  # true for NaN as well
        yield Issue(path, "out_of_range", f"must be from {low} to {high}")
