"""Instants as text: ISO-8601 in UTC to write, any zone to read. Values are Unix milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

__all__ = ["LAST_INSTANT", "iso", "parse_instant"]

LAST_INSTANT = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: the last one with four digits of year."""

EPOCH_DAY = date(1970, 1, 1).toordinal()

INSTANT = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<part>[0-9]{1,9}))?)?"
    r"(?P<zone>Z|(?P<sign>[+-])(?P<ahead_hours>[0-9]{2}):(?P<ahead_minutes>[0-9]{2}))?"
)


def iso(ms: int) -> str:
    """Write an instant as ISO-8601 in UTC with milliseconds, like `2026-03-01T12:00:00.250Z`.

    `ms` is from 0 to `LAST_INSTANT`. Whole seconds and the rest are written apart, because a
    float has no exact milliseconds.
    """
    seconds, rest = divmod(ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:03d}Z"


def parse_instant(text: str) -> int:
    """Read an ISO-8601 instant (extended format) with zone; finer than milliseconds is dropped.

    Seconds may be left out. Real days only, hours to 23, no leap second, 1970 to 9999.

    Raises:
        ValueError: naming the rule.
    """
    found = INSTANT.fullmatch(text)
    if found is None:
        raise ValueError("must be an instant like 2026-03-01T12:00:00Z, years 1970 to 9999")
    if found["zone"] is None:
        raise ValueError("must have a zone: Z, or an offset like +02:00")
    instant = (_seconds(found) - _offset(found)) * 1_000 + _milliseconds(found)
    if not 0 <= instant <= LAST_INSTANT:
        raise ValueError("must be in the years 1970 to 9999 (UTC)")
    return instant


def _seconds(found: re.Match[str]) -> int:
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    if hour > 23:
        raise ValueError("must have an hour from 00 to 23; midnight is 00:00 of the next day")
    if minute > 59 or second > 59:
        raise ValueError("must have minutes and seconds from 00 to 59; no leap second")
    return _days(found) * 86_400 + hour * 3_600 + minute * 60 + second


def _milliseconds(found: re.Match[str]) -> int:
    return int((found["part"] or "0").ljust(3, "0")[:3])


def _days(found: re.Match[str]) -> int:
    year, month, day = (int(found[part]) for part in ("year", "month", "day"))
    if year < 1970:
        raise ValueError("must be in the years 1970 to 9999")
    try:
        return date(year, month, day).toordinal() - EPOCH_DAY
    except ValueError:
        raise ValueError("must be a day that the calendar has") from None


def _offset(found: re.Match[str]) -> int:
    if found["zone"] == "Z":
        return 0
    hours, minutes = int(found["ahead_hours"]), int(found["ahead_minutes"])
    if hours > 23 or minutes > 59:
        raise ValueError("must have an offset from -23:59 to +23:59")
    ahead = hours * 3_600 + minutes * 60
    return ahead if found["sign"] == "+" else -ahead
