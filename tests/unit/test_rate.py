"""Limits as values: what users may write, and the arithmetic that the scripts are given."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.queue_settings import FollowUp, QueueSettings
from lambdaqueue.rate import Breaker, FlowLimits, Rate

NOW = 1_700_000_000_000
DAY = 86_400_000


class Bucket:
    """GCRA by the words of `limits.lua`, in the same doubles, stored as text after every look."""

    def __init__(self, rate: Rate) -> None:
        interval, burst = rate.terms.split()
        self.interval, self.burst = float(interval), int(burst)
        self.tat = 0.0

    def take_all(self, now: int) -> int:
        """Take every token there is; returns how many."""
        horizon = now + self.interval * self.burst
        self.tat = min(self.tat, horizon)
        tokens = math.floor((horizon - max(self.tat, now)) / self.interval + 0.000001)
        if tokens:
            self.tat = max(self.tat, now) + self.interval * tokens
        self.tat = float(f"{self.tat:.12f}")
        return tokens


def most_in(period: int, taken: Sequence[tuple[int, int]]) -> int:
    """Return the most that was taken in any time of `period` ms."""
    most = total = first = 0
    for at, tokens in taken:
        total += tokens
        while taken[first][0] <= at - period:
            total -= taken[first][1]
            first += 1
        most = max(most, total)
    return most


def looks(kind: str, period: int, periods: int = 4) -> list[int]:
    """When somebody looks: steadily, at random, after long pauses, at both ends of each period."""
    chance = random.Random(period)
    step = max(1, period // 500)
    if kind == "steady":
        return list(range(NOW, NOW + periods * period, step))
    if kind == "edges":
        ends = (NOW + n * period for n in range(periods))
        return sorted({at + d for at in ends for d in (-2 * step, -step, 0, step)})
    widest = period if kind == "pauses" else max(1, period // 20)
    at, found = NOW, []
    for _ in range(400):
        at += chance.randint(1, widest)
        found.append(at)
    return found


RATES = [
    Rate(1, 1_000), Rate(2, 1_000), Rate(7, 100), Rate(3, 7), Rate(14, 1_000), Rate(21, 1_000),
    Rate(22, 1_000), Rate(23, 1_000), Rate(43, 1_000), Rate(44, 1_000), Rate(100, 1_000),
    Rate(999, 1_000), Rate(10_000, 1_000), Rate(12_345, 1_013), Rate(100_000, 60_000),
    Rate(1_000_000, 1_000), Rate(1_000_000, DAY), Rate(1, DAY), Rate(1, 1),
]  # fmt: skip


class TestArithmetic:
    @pytest.mark.parametrize("kind", ["steady", "edges", "random", "pauses"])
    @pytest.mark.parametrize("rate", RATES, ids=str)
    def test_never_more_than_the_limit_in_any_period(self, rate: Rate, kind: str) -> None:
        bucket = Bucket(rate)
        taken = [(at, bucket.take_all(at)) for at in looks(kind, rate.period)]
        assert 0 < most_in(rate.period, taken) <= rate.limit

    @pytest.mark.parametrize("rate", [Rate(10, 1_000, 5), Rate(100, 500, 100)], ids=str)
    def test_a_burst_comes_on_top(self, rate: Rate) -> None:
        """limit + burst - 1: the bucket's content, and what flows in meanwhile."""
        assert rate.burst is not None
        bucket = Bucket(rate)
        taken = [(at, bucket.take_all(at)) for at in looks("steady", rate.period)]
        assert taken[0][1] == rate.burst
        assert most_in(rate.period, taken) == rate.limit + rate.burst - 1

    @pytest.mark.parametrize("limit", [1, 7, 14, 21, 22, 43, 100, 999, 10_000])
    def test_at_least_95_percent_can_be_used(self, limit: int) -> None:
        bucket = Bucket(Rate(limit, 60_000))
        taken = [(at, bucket.take_all(at)) for at in range(NOW, NOW + 600_000, 5)]
        assert sum(tokens for _, tokens in taken) >= 0.95 * 10 * limit

    @pytest.mark.parametrize("limit", [22, 50, 120, 600, 5_000])
    def test_late_looks_cost_little(self, limit: int) -> None:
        """10 to 50 ms between two looks: 95 % of a rate per second are used all the same."""
        chance = random.Random(limit)
        bucket, at, used = Bucket(Rate(limit, 1_000)), NOW, 0
        while at < NOW + 60_000:
            used += bucket.take_all(at)
            at += chance.randint(10, 50)
        assert used >= 0.95 * 60 * limit

    @pytest.mark.parametrize(
        ("rate", "terms"),
        [
            (Rate(10, 1_000), (100.0, 1)),  # 1000 / 10; 10 // 22 = 0 are saved
            (Rate(22, 1_050), (50.0, 2)),  # 1050 / (22 - 1)
            (Rate(100, 960), (10.0, 5)),  # 960 / (100 - 4)
            (Rate(10, 1_000, 1), (100.0, 1)),
            (Rate(100, 1_000, 30), (10.0, 30)),  # a burst of one's own takes nothing away
            (Rate(3, 1_000), (333.33349609375, 1)),  # rounded up to 1/2048 ms
        ],
        ids=str,
    )
    def test_terms(self, rate: Rate, terms: tuple[float, int]) -> None:
        interval, burst = rate.terms.split()
        assert (float(interval), int(burst)) == terms

    def test_no_interval_is_nothing(self) -> None:
        interval, _ = Rate(1_000_000, 1).terms.split()
        assert float(interval) > 0


