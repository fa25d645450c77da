"""Numbers that a script and the code around it must have in common."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from lambdaqueue import scripts, signing_in, stats
from lambdaqueue.config import Settings


@pytest.mark.parametrize(
    ("script", "name", "number"),
    [
        ("admit_sign_in.lua", "FORGOTTEN", signing_in.WINDOW),
        ("shared/queues.lua", "MOST_FRESH", Settings().metrics_queues),
        ("shared/totals.lua", "PIECE", stats.PIECE * 1_000),
        ("shared/totals.lua", "PER_HOUR", stats.PER_HOUR),
    ],
)
def test_they_are_the_same(script: str, name: str, number: int) -> None:
    text = resources.files(scripts).joinpath(script).read_text("utf-8")
    found = re.search(rf"\blocal (?:\w+, )*{name}(?:, \w+)* = (\d+)", text)
    assert found is not None
    assert int(found[1]) == number
