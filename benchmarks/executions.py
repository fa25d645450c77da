"""Executions: callbacks a second, memory and CPU of those that run, lateness of deadlines."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.context import Context
from benchmarks.figures import Figure, at_least, at_most, percentile
from benchmarks.processes import BenchmarkFailed, Process, cpu_us, until
from benchmarks.requesting import rate, request
from benchmarks.rig import ANSWER_WITHIN, BATCH, ENVIRONMENT, PAYLOAD, Rig
from lambdaqueue.attempts import AttemptStore
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.commands import HistoryFilter, Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.execution import Terms
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.outcome import Answer
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.service_job import ServiceJob
from lambdaqueue.services import ServiceJobs
from lambdaqueue.spec import Spec
from workers.attempt import conclude

__all__ = ["measure"]

RUNNING = 20_000
SERVICES = 50
TARGET = "http://127.0.0.1:9/hook"
HOUR, DAY = 3_600, 86_400

FINALS = 4_000
"""Executions that one repeat ends: each can be ended once."""

AT_ONCE = 1_000
"""Executions whose time is over in the same second."""

ENDS_AFTER = 4_000
"""ms from their start to their deadlines: all of them have started by then."""

STILL = 10.0
"""Seconds over which CPU times are taken while nothing is due."""

ACCEPTED = Answer(status=200, headers={"content-type": "text/plain"}, body=b"ok", duration=5)
HEARTBEAT = '{"status":"processing","progress":42.5}'
SUCCESS = '{"status":"success","summary":"42 reports","state":{"page":42,"last":"2026-11-21"}}'


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a second through one web process, one kind after the other."""

    pushes: float
    heartbeats: float
    finals: float


def measure(context: Context) -> Sequence[Figure]:
    """Let 20 000 run at a time; no worker runs and no service: the benchmark speaks for both."""
    with Rig.running(context.folder / "items", context.server) as rig:
        before = _used(rig)
        _push_items(rig, RUNNING, Terms(DAY * 1_000, HOUR * 1_000))
        _start(rig, RUNNING)
        item = (_used(rig) - before) / RUNNING
    with Rig.running(context.folder / "executions", context.server) as rig:
        _define(rig)
        with rig.scheduler() as scheduler:
            alone = _cpu(rig, scheduler)
            before = _used(rig)
            _run_executions(rig)
            tokens = _start(rig, RUNNING)
            execution = (_used(rig) - before) / RUNNING
            context.tell(f"{item:.0f} bytes an item, {execution:.0f} an execution")
            beside = _cpu(rig, scheduler)
            late = [_lateness(rig, n) for n in range(context.size(context.repeats, 2))]
        rounds = _callbacks(context, rig, tokens)
    return [
        *_rate_figures(rounds),
        Figure("running execution of a service job", "bytes", [execution]),
        Figure("async item that awaits its callback", "bytes", [item]),
        *_idle_figures(alone, beside),
        *_late_figures(late),
    ]


# Figures


def _rate_figures(rounds: Sequence[Rates]) -> list[Figure]:
    return [
        Figure("heartbeats, 1 web process", "/s", [each.heartbeats for each in rounds]),
        Figure("ends by a callback", "/s", [each.finals for each in rounds]),
        Figure("single pushes", "/s", [each.pushes for each in rounds]),
        Figure("heartbeats ÷ pushes", "", [each.heartbeats / each.pushes for each in rounds]),
        Figure("ends ÷ pushes", "", [each.finals / each.pushes for each in rounds]),
    ]


def _idle_figures(alone: Sequence[float], beside: Sequence[float]) -> list[Figure]:
    figures = []
    for name, values in (("none runs", alone), (f"{RUNNING} run", beside)):
        figures += [
            Figure(f"scheduler, idle, {name}", "%", [values[0]], at_most(3)),
            Figure(f"Redis, idle, {name}", "%", [values[1]]),
        ]
    return figures


def _late_figures(late: Sequence[Sequence[int]]) -> list[Figure]:
    name = f"{AT_ONCE} deadlines in a second, late"
    return [
        Figure(f"{name}, p50", "ms", [statistics.median(each) for each in late]),
        Figure(f"{name}, p99", "ms", [percentile(each, 0.99) for each in late]),
        Figure(f"{name}, max", "ms", [max(each) for each in late], at_most(2_000)),
        Figure(f"{name}, min (never early)", "ms", [min(each) for each in late], at_least(0)),
    ]


# What is measured


