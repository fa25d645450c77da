"""Times as applications write them, and as the API takes them: whole ms, and ISO-8601 in UTC.

A duration is a timedelta, a number of seconds, or text like `500ms`, `10s`, `5m`, `2h`, `1d`,
`1h30m`. An instant is a datetime with a zone.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from lambdaqueue.instants import iso, parse_instant

__all__ = ["Duration", "instant", "milliseconds", "moment", "seconds", "unix_ms"]

Duration = timedelta | int | float | str
"""A timedelta, seconds, or text like "10m"."""

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

TEXT = re.compile(
    r"(?=.)(?:([0-9]{1,12})d)?(?:([0-9]{1,12})h)?(?:([0-9]{1,12})m(?!s))?"
    r"(?:([0-9]{1,12})s)?(?:([0-9]{1,12})ms)?"
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def milliseconds(duration: Duration) -> int:
    """Return a duration in whole ms, rounded to the nearest.

    Raises:
        ValueError: it's text that says no duration, negative, or not finite.
        TypeError: it's something else.
    """
    if isinstance(duration, str):
        return _read(duration)
    if isinstance(duration, timedelta):
        ms = round(duration / MILLISECOND)
    elif type(duration) is int or isinstance(duration, float):
        if not math.isfinite(duration):
            raise ValueError(f"a duration must be finite, not {duration!r}")
        ms = round(duration * 1_000)
    else:
        raise TypeError(
            f'a duration is a timedelta, seconds, or text like "10m", not {type(duration).__name__}'
        )
    if ms < 0:
        raise ValueError(f"a duration can't be negative: {duration!r}")
    return ms


def seconds(duration: Duration) -> float:
    """Return a duration in seconds; raises as `milliseconds`."""
    return milliseconds(duration) / 1_000


def instant(when: datetime) -> str:
    """Return an instant as the API takes it, like `2026-03-01T12:00:00.250Z`; raises as
    `unix_ms`."""
    return iso(unix_ms(when))


def unix_ms(when: datetime) -> int:
    """Return an instant in whole Unix ms, what is finer dropped.

    Raises:
        ValueError: it has no zone, or isn't in the years 1970 to 9999.
        TypeError: it's no datetime.
    """
    if not isinstance(when, datetime):
        raise TypeError(
            f"an instant is a datetime with a zone, not {type(when).__name__}; "
            "for a time from now use delay="
        )
    if when.utcoffset() is None:
        raise ValueError(
            "a datetime needs a zone: datetime.now(UTC), or "
            'when.replace(tzinfo=ZoneInfo("Europe/Warsaw"))'
        )
    ms = (when - EPOCH) // MILLISECOND
    if ms < 0:
        raise ValueError("an instant must be in the years 1970 to 9999")
    return ms


def moment(text: str) -> datetime:
    """Return what the API says as an instant, as a datetime in UTC.

    Raises:
        ValueError: it is none.
    """
    return EPOCH + parse_instant(text) * MILLISECOND


def _read(text: str) -> int:
    found = TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration like 500ms, 10s, 5m, 2h, 1d or 1h30m")
    units = ("d", "h", "m", "s", "ms")
    return sum(int(n) * UNITS[unit] for n, unit in zip(found.groups(), units, strict=True) if n)
