"""Schedule expressions: when a schedule runs next.

    0 9 * * MON-FRI              five cron fields, also as C=0 9 * * MON-FRI
    @daily                       @yearly @monthly @weekly @daily @hourly
    cron(0 9 ? * MON-FRI *)      the six fields of AWS EventBridge
    rate(5 minutes)              an interval of minutes, hours or days
    every(90s)                   an interval of s, m, h or d
    at(2026-03-01T12:00:00)      once

The first three and the last are wall-clock time in the schedule's zone. On the nights when clocks
are moved:

- A time that the clocks skip. Five fields run once at the first instant after the gap, however
  many of their times were skipped; so does `at()`. Only a pattern of every hour makes up for
  nothing: each hour that there is has its run. `cron()` skips the run, as AWS does.
- A time that comes twice. It runs the first time only, unless minute or hour has a `*` (in
  `cron()` also `a/n`, which is how AWS writes `*/n`): such a pattern runs in both hours.

`rate` and `every` are plain intervals of real time on the grid anchor + k × interval, so they
never drift and no zone matters to them. The grid begins with its anchor (k = 0), which is a run
if it's after the moment asked about. So a schedule that is anchored at its creation, and asked
about what comes after it, has its first run one interval later; one with a `startsAt` in the
future is anchored there and runs at it. For all kinds: what comes after
`max(now, startsAt - 1)`, anchored at `startsAt` or else at the creation.

Pure: time is an argument, Unix milliseconds. Cron runs fall on whole minutes of the wall clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol
from zoneinfo import ZoneInfo, available_timezones

from lambdaqueue.aws_cron import parse_aws_cron
from lambdaqueue.cron_fields import parse_five_fields, refused
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.instants import parse_instant
from lambdaqueue.wall_clock import first_instant, next_instant
from lambdaqueue.wall_times import WallTimes

__all__ = ["MAX_LENGTH", "ZONES", "Kind", "Timetable", "parse_interval"]

Kind = Literal["cron", "aws", "rate", "at", "every"]

MAX_LENGTH = 128
"""Characters of an expression. The hardest of this length takes about a millisecond to read."""

ZONES = frozenset(available_timezones()) - {"localtime", "Factory"}
"""The tz database's names, spelt exactly; never `posix/…` or `right/…`.

