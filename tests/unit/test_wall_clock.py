"""The nights on which clocks are moved."""

from __future__ import annotations

import pytest

from lambdaqueue.instants import iso, parse_instant
from lambdaqueue.timetable import Timetable

SECOND, HOUR = 1_000, 3_600_000

# Each night: from when, and the runs in UTC (the day and month are the expression's business).
NIGHTS = [
    # Warsaw, spring: 02:00 becomes 03:00 at 01:00Z.
    ("30 2 * * *", "Europe/Warsaw", "2026-03-28T12:00Z", ["29T01:00", "30T00:30"]),
    ("0 2 * * *", "Europe/Warsaw", "2026-03-28T12:00Z", ["29T01:00", "30T00:00"]),
    ("0 3 * * *", "Europe/Warsaw", "2026-03-28T12:00Z", ["29T01:00", "30T01:00"]),
    ("59 1 * * *", "Europe/Warsaw", "2026-03-28T12:00Z", ["29T00:59", "29T23:59"]),
    ("@daily", "Europe/Warsaw", "2026-03-28T12:00Z", ["28T23:00", "29T22:00"]),
    # once, however many were skipped, and once with what falls on its end
    ("0,20,40 2 * * *", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T01:00", "30T00:00"]),
    ("*/15 2 * * *", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T01:00", "30T00:00"]),
    ("0 2,3 * * *", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T01:00", "30T00:00"]),
    ("30 */2 * * *", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T01:00", "29T02:30", "29T04:30"]),
    ("30 1-3 * * *", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T00:30", "29T01:00", "29T01:30"]),
    ("30 2 29 3 *", "Europe/Warsaw", "2026-03-28T00:00Z", ["29T01:00"]),
    # every hour: each real hour has its run
    ("15 * * * *", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T00:15", "29T01:15", "29T02:15"]),
    ("@hourly", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T01:00", "29T02:00"]),
    ("*/30 * * * *", "Europe/Warsaw", "2026-03-29T00:15Z", ["29T00:30", "29T01:00", "29T01:30"]),
    # AWS skips it
    ("cron(30 2 * * ? *)", "Europe/Warsaw", "2026-03-28T12:00Z", ["30T00:30", "31T00:30"]),
    ("cron(0 2,3 * * ? *)", "Europe/Warsaw", "2026-03-28T12:00Z", ["29T01:00", "30T00:00"]),
    ("cron(15 * * * ? *)", "Europe/Warsaw", "2026-03-29T00:00Z", ["29T00:15", "29T01:15"]),
    ("cron(30 2 29 3 ? 2026)", "Europe/Warsaw", "2026-03-28T12:00Z", []),
    ("cron(30 2 ? 3 1L *)", "Europe/Warsaw", "2026-01-01T00:00Z", []),
    ("at(2026-03-29T02:30:00)", "Europe/Warsaw", "2026-03-28T12:00Z", ["29T01:00"]),
    # Warsaw, autumn: 03:00 becomes 02:00 at 01:00Z.
    ("30 2 * * *", "Europe/Warsaw", "2026-10-24T12:00Z", ["25T00:30", "26T01:30"]),
    ("0 2 * * *", "Europe/Warsaw", "2026-10-24T12:00Z", ["25T00:00", "26T01:00"]),
    ("0 3 * * *", "Europe/Warsaw", "2026-10-24T12:00Z", ["25T02:00", "26T02:00"]),
    ("0,30 2 * * *", "Europe/Warsaw", "2026-10-24T12:00Z", ["25T00:00", "25T00:30", "26T01:00"]),
    ("30 2 * * *", "Europe/Warsaw", "2026-10-25T01:10Z", ["26T01:30"]),
    ("30 1-3 * * *", "Europe/Warsaw", "2026-10-25T00:00Z", ["25T00:30", "25T02:30"]),
    ("*/30 * * * *", "Europe/Warsaw", "2026-10-25T00:15Z", ["25T00:30", "25T01:00", "25T01:30"]),
    ("15 * * * *", "Europe/Warsaw", "2026-10-25T00:00Z", ["25T00:15", "25T01:15", "25T02:15"]),
    ("*/30 2 * * *", "Europe/Warsaw", "2026-10-25T00:15Z", ["25T00:30", "25T01:00", "25T01:30"]),
    ("0 */2 * * *", "Europe/Warsaw", "2026-10-24T23:00Z", ["25T00:00", "25T01:00", "25T03:00"]),
    ("0 */3 * * *", "Europe/Warsaw", "2026-10-25T00:30Z", ["25T02:00", "25T05:00"]),
    ("0-59 2 * * *", "Europe/Warsaw", "2026-10-25T00:58Z", ["25T00:59", "26T01:00"]),
    ("cron(30 2 * * ? *)", "Europe/Warsaw", "2026-10-24T12:00Z", ["25T00:30", "26T01:30"]),
    ("cron(0/30 2 * * ? *)", "Europe/Warsaw", "2026-10-25T00:15Z", ["25T00:30", "25T01:00"]),
    ("cron(*/30 * * * ? *)", "Europe/Warsaw", "2026-10-25T00:15Z", ["25T00:30", "25T01:00"]),
    ("at(2026-10-25T02:30:00)", "Europe/Warsaw", "2026-10-24T12:00Z", ["25T00:30"]),
    # New York: 02:00 EST becomes 03:00 EDT at 07:00Z; 02:00 EDT becomes 01:00 EST at 06:00Z.
    ("30 2 * * *", "America/New_York", "2026-03-07T12:00Z", ["08T07:00", "09T06:30"]),
    ("30 1 * * *", "America/New_York", "2026-10-31T12:00Z", ["01T05:30", "02T06:30"]),
    # London: 01:00 GMT becomes 02:00 BST at 01:00Z, and back at 01:00Z.
    ("30 1 * * *", "Europe/London", "2026-03-28T12:00Z", ["29T01:00", "30T00:30"]),
    ("30 1 * * *", "Europe/London", "2026-10-24T12:00Z", ["25T00:30", "26T01:30"]),
    # Dublin's clocks move with London's, but its tz rules call the winter the exception.
    ("30 1 * * *", "Europe/Dublin", "2026-10-24T12:00Z", ["25T00:30", "26T01:30"]),
    # Lord Howe: 02:00 becomes 02:30 on October 4, and 01:30 on April 5, both at 15:30/15:00Z.
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["03T15:30", "04T15:15"]),
    ("45 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["03T15:45", "04T15:45"]),
    ("cron(15,45 2 * * ? *)", "Australia/Lord_Howe", "2026-10-03T12:00Z", ["03T15:45", "04T15:15"]),
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00Z", ["04T14:45", "05T15:15"]),
    ("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:50Z", ["04T15:00", "04T15:15"]),
    # Troll: 01:00 becomes 03:00, and 03:00 becomes 01:00, at 01:00Z.
    ("30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00Z", ["29T01:00", "29T23:30"]),
    ("30 1,2 * * *", "Antarctica/Troll", "2026-10-24T12:00Z", ["24T23:30", "25T00:30", "26T01:30"]),
    ("0 * * * *", "Antarctica/Troll", "2026-10-24T23:30Z", ["25T00:00", "25T01:00", "25T02:00"]),
    # Casablanca: in Ramadan an hour back, from 03:00 on February 15 to 02:00 on March 22.
    ("30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00Z", ["15T01:30", "16T02:30"]),
    ("30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00Z", ["22T02:00", "23T01:30"]),
    # Cairo: no midnight on April 24, the hour before that of October 30 twice.
    ("@daily", "Africa/Cairo", "2026-04-23T12:00Z", ["23T22:00", "24T21:00"]),
    ("30 23 * * *", "Africa/Cairo", "2026-10-29T12:00Z", ["29T20:30", "30T21:30"]),
    # Apia went from December 29 to 31, 2011, at 10:00Z.
    ("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00Z", ["29T22:00", "30T10:00", "30T22:00"]),
    ("0 0 30 12 *", "Pacific/Apia", "2011-12-29T00:00Z", ["30T10:00"]),
    ("0 0 * * *", "Pacific/Apia", "2011-12-29T12:00Z", ["30T10:00", "31T10:00"]),
    ("0 6 * * 5", "Pacific/Apia", "2011-12-29T00:00Z", ["30T10:00", "05T16:00"]),
    ("cron(0 12 * * ? *)", "Pacific/Apia", "2011-12-29T00:00Z", ["29T22:00", "30T22:00"]),
    ("cron(0 12 30 12 ? 2011)", "Pacific/Apia", "2011-12-29T00:00Z", []),
    ("at(2011-12-30T12:00:00)", "Pacific/Apia", "2011-12-29T00:00Z", ["30T10:00"]),
    # Monrovia was 44 min 30 s behind until January 7, 1972, 00:00 by its clocks.
    ("0 0 * * *", "Africa/Monrovia", "1972-01-05T12:00Z", ["06T00:44:30", "07T00:44:30"]),
    ("0 1 * * *", "Africa/Monrovia", "1972-01-05T12:00Z", ["06T01:44:30", "07T01:00"]),
    ("at(1972-01-06T00:00:01)", "Africa/Monrovia", "1972-01-05T12:00Z", ["06T00:44:31"]),
    # Far ahead the zone's rule still holds: 2150's spring in Warsaw begins on March 29.
    ("30 2 * 3 *", "Europe/Warsaw", "2150-03-28T12:00Z", ["29T01:00", "30T00:30"]),
]


@pytest.mark.parametrize(("expression", "zone", "start", "runs"), NIGHTS)
def test_nights(expression: str, zone: str, start: str, runs: list[str]) -> None:
    schedule = Timetable.parse(expression, zone)
    found = [iso(run)[8:19] for run in schedule.preview(parse_instant(start), max(len(runs), 1), 0)]
    assert found == [run if run.count(":") == 2 else f"{run}:00" for run in runs]


def test_a_walk_back_over_the_repeated_hour_from_every_second_of_it() -> None:
    """Whoever asks in the second pass isn't sent back, and a run of the first isn't repeated."""
    fixed = Timetable.parse("30 2 * * *", "Europe/Warsaw")
    first = parse_instant("2026-10-25T00:30:00Z")
    tomorrow = parse_instant("2026-10-26T01:30:00Z")
    for after in range(0, 2 * HOUR, 7 * SECOND):
        assert fixed.next_after(first + after, 0) == tomorrow
        if after:
            assert fixed.next_after(first - after, 0) == first
