from __future__ import annotations

import pytest
from croniter import croniter

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.instants import iso, parse_instant
from lambdaqueue.timetable import MAX_LENGTH, Timetable

START = "2026-01-01T00:00:00Z"  # a Thursday


def next_days(expression: str, count: int, start: str = START) -> list[str]:
    runs = Timetable.parse(expression).preview(parse_instant(start), count, 0)
    return [iso(run)[:10] for run in runs]


def next_times(expression: str, count: int, start: str = START) -> list[str]:
    runs = Timetable.parse(expression).preview(parse_instant(start), count, 0)
    return [iso(run)[5:16] for run in runs]


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("* * * * *", ["01-01T00:01", "01-01T00:02"]),
        ("C=*/30 * * * *", ["01-01T00:30", "01-01T01:00"]),
        ("5,10-12 7 * * *", ["01-01T07:05", "01-01T07:10", "01-01T07:11", "01-01T07:12"]),
        ("10-40/15 0 * * *", ["01-01T00:10", "01-01T00:25", "01-01T00:40", "01-02T00:10"]),
        ("00 09 01 02 *", ["02-01T09:00"]),
        ("0  9   * * *", ["01-01T09:00"]),
        ("*/60 */24 * * *", ["01-02T00:00", "01-03T00:00"]),
        ("59 23 31 12 *", ["12-31T23:59", "12-31T23:59"]),
        ("5-5 3-3 * * *", ["01-01T03:05", "01-02T03:05"]),  # croniter: every minute
        ("5-5/7 0 * * *", ["01-01T00:05", "01-02T00:05"]),
        ("@hourly", ["01-01T01:00", "01-01T02:00"]),
        ("@daily", ["01-02T00:00", "01-03T00:00"]),
        ("@weekly", ["01-04T00:00", "01-11T00:00"]),  # Sundays
        ("@monthly", ["02-01T00:00", "03-01T00:00"]),
        ("@yearly", ["01-01T00:00", "01-01T00:00"]),
    ],
)
def test_times(expression: str, times: list[str]) -> None:
    assert next_times(expression, len(times)) == times


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 * * 0", ["2026-01-04", "2026-01-11"]),
        ("0 0 * * 7", ["2026-01-04", "2026-01-11"]),
        ("0 0 * * 7-7", ["2026-01-04", "2026-01-11"]),  # croniter: every day
        ("0 0 * * sun", ["2026-01-04", "2026-01-11"]),
        ("0 0 * * 5-7", ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-09"]),
        ("0 0 * * 1-7/2", ["2026-01-02", "2026-01-04", "2026-01-05", "2026-01-07"]),
        ("0 0 * * 0-7", ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]),
        ("0 0 * * Mon-FRI", ["2026-01-02", "2026-01-05", "2026-01-06"]),
        ("0 0 1 jan-MAR *", ["2026-02-01", "2026-03-01", "2027-01-01"]),
        ("0 0 1 2-2 *", ["2026-02-01", "2027-02-01"]),  # croniter: every month
        ("0 0 */10 * *", ["2026-01-11", "2026-01-21", "2026-01-31", "2026-02-01"]),
        ("0 0 31 * *", ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29"]),
        # Both day fields say something: either suffices. February 29, and Mondays in February.
        ("0 0 29 2 1", ["2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23", "2027-02-01"]),
        ("0 0 13 * 5", ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]),
        ("0 0 31 2 1", ["2026-02-02", "2026-02-09"]),
        # A step on * says something, and so does the whole month spelt out.
        ("0 0 */15 * 1", ["2026-01-05", "2026-01-12", "2026-01-16", "2026-01-19"]),
        ("0 0 1-31 * 1", ["2026-01-02", "2026-01-03"]),
        # A lone * in a list says nothing more than *.
        ("0 0 *,5 * 1", ["2026-01-05", "2026-01-12"]),
    ],
)
def test_days(expression: str, days: list[str]) -> None:
    assert next_days(expression, len(days)) == days


def test_the_leap_day_is_found_over_a_century_that_has_none() -> None:
    assert next_days("0 0 29 2 *", 2, "2096-02-29T00:00:00Z") == ["2104-02-29", "2108-02-29"]
    assert next_days("0 0 29 2 *", 1, "2097-01-01T00:00:00Z") == ["2104-02-29"]


