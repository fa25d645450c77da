from __future__ import annotations

import pickle
import string
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.instants import LAST_INSTANT, iso, parse_instant
from lambdaqueue.timetable import END, ZONES, Timetable, parse_interval

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NOW = parse_instant("2026-03-01T12:34:56.789Z")


@pytest.mark.parametrize(
    ("expression", "kind", "shortest"),
    [
        ("* * * * *", "cron", MINUTE),
        ("C=0 0 1 1 *", "cron", MINUTE),
        ("@yearly", "cron", MINUTE),
        ("cron(0 10 * * ? *)", "aws", MINUTE),
        ("rate(1 minute)", "rate", MINUTE),
        ("rate(3 hours)", "rate", 3 * HOUR),
        ("every(10s)", "every", 10 * SECOND),
        ("every(36500d)", "every", 36_500 * DAY),
        ("at(2026-03-01T12:00:00)", "at", None),
    ],
)
def test_kinds(expression: str, kind: str, shortest: int | None) -> None:
    schedule = Timetable.parse(expression, "Europe/Warsaw")
    assert (schedule.expression, schedule.zone) == (expression, "Europe/Warsaw")
    assert (schedule.kind, schedule.shortest_interval()) == (kind, shortest)


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("rate(1 minute)", MINUTE),
        ("rate(90 minutes)", 90 * MINUTE),
        ("rate(1 hour)", HOUR),
        ("rate(24 hours)", DAY),
        ("rate(1 day)", DAY),
        ("rate(30 days)", 30 * DAY),
        ("every(1s)", SECOND),
        ("every(90s)", 90 * SECOND),
        ("every(5m)", 5 * MINUTE),
        ("every(2h)", 2 * HOUR),
        ("every(1d)", DAY),
    ],
)
def test_intervals(expression: str, interval: int) -> None:
    schedule = Timetable.parse(expression, "Europe/Warsaw")
    assert schedule.preview(NOW, 3, NOW) == [NOW + interval, NOW + 2 * interval, NOW + 3 * interval]
    # Later questions, and later moments, don't move the grid.
    assert schedule.next_after(NOW + 2 * interval + 1, NOW) == NOW + 3 * interval
    assert schedule.next_after(NOW + 3 * interval - 1, NOW) == NOW + 3 * interval
    # An anchor in the future is the first run.
    assert schedule.preview(NOW, 2, NOW + 5) == [NOW + 5, NOW + 5 + interval]
    assert schedule.preview(NOW - 1, 2, NOW) == [NOW, NOW + interval]


def test_a_rate_of_days_is_real_time_over_the_nights() -> None:
    schedule = Timetable.parse("rate(1 day)", "Europe/Warsaw")
    anchor = parse_instant("2026-03-28T08:00:00+01:00")
    assert [iso(run)[:16] for run in schedule.preview(anchor, 2, anchor)] == [
        "2026-03-29T07:00",
        "2026-03-30T07:00",
    ]


@given(
    st.integers(1, 10**10),
    st.integers(0, 4 * 10**12),
    st.integers(-(10**12), 4 * 10**12),
)
@example(1, 0, -1)
def test_intervals_are_strict_monotone_and_on_the_grid(
    length: int, anchor: int, after: int
) -> None:
    seconds = min(length, 36_500 * 86_400)
    schedule = Timetable.parse(f"every({seconds}s)")
    moment = max(anchor + after, 0)
    run = schedule.next_after(moment, anchor)
    assert run is not None
    assert run > moment
    assert run >= anchor
    assert (run - anchor) % (seconds * SECOND) == 0
    assert run == anchor or run - seconds * SECOND <= moment


@pytest.mark.parametrize(
    "expression", ["30 10 * * *", "cron(30 10 * * ? *)", "at(2026-03-01T10:30:00)"]
)
@pytest.mark.parametrize(("off", "is_found"), [(-1_000, 1), (-999, 1), (-1, 1), (0, 0), (1, 0)])
def test_a_millisecond_around_a_run(expression: str, off: int, is_found: int) -> None:
    run = parse_instant("2026-03-01T10:30:00Z")
    found = Timetable.parse(expression).next_after(run + off, 0)
    assert (found == run) == bool(is_found)
    assert found is None or found > run + off


