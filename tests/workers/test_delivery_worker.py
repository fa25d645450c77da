"""`lambdaqueue worker`, the real process: what endpoints get, and what RQ's tools see and do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rq import Queue, Worker
from rq.command import send_shutdown_command, send_stop_job_command
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from standardwebhooks import Webhook, WebhookVerificationError

from lambdaqueue import __version__
from lambdaqueue.instants import iso
from lambdaqueue.job import State
from tests.operator import SECRET
from tests.waiting import until
from tests.workers.hook import Delivery
from tests.workers.stage import ENVIRONMENT, Process, Stage

EVERY_BYTE = bytes(range(256)) * 3 + b"\r\n\r\n\0\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Redis, an endpoint, room for processes."""
    with Stage(tmp_path) as stage:
        yield stage


@pytest.fixture
def worker(stage: Stage) -> Process:
    """A worker process at work."""
    return stage.worker()


def delivered(stage: Stage, count: int) -> list[Delivery]:
    """Wait for so many deliveries and return them."""
    until(lambda: len(stage.hook.deliveries) >= count, f"{count} deliveries")
    return stage.hook.deliveries


def rq_worker(stage: Stage) -> Worker:
    """Return the one worker that RQ knows, freshly read."""
    (one,) = Worker.all(connection=stage.client)
    return one  # type: ignore[return-value]  # `all` is the base class's


# What endpoints get


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (b'{"a": 1.50, "a": "\xc3\xa9"}', "application/json"),
        (EVERY_BYTE, "application/octet-stream"),
        (b"", "text/plain; charset=utf-8"),
        (b"x" * 262_144, "text/plain"),
    ],
    ids=["json", "every-byte", "empty", "256-KiB"],
)
def test_the_exact_bytes_arrive_verifiably(
    stage: Stage, worker: Process, payload: bytes, content_type: str
) -> None:
    stage.push("/in?a=b%20c", payload, content_type=content_type)
    (one,) = delivered(stage, 1)
    assert one.body == payload
    assert (one.method, one.path) == ("POST", "/in?a=b%20c")
    assert one.headers["content-type"] == content_type
    assert one.headers["content-length"] == str(len(payload))
    digest = base64.b64encode(hashlib.sha256(payload).digest()).decode()
    assert one.headers["content-digest"] == f"sha-256=:{digest}:"
    _verify(one)
    changed = Delivery(one.method, one.path, one.headers, payload + b" ", one.at)
    with pytest.raises(WebhookVerificationError):
        _verify(changed)


