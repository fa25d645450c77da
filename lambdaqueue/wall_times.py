"""The minutes that a cron pattern names, read on a wall clock that is never moved.

A wall time here is whole seconds since 1970-01-01T00:00 as the clock shows it: no zone, no
offset. What it is in real time is `lambdaqueue.wall_clock`'s business. Sets of small numbers are
bit masks, because the next member is then one shift away and a pattern stays small and hashable.
"""

from __future__ import annotations

from bisect import bisect_left
from calendar import isleap, monthrange
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

__all__ = ["DayRule", "MonthShape", "WallTimes", "days_by_shape", "mask"]

EPOCH_DAY = date(1970, 1, 1).toordinal()
MINUTES_A_DAY = 1_440
LENGTHS = (28, 29, 30, 31)

GREGORIAN_CYCLE = 400
"""Years after which the calendar repeats itself, weekdays included."""


@dataclass(frozen=True, slots=True)
class MonthShape:
    """What days can depend on: the weekday of a month's first (Monday is 0), and its length."""

    first: int
    length: int

    def weekday(self, day: int) -> int:
        """Return the weekday of a day of this month; Monday is 0."""
        return (self.first + day - 1) % 7


SHAPES = tuple(MonthShape(first, length) for length in LENGTHS for first in range(7))

DayRule = Callable[[MonthShape], Iterable[int]]
"""The days of a month of this shape; what the month doesn't have is left out by who asks."""


@dataclass(frozen=True, slots=True)
class WallTimes:
    """A cron pattern: which minutes of the wall clock it names.

    `minutes`, `hours` and `months` are masks, `days` a mask for each of the 28 shapes of a month
    (`days_by_shape`), `years` ascends. `keeps_rhythm` and `makes_up` say what becomes of times
    that come twice or not at all (`lambdaqueue.wall_clock.next_instant`).
    """

    minutes: int
    hours: int
    days: tuple[int, ...]
    months: int
    years: range | tuple[int, ...]
    keeps_rhythm: bool
    makes_up: bool

    def ever(self) -> bool:
        """Return whether any day of the calendar is named; February 31 isn't one."""
        return any(
            self.days[_shape(year, month)]
            for year in _distinct(self.years[:GREGORIAN_CYCLE])
            for month in _members(self.months)
        )

    def at_or_after(self, wall: int) -> int | None:
        """Return the earliest named wall time that isn't before `wall`, None after the last."""
        day, minute = divmod(-(-wall // 60), MINUTES_A_DAY)
        named = self._day_at_or_after(day)
        if named == day:
            time = self._time_at_or_after(minute)
            if time is not None:
                return (day * MINUTES_A_DAY + time) * 60
            named = self._day_at_or_after(day + 1)
        if named is None:
            return None
        return (named * MINUTES_A_DAY + _lowest(self.hours) * 60 + _lowest(self.minutes)) * 60

    def _time_at_or_after(self, minute_of_day: int) -> int | None:
        hour, minute = divmod(minute_of_day, 60)
        if self.hours >> hour & 1 and self.minutes >> minute:
            return hour * 60 + _lowest(self.minutes, minute)
        if not self.hours >> hour + 1:
            return None
        return _lowest(self.hours, hour + 1) * 60 + _lowest(self.minutes)

    def _day_at_or_after(self, day: int) -> int | None:
        """Days count from 1970-01-01, the first that any pattern names."""
        start = date.fromordinal(EPOCH_DAY + max(day, 0))
        for year in self.years[bisect_left(self.years, start.year) :]:
            this_year = year == start.year
            for month in _members(self.months, start.month if this_year else 1):
                from_day = start.day if this_year and month == start.month else 1
                days = self.days[_shape(year, month)]
                if days >> from_day:
                    return date(year, month, _lowest(days, from_day)).toordinal() - EPOCH_DAY
        return None


def days_by_shape(rule: DayRule) -> tuple[int, ...]:
    """Return the rule's days for every shape of a month, as `WallTimes.days` holds them."""
    return tuple(mask(day for day in rule(shape) if 1 <= day <= shape.length) for shape in SHAPES)


def mask(numbers: Iterable[int]) -> int:
    """Return the set of these numbers, each from 0 to 59, as bits."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def _lowest(bits: int, at_least: int = 0) -> int:
    """Return the lowest member that is at least that; the caller knows that there is one."""
    rest = bits >> at_least
    return at_least + (rest & -rest).bit_length() - 1


def _members(bits: int, at_least: int = 0) -> Iterator[int]:
    while bits >> at_least:
        member = _lowest(bits, at_least)
        yield member
        at_least = member + 1


def _shape(year: int, month: int) -> int:
    first, length = monthrange(year, month)
    return (length - LENGTHS[0]) * 7 + first


def _distinct(years: Iterable[int]) -> Iterator[int]:
    """One year of each kind: there are 14, by the weekday of January 1 and the leap day."""
    kinds = set()
    for year in years:
        kind = (date(year, 1, 1).weekday(), isleap(year))
        if kind not in kinds:
            kinds.add(kind)
            yield year
