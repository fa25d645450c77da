"""Chores: what they do, and that nothing which stands in Redis can make anything else run."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.attempts import AttemptStore, Kind, Settlement
from lambdaqueue.commands import Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.job import State
from lambdaqueue.service import Service, open_service
from lambdaqueue.spec import Spec
from lambdaqueue.upkeep import Upkeep
from tests.waiting import until
from tests.workers.stage import ACTOR, ENVIRONMENT, Stage
from workers import chores, housekeeping
from workers.housekeeping import CHORES, JOB_IDS, QUEUE, Housekeeping, register, run_due, throw_out

TIMETABLE = "rq:scheduler:lambdaqueue:scheduled_jobs"
SPEC = Spec(target="http://127.0.0.1:1/")
DAY = 86_400_000


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A connection to an empty Redis, which the chores use too."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def service(redis_url: str) -> Service:
    """The use cases on that Redis."""
    return open_service(Settings(redis_url=redis_url))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the chores that ran, instead of what they do."""
    names: list[str] = []

    def note(name: str) -> None:
        monkeypatch.setattr(chores, name, lambda: names.append(name))

    for full_name in CHORES:
        note(full_name.rpartition(".")[2])
    return names


def everything(client: redis.Redis) -> bytes:
    """Return all that stands in Redis, one after the other."""
    parts: list[bytes] = []
    for key in client.scan_iter():
        kind = client.type(key)
        value: object = client.hgetall(key) if kind == b"hash" else client.dump(key)
        parts.append(key + repr(value).encode())
    return b"".join(parts)


def names() -> list[str]:
    """Return the chores' own names."""
    return sorted(name.rpartition(".")[2] for name in CHORES)


# The timetable


def test_every_chore_is_done_at_once_and_then_in_its_time(
    client: redis.Redis, ran: list[str]
) -> None:
    register(client)
    run_due(client)
    assert sorted(ran) == names()
    run_due(client)
    assert sorted(ran) == names()
    now = int(client.time()[0])
    due = {name: client.zscore(TIMETABLE, JOB_IDS[name]) for name in CHORES}
    assert due == {name: pytest.approx(now + each, abs=30) for name, each in CHORES.items()}
    client.zadd(TIMETABLE, {JOB_IDS["workers.chores.stir_queues"]: now - 1})
    run_due(client)
    assert sorted(ran) == sorted([*names(), "stir_queues"])


def test_a_start_writes_the_timetable_anew_and_only_json(
    client: redis.Redis, ran: list[str]
) -> None:
    register(client)
    client.hset(f"rq:job:{JOB_IDS['workers.chores.stir_queues']}", "data", b"\x80\x04changed")
    register(client)
    run_due(client)
    assert sorted(ran) == names()
    assert b"\\x80\\x04" not in everything(client)
    data = client.hget(f"rq:job:{JOB_IDS['workers.chores.stir_queues']}", "data")
    assert data is not None


def test_what_was_lost_in_the_middle_of_a_move_is_written_again(
    client: redis.Redis, ran: list[str]
) -> None:
    register(client)
    run_due(client)
    lost = JOB_IDS["workers.chores.trim_history"]
    client.zrem(TIMETABLE, lost)  # a scheduler was killed after it had taken it out
    register(client, anew=False)
    assert client.zscore(TIMETABLE, lost) is not None
    run_due(client)
    assert sorted(ran) == sorted([*names(), "trim_history"])


def test_a_lock_that_a_dead_scheduler_left_holds_up_chores_only_for_a_while(
    client: redis.Redis, ran: list[str]
) -> None:
    register(client)
    client.set("rq:scheduler_lock:lambdaqueue", 1, ex=1)

    def done() -> bool:
        run_due(client)
        return len(ran) == len(CHORES)

    until(done, "the chores were done")


# What isn't a chore


def plant(client: redis.Redis, job_id: str, data: bytes, place: str, **more: str) -> None:
    """Put an RQ job where the housekeeping will find it."""
    fields = {"data": data, "origin": QUEUE, "status": "queued", "timeout": "60", **more}
    client.hset(f"rq:job:{job_id}", mapping=fields)  # type: ignore[arg-type]
    if place == "queue":
        client.sadd("rq:queues", f"rq:queue:{QUEUE}")
        client.rpush(f"rq:queue:{QUEUE}", job_id)
    else:
        client.zadd(TIMETABLE, {job_id: 0})


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.trace,)  # type: ignore[return-value]


