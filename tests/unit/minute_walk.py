"""A second reading of cron, for the tests: look at the clock every minute, and ask if it fits.

Written apart from `lambdaqueue.wall_times` and `lambdaqueue.wall_clock`, and slow on purpose: no
search, no offsets, no masks. A `Pattern` comes with its text from `cron_patterns`, so no parser is
involved either.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

__all__ = [
    "NIGHTS",
    "DayTest",
    "Pattern",
    "at_noon",
    "days_of",
    "month_of",
    "runs_between",
]

MINUTE = timedelta(minutes=1)
DayTest = Callable[[date], bool]

# Zone, and an instant near which its clocks are moved (or, in the last lines, are not).
NIGHTS = (
    ("Europe/Warsaw", "2026-03-29T01:00:00Z"),
    ("Europe/Warsaw", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Europe/London", "2026-03-29T01:00:00Z"),
    ("Europe/London", "2026-10-25T01:00:00Z"),
    ("Europe/Dublin", "2026-10-25T01:00:00Z"),  # its winter is the "daylight saving" one
    ("Africa/Casablanca", "2026-02-15T02:00:00Z"),  # Ramadan
    ("Africa/Casablanca", "2026-03-22T02:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),  # half an hour
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Antarctica/Troll", "2026-03-29T01:00:00Z"),  # two hours
    ("Antarctica/Troll", "2026-10-25T01:00:00Z"),
    ("Africa/Cairo", "2026-04-23T22:00:00Z"),  # a day that begins at 01:00
    ("Africa/Cairo", "2026-10-29T21:00:00Z"),  # a midnight that comes twice
    ("America/Caracas", "2016-05-01T07:00:00Z"),  # half an hour, for good
    ("Asia/Pyongyang", "2015-08-14T15:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),  # a day that never was
    ("Asia/Kathmandu", "2026-03-29T01:00:00Z"),
    ("UTC", "2026-12-31T23:59:00Z"),
)


@dataclass(frozen=True)
class Pattern:
    """What an expression means; `fits_day` judges a day by itself."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    fits_day: DayTest
    runs_twice: bool
    makes_up: bool

    def fits(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minutes and wall.hour in self.hours and self.fits_day(wall.date())
        )


def runs_between(pattern: Pattern, zone: str, first: int, last: int) -> list[int]:
    """Return all runs from `first` to `last`, Unix ms on whole minutes, by looking at each."""
    runs = []
    readings = _readings(zone, first // 60_000, last // 60_000)
    for (instant, wall, again), (_, wall_before, _) in zip(readings[1:], readings, strict=False):
        skipped = () if wall <= wall_before else _between(wall_before, wall)
        fits = pattern.fits(wall) and (pattern.runs_twice or not again)
        if fits or (pattern.makes_up and any(pattern.fits(time) for time in skipped)):
            runs.append(instant)
    return runs


@lru_cache(maxsize=64)
def _readings(zone: str, first: int, last: int) -> list[tuple[int, datetime, bool]]:
    """What the clock shows at each minute, from the one before the first."""
    readings = []
    for minute in range(first - 1, last + 1):
        shown = datetime.fromtimestamp(minute * 60, ZoneInfo(zone))
        readings.append((minute * 60_000, shown.replace(tzinfo=None, fold=0), bool(shown.fold)))
    return readings


def _between(earlier: datetime, later: datetime) -> Iterator[datetime]:
    while (earlier := earlier + MINUTE) < later:
        yield earlier


def days_of(fits_day: DayTest, first: date, last: date) -> Iterator[date]:
    """Look at every day from `first` to `last`."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        if fits_day(date.fromordinal(ordinal)):
            yield date.fromordinal(ordinal)


@lru_cache(maxsize=4_096)
def month_of(year: int, month: int) -> tuple[date, ...]:
    """Return all days of a month."""
    return tuple(date(year, month, day) for day in range(1, monthrange(year, month)[1] + 1))


def at_noon(day: date) -> int:
    """Return 12:00 UTC of the day, Unix ms."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000
