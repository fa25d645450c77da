from __future__ import annotations

import pytest

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.instants import iso, parse_instant
from lambdaqueue.timetable import Timetable

START = "2026-01-01T00:00:00Z"  # a Thursday


def next_runs(fields: str, count: int, start: str = START) -> list[str]:
    schedule = Timetable.parse(f"cron({fields})")
    return [iso(run)[:16] for run in schedule.preview(parse_instant(start), count, 0)]


# The examples of the EventBridge and EventBridge Scheduler user guides, and of Systems Manager.
@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        ("0 10 * * ? *", ["2026-01-01T10:00", "2026-01-02T10:00"]),
        ("15 12 * * ? *", ["2026-01-01T12:15", "2026-01-02T12:15"]),
        ("0 18 ? * MON-FRI *", ["2026-01-01T18:00", "2026-01-02T18:00", "2026-01-05T18:00"]),
        ("0 8 1 * ? *", ["2026-01-01T08:00", "2026-02-01T08:00"]),
        ("0/15 * * * ? *", ["2026-01-01T00:15", "2026-01-01T00:30", "2026-01-01T00:45"]),
        ("0/10 * ? * MON-FRI *", ["2026-01-01T00:10", "2026-01-01T00:20"]),
        ("0/5 8-17 ? * MON-FRI *", ["2026-01-01T08:00", "2026-01-01T08:05"]),
        ("0/30 20-2 ? * MON-FRI *", ["2026-01-01T00:30", "2026-01-01T01:00", "2026-01-01T01:30"]),
        ("1/10 * * * ? *", ["2026-01-01T00:01", "2026-01-01T00:11", "2026-01-01T00:21"]),
        ("0 9 ? * 2#1 *", ["2026-01-05T09:00", "2026-02-02T09:00"]),
        ("0 9 ? * 3#2 *", ["2026-01-13T09:00", "2026-02-10T09:00"]),  # the second Tuesday
        ("0 9 3W * ? *", ["2026-01-02T09:00", "2026-02-03T09:00"]),  # January 3 is a Saturday
        ("15 10 ? * 6L 2022-2028", ["2026-01-30T10:15", "2026-02-27T10:15"]),
        ("0 16 ? * TUE *", ["2026-01-06T16:00", "2026-01-13T16:00"]),
        ("0 2 ? 1/1 THU#3 *", ["2026-01-15T02:00", "2026-02-19T02:00"]),
        ("0 0 21 1/1 ? *", ["2026-01-21T00:00", "2026-02-21T00:00"]),
        ("0 2 L * ? *", ["2026-01-31T02:00", "2026-02-28T02:00"]),
        ("*/5 10 ? * MON-FRI *", ["2026-01-01T10:00", "2026-01-01T10:05"]),
        ("0 */3 */1 * ? *", ["2026-01-01T03:00", "2026-01-01T06:00"]),
        ("15 12 ? * sun,mon *", ["2026-01-04T12:15", "2026-01-05T12:15"]),
        ("10 7/5 7 * ? 2027", ["2027-01-07T07:10", "2027-01-07T12:10", "2027-01-07T17:10"]),
        ("6 4/3 8,18-20,26-28 * ? 2020-2030", ["2026-01-08T04:06", "2026-01-08T07:06"]),
    ],
)
def test_the_examples_of_the_guides(fields: str, runs: list[str]) -> None:
    assert next_runs(fields, len(runs)) == runs


