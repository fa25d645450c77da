"""How late delayed jobs arrive."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.rig import BATCH, ENVIRONMENT, PAYLOAD, Rig, SinkProcess, running_sink
from lambdaqueue.commands import Push
from lambdaqueue.spec import Spec

__all__ = ["measure"]

QUEUE = "delayed"
JOBS = 2_000
SPREAD = 10_000
"""ms over which they are due."""

AHEAD = 2_000
"""ms until the first is due: all are pushed by then."""


def measure(context: Context) -> Sequence[Figure]:
    """Push jobs that are due at random over ten seconds, and let the sink compare."""
    seen = []
    with (
        Rig.running(context.folder / "lateness", context.server) as rig,
        running_sink(rig.folder, "--lateness") as sink,
        rig.workforce(),
    ):
        for number in range(1, context.size(context.repeats, 2) + 1):
            seen.append(_one_round(rig, sink, number))
            late = seen[-1]
            context.tell(f"round {number}: p50 {late['p50']} ms, p99 {late['p99']} ms")
    return [
        Figure("late, p50", "ms", [each["p50"] for each in seen], at_most(2)),
        Figure("late, p99", "ms", [each["p99"] for each in seen], at_most(15)),
        Figure("late, min (never early)", "ms", [each["min"] for each in seen], at_least(0)),
        Figure("late, max", "ms", [each["max"] for each in seen]),
    ]


def _one_round(rig: Rig, sink: SinkProcess, number: int) -> dict[str, float]:
    sink.reset()
    chance = random.Random(number)
    spec = Spec(payload=PAYLOAD, target=sink.url)
    start = int(time.time() * 1000) + AHEAD
    pushes = [Push(spec, on=start + chance.randrange(SPREAD)) for _ in range(JOBS)]
    for at in range(0, JOBS, BATCH):
        rig.service.push_many(ENVIRONMENT, QUEUE, pushes[at : at + BATCH])
    lateness = sink.wait_for(JOBS, within=(AHEAD + SPREAD) / 1000 + 30)["lateness"]
    return dict(lateness)
