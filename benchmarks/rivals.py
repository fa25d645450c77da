"""The same deliveries by RQ's own workers: what the ratios are taken against."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rq import Queue, Worker

from benchmarks.posting import post
from benchmarks.processes import Process, cpu_us, started, until
from benchmarks.rig import PAYLOAD, Rig, SinkProcess

__all__ = ["SIMPLE", "STOCK", "Rival", "RivalRun"]

HELD = "benchmarks:held"
"""Where a rival's backlog waits, out of its sight, until the clock starts."""

WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class Rival:
    """An RQ worker class, run as its users do: `rq worker -w <class>`, serializer and all."""

    name: str
    worker_class: str


SIMPLE = Rival("RQ SimpleWorker", "rq.SimpleWorker")
STOCK = Rival("RQ Worker, fork per job", "rq.Worker")


@dataclass(frozen=True, slots=True)
class RivalRun:
    """Deliveries a second, and CPU µs of the worker (with what it forked) for each."""

    rate: float
    cpu: float


def run(rival: Rival, rig: Rig, sink: SinkProcess, jobs: int) -> RivalRun:
    """Deliver `jobs` with a rival; the backlog is there before its clock starts."""
    queue = Queue("rival", connection=rig.client)
    with _worker(rival, rig) as worker:
        _push(queue, rig, sink, 1)
        sink.reset()
        sink.wait_for(1, WITHIN, worker)
        until(lambda: queue.count == 0 and not queue.started_job_registry.count, "it rests", worker)
        _hold(queue, rig, sink, jobs)
        sink.reset()
        before = cpu_us(worker.pid)
        rig.client.rename(HELD, queue.key)
        stats = sink.wait_for(jobs, WITHIN, worker)
        cpu = cpu_us(worker.pid) - before
    return RivalRun((jobs - 1) / (stats["last"] - stats["first"]), cpu / jobs)


@contextmanager
def _worker(rival: Rival, rig: Rig) -> Iterator[Process]:
    command = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url", rig.redis.url]
    command += ["--worker-class", rival.worker_class, "rival"]
    folder: Path = rig.folder
    with started("rival", command, folder) as process:
        queue = Queue("rival", connection=rig.client)
        until(lambda: Worker.count(queue=queue) > 0, f"{rival.name} registers", process)
        yield process


def _push(queue: Queue, rig: Rig, sink: SinkProcess, jobs: int) -> None:
    secret, body = rig.credentials.secret, PAYLOAD.decode()
    queue.enqueue_many(
        [Queue.prepare_data(post, (sink.url, secret, f"rival_{n}", body)) for n in range(jobs)]
    )


def _hold(queue: Queue, rig: Rig, sink: SinkProcess, jobs: int) -> None:
    """Make the backlog in a line that nobody looks at."""
    aside = Queue("rival-backlog", connection=rig.client)
    _push(aside, rig, sink, jobs)
    rig.client.rename(aside.key, HELD)