@pytest.mark.parametrize(
    ("expression", "instant"),
    [
        ("at(2026-03-01T12:00:00)", "2026-03-01T11:00:00Z"),
        ("at(2026-07-01T23:59:59)", "2026-07-01T21:59:59Z"),
        ("at(2028-02-29T00:00:00)", "2028-02-28T23:00:00Z"),
        ("at(1970-01-01T01:00:00)", "1970-01-01T00:00:00Z"),
    ],
)
def test_once(expression: str, instant: str) -> None:
    schedule = Timetable.parse(expression, "Europe/Warsaw")
    run = parse_instant(instant)
    assert schedule.preview(run - 1, 9, 0) == [run]
    assert schedule.next_after(run, 0) is None


@pytest.mark.parametrize("expression", ["* * * * *", "every(1s)", "at(9999-12-31T23:59:59)"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_the_end_of_time(expression: str, zone: str) -> None:
    schedule = Timetable.parse(expression, zone)
    assert schedule.next_after(END - 1, 0) is None
    assert schedule.next_after(LAST_INSTANT, 0) is None
    assert schedule.next_after(10**30, 0) is None


def test_the_beginning_of_time() -> None:
    assert Timetable.parse("* * * * *").next_after(-(10**30), 0) == 0
    assert Timetable.parse("every(1s)").next_after(-1, 0) == 0
    assert Timetable.parse("at(1970-01-01T00:00:00)", "Asia/Tokyo").next_after(-1, 0) is None
    tokyo = Timetable.parse("0 0 * * *", "Asia/Tokyo").next_after(-1, 0)
    assert tokyo == parse_instant("1970-01-01T15:00:00Z")


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("rate(1 minutes)", "bad_rate"),
        ("rate(2 minute)", "bad_rate"),
        ("rate(0 minutes)", "bad_rate"),
        ("rate(-1 minutes)", "bad_rate"),
        ("rate(1.5 hours)", "bad_rate"),
        ("rate(05 minutes)", "bad_rate"),
        ("rate(5 seconds)", "bad_rate"),
        ("rate(5 weeks)", "bad_rate"),
        ("rate(5  minutes)", "bad_rate"),
        ("rate( 5 minutes)", "bad_rate"),
        ("rate(5 minutes )", "bad_rate"),
        ("rate(5 MINUTES)", "bad_rate"),
        ("rate(5minutes)", "bad_rate"),
        ("rate(5)", "bad_rate"),
        ("rate()", "bad_rate"),
        ("rate(36501 days)", "out_of_range"),
        (f"rate({'9' * 100} days)", "out_of_range"),
        ("every(0s)", "bad_interval"),
        ("every(500ms)", "bad_interval"),
        ("every(10)", "bad_interval"),
        ("every(10 s)", "bad_interval"),
        ("every(1w)", "bad_interval"),
        ("every(1.5h)", "bad_interval"),
        ("every(1h30m)", "bad_interval"),
        ("every(01h)", "bad_interval"),
        ("every(1H)", "bad_interval"),
        ("every(36501d)", "out_of_range"),
        ("at(2026-02-29T12:00:00)", "bad_time"),
        ("at(2026-03-01T24:00:00)", "bad_time"),
        ("at(2026-03-01T12:60:00)", "bad_time"),
        ("at(2026-03-01T12:00:60)", "bad_time"),
        ("at(2026-03-01T12:00)", "bad_time"),
        ("at(2026-03-01T12:00:00Z)", "bad_time"),
        ("at(2026-03-01T12:00:00+01:00)", "bad_time"),
        ("at(2026-03-01T12:00:00.000)", "bad_time"),
        ("at(2026-03-01 12:00:00)", "bad_time"),
        ("at(1969-12-31T23:59:59)", "bad_time"),
        ("at(10000-01-01T00:00:00)", "bad_time"),
        ("at()", "bad_time"),
        ("RATE(5 minutes)", "unknown_form"),
        ("cron (0 10 * * ? *)", "unknown_form"),
        ("sleep(5)", "unknown_form"),
        ("(5)", "unknown_form"),
        ("rate(5 minutes", "unknown_form"),
        ("cron(0 10 * * ? *", "unknown_form"),
        ("C=rate(5 minutes)", "unknown_form"),
        ("rate(5 minutes))", "bad_rate"),
        ("rate(5 minutes);", "unknown_form"),
        ("rate(5 minutes)\n", "bad_character"),
        ("every(1\u0661s)", "bad_character"),
        (" rate(5 minutes)", "whitespace"),
        ("tomorrow", "wrong_fields"),
    ],
)
def test_refused(expression: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Timetable.parse(expression)
    (issue,) = refused.value.issues
    assert (issue.path, issue.code) == (("schedule",), code)


@pytest.mark.parametrize(
    "zone",
    [
        *("Mars/Phobos", "../../etc/passwd", "/etc/passwd", "UTC\0", "Factory", "localtime", ""),
        *("europe/warsaw", "utc", "EUROPE/WARSAW", "Europe/Warsaw ", " UTC", "Europe/Warsaw\n"),
        *("posix/Europe/Warsaw", "right/Europe/Warsaw", "posixrules", "Europe", "tzdata.zi", "."),
        *("+01:00", "UTC+1", "CET-1CEST", "Europe//Warsaw", "Europe/../UTC", "./UTC", "x" * 9_000),
    ],
)
def test_zones_refused(zone: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Timetable.parse("* * * * *", zone)
    (issue,) = refused.value.issues
    assert (issue.path, issue.code) == (("timezone",), "unknown_zone")


def test_every_zone_of_the_list_works() -> None:
    assert len(ZONES) > 590
    assert {"UTC", "Europe/Warsaw", "US/Eastern", "Etc/GMT+12", "EST5EDT"} <= ZONES
    for zone in ZONES:
        run = Timetable.parse("30 2 * * *", zone).next_after(NOW, 0)
        assert run is not None
        assert NOW < run <= NOW + 25 * HOUR


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("1h", HOUR), ("10s", 10 * SECOND), ("5m", 5 * MINUTE), ("1d", DAY)]
)
def test_an_interval_by_itself(text: str, milliseconds: int) -> None:
    assert parse_interval(text, "every") == milliseconds


