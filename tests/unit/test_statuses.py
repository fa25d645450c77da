from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.statuses import MAX_RANGES, SUCCESS, StatusRange

bounds = st.tuples(st.integers(100, 599), st.integers(100, 599)).map(sorted)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("200-299", {200, 204, 299}, {100, 199, 300, 599}),
        ("200-299,304", {200, 299, 304}, {199, 300, 303, 305}),
        ("204", {204}, {203, 205}),
        ("304,200-201", {200, 201, 304}, {202, 303}),
        ("100-599", {100, 599}, {0, 99, 600, -200}),
    ],
)
def test_what_is_in_a_range(text: str, inside: set[int], outside: set[int]) -> None:
    statuses = StatusRange.parse(text)
    assert {s for s in inside | outside if s in statuses} == inside


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        (",", "malformed"),
        ("200,", "malformed"),
        ("200-", "malformed"),
        ("-200", "malformed"),
        ("200-299-300", "malformed"),
        ("200 - 299", "malformed"),
        ("200-299\n", "malformed"),
        ("2xx", "malformed"),
        ("0200", "malformed"),
        ("\u0662\u0660\u0660", "malformed"),
        ("299-200", "out_of_range"),
        ("099", "out_of_range"),
        ("100-600", "out_of_range"),
        (",".join(["200"] * (MAX_RANGES + 1)), "out_of_range"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        StatusRange.parse(text)
    assert [(i.path, i.code) for i in caught.value.issues] == [(("successStatus",), code)]


@given(st.lists(bounds, min_size=1, max_size=MAX_RANGES))
def test_text_and_range_say_the_same(ranges: list[list[int]]) -> None:
    statuses = StatusRange(tuple((low, high) for low, high in ranges))
    assert StatusRange.parse(str(statuses)) == statuses


def test_the_default() -> None:
    assert StatusRange.parse("200-299") == SUCCESS
    assert str(SUCCESS) == "200-299"
