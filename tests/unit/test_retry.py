from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.retry import DEFAULT_POLICY, RetryPolicy, retry_after

HOUR = 3_600_000
NOW = 1_614_265_330_000  # Thu, 25 Feb 2021 15:02:10 GMT


def number(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high) | st.floats(low, high)


policies = st.fixed_dictionaries(
    {"delays": st.lists(st.integers(0, 86_400_000), min_size=1, max_size=50)},
    optional={
        "type": st.sampled_from(
            ["exponential", "quadratic", "power", "linear", "constant", "list"]
        ),
        "delay": st.integers(0, 86_400_000),
        "factor": number(1, 10),
        "exponent": number(1, 5),
        "max": st.integers(0, 604_800_000),
        "retries": st.integers(0, 50),
        "jitter": number(0, 1),
    },
)


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        # 10 x 3^(n-1): 10, 30, 90, 270, 810, then 2430 is over the cap of 900
        ({}, [10, 30, 90, 270, 810, 900, 900]),
        # 2 x 1.5^(n-1): 2, 3, 4.5, 6.75
        ({"delay": 2_000, "factor": 1.5}, [2, 3, 4.5, 6.75]),
        # 10 x n^2
        ({"type": "quadratic"}, [10, 40, 90, 160, 250]),
        # (n+1)^3, 10^3 = 1000 is over the cap of 900
        (
            {"type": "power", "exponent": 3},
            [8, 27, 64, 125, 216, 343, 512, 729, 900, 900],
        ),
        # (n+1)^1.5: 2.828, 5.196, 8
        ({"type": "power", "exponent": 1.5}, [2.828, 5.196, 8]),
        # 10 x n, capped at 25
        ({"type": "linear", "max": 25_000}, [10, 20, 25, 25]),
        # no cap where none is given: an hour stays an hour
        ({"type": "constant", "delay": HOUR}, [3_600, 3_600]),
        ({"type": "constant", "delay": HOUR, "max": 1_000}, [1, 1]),
        ({"type": "list", "delays": [1_000, HOUR, 5_000]}, [1, 3_600, 5, 5, 5]),
        ({"type": "list", "delays": [1_000, HOUR], "max": 2_000}, [1, 2, 2]),
        ({"max": 0}, [0, 0]),
    ],
)
def test_delays(policy: dict[str, Any], seconds: list[float]) -> None:
    parsed = RetryPolicy.from_json(policy)
    delays = [parsed.delay_after(n, 0.0) for n in range(1, len(seconds) + 1)]
    assert delays == [round(s * 1_000) for s in seconds]


@pytest.mark.parametrize(
    ("policy", "n", "chance", "milliseconds"),
    [
        ({}, 1, 0.5, 10_500),  # 10 s + 0.5 x 0.1 x 10 s
        ({}, 50, 0.5, 945_000),  # after the cap: 900 s + 0.5 x 0.1 x 900 s
        ({"jitter": 1}, 1, 0.25, 12_500),
        ({"jitter": 0}, 1, 0.99, 10_000),
        ({"type": "list", "delays": [0]}, 1, 0.99, 0),
    ],
)
def test_jitter(policy: dict[str, Any], n: int, chance: float, milliseconds: int) -> None:
    assert RetryPolicy.from_json(policy).delay_after(n, chance) == milliseconds


@given(policies, st.integers(1, 51), st.floats(0, 1, exclude_max=True))
def test_no_delay_leaves_its_bounds(policy: dict[str, Any], n: int, chance: float) -> None:
    parsed = RetryPolicy.from_json(policy)
    # the highest cap is 7 days, jitter can double it
    assert 0 <= parsed.delay_after(n, chance) <= 2 * 604_800_000
    if parsed.max is not None:
        assert parsed.delay_after(n, 0.0) <= parsed.max


def test_defaults() -> None:
    assert RetryPolicy.from_json({}) == DEFAULT_POLICY
    assert (DEFAULT_POLICY.delay, DEFAULT_POLICY.factor) == (10_000, 3)
    assert (DEFAULT_POLICY.retries, DEFAULT_POLICY.jitter) == (5, 0.1)
    assert DEFAULT_POLICY.max == 900_000
    assert RetryPolicy("power").max == 900_000
    assert RetryPolicy("constant").max is None
    assert RetryPolicy("list", delays=(1,)).max is None


@given(policies)
def test_json_and_policy_say_the_same(policy: dict[str, Any]) -> None:
    parsed = RetryPolicy.from_json(policy)
    assert RetryPolicy.from_json(parsed.to_json()) == parsed


@given(policies)
def test_json_is_the_smallest(policy: dict[str, Any]) -> None:
    parsed = RetryPolicy.from_json(policy)
    written = parsed.to_json()
    for name in written:
        smaller = {key: value for key, value in written.items() if key != name}
        try:
            assert RetryPolicy.from_json(smaller) != parsed
        except InvalidRequest:
            assert (name, parsed.type) == ("delays", "list")


@pytest.mark.parametrize(
    ("written", "smallest"),
    [
        ({}, {}),
        ({"type": "exponential", "max": 900_000, "factor": 3.0}, {}),
        ({"type": "constant", "max": 900_000}, {"type": "constant", "max": 900_000}),
        ({"type": "list", "delays": [1]}, {"type": "list", "delays": [1]}),
        ({"retries": 0, "jitter": 0}, {"retries": 0, "jitter": 0}),
    ],
)
def test_what_is_written(written: dict[str, Any], smallest: dict[str, Any]) -> None:
    assert RetryPolicy.from_json(written).to_json() == smallest


