"""Both cron grammars against a walk over all minutes, and all days, written separately."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.instants import iso
from lambdaqueue.timetable import Timetable
from tests.unit.cron_patterns import aws_patterns, five_fields, windows
from tests.unit.minute_walk import Pattern, at_noon, days_of, runs_between

DAYS = 800
LAST_OF_ALL = date(2199, 12, 31)


def runs_of(schedule: Timetable, first: int, last: int) -> list[str]:
    runs = []
    run = schedule.next_after(first - 1, 0)
    while run is not None and run <= last:
        runs.append(iso(run))
        run = schedule.next_after(run, 0)
    return runs


@settings(max_examples=80, deadline=None)
@given(five_fields | aws_patterns, windows())
def test_the_runs_are_those_of_a_walk_over_all_minutes(
    pattern: Pattern, window: tuple[str, int, int]
) -> None:
    zone, first, last = window
    expected = runs_between(pattern, zone, first, last)
    assume(expected)
    schedule = Timetable.parse(pattern.text, zone)
    assert runs_of(schedule, first, last) == [iso(run) for run in expected]


@settings(max_examples=80, deadline=None)
@given(five_fields | aws_patterns, windows(), st.integers(0, 2 * 86_400_000))
def test_the_next_run_is_later_and_the_first_such(
    pattern: Pattern, window: tuple[str, int, int], after: int
) -> None:
    zone, first, last = window
    moment = first + after
    expected = [run for run in runs_between(pattern, zone, first, last) if run > moment]
    assume(expected)
    schedule = Timetable.parse(pattern.text, zone)
    assert schedule.next_after(moment, 0) == expected[0]
    assert schedule.next_after(expected[0] - 1, 0) == expected[0]


@settings(max_examples=80, deadline=None)
@given(five_fields | aws_patterns, st.dates(date(1970, 1, 1), LAST_OF_ALL - timedelta(DAYS)))
def test_the_days_are_those_of_a_walk_over_all_days(pattern: Pattern, first: date) -> None:
    noon = replace(pattern, text=at_twelve(pattern.text))
    last = first + timedelta(DAYS)
    expected = list(days_of(noon.fits_day, first, last))
    assume(expected)
    runs = runs_of(Timetable.parse(noon.text), at_noon(first), at_noon(last))
    assert runs == [iso(at_noon(day)) for day in expected]


@settings(max_examples=80, deadline=None)
@given(five_fields | aws_patterns)
def test_refused_are_just_those_that_never_come(pattern: Pattern) -> None:
    if any(days_of(pattern.fits_day, date(1970, 1, 1), LAST_OF_ALL)):
        Timetable.parse(pattern.text)
    else:
        with pytest.raises(InvalidRequest, match="never comes"):
            Timetable.parse(pattern.text)


def at_twelve(text: str) -> str:
    """Return the expression with other minutes and hours."""
    name, bracket, fields = text.rpartition("(")
    return " ".join([f"{name}{bracket}0", "12", *fields.split()[2:]])