def _verify(delivery: Delivery) -> None:
    """Verify with the reference library, or by hand what it can't read: it takes only UTF-8."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    headers = {name: delivery.headers[name] for name in names}
    try:
        Webhook(SECRET).verify(delivery.body, headers, json_parse=False)
    except UnicodeDecodeError:
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
        made = base64.b64encode(hmac.digest(key, signed + delivery.body, "sha256")).decode()
        if headers["webhook-signature"] != f"v1,{made}":
            raise WebhookVerificationError("wrong signature") from None


def test_every_header_of_the_contract_is_there(stage: Stage, worker: Process) -> None:
    stage.scheduler()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    job = stage.push(
        "/flaky/1",
        key="käse 100%",
        event_type="user.created",
        headers={"X-Shop": "a, b", "Authorization": "Bearer x"},
        traceparent=trace,
        method="PUT",
    )
    first, second = delivered(stage, 2)
    expected = {
        "webhook-id": f"{job.id}_1",
        "x-lq-id": job.id,
        "x-lq-queue": "q",
        "x-lq-key": "k%C3%A4se 100%25",
        "x-lq-max-attempts": "4",
        "x-lq-scheduled-for": iso(job.due_at),
        "x-lq-event-type": "user.created",
        "user-agent": f"LambdaQueue/{__version__}",
        "traceparent": trace,
        "x-shop": "a, b",
        "authorization": "Bearer x",
        "accept-encoding": "identity",
    }
    for number, one in enumerate((first, second), 1):
        assert one.method == "PUT"
        assert expected.items() <= one.headers.items()
        assert one.headers["x-lq-attempt"] == str(number)
        assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", one.headers["webhook-signature"])
        assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < 30
        assert "expect" not in one.headers
        _verify(one)


def test_a_get_carries_no_body_of_its_own(stage: Stage, worker: Process) -> None:
    stage.push("/", b"", method="GET")
    (one,) = delivered(stage, 1)
    assert (one.method, one.body) == ("GET", b"")


def test_many_go_out_at_once_up_to_the_slots(stage: Stage) -> None:
    stage.worker(LQ_SLOTS="7")
    jobs = [stage.push("/hold/x") for _ in range(12)]
    delivered(stage, 7)
    until(lambda: stage.service.queue(ENVIRONMENT, "q").running == 7, "seven run")
    assert len(stage.hook.deliveries) == 7
    stage.hook.gate("x").set()
    stage.until_ended(*jobs)
    assert stage.hook.counts() == {f"{job.id}_1": 1 for job in jobs}


# What RQ's tools see


def test_rq_sees_the_worker_and_what_it_did(stage: Stage) -> None:
    worker = stage.worker()
    good, bad = stage.push("/"), stage.push("/status/410")
    stage.until_ended(good, bad)
    until(lambda: rq_worker(stage).successful_job_count == 1, "RQ has the counters")
    one = rq_worker(stage)
    assert (one.successful_job_count, one.failed_job_count) == (1, 1)
    assert one.pid == worker.pid
    assert one.queue_names() == ["lambdaqueue"]
    assert one.get_state() == "idle"
    shown = stage.rq("info")
    assert "1 workers, 1 queues" in shown
    assert f"{one.name} " in shown
    assert "jobs: 1 finished, 1 failed" in shown
    assert worker.end() == 0
    until(lambda: Worker.count(connection=stage.client) == 0, "it has signed off")


def test_rq_sees_what_runs_and_the_workers_heartbeat(stage: Stage, worker: Process) -> None:
    before = rq_worker(stage).last_heartbeat
    assert before is not None
    stage.push("/hold/x")
    delivered(stage, 1)
    line = Queue("lambdaqueue", connection=stage.client, serializer=JSONSerializer)
    registry = StartedJobRegistry(queue=line, serializer=JSONSerializer)
    (job_id,) = registry.get_job_ids()
    job = line.job_class.fetch(job_id, stage.client, JSONSerializer)
    assert job.func_name == "workers.tasks.deliver"
    assert job.worker_name == rq_worker(stage).name
    assert str(job.get_status()) in ("started", "JobStatus.STARTED")
    until(lambda: rq_worker(stage).get_state() == "busy", "RQ has its state")
    until(lambda: (rq_worker(stage).last_heartbeat or before) > before, "its heart beats")
    stage.hook.gate("x").set()
    until(lambda: registry.count == 0, "nothing runs any more")
    until(lambda: stage.left_over() == [], "nothing is left behind")


def test_rq_suspends_and_resumes(stage: Stage, worker: Process) -> None:
    stage.rq("suspend")
    job = stage.push()
    until(lambda: rq_worker(stage).get_state() == "suspended", "RQ sees that it obeys")
    assert stage.hook.deliveries == []
    assert stage.job(job).state is State.PENDING
    stage.rq("resume")
    stage.until_ended(job)
    assert len(stage.hook.deliveries) == 1


def test_rq_stops_one_job(stage: Stage, worker: Process) -> None:
    one, other = stage.push("/hold/x"), stage.push("/hold/x")
    delivered(stage, 2)
    (rq_id,) = (key.decode() for key in stage.client.scan_iter(f"rq:job:{one.id}_*"))
    send_stop_job_command(stage.client, rq_id.removeprefix("rq:job:"), JSONSerializer)
    (ended,) = stage.until_ended(one)
    assert ended.state is State.FAILED
    assert str(ended.error).startswith("cancelled: ")
    assert stage.job(other).state is State.RUNNING
    stage.hook.gate("x").set()
    assert stage.until_ended(other)[0].state is State.COMPLETED


def test_rq_shuts_a_worker_down_after_its_work(stage: Stage, worker: Process) -> None:
    job = stage.push("/hold/x")
    delivered(stage, 1)
    send_shutdown_command(stage.client, rq_worker(stage).name)
    until(lambda: stage.client.publish("rq:pubsub:nobody", "") == 0, "the command went out")
    stage.hook.gate("x").set()
    assert worker.wait() == 0
    assert stage.job(job).state is State.COMPLETED


def test_commands_are_heard_after_redis_was_away(tmp_path: Path) -> None:
    with Stage(tmp_path, append_only=True) as stage:
        worker = stage.worker()
        stage.redis.stop()
        until(lambda: "storage_unavailable" in worker.text, "it has noticed")
        stage.redis.start()
        stage.until_ended(stage.push())
        name = rq_worker(stage).name
        until(lambda: stage.client.pubsub_numsub(f"rq:pubsub:{name}")[0][1], "it listens again")
        send_shutdown_command(stage.client, name)
        assert worker.wait() == 0
        assert "Traceback" not in worker.text


@pytest.mark.parametrize("way", ["gone", "silent"])
def test_a_stop_does_not_wait_for_redis_for_ever(tmp_path: Path, way: str) -> None:
    with Stage(tmp_path, append_only=True) as stage:
        worker = stage.worker(LQ_GRACE="1")
        job = stage.push("/hold/x")
        delivered(stage, 1)
        assert stage.redis.pid is not None
        stage.redis.stop() if way == "gone" else os.kill(stage.redis.pid, signal.SIGSTOP)
        stage.hook.gate("x").set()
        try:
            assert worker.end() == 1
        finally:
            stage.redis.start() if way == "gone" else os.kill(stage.redis.pid, signal.SIGCONT)
        assert "outcomes_not_stored" in worker.text
        assert "Traceback" not in worker.text
        stage.scheduler()
        stage.worker()
        stage.until_ended(job)
        assert stage.job(job).state is State.COMPLETED


def test_a_worker_waits_for_redis_at_its_start(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.redis.stop()
        worker = stage.start("worker", [*stage.worker_command])
        until(lambda: "storage_unavailable" in worker.text, "it has noticed")
        stage.redis.start()
        stage.until_ended(stage.push())
        assert worker.end() == 0


def test_without_a_secret_a_worker_does_not_start(stage: Stage) -> None:
    worker = stage.start("worker", [*stage.worker_command], LQ_MASTER_KEYS="")
    assert worker.wait() == 1
    assert "LQ_MASTER_KEYS is required" in worker.text
    assert "Traceback" not in worker.text
