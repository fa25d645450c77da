"""The same throughput beside a million jobs that wait in ten thousand queues."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.context import Context
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import Process, cpu_us, until
from benchmarks.rig import BATCH, ENVIRONMENT, PAYLOAD, Rig, SinkProcess, running_sink
from benchmarks.throughput import Run, deliver_backlog
from lambdaqueue.commands import Push
from lambdaqueue.spec import Spec

__all__ = ["measure"]

DAY = 86_400_000
JOBS_IN_A_QUEUE = 100
AT_REST = 30_000
"""CPU µs that Redis may take in a second while nothing happens but ticks and beats."""

IDLE = 10.0
"""Seconds for which the scheduler is watched while nothing is due."""


@dataclass(frozen=True, slots=True)
class Round:
    """One run beside the jobs that wait, and one without them before and after it."""

    before: Run
    beside: Run
    after: Run
    chores: float
    idle: float

    @property
    def without(self) -> float:
        """Deliveries a second without them; the mean takes a steady drift of the machine out."""
        return statistics.mean((self.before.rate, self.after.rate))

    @property
    def redis_cpu_without(self) -> float:
        """Redis' CPU µs for each of those."""
        return statistics.mean((self.before.redis_cpu, self.after.redis_cpu))


def measure(context: Context) -> Sequence[Figure]:
    """An empty and a full LambdaQueue take turns; only the one at work has processes."""
    rounds = []
    with (
        Rig.running(context.folder / "empty", context.server) as empty,
        Rig.running(context.folder / "full", context.server) as full,
        running_sink(context.folder) as sink,
    ):
        _fill(context, full)
        for number in range(1, context.repeats + 1):
            rounds.append(_one_round(context, empty, full, sink))
            latest = rounds[-1]
            context.tell(
                f"round {number}: without {latest.without:,.0f}/s, beside "
                f"{latest.beside.rate:,.0f}/s, idle scheduler {latest.idle:.1f} %"
            )
    jobs = f"{context.size(1_000_000, 100_000):,}".replace(",", " ")
    ratios = [each.beside.rate / each.without * 100 for each in rounds]
    return [
        Figure(f"deliveries beside {jobs} waiting", "/s", [each.beside.rate for each in rounds]),
        Figure("deliveries without them", "/s", [each.without for each in rounds]),
        Figure("ratio", "%", ratios, at_least(90)),
        Figure("redis CPU each, beside them", "µs", [each.beside.redis_cpu for each in rounds]),
        Figure("redis CPU each, without", "µs", [each.redis_cpu_without for each in rounds]),
        Figure("redis CPU of the chores at a start", "s", [each.chores for each in rounds]),
        Figure("scheduler CPU, idle", "%", [each.idle for each in rounds], at_most(3)),
    ]


def _one_round(context: Context, empty: Rig, full: Rig, sink: SinkProcess) -> Round:
    with empty.workforce() as (worker, _):
        before = _deliver(context, empty, sink, worker)
    begun = cpu_us(full.redis_pid)
    with full.workforce() as (worker, scheduler):
        _await_rest(full)
        chores = (cpu_us(full.redis_pid) - begun) / 1e6
        beside = _deliver(context, full, sink, worker)
        idle = _load_of(scheduler)
    with empty.workforce() as (worker, _):
        after = _deliver(context, empty, sink, worker)
    return Round(before, beside, after, chores, idle)


def _fill(context: Context, rig: Rig) -> None:
    queues = context.size(10_000, 1_000)
    push = Push(Spec(payload=PAYLOAD, target="http://127.0.0.1:9/hook"), delay=DAY)
    begun = time.monotonic()
    for number in range(queues):
        for at in range(0, JOBS_IN_A_QUEUE, BATCH):
            count = min(BATCH, JOBS_IN_A_QUEUE - at)
            rig.service.push_many(ENVIRONMENT, f"tenant{number}", [push] * count)
        if (number + 1) % (queues // 5) == 0:
            context.tell(f"{(number + 1) * JOBS_IN_A_QUEUE:,} jobs wait")
    # Now rather than in the middle of a run; it may be at it already.
    until(lambda: _is_calm(rig), "Redis rewrites its file", within=300)
    rig.client.bgrewriteaof()
    until(lambda: _is_calm(rig), "Redis rewrites its file", within=300)
    used = rig.client.info("memory")["used_memory_human"]
    context.tell(f"all jobs wait after {time.monotonic() - begun:.0f} s; Redis has {used}")


def _is_calm(rig: Rig) -> bool:
    info = rig.client.info("persistence")
    return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]


def _deliver(context: Context, rig: Rig, sink: SinkProcess, worker: Process) -> Run:
    deliver_backlog(rig, sink, worker, 2_000)  # connections, window
    return deliver_backlog(rig, sink, worker, context.size(40_000, 10_000))


def _await_rest(rig: Rig) -> None:
    """Wait until the chores of a scheduler that has just started are done: they would weigh on
    a run of seconds as they never do on the minutes between two of them."""

    def rests() -> bool:
        before = cpu_us(rig.redis_pid)
        time.sleep(1)
        return cpu_us(rig.redis_pid) - before < AT_REST

    time.sleep(1)  # until they have begun
    until(rests, "the first chores end", within=120)


def _load_of(process: Process) -> float:
    """Return the share of one core that a process takes, in percent."""
    time.sleep(1)  # for what the last run left
    before = cpu_us(process.pid)
    time.sleep(IDLE)
    return (cpu_us(process.pid) - before) / IDLE / 1e4
