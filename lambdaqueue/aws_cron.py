"""The six fields of AWS `cron(…)`: minute, hour, day of month, month, day of week, year.

The grammar is that of Amazon EventBridge (user guide, "Cron expressions reference"). Where the
guide is silent:

- A range may wrap: `20-2`, `NOV-FEB`, `FRI-MON`, also with a step, which goes on over the wrap.
- A step starts at its number: `5/20` is 5, 25, 45. It's at most as many as the field has numbers.
- A list of days may mix all but `?` and `#`, which stand alone: `1,15W,L`, `MON,FRIL`.
- `L-n` and `nW` of a day that a month doesn't have name no day of it. `nW` stays in its month:
  Saturday the first gives Monday the third. `L` as a day of week is Saturday, the week's last.
- `d#5` names a day only in months that have five of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lambdaqueue.cron_fields import (
    DAY_OF_MONTH,
    HOUR,
    MINUTE,
    MONTH,
    WEEKDAYS,
    Field,
    Term,
    refused,
    split_fields,
)
from lambdaqueue.wall_times import DayRule, MonthShape, WallTimes, days_by_shape, mask

__all__ = ["parse_aws_cron"]

DAY_OF_WEEK = Field("day of week", 1, 7, {name: number for number, name in enumerate(WEEKDAYS, 1)})
YEAR = Field("year", 1970, 2199)
FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, YEAR)

MOST_BEFORE_LAST = 30
WEEKS = 5

BEFORE_LAST = re.compile(r"L-([0-9]+)")
NEAR_WEEKDAY = re.compile(r"([0-9]+)W")
LAST_OF_WEEKDAY = re.compile(r"([0-9]+|[A-Z]+)L")
NTH_WEEKDAY = re.compile(r"([0-9]+|[A-Z]+)#([0-9]+)")

SATURDAY = 5
SUNDAY = 6


def parse_aws_cron(text: str) -> WallTimes:
    """Read the six fields between the parentheses.

    Raises:
        InvalidRequest: naming the field and the reason.
    """
    minute, hour, day, month, weekday, year = split_fields(text.upper(), FIELDS)
    if (day == "?") == (weekday == "?"):
        raise refused("bad_field", "exactly one of day of month and day of week must be ?")
    rule = _weekday_rule(weekday) if day == "?" else _day_rule(day)
    times = WallTimes(
        minutes=mask(_numbers(MINUTE, minute)),
        hours=mask(_numbers(HOUR, hour)),
        days=days_by_shape(rule),
        months=mask(_numbers(MONTH, month)),
        years=tuple(sorted(_numbers(YEAR, year))),
        keeps_rhythm=_is_rhythm(MINUTE, minute) or _is_rhythm(HOUR, hour),
        makes_up=False,
    )
    if not times.ever():
        field, part = (DAY_OF_WEEK, weekday) if day == "?" else (DAY_OF_MONTH, day)
        message = f"{part} never comes in month {month} of year {year}"
        raise field.refused("impossible", message)
    return times


def _numbers(field: Field, text: str) -> frozenset[int]:
    return frozenset(number for term in field.terms(text) for number in _walk(field, term))


def _walk(field: Field, term: Term) -> Iterator[int]:
    size = field.high - field.low + 1
    high = term.high
    if high is None:
        high = term.low if term.step is None else field.high
    for ahead in range(0, (high - term.low) % size + 1, term.step or 1):
        yield (term.low - field.low + ahead) % size + field.low


def _is_rhythm(field: Field, text: str) -> bool:
    """`0/15` is how AWS writes `*/15`; both go on through the hour that comes again."""
    return any(
        term.is_star or (term.high is None and term.step is not None) for term in field.terms(text)
    )


def _day_rule(text: str) -> DayRule:
    return _any_of([_day_term(term) for term in text.split(",")])


def _day_term(text: str) -> DayRule:
    if text == "L":
        return lambda month: [month.length]
    if text == "LW":
        return lambda month: [_near_weekday(month, month.length)]
    if found := BEFORE_LAST.fullmatch(text):
        before = int(found[1])
        if not 1 <= before <= MOST_BEFORE_LAST:
            raise DAY_OF_MONTH.refused("out_of_range", f"{text} is not from L-1 to L-30")
        return lambda month: [month.length - before]
    if found := NEAR_WEEKDAY.fullmatch(text):
        day = DAY_OF_MONTH.number(found[1])
        return lambda month: [_near_weekday(month, day)] if day <= month.length else []
    days = _numbers(DAY_OF_MONTH, text)
    return lambda month: days


def _near_weekday(month: MonthShape, day: int) -> int:
    """Return the nearest Monday to Friday of the same month."""
    if month.weekday(day) == SATURDAY:
        return day - 1 if day > 1 else day + 2
    if month.weekday(day) == SUNDAY:
        return day + 1 if day < month.length else day - 2
    return day


def _weekday_rule(text: str) -> DayRule:
    if "#" in text:
        return _nth_weekday(text)
    return _any_of([_weekday_term(term) for term in text.split(",")])


def _nth_weekday(text: str) -> DayRule:
    found = NTH_WEEKDAY.fullmatch(text)
    if found is None:
        rule = "# needs a day before it and a number after it, and stands alone: FRI#2"
        raise DAY_OF_WEEK.refused("bad_field", rule)
    weekday, week = _python_weekday(DAY_OF_WEEK.number(found[1])), int(found[2])
    if not 1 <= week <= WEEKS:
        raise DAY_OF_WEEK.refused("out_of_range", f"{text} has a number that is not from 1 to 5")
    return lambda month: [1 + (weekday - month.first) % 7 + 7 * (week - 1)]


def _weekday_term(text: str) -> DayRule:
    if text == "L":
        return _on({7})
    if found := LAST_OF_WEEKDAY.fullmatch(text):
        weekday = _python_weekday(DAY_OF_WEEK.number(found[1]))
        return lambda month: [month.length - (month.weekday(month.length) - weekday) % 7]
    return _on(_numbers(DAY_OF_WEEK, text))


def _on(numbers: Iterable[int]) -> DayRule:
    weekdays = frozenset(map(_python_weekday, numbers))
    return lambda month: [d for d in range(1, month.length + 1) if month.weekday(d) in weekdays]


def _python_weekday(number: int) -> int:
    """AWS counts from Sunday as 1, Python from Monday as 0."""
    return (number + 5) % 7


def _any_of(rules: Sequence[DayRule]) -> DayRule:
    return lambda month: [day for rule in rules for day in rule(month)]