@pytest.mark.parametrize("place", ["queue", "timetable"])
@pytest.mark.parametrize("kind", ["json", "pickle"])
@pytest.mark.parametrize("name", ["foreign", JOB_IDS["workers.chores.inspect_queues"]])
def test_a_foreign_function_is_refused_and_thrown_away(
    client: redis.Redis,
    ran: list[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    place: str,
    kind: str,
    name: str,
) -> None:
    trace = tmp_path / "trace"
    call: list[object] = ["pathlib.Path.touch", None, [str(trace)], {}]
    data = json.dumps(call).encode() if kind == "json" else pickle.dumps(Bomb(trace))
    register(client)
    plant(client, name, data, place)
    keeping = Housekeeping(Settings(redis_url=client_url(client)))
    with caplog.at_level(logging.CRITICAL, "rq.worker"), quick(keeping):
        until(lambda: set(ran) == set(names()), "the true chores were done")
        if name == "foreign":
            until(lambda: not client.exists("rq:job:foreign"), "it was thrown away")
        assert keeping._thread.is_alive()
    assert not trace.exists()
    assert client.zscore(TIMETABLE, "foreign") is None
    assert client.lrange(f"rq:queue:{QUEUE}", 0, -1) == []


class quick:  # noqa: N801  # reads like a word
    """Runs the housekeeping's thread with hardly any pauses."""

    def __init__(self, keeping: Housekeeping) -> None:
        self._keeping = keeping
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> None:
        self._patch.setattr(housekeeping, "LOOK_EVERY", 0.05)
        self._keeping.start()

    def __exit__(self, *_: object) -> None:
        self._keeping.stop()
        self._patch.undo()


def client_url(client: redis.Redis) -> str:
    """Return where `client` is connected to."""
    return f"unix://{client.connection_pool.connection_kwargs['path']}?db=0"


def test_nothing_that_a_stored_job_names_is_imported_or_called(
    client: redis.Redis, ran: list[str], tmp_path: Path
) -> None:
    register(client)
    job = f"rq:job:{JOB_IDS['workers.chores.stir_queues']}"
    callback = "tests.workers.test_housekeeping.never"
    names_of_ours = {
        "success_callback_name": callback,
        "failure_callback_name": callback,
        "stopped_callback_name": callback,
        "webhooks": json.dumps([{"url": "http://127.0.0.1:1/", "events": ["finished"]}]),
        "meta": json.dumps({"queue_class_name": "antigravity.Nothing", "interval": 60}),
    }
    client.hset(job, mapping=names_of_ours)  # type: ignore[arg-type]
    run_due(client)
    assert sorted(ran) == names()
    assert called == []


called: list[str] = []


def never(*_: object) -> None:
    """Note that the callback of a stored job was called."""
    called.append("never")


def test_no_pickle_is_needed_or_made(client: redis.Redis, ran: list[str]) -> None:
    register(client)
    run_due(client)
    for key in client.scan_iter("rq:job:*"):
        for value in client.hgetall(key).values():
            assert value[:1] not in (b"\x80", "\x80")  # as every pickle of today does
    assert sorted(ran) == names()


def test_what_is_thrown_out_is_named(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    plant(client, "foreign", b"[]", "timetable")
    throw_out(client)
    assert "chore_refused id=foreign" in caplog.text


# The chores


def finish(client: redis.Redis, service: Service, count: int, kind: Kind) -> None:
    """Let so many jobs end."""
    service.push_many(ENVIRONMENT, "q", [Push(SPEC)] * count)

    async def work() -> None:
        async_client = connect_async(Settings(redis_url=client_url(client)), answer_within=5)
        store = AttemptStore(async_client, rq_worker="test", slots=count)
        await store.join()
        left = count
        while left:
            claimed = (await store.claim(count)).claims
            await store.settle([Settlement(claim, kind, error="x: y") for claim in claimed])
            left -= len(claimed)
        await store.leave()
        await async_client.aclose()

    asyncio.run(work())


def test_trim_history_forgets_what_is_too_old(
    client: redis.Redis, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(client, service, 8, Kind.COMPLETED)
    finish(client, service, 7, Kind.FAILED)
    service.configure(ACTOR, "q", {"history_days": 2}, False)
    chores.trim_history()
    assert client.xlen(keys.history(ENVIRONMENT, "q", "c")) == 8
    now = int(client.time()[0])
    monkeypatch.setattr("workers.chores.time.time", lambda: now + 2 * DAY / 1_000 + 60)
    chores.trim_history()
    assert client.xlen(keys.history(ENVIRONMENT, "q", "c")) == 0
    assert client.xlen(keys.history(ENVIRONMENT, "q", "f")) == 0
    assert client.hlen(keys.ended(ENVIRONMENT)) == 0
    assert client.hget(keys.environment(ENVIRONMENT), "entries") == b"0"


def test_an_environment_with_too_many_entries_loses_its_oldest(
    client: redis.Redis, service: Service
) -> None:
    finish(client, service, 8, Kind.COMPLETED)
    finish(client, service, 7, Kind.FAILED)
    Upkeep(client).limit_history(ENVIRONMENT, 7)
    chores.trim_history()
    assert client.xlen(keys.history(ENVIRONMENT, "q", "c")) == 0
    assert client.xlen(keys.history(ENVIRONMENT, "q", "f")) == 7
    assert client.hlen(keys.ended(ENVIRONMENT)) == 7


def test_inspect_queues_logs_what_disagrees(
    client: redis.Redis, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.push_many(ENVIRONMENT, "q", [Push(SPEC, delay=60_000)] * 3)
    chores.inspect_queues()
    assert caplog.text == ""
    client.zpopmin(keys.waiting(ENVIRONMENT, "q", "0"))
    chores.inspect_queues()
    assert 'inspection_finding queue=1:q finding="3 jobs, but only 2 wait' in caplog.text
    client.delete("lq:wake")
    chores.inspect_queues()
    assert "nothing will wake them" in caplog.text


def test_stir_queues_admits_what_nobody_woke(client: redis.Redis, service: Service) -> None:
    service.pause(ACTOR, "q")
    job = service.push(ENVIRONMENT, "q", Push(SPEC)).job
    client.hdel(keys.queue(ENVIRONMENT, "q"), "paused")  # and nobody admits
    assert client.llen(keys.line) == 0
    chores.stir_queues()
    assert client.llen(keys.line) == 1
    assert service.item(ENVIRONMENT, job.id).state is State.PENDING


def test_a_scheduler_process_does_the_chores(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.push()
        stage.client.hset(keys.queue(ENVIRONMENT, "q"), "jobs", 5)
        scheduler = stage.scheduler()
        until(lambda: "inspection_finding queue=1:q" in scheduler.text, "the inspection has run")
        assert "Traceback" not in scheduler.text
        assert scheduler.end() == 0
