"""What a look at a due schedule decides: misfire, overlap, jitter, ends, numbers of runs."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.schedule import (
    MOST_MADE_UP,
    ON_TIME,
    Misfire,
    Recurrence,
    Schedule,
    check_has_runs,
    first_run,
    plan,
)
from lambdaqueue.spec import Spec

S, M, H = 1_000, 60_000, 3_600_000
T = 1_700_000_040_000
"""A whole minute, 22:14 UTC, from which on the runs below are counted."""


def standing(next_run: int = T, runs: int = 0, **recurrence: object) -> Schedule:
    """A schedule that stands at a run; every ten minutes from `T` on, unless told otherwise."""
    told = {"expression": "every(10m)", **recurrence}
    return Schedule(
        id="s",
        environment="1",
        queue="q",
        spec=Spec(),
        recurrence=Recurrence(**told),  # type: ignore[arg-type]
        created=T,
        anchor=T,
        next_run=next_run,
        runs=runs,
    )


def planned(schedule: Schedule, now: int, chance: float = 0.0) -> tuple[list[int], int | None]:
    """Return what is pushed and the next run, both in ms after `T`."""
    found = plan(schedule, now, chance)
    runs = [each.at - T for each in found.occurrences]
    return runs, None if found.next_run is None else found.next_run - T


@pytest.mark.parametrize(
    ("late", "misfire", "runs", "next_run"),
    [
        # On time: one run, whatever the policy.
        (0, "once", [0], 10 * M),
        (0, "skip", [0], 10 * M),
        (0, "all", [0], 10 * M),
        # A restart or a failover is no downtime.
        (ON_TIME, "once", [0], 10 * M),
        (ON_TIME, "skip", [0], 10 * M),
        (ON_TIME, "all", [0], 10 * M),
        # Later than that, but before the second run.
        (ON_TIME + 1, "once", [0], 10 * M),
        (ON_TIME + 1, "skip", [], 10 * M),
        (ON_TIME + 1, "all", [0], 10 * M),
        # Exactly at the third run: that one is on time.
        (20 * M, "once", [20 * M], 30 * M),
        (20 * M, "skip", [20 * M], 30 * M),
        (20 * M, "all", [0, 10 * M, 20 * M], 30 * M),
        # Between runs.
        (25 * M, "once", [20 * M], 30 * M),
        (25 * M, "skip", [], 30 * M),
        (25 * M, "all", [0, 10 * M, 20 * M], 30 * M),
        # Three hours: 18 runs and the one that is due now.
        (3 * H, "once", [3 * H], 3 * H + 10 * M),
        (3 * H, "skip", [3 * H], 3 * H + 10 * M),
        (3 * H, "all", [10 * M * n for n in range(19)], 3 * H + 10 * M),
        # Ten days: 1 441 runs, of which the newest 100.
        (240 * H, "once", [240 * H], 240 * H + 10 * M),
        (240 * H, "all", [240 * H - 10 * M * n for n in reversed(range(100))], 240 * H + 10 * M),
    ],
)
def test_misfire(late: int, misfire: Misfire, runs: list[int], next_run: int) -> None:
    assert planned(standing(misfire=misfire), T + late) == (runs, next_run)


@pytest.mark.parametrize("misfire", ["once", "skip", "all"])
def test_what_is_late_by_less_than_a_minute_is_all_made(misfire: Misfire) -> None:
    """Twenty runs of every second, looked at 19 s late."""
    schedule = standing(expression="every(1s)", misfire=misfire)
    assert planned(schedule, T + 19 * S) == ([n * S for n in range(20)], 20 * S)


@pytest.mark.parametrize("misfire", ["once", "skip", "all"])
@pytest.mark.parametrize("late", [0, 25 * M, 3 * H, 240 * H])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_jitter_makes_later_only_and_moves_no_next_run(
    misfire: Misfire, late: int, chance: float
) -> None:
    plain = planned(standing(misfire=misfire), T + late)
    schedule = standing(misfire=misfire, jitter=30 * S)
    assert planned(schedule, T + late, chance) == plain
    for each in plan(schedule, T + late, chance).occurrences:
        assert each.due - each.at == int(30 * S * chance) < 30 * S


@pytest.mark.parametrize(
    ("late", "misfire", "ends_at", "runs", "next_run"),
    [
        (0, "once", 0, [0], None),  # the end itself is included
        (0, "once", 10 * M - 1, [0], None),
        (0, "once", 10 * M, [0], 10 * M),
        (3 * H, "once", 30 * M, [30 * M], None),  # the newest that is not behind the end
        (3 * H, "skip", 30 * M, [], None),
        (3 * H, "all", 30 * M, [0, 10 * M, 20 * M, 30 * M], None),
        (3 * H, "all", 3 * H + M, [10 * M * n for n in range(19)], None),
        (0, "once", -1, [], None),  # it was set before the run was looked at
        (3 * H, "once", -1, [], None),
    ],
)
def test_ends_at(
    late: int, misfire: Misfire, ends_at: int, runs: list[int], next_run: int | None
) -> None:
    schedule = standing(misfire=misfire, ends_at=T + ends_at)
    assert planned(schedule, T + late) == (runs, next_run)


@pytest.mark.parametrize(
    ("late", "misfire", "max_runs", "made", "runs"),
    [
        (0, "once", 1, 0, [0]),
        (0, "once", 3, 2, [0]),
        (0, "once", 3, 3, []),
        (3 * H, "once", 3, 2, [3 * H]),
        (3 * H, "all", 3, 0, [0, 10 * M, 20 * M]),
        (3 * H, "all", 3, 1, [0, 10 * M]),
        (3 * H, "all", 3, 3, []),
        (3 * H, "all", 3, 4, []),  # `maxRuns` was lowered
        (3 * H, "all", 100, 95, [10 * M * n for n in range(5)]),
        (240 * H, "all", 2, 0, [240 * H - 990 * M, 240 * H - 980 * M]),
    ],
)
def test_max_runs(late: int, misfire: Misfire, max_runs: int, made: int, runs: list[int]) -> None:
    schedule = standing(misfire=misfire, max_runs=max_runs, runs=made)
    assert planned(schedule, T + late)[0] == runs


@pytest.mark.parametrize(
    ("late", "misfire", "runs"),
    [
        (0, "once", [0]),
        (25 * M, "once", [20 * M]),
        (25 * M, "skip", []),
        (25 * M, "all", [20 * M]),
    ],
)
def test_runs_that_must_not_overlap_are_one(late: int, misfire: Misfire, runs: list[int]) -> None:
    assert planned(standing(misfire=misfire, overlap="skip"), T + late) == (
        runs,
        (late // (10 * M) + 1) * 10 * M,
    )


def test_all_limits_at_once() -> None:
    """Every minute for three hours; ended after two; three of five runs are made; jitter."""
    schedule = standing(
        expression="every(1m)", misfire="all", ends_at=T + 2 * H, max_runs=5, jitter=10 * S, runs=3
    )
    found = plan(schedule, T + 3 * H, 0.5)
    # Of the 121 runs until the end the newest hundred; of these the two that are left.
    assert [each.at - T for each in found.occurrences] == [21 * M, 22 * M]
    assert [each.due - each.at for each in found.occurrences] == [5 * S, 5 * S]
    assert found.next_run is None


@pytest.mark.parametrize(
    ("misfire", "expression", "zone"),
    [
        ("once", "every(1s)", "UTC"),
        ("skip", "every(1s)", "UTC"),
        ("all", "every(1s)", "UTC"),
        ("once", "* * * * *", "Europe/Warsaw"),
        ("skip", "* * * * *", "Europe/Warsaw"),
        ("all", "* * * * *", "Europe/Warsaw"),
        ("all", "0 9 1 1 *", "Europe/Warsaw"),
    ],
)
def test_a_downtime_of_ten_years_costs_no_more_than_its_answer(
    misfire: Misfire, expression: str, zone: str
) -> None:
    schedule = standing(misfire=misfire, expression=expression, zone=zone)
    now = T + 3_650 * 24 * H
    began = time.process_time()
    found = plan(schedule, now, 0)
    assert time.process_time() - began < 0.5
    assert len(found.occurrences) <= MOST_MADE_UP
    assert all(T <= each.at <= now for each in found.occurrences)
    assert found.next_run is not None
    assert found.next_run > now


def test_the_next_run_keeps_to_the_grid_however_late_the_looks_are() -> None:
    schedule, runs = standing(expression="rate(1 minute)", misfire="all"), []
    for look in range(1, 200):
        now = T + look * 61_700  # later each time, and sometimes by a whole run
        found = plan(schedule, now, 0)
        runs += [each.at - T for each in found.occurrences]
        schedule = replace(schedule, next_run=found.next_run)
    assert runs == [M * n for n in range(len(runs))]


@pytest.mark.parametrize(
    ("expression", "starts_at", "now", "expected"),
    [
        ("every(10m)", None, T, T + 10 * M),  # anchored at its creation, which is no run
        ("every(10m)", T + H, T, T + H),  # a start in the future is a run
        ("every(10m)", T - 25 * M, T, T + 5 * M),  # one in the past only gives the grid
        ("*/10 * * * *", T + H, T, T + H + 6 * M),  # 23:14 -> 23:20
        ("*/10 * * * *", T - H, T, T + 6 * M),  # 22:14 -> 22:20
        ("at(2023-11-14T22:14:00)", None, T - 1, T),
        ("at(2023-11-14T22:14:00)", None, T, None),
        ("at(2023-11-14T22:14:00)", T, T - H, T),
        ("at(2023-11-14T22:14:00)", T + 1, T - H, None),
    ],
)
def test_first_run(expression: str, starts_at: int | None, now: int, expected: int | None) -> None:
    recurrence = Recurrence(expression, starts_at=starts_at)
    assert first_run(recurrence, starts_at or now, now) == expected


@pytest.mark.parametrize(
    "recurrence",
    [
        Recurrence("at(2020-01-01T00:00:00)"),
        Recurrence("every(10m)", ends_at=T + 10 * M - 1),
        Recurrence("every(10m)", starts_at=T + H, ends_at=T + H - 1),
        Recurrence("cron(0 0 1 1 ? 1999)"),
    ],
)
def test_one_without_a_run_is_refused(recurrence: Recurrence) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_has_runs(recurrence, recurrence.starts_at or T, T)
    (issue,) = caught.value.issues
    assert (issue.path, issue.code) == (("schedule",), "no_run")


@pytest.mark.parametrize(
    ("change", "keeps"),
    [
        ({}, True),
        ({"ends_at": 5}, True),
        ({"max_runs": 5}, True),
        ({"jitter": 5}, True),
        ({"misfire": "all"}, True),
        ({"overlap": "skip"}, True),
        ({"expression": "every(11m)"}, False),
        ({"zone": "Europe/Warsaw"}, False),
        ({"starts_at": 5}, False),
    ],
)
def test_only_expression_zone_and_start_move_the_phase(
    change: dict[str, object], keeps: bool
) -> None:
    before = Recurrence("every(10m)")
    assert replace(before, **change).keeps_phase_of(before) is keeps  # type: ignore[arg-type]


def test_packing() -> None:
    full = Recurrence("every(1m)", "Europe/Warsaw", 1, 2, 3, 4, "all", "skip")
    for recurrence in (full, Recurrence("@daily")):
        assert Recurrence.unpack(recurrence.pack()) == recurrence
