"""A stock `rq worker` on the same line delivers the same jobs: the proof that these are RQ jobs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.attempts import LEASE
from lambdaqueue.commands import Push
from lambdaqueue.config import Settings
from lambdaqueue.job import State
from lambdaqueue.service import open_service
from lambdaqueue.spec import Spec
from lambdaqueue.upkeep import Upkeep
from tests.operator import MASTER_KEY, prepared
from tests.waiting import until
from tests.workers.hook import Hook
from tests.workers.stage import ENVIRONMENT, Process, Stage
from workers.tasks import deliver


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Redis, an endpoint, room for processes."""
    with Stage(tmp_path) as stage:
        yield stage


def stock(stage: Stage, *words: str) -> Process:
    """Start RQ's own worker on our line."""
    rq = str(Path(sys.executable).with_name("rq"))
    serializer = "rq.serializers.JSONSerializer"
    command = [rq, "worker", "-S", serializer, "--url", stage.redis.url, *words, "lambdaqueue"]
    return stage.start("stock", command)


def burst(stage: Stage) -> Process:
    """Let a stock worker work until the line is empty."""
    worker = stock(stage, "--burst")
    assert worker.wait(60) == 0, worker.text
    return worker


def test_it_delivers_and_leaves_nothing_behind(stage: Stage) -> None:
    jobs = [stage.push("/", b"\0payload", queue=f"q{n}") for n in range(3)]
    gone = stage.push("/status/410")
    worker = burst(stage)
    assert {job.state for job in stage.until_ended(*jobs)} == {State.COMPLETED}
    assert stage.job(gone).state is State.FAILED
    assert stage.hook.counts() == {f"{job.id}_1": 1 for job in (*jobs, gone)}
    assert {each.body for each in stage.hook.to("/")} == {b"\0payload"}
    assert "Traceback" not in worker.text
    assert stage.left_over() == []
    assert stage.client.zcard("lq:workers") == 0


def test_its_retries_go_on_in_any_worker(stage: Stage) -> None:
    job = stage.push("/flaky/2")
    burst(stage)
    assert stage.job(job).attempt == 1
    stage.scheduler()
    until(lambda: stage.client.llen("rq:queue:lambdaqueue"), "the retry is due")
    burst(stage)
    stage.worker()
    (ended,) = stage.until_ended(job)
    assert ended.state is State.COMPLETED
    assert [each.status for each in ended.attempts] == [500, 500, 200]
    assert [each.attempt for each in stage.hook.deliveries] == [1, 2, 3]
    assert stage.left_over() == []


def test_a_tombstone_is_dropped(stage: Stage) -> None:
    job = stage.push()
    stage.service.cancel("1", job.id)
    worker = burst(stage)
    assert stage.hook.deliveries == []
    assert "Traceback" not in worker.text
    until(lambda: stage.left_over() == ["lq:ready"] or stage.left_over() == [], "only its number")


def test_killed_in_the_middle_its_job_is_repeated_by_ours(stage: Stage) -> None:
    stage.scheduler()
    worker = stock(stage)
    job = stage.push("/stall/x")
    until(lambda: stage.hook.deliveries, "the call is out")
    (horse,) = horses(worker)
    worker.kill()
    os.kill(horse, signal.SIGKILL)  # it is in a process group of its own
    stage.worker()
    (ended,) = stage.until_ended(job)
    assert ended.state is State.COMPLETED
    assert [each.error for each in ended.attempts] == ["lost: the worker died", None]
    assert stage.hook.counts() == {f"{job.id}_1": 2}
    assert [each.attempt for each in stage.hook.deliveries] == [1, 2]


def horses(worker: Process) -> list[int]:
    """Return the processes that a stock worker has forked."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and _parent(entry) == worker.pid
    ]


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _renewed(client: redis.Redis, held: bytes, job_id: str) -> bool:
    lease_now = int(client.hget("lq:seq", "lease_ms") or 0)
    return (client.zscore(held, job_id) or 0) >= lease_now + LEASE


def test_a_call_that_outlasts_a_lease_keeps_its_job(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.tasks.BEAT_EVERY", 0.02)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LQ_MASTER_KEYS", MASTER_KEY)
    monkeypatch.setenv("LQ_DEVELOPMENT", "1")
    prepared(redis_url)
    service, hook = open_service(Settings(redis_url=redis_url)), Hook()
    spec = Spec(target=hook.url("/hold/x"))
    job = service.push(ENVIRONMENT, "q", Push(spec)).job
    with redis.Redis.from_url(redis_url) as client:
        (entry,) = client.lrange(keys.line, 0, -1)
        client.delete(keys.line)  # as RQ pops it
        calling = threading.Thread(target=deliver, args=(job.id, int(entry.split(b"_")[1])))
        calling.start()
        until(lambda: hook.deliveries, "the call is out")
        (held,) = client.scan_iter("lq:held:*")
        began = int(client.time()[0]) * 1_000
        for second in range(LEASE // 1_000 + 5):
            upkeep = Upkeep(client, began + second * 1_000)
            upkeep.tick()
            until(partial(_renewed, client, held, job.id), "it is renewed")
            assert upkeep.reclaim() == (0, 0)
        hook.gate("x").set()
        calling.join(20)
    assert service.item(ENVIRONMENT, job.id).state is State.COMPLETED
    hook.stop()
