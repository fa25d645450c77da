"""Five cron fields, as crontab(5) has them: minute, hour, day of month, month, day of week.

croniter evaluates the fields, but it never sees what a user wrote: it takes six fields, random
ones (`R`, `H`) and steps larger than their field, and reads `5-5` as every value. So every term is
checked here first and handed on in a form that has one reading. It's never asked for a time
either: its days come from `WallTimes`, its clocks from `lambdaqueue.wall_clock`.

When both day fields say something other than `*`, a day that fits either is taken (crontab(5)).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lambdaqueue.errors import ConfigurationError, InvalidRequest
from lambdaqueue.wall_times import MonthShape, WallTimes, days_by_shape, mask

try:
    from croniter import croniter
except ModuleNotFoundError:
    # The bare SDK comes without; its LambdaQueue in memory knows all other expressions.
    croniter = None

__all__ = [
    "DAY_OF_MONTH",
    "HOUR",
    "MINUTE",
    "MONTH",
    "WEEKDAYS",
    "Field",
    "Term",
    "parse_five_fields",
    "refused",
    "split_fields",
]

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

YEARS = range(1970, 9_999)
"""Five fields name no year. The last is 9998, because zones ahead of UTC need a year beyond."""

TERM = re.compile(
    r"(?:(?P<star>\*)|(?P<low>[0-9A-Za-z]+)(?:-(?P<high>[0-9A-Za-z]+))?)(?:/(?P<step>[0-9]+))?"
)


def refused(code: str, message: str) -> InvalidRequest:
    """Build the error for an expression that is none."""
    return InvalidRequest.of("schedule", code, message)


@dataclass(frozen=True, slots=True)
class Term:
    """One entry of a field's list: `*`, `5`, `1-5`, each perhaps with a step.

    `high` is None when no range was written. `low` and `high` of `*` are the field's.
    """

    is_star: bool
    low: int
    high: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """A field: what it's called, its numbers, and its names, upper-case."""

    title: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)

    def refused(self, code: str, message: str) -> InvalidRequest:
        """Build the error that names this field."""
        return refused(code, f"{self.title}: {message}")

    def terms(self, text: str) -> Iterator[Term]:
        """Read a list of terms.

        Raises:
            InvalidRequest: naming the field and the reason.
        """
        return map(self.term, text.split(","))

    def term(self, text: str) -> Term:
        """Read one term.

        Raises:
            InvalidRequest: naming the field and the reason.
        """
        found = TERM.fullmatch(text)
        if found is None:
            raise self.refused("bad_field", f"{text!a} is no value, range or step of this field")
        step = None if found["step"] is None else self._step(found["step"])
        if found["star"]:
            return Term(True, self.low, self.high, step)
        high = None if found["high"] is None else self.number(found["high"])
        return Term(False, self.number(found["low"]), high, step)

    def number(self, text: str) -> int:
        """Read a number or a name, in any case.

        Raises:
            InvalidRequest: naming the field and the reason.
        """
        if not text.isdigit():
            if text.upper() not in self.names:
                raise self.refused("bad_field", f"{text!a} is no value of this field")
            return self.names[text.upper()]
        if not self.low <= int(text) <= self.high:
            raise self.refused("out_of_range", f"{text} is not from {self.low} to {self.high}")
        return int(text)

    def _step(self, text: str) -> int:
        # Sunday is 0 and 7, but a week has no more days than names.
        most = len(self.names) or self.high - self.low + 1
        if not 1 <= int(text) <= most:
            raise self.refused("out_of_range", f"the step {text} is not from 1 to {most}")
        return int(text)


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY_OF_MONTH = Field("day of month", 1, 31)
MONTH = Field("month", 1, 12, {name: number for number, name in enumerate(MONTHS, 1)})
DAY_OF_WEEK = Field("day of week", 0, 7, {name: number for number, name in enumerate(WEEKDAYS)})
FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK)


def split_fields(text: str, fields: tuple[Field, ...]) -> list[str]:
    """Split at spaces, one or more, into as many parts as there are fields.

    Raises:
        InvalidRequest: there are more or fewer, or spaces around them.
    """
    parts = re.split(" +", text)
    if len(parts) != len(fields) or not all(parts):
        titles = ", ".join(each.title for each in fields)
        found = len(text.split())
        message = f"must have {len(fields)} fields, separated by spaces ({titles}); has {found}"
        raise refused("wrong_fields", message)
    return parts


def parse_five_fields(text: str) -> WallTimes:
    """Read five cron fields.

    Raises:
        InvalidRequest: naming the field and the reason.
        ConfigurationError: croniter isn't installed; only the server's extra brings it.
    """
    parts = split_fields(text, FIELDS)
    plain = " ".join(map(_plain_field, FIELDS, parts))
    if croniter is None:
        raise ConfigurationError(
            f"croniter must be installed to know when {text!r} comes: "
            "pip install croniter, or use rate(…), every(…), at(…) or cron(…)"
        )
    expanded, _ = croniter.expand(plain)
    minutes, hours, days, months, weekdays = map(_numbers, FIELDS, expanded)
    either = "*" not in parts[2].split(",") and "*" not in parts[4].split(",")

    def rule(shape: MonthShape) -> Iterable[int]:
        for day in range(1, shape.length + 1):
            fits = day in days, (shape.weekday(day) + 1) % 7 in weekdays
            if any(fits) if either else all(fits):
                yield day

    times = WallTimes(
        minutes=mask(minutes),
        hours=mask(hours),
        days=days_by_shape(rule),
        months=mask(months),
        years=YEARS,
        keeps_rhythm="*" in parts[0] + parts[1],
        # A pattern of every hour has its runs in each hour that there is.
        makes_up=len(hours) < 24,
    )
    if not times.ever():
        raise DAY_OF_MONTH.refused("impossible", f"{parts[2]} never comes in month {parts[3]}")
    return times


def _plain_field(field: Field, text: str) -> str:
    return ",".join(_plain_term(field, term) for term in field.terms(text))


def _plain_term(field: Field, term: Term) -> str:
    """Write a term so that croniter can read it in one way only."""
    if term.is_star:
        return "*" if term.step is None else f"*/{term.step}"
    if term.high is None:
        if term.step is not None:
            rule = f"a step needs * or a range before it, like {term.low}-{field.high}/{term.step}"
            raise field.refused("bad_field", rule)
        return str(term.low)
    if term.low > term.high:
        raise field.refused("bad_field", f"the range {term.low}-{term.high} runs backwards")
    # croniter reads 5-5 as the whole field.
    if term.low == term.high:
        return str(term.low)
    return f"{term.low}-{term.high}/{term.step or 1}"


def _numbers(field: Field, expanded: Iterable[int | str]) -> frozenset[int]:
    members = frozenset(expanded)
    if "*" in members:
        return frozenset(range(field.low, field.high + 1))
    return frozenset(int(member) for member in members)