The tzdata package is a dependency, so that no machine lacks any. `localtime` is whatever zone a
machine has, `Factory` the lack of one.
"""

END = 253_370_764_800_000
"""9999-01-01T00:00Z: no run from here on, because zones ahead of UTC have no name for its end."""

MAX_INTERVAL = 36_500 * 86_400_000
"""A century: far beyond any use, and a bound on what has to be computed with."""

KNOWN_TIMETABLES = 1_024
"""How many parsed expressions are remembered; a few KB each."""

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
CRON_PREFIX = "C="
MINUTE = 60_000
UNITS = {
    **{"s": 1_000, "m": MINUTE, "h": 3_600_000, "d": 86_400_000},
    **{"minute": MINUTE, "hour": 3_600_000, "day": 86_400_000},
}

PRINTABLE = re.compile(r"[ -~]*")
RATE = re.compile(r"(?P<count>[1-9][0-9]*) (?P<unit>minute|hour|day)(?P<plural>s?)")
INTERVAL = re.compile(r"(?P<count>[1-9][0-9]*)(?P<unit>[smhd])")
WALL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")


class Timing(Protocol):
    """What an expression comes to: anything that knows its next run."""

    def next_after(self, moment: int, anchor: int) -> int | None: ...

    def shortest_interval(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Interval:
    """A run every `length` ms."""

    length: int

    def next_after(self, moment: int, anchor: int) -> int:
        return anchor + max(0, (moment - anchor) // self.length + 1) * self.length

    def shortest_interval(self) -> int:
        return self.length


@dataclass(frozen=True, slots=True)
class Once:
    """One run, at `instant`."""

    instant: int

    def next_after(self, moment: int, anchor: int) -> int | None:
        return self.instant if self.instant > moment else None

    def shortest_interval(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Recurring:
    """A run whenever the zone's clocks show one of these times."""

    times: WallTimes
    zone: ZoneInfo

    def next_after(self, moment: int, anchor: int) -> int | None:
        run = next_instant(self.times, self.zone, moment // 1_000)
        return None if run is None else run * 1_000

    def shortest_interval(self) -> int:
        return MINUTE


@dataclass(frozen=True, slots=True)
class Timetable:
    """A parsed expression in its zone. Equal when both are spelt the same."""

    expression: str
    zone: str
    kind: Kind
    _timing: Timing = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Timetable:
        """Read an expression.

        One that can never run is refused (`0 0 31 2 *`); one whose runs are all past isn't.

        Raises:
            InvalidRequest: for `timezone` or `schedule`, naming the part of it and the reason.
        """
        if zone not in ZONES:
            rule = "must be a name of the tz database, spelt exactly, like Europe/Warsaw"
            raise InvalidRequest.of("timezone", "unknown_zone", rule)
        if len(text) > MAX_LENGTH:
            raise refused("too_long", f"must have at most {MAX_LENGTH} characters")
        return _parse(text, zone)

    def shortest_interval(self) -> int | None:
        """Return a time in ms that two runs are at least apart; None when there is but one run.

        For cron it's a minute, whatever the fields say.
        """
        return self._timing.shortest_interval()

    def next_after(self, moment: int, anchor: int) -> int | None:
        """Return the first run strictly later than `moment`, None when there is no more.

        `anchor` is where the grid of `rate` and `every` begins: `startsAt`, or else the creation.
        No run is before 1970 or after 9998.
        """
        if moment >= END:
            return None
        run = self._timing.next_after(max(moment, -1), anchor)
        return run if run is not None and run < END else None

    def preview(self, start: int, count: int, anchor: int) -> list[int]:
        """Return the next runs after `start`, at most `count`, fewer when there are no more."""
        runs: list[int] = []
        while len(runs) < count:
            run = self.next_after(runs[-1] if runs else start, anchor)
            if run is None:
                break
            runs.append(run)
        return runs


@lru_cache(maxsize=KNOWN_TIMETABLES)
def _parse(text: str, zone: str) -> Timetable:
    if PRINTABLE.fullmatch(text) is None:
        raise refused("bad_character", "must be printable ASCII; no tab, no line break")
    if text != text.strip():
        raise refused("whitespace", "must have no space at its ends")
    kind, timing = _read(text, ZoneInfo(zone))
    return Timetable(text, zone, kind, timing)


def _read(text: str, zone: ZoneInfo) -> tuple[Kind, Timing]:
    if text.startswith("@"):
        return "cron", Recurring(parse_five_fields(_macro(text)), zone)
    name, bracket, body = text.partition("(")
    if bracket and (name in FORMS or body.endswith(")")):
        if name not in FORMS or not body.endswith(")"):
            forms = ", ".join(f"{form}(…)" for form in FORMS)
            raise refused("unknown_form", f"must be five cron fields or one of {forms}")
        kind, read = FORMS[name]
        return kind, read(body[:-1], zone)
    return "cron", Recurring(parse_five_fields(text.removeprefix(CRON_PREFIX)), zone)


def _macro(text: str) -> str:
    if text not in MACROS:
        raise refused("unknown_macro", f"must be one of {' '.join(MACROS)}")
    return MACROS[text]


def _aws(body: str, zone: ZoneInfo) -> Recurring:
    return Recurring(parse_aws_cron(body), zone)


def _rate(body: str, zone: ZoneInfo) -> Interval:
    found = RATE.fullmatch(body)
    if found is None:
        rule = "rate: must be a number from 1 and minute(s), hour(s) or day(s): rate(5 minutes)"
        raise refused("bad_rate", rule)
    if (found["count"] == "1") == bool(found["plural"]):
        rule = "rate: the unit must be singular for 1 and plural above: rate(1 day), rate(2 days)"
        raise refused("bad_rate", rule)
    return Interval(_length(found, "schedule"))


def _every(body: str, zone: ZoneInfo) -> Interval:
    return Interval(parse_interval(body))


def _at(body: str, zone: ZoneInfo) -> Once:
    if WALL_TIME.fullmatch(body) is None:
        raise refused("bad_time", "at: must be a time without zone: at(2026-03-01T12:00:00)")
    try:
        wall = parse_instant(f"{body}Z") // 1_000
    except ValueError as error:
        raise refused("bad_time", f"at: {error}") from error
    return Once(first_instant(zone, wall) * 1_000)


FORMS: dict[str, tuple[Kind, Callable[[str, ZoneInfo], Timing]]] = {
    "rate": ("rate", _rate),
    "cron": ("aws", _aws),
    "at": ("at", _at),
    "every": ("every", _every),
}


def parse_interval(text: str, name: str = "schedule") -> int:
    """Return the milliseconds of an interval like `10s`, `5m`, `2h` or `1d`.

    Raises:
        InvalidRequest: for the field `name`.
    """
    found = INTERVAL.fullmatch(text)
    if found is None:
        rule = "every: must be a number from 1 and one of s, m, h, d, like 10s, 5m, 2h or 1d"
        raise InvalidRequest.of(name, "bad_interval", rule)
    return _length(found, name)


def _length(found: re.Match[str], name: str) -> int:
    length = int(found["count"]) * UNITS[found["unit"]]
    if length > MAX_INTERVAL:
        raise InvalidRequest.of(name, "out_of_range", "must be an interval of at most 36500 days")
    return length
