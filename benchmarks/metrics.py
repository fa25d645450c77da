"""Metrics: what a scrape takes beside 10 000 queues, and the charts of 100 of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import requests

from benchmarks.context import Context
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.processes import cpu_us
from benchmarks.rig import ENVIRONMENT, PAYLOAD, Rig, running_sink
from lambdaqueue.commands import Push
from lambdaqueue.spec import Spec
from lambdaqueue.stats import Span, StatsStore

__all__ = ["measure"]

QUEUES = 10_000
CHARTS = 100
EACH = 2
"""Jobs that every queue has delivered."""

FRESH = 1.05
"""Seconds after which a scrape is read anew."""

WITHIN = 300.0


def measure(context: Context) -> Sequence[Figure]:
    """All queues have done something; one web process is asked again and again."""
    queues, times = context.size(QUEUES, 1_000), context.size(30, 10)
    with Rig.running(context.folder / "metrics", context.server) as rig:
        _deliver(rig, queues)
        with rig.web() as origin:
            scrapes, cached, redis = _scrape(rig, f"{origin}/metrics", times)
        stats = StatsStore(rig.client)
        names = [f"tenant{number}" for number in range(CHARTS)]
        hour = _timed(lambda: stats.many(ENVIRONMENT, names, Span.HOUR), times)
        day = _timed(lambda: stats.many(ENVIRONMENT, names, Span.DAY), times)
    told = f"{queues} queues"
    return [
        Figure(f"scrape beside {told}, p50", "ms", [percentile(scrapes, 0.5)], at_most(300)),
        Figure("the same, p95", "ms", [percentile(scrapes, 0.95)]),
        Figure("of it in Redis", "ms", [redis]),
        Figure("scrape within the same second, p50", "ms", [percentile(cached, 0.5)]),
        Figure(f"charts of {CHARTS} queues, an hour, p50", "ms", [percentile(hour, 0.5)]),
        Figure(f"charts of {CHARTS} queues, a day, p50", "ms", [percentile(day, 0.5)]),
    ]


def _deliver(rig: Rig, queues: int) -> None:
    with running_sink(rig.folder) as sink, rig.workforce():
        push = Push(Spec(payload=PAYLOAD, target=sink.url))
        for number in range(queues):
            rig.service.push_many(ENVIRONMENT, f"tenant{number}", [push] * EACH)
        sink.wait_for(queues * EACH, WITHIN)


def _scrape(rig: Rig, url: str, times: int) -> tuple[list[float], list[float], float]:
    """Return the ms of fresh scrapes, of those right behind them, and Redis' own for one."""
    session = requests.Session()
    session.trust_env = False

    def ask() -> float:
        began = time.perf_counter()
        session.get(url).raise_for_status()
        return (time.perf_counter() - began) * 1_000

    fresh, cached, began = [], [], cpu_us(rig.redis_pid)
    for _ in range(times):
        fresh.append(ask())
        cached.append(ask())
        time.sleep(FRESH)
    return fresh, cached, (cpu_us(rig.redis_pid) - began) / times / 1_000


def _timed(act: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1_000)
    return taken
