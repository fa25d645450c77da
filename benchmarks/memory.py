"""Bytes of Redis for each job that waits or is ready."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.figures import Figure, at_most
from benchmarks.processes import BenchmarkFailed
from benchmarks.rig import ACTOR, BATCH, ENVIRONMENT, PAYLOAD, Rig
from lambdaqueue import keys
from lambdaqueue.commands import Push
from lambdaqueue.connection import Scripts
from lambdaqueue.spec import Spec

__all__ = ["measure"]

QUEUES = 50
JOBS = 20_000
DAY = 86_400_000
TARGET = "http://127.0.0.1:9000/hook"

EVERY_QUEUE_S_SHARE = JOBS
"""Slots of a worker that never was: more than enough for every queue's window."""

WINDOW = JOBS // QUEUES
"""Ready jobs that a queue may have; it gets there by itself, one success after another."""


def measure(context: Context) -> Sequence[Figure]:
    """Compare Redis' memory before and after, in a Redis of its own each time."""
    spec = Spec(payload=PAYLOAD, target=TARGET)
    plain = _bytes_each(context, "waiting", [Push(spec, delay=DAY)] * JOBS)
    keyed = [Push(spec, delay=DAY, key=f"order-{n:08}") for n in range(JOBS)]
    with_key = _bytes_each(context, "keyed", keyed)
    ready = _bytes_each(context, "ready", [Push(spec)] * JOBS)
    return [
        Figure("waiting job", "bytes", [plain], at_most(850)),
        Figure("its unique key (14 characters)", "bytes", [with_key - plain], at_most(99)),
        Figure("ready job", "bytes", [ready], at_most(1_400)),
    ]


def _bytes_each(context: Context, kind: str, pushes: Sequence[Push]) -> float:
    with Rig.running(context.folder / f"memory-{kind}", context.server) as rig:
        info = rig.client.info()
        context.tell(f"{kind}, Redis {info['redis_version']}, {info['mem_allocator']}")
        _prepare(rig)
        before = _used(rig)
        for number in range(QUEUES):
            mine = pushes[number::QUEUES]
            for at in range(0, len(mine), BATCH):
                rig.service.push_many(ENVIRONMENT, f"queue{number}", mine[at : at + BATCH])
        lined_up = rig.client.llen(keys.line)
        if lined_up != (JOBS if kind == "ready" else 0):
            raise BenchmarkFailed(f"{lined_up} jobs are ready")
        return (_used(rig) - before) / JOBS


def _prepare(rig: Rig) -> None:
    """Make the queues, with windows wide open, and a worker whose slots would fill them."""
    for number in range(QUEUES):
        rig.service.configure(ACTOR, f"queue{number}", {}, replace=False)
        rig.client.hset(keys.queue(ENVIRONMENT, f"queue{number}"), "window", str(WINDOW))
    mine = [keys.worker("nobody"), keys.held("nobody")]
    Scripts(rig.client).run("beat", mine, "nobody", "new", EVERY_QUEUE_S_SHARE, 30_000)


def _used(rig: Rig) -> int:
    """Return what is allocated for data: answers remembered for resent calls, buffers of clients
    and of the append-only file are gone after two minutes, and not counted."""
    requests = list(rig.client.scan_iter("lq:request:*", count=1_000))
    if requests:
        rig.client.unlink(*requests)
    info = rig.client.info("memory")
    return int(info["used_memory"] - info["mem_clients_normal"] - info["mem_aof_buffer"])
