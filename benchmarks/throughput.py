"""Deliveries a second of one worker, of RQ's own workers, and of the bare client loop."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import ceiling, rivals
from benchmarks.context import Context
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import Process, cpu_us, started, until
from benchmarks.rig import ACTOR, Rig, SinkProcess, backlog, running_sink

__all__ = ["Run", "deliver_backlog", "measure"]

QUEUE = "bench"
WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """Deliveries a second at the sink, first to last; CPU in µs for each delivery."""

    rate: float
    worker_cpu: float
    redis_cpu: float
    sink_cpu: float
    duplicates: int


def measure(context: Context) -> Sequence[Figure]:
    """Ours, theirs and the ceiling take turns, so that a neighbour's noise hits all."""
    seen: dict[str, list[float]] = defaultdict(list)
    with (
        Rig.running(context.folder / "throughput", context.server) as rig,
        running_sink(rig.folder) as sink,
        rig.workforce() as (worker, _),
    ):
        # The first delivers into cold connections and a small window.
        deliver_backlog(rig, sink, worker, context.size(4_000, 1_000))
        for number in range(1, context.repeats + 1):
            context.tell(f"round {number} of {context.repeats}")
            _one_round(context, rig, sink, worker, seen)
    return _figures(seen)


def _one_round(
    context: Context, rig: Rig, sink: SinkProcess, worker: Process, seen: dict[str, list[float]]
) -> None:
    ours = deliver_backlog(rig, sink, worker, context.size(40_000, 10_000))
    context.tell(f"LambdaQueue {ours.rate:,.0f}/s, worker CPU {ours.worker_cpu:.0f} µs each")
    bare_rate, bare_cpu = _ceiling(rig, sink, context.size(60_000, 15_000))
    context.tell(f"ceiling {bare_rate:,.0f}/s, CPU {bare_cpu:.0f} µs each")
    simple = rivals.run(rivals.SIMPLE, rig, sink, context.size(1_500, 300))
    context.tell(f"{rivals.SIMPLE.name} {simple.rate:,.0f}/s, CPU {simple.cpu:.0f} µs each")
    stock = rivals.run(rivals.STOCK, rig, sink, context.size(60, 15))
    context.tell(f"{rivals.STOCK.name} {stock.rate:,.1f}/s, CPU {stock.cpu:.0f} µs each")
    for name, value in (
        ("ours", ours.rate),
        ("worker", ours.worker_cpu),
        ("redis", ours.redis_cpu),
        ("sink", ours.sink_cpu),
        ("duplicates", float(ours.duplicates)),
        ("simple", simple.rate),
        ("simple cpu", simple.cpu),
        ("stock", stock.rate),
        ("stock cpu", stock.cpu),
        ("ceiling", bare_rate),
        ("ceiling cpu", bare_cpu),
        ("× simple", ours.rate / simple.rate),
        ("× stock", ours.rate / stock.rate),
        ("of ceiling", ours.rate / bare_rate * 100),
    ):
        seen[name].append(value)


def _figures(seen: dict[str, list[float]]) -> list[Figure]:
    return [
        Figure("deliveries", "/s", seen["ours"], at_least(8_000)),
        Figure("deliveries ÷ SimpleWorker's", "×", seen["× simple"], at_least(25)),
        Figure("deliveries ÷ stock Worker's", "×", seen["× stock"]),
        Figure("deliveries ÷ ceiling's", "%", seen["of ceiling"]),
        Figure("worker CPU each", "µs", seen["worker"], at_most(110)),
        Figure("redis CPU each", "µs", seen["redis"]),
        Figure("sink CPU each", "µs", seen["sink"]),
        Figure("delivered twice", "", seen["duplicates"], at_most(0)),
        Figure("RQ SimpleWorker", "/s", seen["simple"]),
        Figure("RQ SimpleWorker CPU each", "µs", seen["simple cpu"]),
        Figure("RQ Worker (fork per job)", "/s", seen["stock"]),
        Figure("RQ Worker CPU each", "µs", seen["stock cpu"]),
        Figure("ceiling: bare client loop", "/s", seen["ceiling"]),
        Figure("ceiling CPU each", "µs", seen["ceiling cpu"]),
    ]


def deliver_backlog(
    rig: Rig, sink: SinkProcess, worker: Process, jobs: int, queue: str = QUEUE
) -> Run:
    """Push `jobs` to a paused queue, resume it, and wait until all have ended."""
    backlog(rig, queue, sink.url, jobs)
    sink.reset()
    ended = rig.ended(queue) + jobs
    pids = (worker.pid, rig.redis_pid, sink.process.pid)
    before = [cpu_us(pid) for pid in pids]
    rig.service.resume(ACTOR, queue)
    stats = sink.wait_for(jobs, WITHIN, worker)
    until(lambda: rig.ended(queue) >= ended, "all jobs end", worker)
    worker_cpu, redis_cpu, sink_cpu = (
        (cpu_us(pid) - start) / jobs for pid, start in zip(pids, before, strict=True)
    )
    stats = sink.stats()
    rate = (stats["requests"] - 1) / (stats["last"] - stats["first"])
    # Every job has ended, so what came in beyond them came twice.
    twice = max(stats["duplicates"], stats["requests"] - jobs)
    return Run(rate, worker_cpu, redis_cpu, sink_cpu, twice)


def _ceiling(rig: Rig, sink: SinkProcess, jobs: int) -> tuple[float, float]:
    ceiling.fill(rig.client, jobs)
    sink.reset()
    command = [sys.executable, "-m", "benchmarks.ceiling", rig.redis.url, sink.url]
    with started("ceiling", [*command, str(rig.slots), str(jobs)], rig.folder) as process:
        process.wait(WITHIN)
        stats = sink.stats()
        cpu = float(process.log.read_text().split()[-1])
    return (jobs - 1) / (stats["last"] - stats["first"]), cpu
