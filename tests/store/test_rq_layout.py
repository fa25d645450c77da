"""RQ itself reads what the scripts write, and a stock `rq worker` delivers it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.job import Job, JobStatus, validate_job_id
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from lambdaqueue import keys
from lambdaqueue.job import State
from lambdaqueue.proofs import answer_challenge
from lambdaqueue.signing import Secret, sign
from tests.operator import MASTER_KEY, SECRET, prepared
from tests.store.world import NOW, World

CHECKOUT = Path(__file__).parents[2]
RQ = Path(sys.executable).with_name("rq")
PATIENCE = 60
"""Seconds for a burst of a stock worker on a busy machine; usually about two."""


class Sink:
    """An endpoint on loopback that notes what came in."""

    def __init__(self) -> None:
        sink = self
        self.received: list[tuple[str, dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                sink.received.append((self.path, headers, body))
                self.send_response(503 if self.path == "/broken" else 200)
                self.end_headers()
                self.wfile.write(b"seen")

            def do_HEAD(self) -> None:
                asked = {name.lower(): value for name, value in self.headers.items()}
                proof = answer_challenge([Secret.parse(SECRET)], asked, time.time())
                self.send_response(204)
                self.send_header("x-lq-validation", proof)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    endpoint = Sink()
    yield endpoint
    endpoint.close()


def line(world: World) -> Queue:
    return Queue(keys.LINE_NAME, connection=world.client, serializer=JSONSerializer)


def run_rq(redis_url: str, *arguments: str) -> str:
    """Run RQ's command in the checkout, as an operator would."""
    environment = {
        **os.environ,
        "REDIS_URL": redis_url,
        "LQ_MASTER_KEYS": MASTER_KEY,
        "LQ_DEVELOPMENT": "1",
        "PYTHONPATH": str(CHECKOUT),
    }
    done = subprocess.run(
        [RQ, arguments[0], "--url", redis_url, *arguments[1:]],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_rq_fetches_our_jobs(world: World) -> None:
    job_id = world.push().job.id
    entry = f"{job_id}_1"
    assert line(world).job_ids == [entry]
    validate_job_id(entry)
    job = Job.fetch(entry, connection=world.client, serializer=JSONSerializer)
    assert (job.func_name, job.args, job.kwargs) == ("workers.tasks.deliver", [job_id, 1], {})
    assert job.get_status() is JobStatus.QUEUED
    assert (job.origin, job.description) == (keys.LINE_NAME, "LambdaQueue delivery")
    assert (job.result_ttl, job.failure_ttl, job.timeout) == (0, 60, 1000)
    assert job.enqueued_at is not None
    assert job.created_at is not None
    assert int(job.created_at.timestamp() * 1000) == NOW
    assert job.enqueued_at == job.created_at
    assert [each.id for each in line(world).jobs] == [entry]
    assert [queue.name for queue in Queue.all(connection=world.client)] == [keys.LINE_NAME]


@pytest.mark.parametrize(
    "now",
    [
        1_709_164_799_999, 1_709_164_800_000, 1_709_251_200_123, 1_735_689_599_000,
        951_782_400_000, 4_107_542_400_001,
    ],
)  # fmt: skip
def test_rq_reads_our_times(world: World, now: int) -> None:
    """Also around the end of February and of the year."""
    world.later(now - NOW)
    entry = f"{world.push().job.id}_1"
    job = Job.fetch(entry, connection=world.client, serializer=JSONSerializer)
    assert job.created_at is not None
    assert round(job.created_at.timestamp() * 1000) == now


def test_rqs_started_registry_shows_what_runs(world: World) -> None:
    worker = world.worker()
    world.push()
    claim = worker.claim_one()
    registry = StartedJobRegistry(
        keys.LINE_NAME, connection=world.client, serializer=JSONSerializer
    )
    assert registry.count == 1
    assert registry.get_job_ids() == [f"{claim.id}_1"]
    job = Job.fetch(f"{claim.id}_1", connection=world.client, serializer=JSONSerializer)
    assert job.get_status() is JobStatus.STARTED
    assert job.worker_name == "worker-1"
    registry.cleanup()  # what RQ's workers do now and then
    assert registry.count == 1
    assert worker.settle(claim)
    assert registry.count == 0


def test_rq_info_counts_the_line(world: World, redis_url: str) -> None:
    for _ in range(3):
        world.push()
    world.worker().claim(1)
    shown = run_rq(redis_url, "info", "--raw", keys.LINE_NAME)
    assert f"queue {keys.LINE_NAME} 2" in shown


def test_rq_suspend_and_resume(world: World, redis_url: str) -> None:
    worker = world.worker()
    world.push()
    run_rq(redis_url, "suspend")
    assert worker.look().suspended
    run_rq(redis_url, "resume")
    assert len(worker.claim()) == 1


@pytest.mark.parametrize("worker_class", ["rq.worker.Worker", "rq.worker.SimpleWorker"])
def test_a_stock_worker_delivers(redis_url: str, sink: Sink, worker_class: str) -> None:
    """Here Redis' own clock counts: the worker is a real one."""
    with redis.Redis.from_url(redis_url) as client:
        world = World(client)
        world.jobs.now = None
        prepared(redis_url)
        good = world.push(key="it's ]] é", payload=b"\xff{}", target=f"{sink.url}/good").job.id
        broken = world.push(target=f"{sink.url}/broken").job.id
        gone = world.push(target=f"{sink.url}/cancelled").job.id
        world.cancel(gone)
        replaced = world.push(key="k", target=f"{sink.url}/old").job.id
        world.push(key="k", target=f"{sink.url}/new")
        told = run_rq(
            redis_url, "worker", "--burst", "-S", "rq.serializers.JSONSerializer",
            "-w", worker_class, keys.LINE_NAME,
        )  # fmt: skip
        assert [path for path, _, _ in sink.received] == ["/good", "/broken", "/new"], told
        _, headers, body = sink.received[0]
        assert (headers["webhook-id"], headers["x-lq-attempt"], body) == (
            f"{good}_1", "1", b"\xff{}",
        )  # fmt: skip
        assert headers["webhook-signature"] == sign(
            [Secret.parse(SECRET)], f"{good}_1", int(headers["webhook-timestamp"]), body
        )
        assert world.ended(good).state is State.COMPLETED
        assert (world.job(broken).state, world.job(broken).attempt) == (State.RETRY, 1)
        assert world.ended(replaced).version == 2
        nothing_stale_is_left(world)
        world.cancel(broken)
        world.close()


def nothing_stale_is_left(world: World) -> None:
    """What stays for ever belongs to RQ's lists of names, or to us."""
    rest = world.snapshot()
    for name, lifetime in rest.lifetimes.items():
        if name.startswith(("rq:job:", "rq:wip:", "rq:results:", "lq:held:", "lq:worker:")):
            pytest.fail(f"{name} is left, for {lifetime} ms")
        known = ("rq:queues", "rq:workers", "rq:queue:", "rq:clean", "lq:")
        assert lifetime > 0 or name.startswith(known), f"{name} stays for ever"
    assert rest.number("lq:seq", "slots") == 0
    assert not rest.ready
    assert not rest.line
    assert "lq:in_line" not in rest.lifetimes
