"""Deliveries a second to an endpoint that takes 50 ms."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.rig import Rig, running_sink
from benchmarks.throughput import deliver_backlog

__all__ = ["measure"]

ANSWER_TIME = 50
"""ms. With 200 slots no more than 4 000 deliveries a second are possible."""


def measure(context: Context) -> Sequence[Figure]:
    """One backlog after another."""
    runs = []
    with (
        Rig.running(context.folder / "slow", context.server) as rig,
        running_sink(rig.folder, "--delay", str(ANSWER_TIME)) as sink,
        rig.workforce() as (worker, _),
    ):
        deliver_backlog(rig, sink, worker, 2_000)
        for number in range(1, context.repeats + 1):
            runs.append(deliver_backlog(rig, sink, worker, context.size(16_000, 6_000)))
            context.tell(f"round {number} of {context.repeats}: {runs[-1].rate:,.0f}/s")
    return [
        Figure(
            f"deliveries at {ANSWER_TIME} ms, {rig.slots} slots",
            "/s",
            [run.rate for run in runs],
            at_least(3_200),
        ),
        Figure("worker CPU each", "µs", [run.worker_cpu for run in runs]),
        Figure("delivered twice", "", [float(run.duplicates) for run in runs], at_most(0)),
    ]
