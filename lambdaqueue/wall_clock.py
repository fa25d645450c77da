"""Wall clocks in real time: what a zone's clocks show, and when they show it.

Both are whole seconds: an instant since the Unix epoch, a wall time since 1970-01-01T00:00 as the
clock shows it. Where clocks are moved, a wall time is shown twice or not at all:

                    before the shift │ after it
    spring   … 01:58  01:59          │ 03:00  03:01 …      02:00 to 02:59 are a gap
    autumn   … 02:58  02:59          │ 02:00  02:01 …      02:00 to 02:59 come again

Nothing here knows about summers or whole hours, so a skipped day, half an hour (Lord Howe) and
offsets with seconds are the same. Of two shifts less than a gap apart only one would be seen; the
tz database has none since 1970.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from lambdaqueue.wall_times import WallTimes

__all__ = ["first_instant", "next_instant"]

EPOCH = datetime(1970, 1, 1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Shift:
    """The instant at which a zone's clocks are moved, and their offsets around it, in seconds.

    Wall times from `wall_before` up to `wall_after` are a gap; the other way round, those from
    `wall_after` up to `wall_before` come twice.
    """

    instant: int
    before: int
    after: int

    @property
    def is_gap(self) -> bool:
        return self.before < self.after

    @property
    def wall_before(self) -> int:
        """What the clocks would have shown at the instant, had they not been moved."""
        return self.instant + self.before

    @property
    def wall_after(self) -> int:
        """What they show at the instant."""
        return self.instant + self.after


def next_instant(times: WallTimes, zone: ZoneInfo, moment: int) -> int | None:
    """Return the first run after `moment`; None when there is no more.

    A wall time in a gap is made up for at the instant of the shift, however many of them there
    are, if `times.makes_up`, and else is skipped. A wall time that is shown twice runs the first
    time only, unless `times.keeps_rhythm`.
    """
    wall, is_second = _shown(zone, moment)
    shift = _shift_around(zone, wall)
    if shift is None:
        return _first_run(times, zone, wall + 1)
    if times.keeps_rhythm:
        run = _run_in_repeat(times, shift, wall + 1, is_second)
        return _first_run(times, zone, shift.wall_before) if run is None else run
    return _first_run(times, zone, shift.wall_before if is_second else wall + 1)


def first_instant(zone: ZoneInfo, wall: int) -> int:
    """Return when this wall time is shown first; the end of the gap when it never is."""
    shift = _shift_around(zone, wall)
    if shift is not None and shift.is_gap:
        return shift.instant
    return wall - _offset(zone, wall, fold=0)


def _run_in_repeat(times: WallTimes, shift: Shift, start: int, is_second: bool) -> int | None:
    """Return the next run while the times around `start` come, and come again; else None."""
    passes = [(start, shift.after)]
    if not is_second:
        passes = [(start, shift.before), (shift.wall_after, shift.after)]
    for begin, offset in passes:
        wall = times.at_or_after(begin)
        if wall is not None and wall < shift.wall_before:
            return wall - offset
    return None


def _first_run(times: WallTimes, zone: ZoneInfo, start: int) -> int | None:
    """Return the run at the first named wall time from `start` on, its first showing."""
    while (wall := times.at_or_after(start)) is not None:
        shift = _shift_around(zone, wall)
        if shift is None or not shift.is_gap:
            return wall - _offset(zone, wall, fold=0)
        if times.makes_up:
            return shift.instant
        start = shift.wall_after
    return None


def _shown(zone: ZoneInfo, instant: int) -> tuple[int, bool]:
    """Return the wall time at an instant, and whether it's shown for the second time."""
    local = zone.fromutc((EPOCH + instant * SECOND).replace(tzinfo=zone))
    return (local.replace(tzinfo=None, fold=0) - EPOCH) // SECOND, bool(local.fold)


def _offset(zone: ZoneInfo, wall: int, fold: int) -> int:
    # PEP 495: in a gap or a repeat, fold=0 asks for the offset before the shift.
    offset = zone.utcoffset((EPOCH + wall * SECOND).replace(tzinfo=zone, fold=fold))
    return (offset or timedelta()) // SECOND


def _shift_around(zone: ZoneInfo, wall: int) -> Shift | None:
    """Return the shift that skips or repeats this wall time, None where it's shown once."""
    before, after = _offset(zone, wall, fold=0), _offset(zone, wall, fold=1)
    if before == after:
        return None
    # Whichever way the clocks go, the shift comes after the one reading and not after the other.
    earliest, latest = sorted((wall - before, wall - after))

    def is_shifted(instant: int) -> bool:
        return _shown(zone, instant)[0] - instant == after

    skipped = bisect_left(range(earliest + 1, latest), True, key=is_shifted)
    return Shift(earliest + 1 + skipped, before, after)