@pytest.mark.parametrize(
    ("day", "month", "weekday", "year", "days"),
    [
        # ranges that wrap
        ("30-2", "*", "?", "*", ["2026-01-01", "2026-01-02", "2026-01-30", "2026-01-31"]),
        ("28-5/3", "*", "?", "*", ["2026-01-03", "2026-01-28", "2026-01-31"]),  # 28 31 34-31=3
        ("1", "NOV-2", "?", "*", ["2026-01-01", "2026-02-01", "2026-11-01", "2026-12-01"]),
        ("?", "*", "FRI-MON", "*", ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]),
        ("?", "*", "6-mon/2", "*", ["2026-01-02", "2026-01-04", "2026-01-09"]),
        ("1", "1", "?", "2198-1971", ["2198-01-01", "2199-01-01"]),
        ("?", "*", "4-3", "*", ["2026-01-01", "2026-01-02", "2026-01-03"]),
        # steps from a start, leading zeros, names mixed with numbers
        ("1/10", "*", "?", "*", ["2026-01-01", "2026-01-11", "2026-01-21", "2026-01-31"]),
        ("*/31", "*", "?", "*", ["2026-01-01", "2026-02-01"]),
        ("09", "008", "?", "*", ["2026-08-09", "2027-08-09"]),
        ("1", "*", "?", "2027/9", ["2027-01-01", "2027-02-01"]),
        ("1", "1", "?", "2027/9", ["2027-01-01", "2036-01-01"]),
        ("?", "*", "2/2", "*", ["2026-01-02", "2026-01-05", "2026-01-07"]),
        # L
        ("L-1", "*", "?", "*", ["2026-01-30", "2026-02-27", "2026-03-30"]),
        ("L-30", "*", "?", "*", ["2026-01-01", "2026-03-01", "2026-05-01"]),
        ("L-28", "2", "?", "*", ["2028-02-01", "2032-02-01"]),
        ("l,l-2", "1", "?", "*", ["2026-01-29", "2026-01-31"]),
        ("?", "*", "L", "*", ["2026-01-03", "2026-01-10"]),  # Saturdays
        ("?", "*", "FRIL", "*", ["2026-01-30", "2026-02-27"]),
        ("?", "*", "fril,2", "*", ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]),
        ("?", "*", "1L", "*", ["2026-01-25", "2026-02-22"]),
        # W: January 3 and 31 are Saturdays, 4 is a Sunday, February 1 and March 1 are Sundays
        ("4W", "1", "?", "2026", ["2026-01-05"]),
        ("1W", "2-3", "?", "2026", ["2026-02-02", "2026-03-02"]),
        ("1W", "8", "?", "2026", ["2026-08-03"]),  # Saturday: not July 31
        ("31W", "*", "?", "2026", ["2026-01-30", "2026-03-31", "2026-05-29", "2026-07-31"]),
        ("30W", "1-3", "?", "2026", ["2026-01-30", "2026-03-30"]),
        ("LW", "1-5", "?", "2026", ["2026-01-30", "2026-02-27", "2026-03-31", "2026-04-30"]),
        ("1,15W,L", "2", "?", "2026", ["2026-02-01", "2026-02-16", "2026-02-28"]),
        # #
        ("?", "*", "SUN#5", "*", ["2026-03-29", "2026-05-31", "2026-08-30"]),
        ("?", "2", "1#5", "*", ["2032-02-29", "2060-02-29", "2088-02-29", "2128-02-29"]),
        ("?", "*", "thu#1", "*", ["2026-01-01", "2026-02-05"]),
        # leap days, years far off
        ("29", "2", "?", "*", ["2028-02-29", "2032-02-29"]),
        ("29", "2", "?", "2096-2199", ["2096-02-29", "2104-02-29"]),
        ("29", "2", "?", "2000-2199/4", ["2028-02-29", "2032-02-29"]),
        ("31", "12", "?", "2199", ["2199-12-31"]),
    ],
)
def test_days(day: str, month: str, weekday: str, year: str, days: list[str]) -> None:
    runs = next_runs(f"0 12 {day} {month} {weekday} {year}", len(days))
    assert [run[:10] for run in runs] == days


def test_it_ends_with_its_years() -> None:
    assert next_runs("0 12 31 12 ? *", 3, "2198-06-01T00:00:00Z") == [
        "2198-12-31T12:00",
        "2199-12-31T12:00",
    ]
    assert next_runs("* * * * ? 1999", 1) == []
    assert next_runs("58-1 23 31 12 ? 2199", 9, "2199-12-31T23:58:00Z") == ["2199-12-31T23:59"]