def test_an_interval_by_itself_is_refused_for_its_field() -> None:
    for text in ("", "1", "1 h", "hour", "36501d"):
        with pytest.raises(InvalidRequest) as refused:
            parse_interval(text, "every")
        assert refused.value.issues[0].path == ("every",)


def test_a_schedule_is_a_value() -> None:
    schedule = Timetable.parse("0 9 * * *", "Europe/Warsaw")
    assert schedule == Timetable.parse("0 9 * * *", "Europe/Warsaw")
    assert schedule != Timetable.parse("0 9 * * *", "Europe/London")
    assert len({schedule, Timetable.parse("0 9 * * *", "Europe/Warsaw")}) == 1
    assert pickle.loads(pickle.dumps(schedule)).next_after(NOW, 0) == schedule.next_after(NOW, 0)


@given(
    st.text(max_size=200)
    | st.text(alphabet="0123456789*/-,?LW# CRMONJAFEBcronateévy()@=:sTh", max_size=130)
    | st.lists(st.text(alphabet="0123456789*/-,?LW#", max_size=5), min_size=5, max_size=6).map(
        " ".join
    )
    | st.text(alphabet=string.digits + "*/-,?LW#MON ", max_size=60).map("cron({})".format),
    st.integers(-1, LAST_INSTANT),
)
def test_whatever_is_written_is_read_or_refused(text: str, moment: int) -> None:
    try:
        schedule = Timetable.parse(text, "Europe/Warsaw")
    except InvalidRequest as error:
        (issue,) = error.issues
        assert issue.path == ("schedule",)
        return
    run = schedule.next_after(moment, moment)
    assert run is None or run > moment


@pytest.mark.parametrize(
    ("expression", "start"),
    [
        ("cron(* 2 ? 3 1L *)", "1997-03-30T01:00:00Z"),  # in the gap of every year
        ("cron(* 2 ? 3 1L 1997-2199)", "1997-03-30T01:00:00Z"),
        ("cron(0 0 29 2 ? 2000-2199/4)", "2096-03-01T00:00:00Z"),
        ("cron(0 0 ? 2 SUN#5 *)", "2088-03-01T00:00:00Z"),
        ("0 0 29 2 *", "9996-03-01T00:00:00Z"),
    ],
)
def test_the_hardest_searches_are_bounded(expression: str, start: str) -> None:
    schedule = Timetable.parse(expression, "Europe/Warsaw")
    began = time.process_time()
    schedule.next_after(parse_instant(start), 0)
    # 20 ms, with room for a slow machine; a search by minutes would take seconds.
    assert time.process_time() - began < 0.2