def _callbacks(context: Context, rig: Rig, tokens: Sequence[str]) -> list[Rates]:
    """Push, send heartbeats, and end executions, in turn through the same web process."""
    seconds = 2.0 if context.quick else 5.0
    user = f"Authorization: Bearer {rig.env['LQ_BOOTSTRAP_TOKEN']}"
    push = request("/queues/bench/items", PAYLOAD.decode(), user, f"x-lq-target: {TARGET}")
    rounds = []
    with rig.web() as origin:
        for number in range(context.repeats):
            left = tokens[number * FINALS :]
            beats = (request(f"/callback/{token}", HEARTBEAT) for token in itertools.cycle(left))
            ends = (request(f"/callback/{token}", SUCCESS) for token in left[:FINALS])
            rounds.append(
                Rates(
                    pushes=rate(origin, itertools.repeat(push), 201, seconds),
                    heartbeats=rate(origin, beats, 204, seconds),
                    finals=rate(origin, ends, 200, 60.0),
                )
            )
            context.tell(f"round {number + 1}: {rounds[-1]}")
    return rounds


def _lateness(rig: Rig, number: int) -> list[int]:
    """Return how many ms after its deadline each of many was ended."""
    queue = f"late{number}"
    _push_items(rig, AT_ONCE, Terms(ENDS_AFTER, HOUR * 1_000), queue)
    _start(rig, AT_ONCE)
    until(lambda: rig.ended(queue) == AT_ONCE, "all deadlines are found", within=60)
    late, cursor, seen = [], None, 0
    while not seen or cursor:
        page = rig.service.history(ENVIRONMENT, queue, HistoryFilter(), AT_ONCE, cursor)
        for job in page.rows:
            assert job.ended_at is not None
            assert job.awaiting_since is not None
            late.append(job.ended_at - job.awaiting_since - ENDS_AFTER)
        seen, cursor = len(late), page.cursor
    if len(late) != AT_ONCE:
        raise BenchmarkFailed(f"{len(late)} of {AT_ONCE} executions have ended")
    return late


def _cpu(rig: Rig, scheduler: Process) -> tuple[float, float]:
    """Return the scheduler's and Redis' CPU in % of a core while nothing is due."""
    pids = (scheduler.pid, rig.redis_pid)
    time.sleep(1)  # for what came before
    began, before = time.monotonic(), [cpu_us(pid) for pid in pids]
    time.sleep(STILL)
    passed = (time.monotonic() - began) * 1e6
    used = [(cpu_us(pid) - was) / passed * 100 for pid, was in zip(pids, before, strict=True)]
    return used[0], used[1]


def _used(rig: Rig) -> int:
    """Return what is allocated for data, as `memory` does."""
    requests = list(rig.client.scan_iter("lq:request:*", count=1_000))
    if requests:
        rig.client.unlink(*requests)
    info = rig.client.info("memory")
    return int(info["used_memory"] - info["mem_clients_normal"] - info["mem_aof_buffer"])


# The part of users and workers


def _push_items(rig: Rig, count: int, terms: Terms, queue: str = "") -> None:
    """Push items that a callback is to end: to one queue, or spread over many."""
    once = RetryPolicy("constant", retries=0)
    push = Push(Spec(payload=PAYLOAD, target=TARGET, terms=terms, retry=once))
    for at in range(0, count, BATCH):
        name = queue or f"queue{at // BATCH % SERVICES}"
        rig.service.push_many(ENVIRONMENT, name, [push] * min(BATCH, count - at))


def _define(rig: Rig) -> None:
    """Define a job of each service, with a payload like an item's, that runs by hand."""
    services = ServiceJobs(rig.client)
    one = ServiceJob("", "daily", TARGET, "rate(1 day)", DAY, HOUR, payload=PAYLOAD.decode())
    for number in range(SERVICES):
        services.put(ENVIRONMENT, replace(one, service=f"service{number}"))


def _run_executions(rig: Rig) -> None:
    store = ExecutionStore(rig.client)
    for number in range(RUNNING):
        store.start(ENVIRONMENT, f"service{number % SERVICES}/daily", "run")


def _start(rig: Rig, count: int) -> list[str]:
    """Do what workers do until so many executions have been taken by their services."""
    return asyncio.run(_started(rig, count))


async def _started(rig: Rig, count: int) -> list[str]:
    client = connect_async(Settings.from_env(rig.env), answer_within=ANSWER_WITHIN)
    worker = AttemptStore(client, rq_worker="nobody", slots=BATCH)
    tokens: list[str] = []
    await worker.join()
    while len(tokens) < count:
        claims = (await worker.claim(BATCH)).claims
        if not claims and not await worker.wait_for_ready(10.0):
            raise BenchmarkFailed(f"{len(tokens)} of {count} executions are ready")
        for claim in claims:
            token = CallbackToken.mint(claim.id)
            await worker.register(claim, token.digest)
            tokens.append(token.text)
        await worker.settle([conclude(claim, ACCEPTED, 0.0) for claim in claims])
    await worker.leave()
    await client.aclose()
    return tokens