@pytest.mark.parametrize(
    ("fields", "code", "part"),
    [
        ("0 10 * * ?", "wrong_fields", "has 5"),
        ("0 0 10 * * ? *", "wrong_fields", "has 7"),
        ("", "wrong_fields", "has 0"),
        (" 0 10 * * ? *", "wrong_fields", "spaces"),
        ("0 10 * * ? * ", "wrong_fields", "spaces"),
        ("0 10 * * * *", "bad_field", "exactly one"),
        ("0 10 ? * ? *", "bad_field", "exactly one"),
        ("0 10 1 * MON *", "bad_field", "exactly one"),
        ("? 10 * * ? *", "bad_field", "minute"),
        ("0 ? * * ? *", "bad_field", "hour"),
        ("0 10 * ? ? *", "bad_field", "month"),
        ("0 10 * * ? ?", "bad_field", "year"),
        ("0 10 ?,1 * MON *", "bad_field", "exactly one"),
        ("0 10 ?,1 * ? *", "bad_field", "day of month"),
        ("0 10 ? * ?,2 *", "bad_field", "day of week"),
        ("60 10 * * ? *", "out_of_range", "minute"),
        ("0 24 * * ? *", "out_of_range", "hour"),
        ("0 10 0 * ? *", "out_of_range", "day of month"),
        ("0 10 32 * ? *", "out_of_range", "day of month"),
        ("0 10 * 13 ? *", "out_of_range", "month"),
        ("0 10 ? * 0 *", "out_of_range", "day of week"),
        ("0 10 ? * 8 *", "out_of_range", "day of week"),
        ("0 10 * * ? 1969", "out_of_range", "year"),
        ("0 10 * * ? 2200", "out_of_range", "year"),
        ("0/61 10 * * ? *", "out_of_range", "minute"),
        ("*/0 10 * * ? *", "out_of_range", "minute"),
        ("0 0/25 * * ? *", "out_of_range", "hour"),
        ("0 10 1/32 * ? *", "out_of_range", "day of month"),
        ("0 10 * 1/13 ? *", "out_of_range", "month"),
        ("0 10 ? * 1/8 *", "out_of_range", "day of week"),
        ("0 10 * * ? */231", "out_of_range", "year"),
        ("0 10 L-0 * ? *", "out_of_range", "day of month"),
        ("0 10 L-31 * ? *", "out_of_range", "day of month"),
        ("0 10 0W * ? *", "out_of_range", "day of month"),
        ("0 10 32W * ? *", "out_of_range", "day of month"),
        ("0 10 W * ? *", "bad_field", "day of month"),
        ("0 10 WL * ? *", "bad_field", "day of month"),
        ("0 10 L-3W * ? *", "bad_field", "day of month"),
        ("0 10 1-5W * ? *", "bad_field", "day of month"),
        ("0 10 LL * ? *", "bad_field", "day of month"),
        ("0 10 1-L * ? *", "bad_field", "day of month"),
        ("0 10 5L * ? *", "bad_field", "day of month"),
        ("0 10 MON * ? *", "bad_field", "day of month"),
        ("0 10 ? * 2W *", "bad_field", "day of week"),
        ("0 10 ? * LW *", "bad_field", "day of week"),
        ("0 10 ? * L-1 *", "bad_field", "day of week"),
        ("0 10 ? * 8L *", "out_of_range", "day of week"),
        ("0 10 ? * JANL *", "bad_field", "day of week"),
        ("0 10 ? * 3#1,6#3 *", "bad_field", "day of week"),
        ("0 10 ? * MON,6#3 *", "bad_field", "day of week"),
        ("0 10 ? * 6#0 *", "out_of_range", "day of week"),
        ("0 10 ? * 6#6 *", "out_of_range", "day of week"),
        ("0 10 ? * 8#1 *", "out_of_range", "day of week"),
        ("0 10 ? * #1 *", "bad_field", "day of week"),
        ("0 10 ? * 6# *", "bad_field", "day of week"),
        ("0 10 ? * MONDAY *", "bad_field", "day of week"),
        ("L 10 * * ? *", "bad_field", "minute"),
        ("0 10 * JAN#1 ? *", "bad_field", "month"),
        ("R 10 * * ? *", "bad_field", "minute"),
        ("-1 10 * * ? *", "bad_field", "minute"),
        ("1e1 10 * * ? *", "bad_field", "minute"),
        ("0, 10 * * ? *", "bad_field", "minute"),
        ("99999999999999999999 10 * * ? *", "out_of_range", "minute"),
        # days that never come
        ("0 0 31 2 ? *", "impossible", "day of month"),
        ("0 0 31 APR,6,9,11 ? *", "impossible", "day of month"),
        ("0 0 29 2 ? 2023", "impossible", "day of month"),
        ("0 0 29 2 ? 2100", "impossible", "day of month"),
        ("0 0 31W 4 ? *", "impossible", "day of month"),
        ("0 0 L-30 4 ? *", "impossible", "day of month"),
        ("0 0 L-29 2 ? *", "impossible", "day of month"),
        ("0 0 ? 2 SUN#5 2033-2059", "impossible", "day of week"),
    ],
)
def test_refused(fields: str, code: str, part: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Timetable.parse(f"cron({fields})")
    (issue,) = refused.value.issues
    assert (issue.path, issue.code) == (("schedule",), code)
    assert part in issue.message
