"""From a push to the endpoint, beside a queue of 100 000 due jobs whose endpoint hangs."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.latency import one_round
from benchmarks.processes import until
from benchmarks.rig import ACTOR, ENVIRONMENT, Rig, backlog, running_sink

__all__ = ["measure"]

QUEUE = "hangs"
NEVER = 3_600_000
"""ms until the other endpoint answers."""


def measure(context: Context) -> Sequence[Figure]:
    """Without it and beside it in turn; then the queue is paused until its calls have ended."""
    without, beside, ratios = list[float](), list[float](), list[float]()
    with (
        Rig.running(context.folder / "fairness", context.server) as rig,
        running_sink(rig.folder, "--delay", str(NEVER)) as sink,
        rig.workforce(),
        rig.web() as origin,
    ):
        rig.service.configure(ACTOR, QUEUE, {"timeout": 5_000}, replace=False)
        backlog(rig, QUEUE, sink.url, context.size(100_000, 20_000))
        for number in range(1, context.size(context.repeats, 2) + 1):
            before = _p99(context, rig, origin)
            rig.service.resume(ACTOR, QUEUE)
            sink.wait_for(rig.slots // 2, 60)
            beside.append(_p99(context, rig, origin))
            rig.service.pause(ACTOR, QUEUE)
            until(lambda: rig.service.queue(ENVIRONMENT, QUEUE).running == 0, "its calls end")
            after = _p99(context, rig, origin)
            sink.reset()
            without.append(statistics.mean((before, after)))
            ratios.append(beside[-1] / without[-1] * 100)
            context.tell(f"round {number}: p99 {without[-1]:.1f} ms, beside {beside[-1]:.1f} ms")
    return [
        Figure("push to endpoint, p99", "ms", without),
        Figure("beside a queue that hangs", "ms", beside),
        Figure("ratio", "%", ratios, at_most(120)),
    ]


def _p99(context: Context, rig: Rig, origin: str) -> float:
    return percentile(asyncio.run(one_round(rig, origin, context.size(400, 150))), 0.99)
