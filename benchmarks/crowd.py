"""An environment with very much of everything, filled through the product's own scripts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from benchmarks.context import Context
from benchmarks.processes import BenchmarkFailed
from benchmarks.rig import ANSWER_WITHIN, BATCH, ENVIRONMENT, PAYLOAD, Rig
from lambdaqueue.attempts import AttemptStore, Kind, Settlement
from lambdaqueue.commands import Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.job import Job
from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.scheduling import Scheduling
from lambdaqueue.service_job import ServiceJob
from lambdaqueue.services import ServiceJobs
from lambdaqueue.spec import Spec

__all__ = ["BIG", "ENDED", "KEY", "Crowd", "fill"]

BIG = "big"
"""The queue with half of all items; `ENDED` is the one with a history."""

ENDED = "ended"
KEY = "order-4711"
"""A unique key in both."""

TARGET = "http://127.0.0.1:9/hook"
HOUR, DAY = 3_600, 86_400
LOG = '[{"n":1,"at":1795279224817,"ms":5,"s":200}]'
SLOTS = 1_000


@dataclass(frozen=True, slots=True)
class Crowd:
    """How much there is, and examples of it."""

    queues: int
    items: int
    schedules: int
    services: int
    ended: int
    last_item: Job
    schedule: str
    execution: str


def fill(context: Context, rig: Rig) -> Crowd:
    """Half of the items are in one queue, the others spread over all. No process runs."""
    queues = context.size(10_000, 1_000)
    items, ended = queues * 100, context.size(20_000, 4_000)
    services = context.size(1_000, 200)
    asyncio.run(_end(rig, ended))
    context.tell(f"{ended} jobs have ended")
    last = _push(rig, queues, items)
    context.tell(f"{items} items wait in {queues} queues")
    schedule = _schedule(rig, queues)
    execution = _serve(rig, services)
    context.tell(f"{queues} schedules, {services} service jobs")
    return Crowd(queues, items, queues, services, ended, last, schedule, execution)


def _push(rig: Rig, queues: int, items: int) -> Job:
    push = Push(Spec(payload=PAYLOAD, target=TARGET), delay=DAY * 1_000)
    each = items // 2 // queues
    for number in range(queues):
        rig.service.push_many(ENVIRONMENT, f"tenant{number:05}", [push] * each)
    for _ in range(items // 2 // BATCH):
        rig.service.push_many(ENVIRONMENT, BIG, [push] * BATCH)
    return rig.service.push(ENVIRONMENT, BIG, replace(push, key=KEY)).job


def _schedule(rig: Rig, count: int) -> str:
    store, mint = ScheduleStore(rig.client), Scheduling(rig.client).mint
    now, name = store.clock(), ""
    for number in range(count):
        run = now + DAY * 1_000 + number
        name = mint()
        spec = Spec(payload=PAYLOAD, target=TARGET, schedule_id=name)
        recurrence = Recurrence("every(1d)", starts_at=run)
        store.put(
            Schedule(name, ENVIRONMENT, BIG, spec, recurrence, now, anchor=run, next_run=run), 0
        )
    return name


def _serve(rig: Rig, count: int) -> str:
    """Define service jobs of ten services, and start executions; no service answers."""
    services, executions = ServiceJobs(rig.client), ExecutionStore(rig.client)
    one = ServiceJob("", "", TARGET, "rate(1 day)", DAY, HOUR, payload=PAYLOAD.decode())
    name = ""
    for number in range(count):
        service, job = f"service{number % 10}", f"job{number:04}"
        services.put(ENVIRONMENT, replace(one, service=service, job=job))
        if number % 10 == 0:
            name = executions.start(ENVIRONMENT, f"{service}/{job}", "run") or name
    return name


async def _end(rig: Rig, count: int) -> None:
    """Let half of them complete; of the others the oldest twentieth has failed, and all that came
    after were cancelled: a filter must go a long way to the failures."""
    client = connect_async(Settings.from_env(rig.env), answer_within=ANSWER_WITHIN)
    worker = AttemptStore(client, rq_worker="nobody", slots=SLOTS)
    await worker.join()
    for kind, share in ((Kind.FAILED, count // 40), (Kind.COMPLETED, count // 2)):
        await _settle(rig, worker, kind, share)
    await worker.leave()
    await client.aclose()
    _cancel(rig, count - count // 40 - count // 2)


async def _settle(rig: Rig, worker: AttemptStore, kind: Kind, count: int) -> None:
    push = Push(Spec(payload=PAYLOAD, target=TARGET))
    for at in range(0, count, BATCH):
        rig.service.push_many(ENVIRONMENT, ENDED, [push] * min(BATCH, count - at))
    done = 0
    error = "http_410: gone" if kind is Kind.FAILED else ""
    while done < count:
        claims = (await worker.claim(BATCH)).claims
        if not claims and not await worker.wait_for_ready(10.0):
            raise BenchmarkFailed(f"{done} of {count} jobs are ready")
        await worker.settle(
            [Settlement(claim, kind, error=error, log=LOG, body=b"ok") for claim in claims]
        )
        done += len(claims)


def _cancel(rig: Rig, count: int) -> None:
    push = Push(Spec(payload=PAYLOAD, target=TARGET), delay=DAY * 1_000)
    for at in range(0, count, BATCH):
        pushed, _ = rig.service.push_many(ENVIRONMENT, ENDED, [push] * min(BATCH, count - at))
        for each in pushed:
            rig.service.cancel(ENVIRONMENT, each.job.id)
    last = rig.service.push(ENVIRONMENT, ENDED, replace(push, key=KEY))
    rig.service.cancel(ENVIRONMENT, last.job.id)