@pytest.mark.parametrize(
    ("policy", "path", "code"),
    [
        (None, (), "not_object"),
        ([], (), "not_object"),
        ("{}", (), "not_object"),
        ({"tries": 3}, ("tries",), "unknown_field"),
        ({"type": "random"}, ("type",), "unknown_type"),
        ({"type": None}, ("type",), "unknown_type"),
        ({"type": ["list"]}, ("type",), "unknown_type"),
        ({"delay": -1}, ("delay",), "out_of_range"),
        ({"delay": 86_400_001}, ("delay",), "out_of_range"),
        ({"delay": 5.0}, ("delay",), "not_integer"),
        ({"delay": "5"}, ("delay",), "not_integer"),
        ({"delay": True}, ("delay",), "not_integer"),
        ({"delay": None}, ("delay",), "not_integer"),
        ({"max": 604_800_001}, ("max",), "out_of_range"),
        ({"max": None}, ("max",), "not_integer"),
        ({"retries": -1}, ("retries",), "out_of_range"),
        ({"retries": 51}, ("retries",), "out_of_range"),
        ({"retries": 10**9}, ("retries",), "out_of_range"),
        ({"factor": 0.999}, ("factor",), "out_of_range"),
        ({"factor": 10.001}, ("factor",), "out_of_range"),
        ({"factor": 10**400}, ("factor",), "out_of_range"),
        ({"factor": float("inf")}, ("factor",), "out_of_range"),
        ({"factor": float("nan")}, ("factor",), "out_of_range"),
        ({"factor": "3"}, ("factor",), "not_number"),
        ({"factor": True}, ("factor",), "not_number"),
        ({"exponent": 5.1}, ("exponent",), "out_of_range"),
        ({"jitter": -0.1}, ("jitter",), "out_of_range"),
        ({"jitter": 1.1}, ("jitter",), "out_of_range"),
        ({"jitter": float("nan")}, ("jitter",), "out_of_range"),
        ({"type": "list"}, ("delays",), "required"),
        ({"type": "list", "delays": []}, ("delays",), "out_of_range"),
        ({"type": "list", "delays": [1] * 51}, ("delays",), "out_of_range"),
        ({"type": "list", "delays": [-1] * 10_000}, ("delays",), "out_of_range"),
        ({"delays": {"0": 1}}, ("delays",), "not_list"),
        ({"delays": [1, "2"]}, ("delays", 1), "not_integer"),
        ({"delays": [1, 2, 86_400_001]}, ("delays", 2), "out_of_range"),
    ],
)
def test_what_is_refused(policy: object, path: tuple[str | int, ...], code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RetryPolicy.from_json(policy)
    assert [(i.path, i.code) for i in caught.value.issues] == [(path, code)]


def test_every_broken_rule_is_told() -> None:
    with pytest.raises(InvalidRequest) as caught:
        RetryPolicy.from_json({"type": "x", "delay": "1", "jitter": 2, "delays": [-1, -2], "a": 1})
    assert {i.path for i in caught.value.issues} == {
        ("type",),
        ("delay",),
        ("jitter",),
        ("delays", 0),
        ("delays", 1),
        ("a",),
    }


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("5", 5_000),
        (" 5\t", 5_000),
        ("007", 7_000),
        ("0", 1_000),
        ("86400", 86_400_000),
        ("1000000000", 86_400_000),
        ("9" * 5_000, 86_400_000),
        ("0" * 5_000 + "5", 5_000),
        ("Thu, 25 Feb 2021 15:02:40 GMT", 30_000),
        ("Thursday, 25-Feb-21 15:02:40 GMT", 30_000),
        ("Thu Feb 25 15:02:40 2021", 30_000),
        ("Thu, 25 Feb 2021 15:00:00 GMT", 1_000),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 1_000),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400_000),
        (None, None),
        ("", None),
        ("-1", None),
        ("+5", None),
        ("5.5", None),
        ("1e3", None),
        ("5, 5", None),
        ("soon", None),
        ("\u0665", None),
        ("\u00b2", None),
        ("25 Feb 2021", None),
        ("Thu, 32 Feb 2021 15:02:40 GMT", None),
        ("Thu, 25 Feb 2021 25:02:40 GMT", None),
        ("Thu, 25 Feb 99999 15:02:40 GMT", None),
        ("Thu, 25 Feb 2021 15:02:40 GMT" + " " * 100_000 + "x", None),
    ],
)
def test_retry_after(header: str | None, pause: int | None) -> None:
    assert retry_after(header, NOW) == pause


@given(
    st.text()
    | st.from_regex(r"(Mon|Sunday),? [0-9A-Za-z: +-]{1,40}", fullmatch=True)
    | st.from_regex(
        r"Mon, [0-9]{1,3} Jan [0-9]{1,6} [0-9:]{1,9} [+-]?[0-9A-Z]{1,6}", fullmatch=True
    )
)
def test_retry_after_never_raises(header: str) -> None:
    pause = retry_after(header, NOW)
    assert pause is None or 1_000 <= pause <= 86_400_000