RATE = {"limit": 5, "period": 1_000}


class TestWhatIsWritten:
    @pytest.mark.parametrize(
        ("read", "value"),
        [
            (Rate.from_json, RATE),
            (Rate.from_json, {**RATE, "burst": 1}),
            (Rate.from_json, {"limit": 1_000_000, "period": DAY, "burst": 1_000_000}),
            (FlowLimits.from_json, {}),
            (FlowLimits.from_json, {"concurrency": 1}),
            (FlowLimits.from_json, {"concurrency": 100_000, "rate": RATE, "ordered": True}),
            (Breaker.from_json, {"ratio": 1, "window": 1_000}),
            (Breaker.from_json, {"ratio": 0.01, "window": 3_600_000}),
        ],
    )
    def test_it_comes_back(self, read: Callable[[Any], Any], value: dict[str, Any]) -> None:
        limits = read(value)
        assert limits.to_json() == value
        assert read(limits.to_json()) == limits

    def test_what_is_not_wanted_is_not_told(self) -> None:
        assert FlowLimits.from_json({"ordered": False}).to_json() == {}

    @pytest.mark.parametrize(
        ("read", "value", "issues"),
        [
            (Rate.from_json, None, [((), "not_object")]),
            (Rate.from_json, [], [((), "not_object")]),
            (Rate.from_json, {}, [(("limit",), "required"), (("period",), "required")]),
            (Rate.from_json, {"limit": 5}, [(("period",), "required")]),
            (Rate.from_json, {**RATE, "limit": 0}, [(("limit",), "out_of_range")]),
            (Rate.from_json, {**RATE, "limit": 1_000_001}, [(("limit",), "out_of_range")]),
            (Rate.from_json, {**RATE, "limit": True}, [(("limit",), "not_integer")]),
            (Rate.from_json, {**RATE, "limit": "5"}, [(("limit",), "not_integer")]),
            (Rate.from_json, {**RATE, "limit": 5.0}, [(("limit",), "not_integer")]),
            (Rate.from_json, {**RATE, "limit": None}, [(("limit",), "not_integer")]),
            (Rate.from_json, {**RATE, "period": 0}, [(("period",), "out_of_range")]),
            (Rate.from_json, {**RATE, "period": DAY + 1}, [(("period",), "out_of_range")]),
            (Rate.from_json, {**RATE, "burst": 0}, [(("burst",), "out_of_range")]),
            (Rate.from_json, {**RATE, "burst": None}, [(("burst",), "not_integer")]),
            (Rate.from_json, {**RATE, "per": 1}, [(("per",), "unknown_field")]),
            (
                Rate.from_json,
                {"limit": -1, "x": 1},
                [
                    (("x",), "unknown_field"),
                    (("period",), "required"),
                    (("limit",), "out_of_range"),
                ],
            ),
            (FlowLimits.from_json, {"key": 1}, [(("key",), "unknown_field")]),
            (FlowLimits.from_json, {"concurrency": 0}, [(("concurrency",), "out_of_range")]),
            (FlowLimits.from_json, {"concurrency": None}, [(("concurrency",), "not_integer")]),
            (FlowLimits.from_json, {"ordered": 1}, [(("ordered",), "not_boolean")]),
            (FlowLimits.from_json, {"rate": 5}, [(("rate",), "not_object")]),
            (
                FlowLimits.from_json,
                {"rate": {"limit": 0}},
                [(("rate", "period"), "required"), (("rate", "limit"), "out_of_range")],
            ),
            (Breaker.from_json, {}, [(("ratio",), "required"), (("window",), "required")]),
            (Breaker.from_json, {"ratio": 0, "window": 1_000}, [(("ratio",), "out_of_range")]),
            (Breaker.from_json, {"ratio": 1.1, "window": 1_000}, [(("ratio",), "out_of_range")]),
            (Breaker.from_json, {"ratio": True, "window": 1_000}, [(("ratio",), "out_of_range")]),
            (Breaker.from_json, {"ratio": "1", "window": 1_000}, [(("ratio",), "out_of_range")]),
            (Breaker.from_json, {"ratio": 1, "window": 999}, [(("window",), "out_of_range")]),
            (Breaker.from_json, {"ratio": 1, "window": 1e6}, [(("window",), "not_integer")]),
            (
                Breaker.from_json,
                {"ratio": 1, "window": 1_000, "rest": 1},
                [(("rest",), "unknown_field")],
            ),
        ],
    )
    def test_broken_rules(
        self, read: Callable[[Any], Any], value: Any, issues: list[tuple[Any, str]]
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            read(value)
        found = [(issue.path, issue.code) for issue in caught.value.issues]
        assert sorted(found) == sorted(issues)


class TestStored:
    @pytest.mark.parametrize(
        "settings",
        [
            QueueSettings(),
            QueueSettings(concurrency=5, rate=Rate(10, 1_000, 3), ordered=True),
            QueueSettings(flow=FlowLimits(3, Rate(1, 1), ordered=True)),
            QueueSettings(breaker=Breaker(0.25, 60_000)),
            QueueSettings(
                on_success=FollowUp("a", "https://example.com/"),
                on_failure=FollowUp("a/b", "https://example.com/", "slack"),
            ),
        ],
        ids=str,
    )
    def test_it_comes_back(self, settings: QueueSettings) -> None:
        assert QueueSettings.unpack(settings.pack()) == settings
