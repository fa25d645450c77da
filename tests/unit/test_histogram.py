"""Durations by their bounds."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from lambdaqueue import scripts
from lambdaqueue.histogram import BOUNDS, Histogram

TOTALS = resources.files(scripts).joinpath("shared", "totals.lua").read_text("utf-8")

STEP = r"\bms <= (\d+) and (\d+)\b"


def test_the_scripts_count_by_the_same_bounds() -> None:
    found = [(int(up_to), int(bound)) for up_to, bound in re.findall(STEP, TOTALS)]
    assert found == [(bound, bound) for bound in BOUNDS]
    assert sorted(set(BOUNDS)) == list(BOUNDS)


def test_it_is_read_as_it_is_stored() -> None:
    stored = {"took:5": 2, "took:250": 3, "took:inf": 1, "took:sum": 4_000_000, "late:5": 9}
    found = Histogram.read(stored, "took")
    assert (found.count, found.total) == (6, 4_000_000)
    assert found.cumulative == (2, 2, 2, 2, 2, *(5,) * 11, 6)
    assert Histogram.read({}, "took") == Histogram()


@pytest.mark.parametrize(
    ("stored", "share", "expected"),
    [
        ({}, 0.5, None),
        ({"x:5": 1}, 0.5, 2.5),  # half of 0…5
        ({"x:5": 1}, 1.0, 5.0),
        ({"x:10": 4}, 0.5, 7.5),  # half of 5…10
        ({"x:10": 50, "x:100": 50}, 0.5, 10.0),  # the last of the first fifty
        ({"x:10": 50, "x:100": 50}, 0.95, 95.0),  # 45 of fifty in 50…100
        ({"x:5": 1, "x:inf": 99}, 0.95, 3_600_000.0),
        ({"x:inf": 1}, 0.0, 3_600_000.0),
    ],
)
def test_percentiles(stored: dict[str, int], share: float, expected: float | None) -> None:
    assert Histogram.read(stored, "x").quantile(share) == expected
