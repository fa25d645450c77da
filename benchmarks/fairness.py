"""From a push to the endpoint, beside a queue whose endpoint hangs, and one with a million due."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.context import Context
from benchmarks.figures import Figure, at_most, percentile
from benchmarks.latency import one_round
from benchmarks.processes import until
from benchmarks.rig import ACTOR, ENVIRONMENT, Rig, SinkProcess, backlog, running_sink

__all__ = ["measure"]

NEVER = 3_600_000
"""ms until an endpoint that hangs answers."""

BUSY, AT_ONCE = 50, 20
"""ms that the endpoint of the million takes, and how many of them its queue lets out at once: 400
a second of what a worker can do."""


def measure(context: Context) -> Sequence[Figure]:
    """Without the neighbour and beside it in turn; then it's paused until its calls have ended."""
    with (
        Rig.running(context.folder / "fairness", context.server) as rig,
        rig.workforce(),
        rig.web() as origin,
    ):

        def p99() -> float:
            return percentile(asyncio.run(one_round(rig, origin, context.size(400, 150))), 0.99)

        hangs = Neighbour(rig, "hangs", context.size(100_000, 20_000), busy=rig.slots // 2)
        with hangs.there(NEVER, {"timeout": 5_000}) as sink:
            hanging = list(_rounds(context, hangs, sink, p99))
        busy = Neighbour(rig, "million", context.size(1_000_000, 50_000), busy=200)
        with busy.there(BUSY, {"concurrency": AT_ONCE}) as sink:
            million = list(_rounds(context, busy, sink, p99))
    return [
        *_figures("beside a queue that hangs", hanging),
        *_figures("beside a million due jobs", million),
    ]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A queue of due `jobs` that works or is paused; it's at work once `busy` calls have begun."""

    rig: Rig
    queue: str
    jobs: int
    busy: int

    @contextmanager
    def there(self, delay: int, settings: Mapping[str, Any]) -> Iterator[SinkProcess]:
        """Push the jobs to a queue that is paused; their endpoint takes `delay` ms."""
        with running_sink(self.rig.folder, "--delay", str(delay)) as sink:
            self.rig.service.configure(ACTOR, self.queue, settings, replace=False)
            backlog(self.rig, self.queue, sink.url, self.jobs)
            yield sink

    @contextmanager
    def at_work(self, sink: SinkProcess) -> Iterator[None]:
        """Let it work; at the end its calls are over."""
        self.rig.service.resume(ACTOR, self.queue)
        sink.wait_for(self.busy, 60)
        yield
        self.rig.service.pause(ACTOR, self.queue)
        until(lambda: self._running() == 0, "its calls end")
        sink.reset()

    def _running(self) -> int:
        return self.rig.service.queue(ENVIRONMENT, self.queue).running


def _rounds(
    context: Context, neighbour: Neighbour, sink: SinkProcess, p99: Callable[[], float]
) -> Iterator[tuple[float, float]]:
    for number in range(1, context.size(context.repeats, 2) + 1):
        before = p99()
        with neighbour.at_work(sink):
            beside = p99()
        without = statistics.mean((before, p99()))
        told = f"p99 {without:.1f} ms, beside {beside:.1f} ms"
        context.tell(f"{neighbour.queue}, round {number}: {told}")
        yield without, beside


def _figures(name: str, rounds: Sequence[tuple[float, float]]) -> Sequence[Figure]:
    return [
        Figure("push to endpoint, p99", "ms", [without for without, _ in rounds]),
        Figure(name, "ms", [beside for _, beside in rounds]),
        Figure("ratio", "%", [beside / alone * 100 for alone, beside in rounds], at_most(120)),
    ]
