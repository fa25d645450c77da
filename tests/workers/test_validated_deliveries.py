"""Validation before use in real worker processes: what reaches endpoints, and what doesn't.

Every test ends with a look at all bytes that its endpoints got; see `validating_endpoint`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.commands import Push
from lambdaqueue.job import Job, State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret
from lambdaqueue.spec import Spec
from lambdaqueue.vault import Vault
from tests.operator import SECRET
from tests.waiting import until
from tests.workers import by_the_contract
from tests.workers.stage import ACTOR, ENVIRONMENT, QUICK, Process, Stage
from tests.workers.validating_endpoint import (
    MARK,
    NOTHING,
    RESET,
    Endpoint,
    Received,
    answered,
    by_javascript_sdk,
    by_sdk,
    plain,
)
from tests.workers.vouching import Endpoints, trust_name

TWO_MINUTES = 120_000
HOUR = 3_600_000
ONCE = RetryPolicy("constant", delay=50, retries=0, jitter=0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Redis, room for processes."""
    with Stage(tmp_path) as stage:
        yield stage


@pytest.fixture
def administration(stage: Stage) -> Administration:
    """The one of the processes, whose endpoints `make` makes."""
    return stage.administration


def push(
    stage: Stage,
    target: str,
    *,
    queue: str = "q",
    environment: str = ENVIRONMENT,
    retry: RetryPolicy = QUICK,
    payload: bytes = b"",
) -> Job:
    """Push a job to `target`."""
    spec = Spec(payload=MARK + payload, target=target, retry=retry)
    return stage.service.push(environment, queue, Push(spec)).job


def until_attempted(stage: Stage, job: Job, attempt: int = 1) -> Job:
    """Wait until so many attempts of a job have ended; return it."""
    until(lambda: len(stage.job(job).attempts) >= attempt, f"attempt {attempt} has ended")
    return stage.job(job)


def check_signed(delivery: Received, *secrets: str) -> None:
    """Hold that a delivery carries one signature with each of `secrets`, newest first."""
    assert delivery.headers["webhook-signature"].split(" ") == [
        by_the_contract.signature(secret, *delivery.asked, delivery.body) for secret in secrets
    ]


# Who proves


