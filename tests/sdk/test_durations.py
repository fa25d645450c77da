"""Durations and instants as applications write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lambdaqueue.sdk.durations import instant, milliseconds, moment, seconds, unix_ms


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        (timedelta(minutes=10), 600_000),
        (timedelta(microseconds=1_600), 2),
        (timedelta(days=366), 31_622_400_000),
        (0, 0),
        (10, 10_000),
        (1.5, 1_500),
        (0.0004, 0),
        (0.1 + 0.2, 300),
        ("500ms", 500),
        ("10s", 10_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("1m5ms", 60_005),
        ("0s", 0),
    ],
)
def test_durations(given: Any, ms: int) -> None:
    assert milliseconds(given) == ms
    assert seconds(given) == ms / 1_000


@pytest.mark.parametrize(
    "given",
    [
        *[
            "",
            "10",
            "10 s",
            "s",
            "1.5h",
            "-5s",
            "5S",
            "30m1h",
            "1h1h",
            "1e3s",
            "٣s",
            "10s\n",
            "P1D",
        ],
        *[-1, -0.001, float("nan"), float("inf"), timedelta(seconds=-1)],
    ],
)
def test_what_is_no_duration(given: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        milliseconds(given)


@pytest.mark.parametrize("given", [None, True, False, b"10s", [], datetime.now(UTC)])
def test_what_is_of_no_type_of_duration(given: Any) -> None:
    with pytest.raises(TypeError, match='a timedelta, seconds, or text like "10m"'):
        milliseconds(given)


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000Z"),
        (datetime(2026, 3, 1, 12, 0, 0, 250_999, tzinfo=UTC), "2026-03-01T12:00:00.250Z"),
        (datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=2))), "2026-02-28T22:00:00.000Z"),
        # Warsaw is two hours ahead in summer.
        (datetime(2026, 7, 1, 9, tzinfo=ZoneInfo("Europe/Warsaw")), "2026-07-01T07:00:00.000Z"),
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000Z"),
    ],
)
def test_instants(when: datetime, text: str) -> None:
    assert instant(when) == text
    assert moment(text) == when.replace(microsecond=when.microsecond // 1_000 * 1_000)


def test_unix_ms() -> None:
    assert unix_ms(datetime(2026, 3, 1, 12, tzinfo=UTC)) == 1_772_366_400_000


@pytest.mark.parametrize(
    ("when", "error", "cure"),
    [
        (datetime(2026, 3, 1, 12), ValueError, r"needs a zone: datetime\.now\(UTC\)"),
        (datetime(1969, 12, 31, tzinfo=UTC), ValueError, "1970 to 9999"),
        (date(2026, 3, 1), TypeError, "a datetime with a zone, not date"),
        ("2026-03-01T12:00:00Z", TypeError, "a datetime with a zone, not str"),
        (1_772_366_400, TypeError, "for a time from now use delay="),
    ],
)
def test_what_is_no_instant(when: Any, error: type[Exception], cure: str) -> None:
    with pytest.raises(error, match=cure):
        instant(when)