@pytest.mark.parametrize(
    ("expression", "code", "part"),
    [
        ("0 0 31 2 *", "impossible", "day of month"),
        ("0 0 30,31 2 *", "impossible", "day of month"),
        ("0 0 31 4,6,9,11 *", "impossible", "day of month"),
        ("* * * * * *", "wrong_fields", "has 6"),
        ("* * * * * * 1970", "wrong_fields", "has 7"),
        ("0 0 * * * * 2099", "wrong_fields", "has 7"),
        ("* * * *", "wrong_fields", "has 4"),
        ("", "wrong_fields", "has 0"),
        ("C=", "wrong_fields", "has 0"),
        ("C= * * * * *", "wrong_fields", "fields"),
        ("C=@daily", "wrong_fields", "has 1"),
        ("c=* * * * *", "bad_field", "minute"),
        ("R R * * *", "bad_field", "minute"),
        ("0 R * * *", "bad_field", "hour"),
        ("H H * * *", "bad_field", "minute"),
        ("H(0-5) * * * *", "bad_field", "minute"),
        ("@reboot", "unknown_macro", "@hourly"),
        ("@annually", "unknown_macro", "@hourly"),
        ("@midnight", "unknown_macro", "@hourly"),
        ("@Daily", "unknown_macro", "@hourly"),
        ("@every 5m", "unknown_macro", "@hourly"),
        ("*/0 * * * *", "out_of_range", "minute"),
        ("60 * * * *", "out_of_range", "minute"),
        ("61 * * * *", "out_of_range", "minute"),
        ("-1 * * * *", "bad_field", "minute"),
        ("1e1 * * * *", "bad_field", "minute"),
        ("99999999999999999999 * * * *", "out_of_range", "minute"),
        ("*/99999999999999999999 * * * *", "out_of_range", "minute"),
        ("*/61 * * * *", "out_of_range", "minute"),
        ("5-1 * * * *", "bad_field", "minute"),
        ("0 0 1-31/40 * *", "out_of_range", "day of month"),
        ("0 24 * * *", "out_of_range", "hour"),
        ("0 */25 * * *", "out_of_range", "hour"),
        ("0 0 0 * *", "out_of_range", "day of month"),
        ("0 0 32 * *", "out_of_range", "day of month"),
        ("0 0 * 0 *", "out_of_range", "month"),
        ("0 0 * 13 *", "out_of_range", "month"),
        ("0 0 * * 8", "out_of_range", "day of week"),
        ("0 0 * * */8", "out_of_range", "day of week"),
        ("0 0 * * FRI-SUN", "bad_field", "day of week"),
        ("0 0 * * friday", "bad_field", "day of week"),
        ("0 0 * MON *", "bad_field", "month"),
        ("JAN * * * *", "bad_field", "minute"),
        ("5/15 * * * *", "bad_field", "5-59/15"),
        ("0 0 L * *", "bad_field", "day of month"),
        ("0 0 15W * *", "bad_field", "day of month"),
        ("0 0 * * 5#2", "bad_field", "day of week"),
        ("0 0 * * L5", "bad_field", "day of week"),
        ("0 0 ? * 1", "bad_field", "day of month"),
        ("1,,2 * * * *", "bad_field", "minute"),
        (",1 * * * *", "bad_field", "minute"),
        ("1- * * * *", "bad_field", "minute"),
        ("1-2-3 * * * *", "bad_field", "minute"),
        ("*/ * * * *", "bad_field", "minute"),
        ("*/5/5 * * * *", "bad_field", "minute"),
        ("*-5 * * * *", "bad_field", "minute"),
        ("** * * * *", "bad_field", "minute"),
        ("0x5 * * * *", "bad_field", "minute"),
        ("1_0 * * * *", "bad_field", "minute"),
        ("+1 * * * *", "bad_field", "minute"),
        ("1.5 * * * *", "bad_field", "minute"),
        ("1," * 5_000 + "1 * * * *", "too_long", str(MAX_LENGTH)),
        ("* * * * *\n", "bad_character", "ASCII"),
        ("*\t* * * *", "bad_character", "ASCII"),
        ("* * * *\n*", "bad_character", "ASCII"),
        ("* * * * *\x00", "bad_character", "ASCII"),
        ("\x00", "bad_character", "ASCII"),
        ("٥ * * * *", "bad_character", "ASCII"),
        ("５ * * * *", "bad_character", "ASCII"),
        ("*\u00a0* * * *", "bad_character", "ASCII"),
        (" * * * * *", "whitespace", "ends"),
        ("* * * * * ", "whitespace", "ends"),
    ],
)
def test_refused(expression: str, code: str, part: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Timetable.parse(expression)
    (issue,) = refused.value.issues
    assert (issue.path, issue.code) == (("schedule",), code)
    assert part in issue.message


def test_the_longest_expression_is_read() -> None:
    expression = ",".join(["0"] * ((MAX_LENGTH - 8) // 2)) + " * * * *"
    longest = expression.rjust(MAX_LENGTH, "0")
    assert Timetable.parse(longest).expression == longest
    with pytest.raises(InvalidRequest):
        Timetable.parse("0" + longest)


@pytest.mark.parametrize("expression", ["R R * * *", "* * * * * *", "*/61 * * * *", "5-1 * * * *"])
def test_croniter_would_have_taken_what_is_refused_here(expression: str) -> None:
    assert croniter.is_valid(expression)
