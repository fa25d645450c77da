from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.instants import LAST_INSTANT, iso, parse_instant


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T00:01:00.25Z", 60_250),
        ("1970-01-01T00:00:00.123999999Z", 123),  # finer is dropped, not rounded
        ("1970-01-02T00:00Z", 86_400_000),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00-00:30", 1_800_000),
        ("2021-02-25T15:02:10Z", 1_614_265_330_000),
        ("2021-02-25T20:47:10+05:45", 1_614_265_330_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("9999-12-31T23:59:59.999Z", LAST_INSTANT),
    ],
)
def test_reading(text: str, ms: int) -> None:
    assert parse_instant(text) == ms


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2026-02-30T00:00:00Z", "calendar"),
        ("2025-02-29T00:00:00Z", "calendar"),
        ("2026-13-01T00:00:00Z", "calendar"),
        ("2026-00-10T00:00:00Z", "calendar"),
        ("2026-01-01T24:00:00Z", "hour"),
        ("2026-01-01T23:60:00Z", "minutes and seconds"),
        ("2016-12-31T23:59:60Z", "leap second"),
        ("2026-01-01T00:00:00", "zone"),
        ("2026-01-01T00:00:00+24:00", "offset"),
        ("2026-01-01T00:00:00+01:60", "offset"),
        ("0001-01-01T00:00:00Z", "1970 to 9999"),
        ("0000-01-01T00:00:00Z", "1970 to 9999"),
        ("1969-12-31T23:59:59Z", "1970 to 9999"),
        ("1969-12-31T23:59:59-01:00", "1970 to 9999"),
        ("1970-01-01T00:59:59+01:00", "1970 to 9999"),
        ("9999-12-31T23:59:59-01:00", "1970 to 9999"),
        ("10000-01-01T00:00:00Z", "1970 to 9999"),
        ("", "like"),
        ("2026-01-01", "like"),
        ("2026-01-01 00:00:00Z", "like"),
        ("2026-01-01t00:00:00z", "like"),
        ("2026-01-01T00:00:00+0100", "like"),
        ("2026-01-01T00:00:00.Z", "like"),
        ("2026-01-01T00:00:00Z\n", "like"),
        ("2026-01-01T00:00:00Z ", "like"),
        ("20260101T000000Z", "like"),
        ("1767225600000", "like"),
        ("\u0662\u0660\u0662\u0666-01-01T00:00:00Z", "like"),
    ],
)
def test_what_is_refused(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_instant(text)


@given(st.integers(0, LAST_INSTANT))
def test_writing_and_reading_agree(ms: int) -> None:
    assert parse_instant(iso(ms)) == ms


@given(st.integers(0, LAST_INSTANT))
def test_writing_agrees_with_the_standard_library(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    assert iso(ms) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_614_265_330_007, "2021-02-25T15:02:10.007Z"),
        (LAST_INSTANT, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_writing(ms: int, text: str) -> None:
    assert iso(ms) == text
