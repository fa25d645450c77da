"""Schedules: how late their runs are pushed, how many at once, and what idle ones cost."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.context import Context
from benchmarks.figures import Figure, at_least, at_most, percentile
from benchmarks.processes import Process, cpu_us, until
from benchmarks.rig import ACTOR, ENVIRONMENT, PAYLOAD, Rig
from lambdaqueue import keys
from lambdaqueue.ids import CLOCK
from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.spec import Spec

__all__ = ["measure"]

SCHEDULES = 2_000
SPREAD = 10_000
"""ms over which they are due."""

AT_ONCE = 10_000
"""Schedules that are due in the same millisecond."""

IDLE = 100_000
DAY = 86_400_000

STILL = 10.0
"""Seconds over which CPU times are taken while nothing is due."""

MADE_IN = 0.002
"""Seconds that making one schedule may take: none is due before all are made."""

CHUNK = 1_000


def measure(context: Context) -> Sequence[Figure]:
    """Let one scheduler fire; no worker runs, its queue is paused: a push is all that is timed."""
    late, bursts, idle = list[list[int]](), list[float](), list[tuple[float, float]]()
    with Rig.running(context.folder / "schedules", context.server) as rig, rig.scheduler() as it:
        before = _cpu(rig, it)
        context.tell(f"idle: scheduler {before[0]:.2f} %, Redis {before[1]:.2f} %")
        count = context.size(IDLE, IDLE // 5)
        _make(rig, "idle", (_now(rig) + DAY + n for n in range(count)))
        for number in range(1, context.size(context.repeats, 2) + 1):
            idle.append(_cpu(rig, it))
            late.append(_spread(rig, number))
            bursts.append(max(_at_once(rig, number)) / 1_000)
            context.tell(
                f"round {number}: p50 {percentile(late[-1], 0.5)} ms, "
                f"p99 {percentile(late[-1], 0.99)} ms, all at once {bursts[-1]:.2f} s, "
                f"beside {count} idle {idle[-1][0]:.2f} %"
            )
    return [
        Figure("due to push, p50", "ms", [percentile(each, 0.5) for each in late], at_most(10)),
        Figure("due to push, p99", "ms", [percentile(each, 0.99) for each in late], at_most(50)),
        Figure("due to push, min (never early)", "ms", [min(each) for each in late], at_least(0)),
        Figure("10 000 due at once, the last", "s", bursts, at_most(5)),
        Figure("scheduler, idle, no schedules", "%", [before[0]], at_most(3)),
        Figure(f"scheduler, idle, {count} schedules", "%", [each[0] for each in idle], at_most(3)),
        Figure("Redis, idle, no schedules", "%", [before[1]]),
        Figure(f"Redis, idle, {count} schedules", "%", [each[1] for each in idle]),
    ]


def _spread(rig: Rig, number: int) -> list[int]:
    chance = random.Random(number)
    start = _now(rig) + int(SCHEDULES * MADE_IN * 1_000)
    return _fired(
        rig, f"spread{number}", [start + chance.randrange(SPREAD) for _ in range(SCHEDULES)]
    )


def _at_once(rig: Rig, number: int) -> list[int]:
    run = _now(rig) + int(AT_ONCE * MADE_IN * 1_000)
    return _fired(rig, f"burst{number}", [run] * AT_ONCE)


def _fired(rig: Rig, name: str, runs: Sequence[int]) -> list[int]:
    """Make a schedule for each run; return how many ms late each was pushed."""
    rig.service.pause(ACTOR, name)
    _make(rig, name, runs)
    assert _now(rig) < min(runs), "they are due before all are made"
    waiting = keys.waiting(ENVIRONMENT, name, "0")
    until(lambda: int(rig.client.zcard(waiting)) == len(runs), "all runs are pushed", within=60)
    ids: Any = rig.client.zrange(waiting, 0, -1)
    late = []
    for at in range(0, len(ids), CHUNK):
        pipe = rig.client.pipeline()
        for job_id in ids[at : at + CHUNK]:
            pipe.hget(keys.job(job_id.decode()), "occurrence")
        pushed = (int(job_id[:CLOCK], 36) for job_id in ids[at : at + CHUNK])
        due = (int(each.rpartition(b"_")[2]) for each in pipe.execute())
        late += [push - run for push, run in zip(pushed, due, strict=True)]
    return late


def _make(rig: Rig, name: str, runs: Iterable[int]) -> None:
    store, now = ScheduleStore(rig.client), _now(rig)
    for number, run in enumerate(runs):
        schedule_id = f"{name}{number:06}"
        spec = Spec(payload=PAYLOAD, target="http://127.0.0.1:1/", schedule_id=schedule_id)
        recurrence = Recurrence("every(1d)", starts_at=run)
        schedule = Schedule(
            schedule_id, ENVIRONMENT, name, spec, recurrence, now, anchor=run, next_run=run
        )
        store.put(schedule, 0)


def _cpu(rig: Rig, scheduler: Process) -> tuple[float, float]:
    """Return the scheduler's and Redis' CPU in % of a core while nothing is due."""
    pids = (scheduler.pid, rig.redis_pid)
    began, before = time.monotonic(), [cpu_us(pid) for pid in pids]
    time.sleep(STILL)
    passed = (time.monotonic() - began) * 1e6
    used = [(cpu_us(pid) - was) / passed * 100 for pid, was in zip(pids, before, strict=True)]
    return used[0], used[1]


def _now(rig: Rig) -> int:
    return ScheduleStore(rig.client).clock()
