"""Limits: what they cost on a thousand queues, and how exactly four workers keep them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.context import Context
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import until
from benchmarks.rig import ACTOR, BATCH, ENVIRONMENT, PAYLOAD, Rig, SinkProcess, running_sink
from lambdaqueue.commands import HistoryFilter, Push
from lambdaqueue.rate import Rate
from lambdaqueue.spec import Spec

__all__ = ["measure"]

QUEUES = 1_000
WORKERS = 4
LOOSE: Mapping[str, Any] = {"concurrency": 1_000, "rate": Rate(100_000, 1_000)}
"""Limits that are looked at for every job, and keep none back."""

NONE: Mapping[str, Any] = {"concurrency": None, "rate": None}

RATE = Rate(200, 1_000)
CONCURRENCY, ANSWER_TIME = 20, 200
"""Attempts at once, of an endpoint that takes so many ms."""

WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt by Redis' clock: Unix ms and ms."""

    at: int
    duration: int


def measure(context: Context) -> Sequence[Figure]:
    """With and without limits in turn; then each limit by itself under four workers."""
    with (
        Rig.running(context.folder / "limits", context.server) as rig,
        running_sink(rig.folder) as sink,
        running_sink(rig.folder, "--delay", str(ANSWER_TIME)) as slow,
    ):
        with rig.workforce():
            ratios = list(_cost(context, rig, sink))
        with ExitStack() as stack:
            for _ in range(WORKERS):
                stack.enter_context(rig.worker())
            stack.enter_context(rig.scheduler())
            rates = [_keep_rate(context, rig, sink, n) for n in range(context.repeats)]
            at_once = [_keep_concurrency(context, rig, slow, n) for n in range(context.repeats)]
    return [
        Figure(f"throughput with limits on {QUEUES} queues", "%", ratios, at_least(85)),
        Figure(f"most in a second at {RATE.limit}/s", "", [most for most, _ in rates],
               at_most(RATE.limit)),
        Figure("of that rate used", "%", [used for _, used in rates], at_least(95)),
        Figure(f"most at once of {CONCURRENCY}", "", [most for most, _ in at_once],
               at_most(CONCURRENCY)),
        Figure("of these used", "%", [used for _, used in at_once], at_least(95)),
    ]  # fmt: skip


def _cost(context: Context, rig: Rig, sink: SinkProcess) -> Iterator[float]:
    each = context.size(20, 5)
    _deliver(rig, sink, NONE, each)  # connections, windows
    for number in range(1, context.repeats + 1):
        before = _deliver(rig, sink, NONE, each)
        limited = _deliver(rig, sink, LOOSE, each)
        after = _deliver(rig, sink, NONE, each)
        yield limited / statistics.mean((before, after)) * 100
        context.tell(f"round {number}: {before:,.0f}, limited {limited:,.0f}, {after:,.0f}/s")


def _deliver(rig: Rig, sink: SinkProcess, limits: Mapping[str, Any], each: int) -> float:
    """Return deliveries a second of `each` jobs in every queue."""
    push = Push(Spec(payload=PAYLOAD, target=sink.url))
    names = [f"tenant{number}" for number in range(QUEUES)]
    for name in names:
        rig.service.configure(ACTOR, name, limits, replace=False)
        rig.service.pause(ACTOR, name)
        rig.service.push_many(ENVIRONMENT, name, [push] * each)
    sink.reset()
    for name in names:
        rig.service.resume(ACTOR, name)
    stats = sink.wait_for(QUEUES * each, WITHIN)
    return float((QUEUES * each - 1) / (stats["last"] - stats["first"]))


def _keep_rate(context: Context, rig: Rig, sink: SinkProcess, number: int) -> tuple[float, float]:
    jobs = RATE.limit * context.size(30, 10)
    calls = _run(rig, sink, f"rate{number}", {"rate": RATE}, jobs)
    starts = sorted(call.at for call in calls)
    most = max(
        sum(start <= at < start + RATE.period for at in starts[i : i + 2 * RATE.limit])
        for i, start in enumerate(starts)
    )
    used = (len(starts) - 1) / RATE.limit / ((starts[-1] - starts[0]) / RATE.period) * 100
    context.tell(f"rate: at most {most} in a second, {used:.1f} % used")
    return float(most), used


def _keep_concurrency(
    context: Context, rig: Rig, sink: SinkProcess, number: int
) -> tuple[float, float]:
    jobs = CONCURRENCY * context.size(100, 30)
    calls = _run(rig, sink, f"at-once{number}", {"concurrency": CONCURRENCY}, jobs)
    changes = sorted(
        [(call.at, 1) for call in calls] + [(call.at + call.duration, -1) for call in calls]
    )
    out = most = 0
    for _, change in changes:  # of one moment the ends come first
        out += change
        most = max(most, out)
    span = max(call.at + call.duration for call in calls) - min(call.at for call in calls)
    used = sum(call.duration for call in calls) / span / CONCURRENCY * 100
    context.tell(f"concurrency: at most {most} at once, {used:.1f} % used")
    return float(most), used


def _run(
    rig: Rig, sink: SinkProcess, queue: str, limits: Mapping[str, Any], jobs: int
) -> list[Call]:
    """Deliver `jobs` under limits; returns all attempts."""
    rig.service.configure(ACTOR, queue, limits, replace=False)
    push = Push(Spec(payload=PAYLOAD, target=sink.url))
    for at in range(0, jobs, BATCH):
        rig.service.push_many(ENVIRONMENT, queue, [push] * min(BATCH, jobs - at))
    until(lambda: rig.ended(queue) >= jobs, "all jobs end", within=WITHIN)
    calls, cursor = list[Call](), None
    while True:
        page = rig.service.history(ENVIRONMENT, queue, HistoryFilter(), 1_000, cursor)
        calls += [
            Call(each.started_at, each.duration) for job in page.rows for each in job.attempts
        ]
        if page.cursor is None:
            return calls
        cursor = page.cursor