def test_who_proves_is_asked_once_and_gets_everything(stage: Stage, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    jobs = [push(stage, endpoint.url(f"/hook?n={n}"), payload=b"%d" % n) for n in range(5)]
    first = stage.worker()
    assert {job.state for job in stage.until_ended(*jobs)} == {State.COMPLETED}
    assert first.end() == 0
    stage.worker()
    stage.until_ended(push(stage, endpoint.url()))
    assert endpoint.requests[0].method == "HEAD"
    assert len(endpoint.validations) == 1
    assert len(endpoint.deliveries) == 6
    for delivery in endpoint.deliveries:
        check_signed(delivery, SECRET)
        assert "x-lq-signature" not in delivery.headers
        assert "x-lq-validation" not in delivery.headers


def test_the_javascript_sdk_gets_its_signature_beside_the_others(
    stage: Stage, make: Endpoints
) -> None:
    old, new = make(by_javascript_sdk(SECRET)), make(by_sdk(SECRET))
    stage.worker()
    jobs = [push(stage, each.url(f"/{n}")) for n in range(2) for each in (old, new)]
    assert {job.state for job in stage.until_ended(*jobs)} == {State.COMPLETED}
    assert (len(old.validations), len(new.validations)) == (2, 2)
    for delivery in old.deliveries:
        check_signed(delivery, SECRET)
        value = delivery.headers["x-lq-signature"]
        found = re.fullmatch(r"v=1,t=([0-9]{13}),s=[0-9a-f]{64}", value)
        assert found
        assert value == by_the_contract.signature_v1(SECRET, delivery.body, int(found[1]))
        assert abs(int(found[1]) // 1_000 - int(delivery.asked[1])) <= 1
    for delivery in new.deliveries:
        assert "x-lq-signature" not in delivery.headers


def test_many_workers_ask_each_endpoint_once(stage: Stage, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    endpoint.gate.clear()
    pushes = [
        Push(Spec(payload=MARK + b"%d" % n, target=endpoint.url(f"/{n % 5}?n={n}"), retry=QUICK))
        for n in range(500)
    ]
    jobs = [each.job for each in stage.service.push_many(ENVIRONMENT, "q", pushes)[0]]
    for _ in range(3):
        stage.worker(LQ_HOST_SLOTS="200")
    until(lambda: len(endpoint.validations) == 5, "all are asked")
    until(lambda: stage.service.queue(ENVIRONMENT, "q").running == 500, "all are claimed")
    assert endpoint.deliveries == []
    endpoint.gate.set()
    assert {job.state for job in stage.until_ended(*jobs)} == {State.COMPLETED}
    assert len(endpoint.validations) == 5
    assert len(endpoint.deliveries) == 500
    assert {len(stage.job(job).attempts) for job in jobs} == {1}


# Who does not


NO_PROOF = {
    "200": (plain(200), "200"),
    "405": (plain(405), "405"),
    "301": (plain(301, "Location: https://example.org/"), "301"),
    "401": (plain(401), "401"),
    "500": (plain(500), "500"),
    "410": (plain(410), "410"),
    "never": (plain(503, "x-lq-retry: never", "Retry-After: 86400"), "503"),
    "other": (by_sdk("whsec_b3RoZXIgc2VjcmV0IG9mIDI0IGJ5dGVz"), "401"),
    "echo": (
        lambda head: answered(200, f"x-lq-validation: {head.headers['x-lq-validation']}"),
        "200",
    ),
}


def test_who_does_not_prove_gets_nothing_and_is_left_alone(stage: Stage, make: Endpoints) -> None:
    worker = stage.worker()
    targets = {name: make(way) for name, (way, _) in NO_PROOF.items()}
    jobs = {
        name: push(stage, endpoint.url(), queue=name, payload=b"secret")
        for name, endpoint in targets.items()
    }
    for name, job in jobs.items():
        failed = until_attempted(stage, job)
        _check_unverified(stage, failed, name)
        stage.service.run_now(ENVIRONMENT, job.id)
        again = until_attempted(stage, job, 2)
        _check_unverified(stage, again, name)
        assert len(targets[name].validations) == 1
        assert targets[name].deliveries == []
    _check_tells_nothing(stage, worker, *targets.values())


def _check_unverified(stage: Stage, job: Job, name: str) -> None:
    said = f"unverified: the endpoint answered {NO_PROOF[name][1]} to the validation request"
    assert job.state is State.RETRY
    last = job.attempts[-1]
    assert str(last.error).startswith(said)
    assert job.error == last.error
    assert last.status is None
    error = stage.service.queue(ENVIRONMENT, name).last_error
    assert error is not None
    assert error.error == last.error
    assert job.target
    ends = int(stage.client.hget(keys.target(ENVIRONMENT, trust_name(job.target)), "until") or 0)
    assert 0 <= job.due_at - ends < 2_000
    assert job.due_at - job.attempts[0].started_at >= TWO_MINUTES


def _check_tells_nothing(stage: Stage, worker: Process, *targets: Endpoint) -> None:
    """Neither log nor Redis holds a secret, a proof or a nonce."""
    stored = b"".join(_values(stage)) + worker.text.encode()
    for endpoint in targets:
        for head in endpoint.validations:
            proofs = (head.headers["x-lq-validation"], by_the_contract.proof(SECRET, *head.asked))
            for text in (SECRET[6:], head.asked[0], *(proof[3:] for proof in proofs)):
                assert text.encode() not in stored


def _values(stage: Stage) -> Iterator[bytes]:
    for key in stage.client.scan_iter():
        yield key
        yield stage.client.dump(key) or b""


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (RESET, "bad_response: at the endpoint's validation: the connection broke"),
        (NOTHING, "bad_response: at the endpoint's validation: the connection was closed"),
        (b"hello\r\n\r\n", "bad_response: at the endpoint's validation: "),
    ],
    ids=["reset", "nothing", "garbage"],
)
def test_no_answer_is_retried_by_the_policy(
    stage: Stage, make: Endpoints, reply: bytes, error: str
) -> None:
    endpoint = make(lambda _: reply)
    stage.scheduler()
    stage.worker()
    job = push(stage, endpoint.url())
    (ended,) = stage.until_ended(job)
    assert ended.state is State.FAILED
    assert len(endpoint.validations) == len(ended.attempts) == 1 + QUICK.retries
    for attempt in ended.attempts:
        assert str(attempt.error).startswith(error)
    assert list(stage.client.scan_iter(keys.target("*", "*"))) == []


def test_an_endpoint_that_comes_up_later_is_asked_then(stage: Stage, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    port = endpoint.server_address[1]
    endpoint.stop()
    stage.worker()
    job = push(stage, endpoint.url(), retry=RetryPolicy("constant", delay=HOUR, retries=1))
    failed = until_attempted(stage, job)
    assert str(failed.error).startswith("connect: at the endpoint's validation: ")
    later = make(by_sdk(SECRET), port)
    stage.service.run_now(ENVIRONMENT, job.id)
    (ended,) = stage.until_ended(job)
    assert ended.state is State.COMPLETED
    assert len(later.validations) == 1


def test_a_name_that_does_not_resolve_is_told_apart(stage: Stage) -> None:
    stage.worker(LQ_DNS_SERVERS="127.0.0.1:1")
    job = push(stage, "https://hooks.example.org/", retry=ONCE)
    (ended,) = stage.until_ended(job)
    assert str(ended.error).startswith("dns: at the endpoint's validation: ")
    assert list(stage.client.scan_iter(keys.target("*", "*"))) == []


def test_a_silent_endpoint_is_given_ten_seconds(stage: Stage, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    endpoint.gate.clear()
    stage.worker()
    spec = Spec(payload=MARK, target=endpoint.url(), retry=ONCE, timeout=60_000)
    job = stage.service.push(ENVIRONMENT, "q", Push(spec)).job
    (ended,) = stage.until_ended(job)
    (attempt,) = ended.attempts
    assert attempt.error == (
        "timeout: at the endpoint's validation: no complete answer within 10000 ms"
    )
    assert 9_900 <= attempt.duration < 12_000
    assert endpoint.deliveries == []


# Environments and secrets


def test_who_knows_one_environments_secret_gets_nothing_of_another(
    stage: Stage, make: Endpoints
) -> None:
    other = make.administration.create_environment("other", "test").id
    endpoint = make(by_sdk(SECRET))
    stage.worker()
    mine, theirs = push(stage, endpoint.url()), push(stage, endpoint.url(), environment=other)
    stage.until_ended(mine)
    until(lambda: stage.service.item(other, theirs.id).attempts, "the other was tried")
    assert str(stage.service.item(other, theirs.id).error).startswith("unverified: ")
    (delivery,) = endpoint.deliveries
    assert delivery.headers["x-lq-id"] == mine.id
    check_signed(delivery, SECRET)
    assert len(endpoint.validations) == 2


def test_a_rotation_reaches_running_workers_with_their_next_claim(
    stage: Stage, make: Endpoints
) -> None:
    administration = make.administration
    endpoint, by_old = make(by_sdk(SECRET)), make(by_sdk(SECRET))
    stage.worker()
    stage.until_ended(push(stage, endpoint.url()))
    new = administration.rotate_secret(ACTOR, HOUR).secret.reveal()
    by_new = make(by_sdk(new))
    jobs = [push(stage, each.url()) for each in (endpoint, by_old, by_new)]
    assert {job.state for job in stage.until_ended(*jobs)} == {State.COMPLETED}
    for each in (endpoint, by_old, by_new):
        check_signed(each.deliveries[-1], new, SECRET)
    check_signed(endpoint.deliveries[0], SECRET)
    assert [len(each.validations) for each in (endpoint, by_old, by_new)] == [1, 1, 1]


def test_after_the_overlap_only_the_new_secret_counts(stage: Stage, make: Endpoints) -> None:
    by_old, by_both = make(by_sdk(SECRET)), make(by_sdk(SECRET))
    stage.worker()
    stage.until_ended(*(push(stage, each.url()) for each in (by_old, by_both)))
    new = make.administration.rotate_secret(ACTOR, 1).secret.reveal()
    by_both.way = by_sdk(SECRET, new)
    until(lambda: make.administration.secret(ACTOR).previous is None, "the overlap is over")
    refused, taken = push(stage, by_old.url()), push(stage, by_both.url())
    assert stage.until_ended(taken)[0].state is State.COMPLETED
    assert str(until_attempted(stage, refused).error).startswith("unverified: ")
    check_signed(by_both.deliveries[-1], new)
    assert len(by_old.deliveries) == 1
    assert [len(each.validations) for each in (by_old, by_both)] == [2, 2]


def test_a_foreign_seal_stops_its_environment_only(stage: Stage, make: Endpoints) -> None:
    other = make.administration.create_environment("other", "test").id
    sealed = Vault((Vault.new_key(),)).seal(other, Secret.generate())
    stage.client.hset(keys.environment(other), "secret", sealed)
    endpoint = make(by_sdk(SECRET))
    worker = stage.worker()
    theirs = push(stage, endpoint.url(), environment=other, retry=ONCE)
    until(lambda: stage.service.queue(other, "q").last_error, "its queue tells why it waits")
    error = str(stage.service.queue(other, "q").last_error)
    assert "unverified: " in error
    waiting = stage.service.item(other, theirs.id)
    assert (waiting.state, waiting.attempt, waiting.attempts) == (State.PENDING, 0, ())
    assert 50_000 < waiting.due_at - waiting.created_at < 90_000
    assert "LQ_MASTER_KEYS" in error
    assert endpoint.connections == 0
    assert stage.until_ended(push(stage, endpoint.url()))[0].state is State.COMPLETED
    assert "Traceback" not in worker.text


def test_with_a_wrong_master_key_a_worker_does_not_start(stage: Stage) -> None:
    worker = stage.start("worker", [*stage.worker_command], LQ_MASTER_KEYS=Vault.new_key())
    assert worker.wait() == 1
    (line,) = worker.text.splitlines()
    assert "LQ_MASTER_KEYS" in line
    assert stage.client.zcard("lq:workers") == 0


# Without validation


def test_a_queue_without_validation_is_signed_with_its_own_secret(
    stage: Stage, make: Endpoints
) -> None:
    endpoint = make(plain(405))
    stage.service.configure(ACTOR, "q", {"validation": "none"}, False)
    for _ in range(2):
        stage.worker(LQ_ALLOW_UNVALIDATED="1", LQ_SLOTS="4")
    jobs = [push(stage, endpoint.url(f"/{n}")) for n in range(40)]
    assert {job.state for job in stage.until_ended(*jobs)} == {State.COMPLETED}
    own = make.administration.queue_secret(ACTOR, "q").reveal()
    assert own != SECRET
    for delivery in endpoint.deliveries:
        check_signed(delivery, own)
        assert "x-lq-signature" not in delivery.headers
    assert endpoint.validations == []

    stage.service.configure(ACTOR, "q", {"validation": "required"}, False)
    refused = until_attempted(stage, push(stage, endpoint.url("/0")))
    assert str(refused.error).startswith("unverified: ")
    assert len(endpoint.validations) == 1
    assert len(endpoint.deliveries) == 40


def test_none_is_ignored_unless_the_operator_allows_it(stage: Stage, make: Endpoints) -> None:
    endpoint, proving = make(plain(405)), make(by_sdk(SECRET))
    stage.service.configure(ACTOR, "q", {"validation": "none"}, False)
    stage.worker()
    refused, taken = push(stage, endpoint.url()), push(stage, proving.url())
    assert stage.until_ended(taken)[0].state is State.COMPLETED
    assert str(until_attempted(stage, refused).error).startswith("unverified: ")
    (delivery,) = proving.deliveries
    check_signed(delivery, SECRET)
    assert endpoint.deliveries == []


# Rules, and RQ's own worker


def test_a_target_that_is_no_longer_allowed_is_not_called(stage: Stage, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    worker = stage.worker(LQ_DEVELOPMENT="0", LQ_ALLOW_UNVALIDATED="1")
    stage.service.configure(ACTOR, "open", {"validation": "none"}, False)
    jobs = [push(stage, endpoint.url(), queue=name, retry=ONCE) for name in ("q", "open")]
    for ended in stage.until_ended(*jobs):
        assert ended.state is State.FAILED
        assert str(ended.error).startswith("blocked_address: ")
    assert endpoint.connections == 0
    assert "Traceback" not in worker.text


def test_a_stock_worker_validates_too(stage: Stage, make: Endpoints) -> None:
    proving, old = make(by_sdk(SECRET)), make(by_javascript_sdk(SECRET))
    silent = make(plain(200))
    good = [push(stage, each.url(f"/hook?{n}")) for n in range(2) for each in (proving, old)]
    bad = [push(stage, silent.url(f"/hook?{n}")) for n in range(2)]
    rq = str(Path(sys.executable).with_name("rq"))
    serializer = "rq.serializers.JSONSerializer"
    words = ["worker", "-S", serializer, "--url", stage.redis.url, "--burst", "lambdaqueue"]
    worker = stage.start("stock", [rq, *words])
    assert worker.wait(60) == 0
    assert {job.state for job in stage.until_ended(*good)} == {State.COMPLETED}
    for job in bad:
        failed = stage.job(job)
        assert str(failed.error).startswith("unverified: ")
        assert failed.due_at - failed.attempts[0].started_at > TWO_MINUTES - 10_000
    assert [len(each.validations) for each in (proving, old, silent)] == [1, 1, 1]
    assert silent.deliveries == []
    for delivery in proving.deliveries:
        check_signed(delivery, SECRET)
    assert all("x-lq-signature" in delivery.headers for delivery in old.deliveries)
    assert "Traceback" not in worker.text
