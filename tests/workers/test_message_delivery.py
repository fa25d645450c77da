"""Direct messages through a real worker, to an endpoint that answers 500, 302 and 200."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from lambdaqueue.commands import Push
from lambdaqueue.job import Job, State
from lambdaqueue.messages import QUEUE, message_spec
from lambdaqueue.signing import Secret, verify
from lambdaqueue.spec import Message
from tests.operator import SECRET
from tests.store.world import World
from tests.waiting import until
from tests.workers.hook import Delivery
from tests.workers.stage import ACTOR, ENVIRONMENT, Stage

PAYLOAD = b'{"order":7}'


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Redis, an endpoint, room for processes."""
    with Stage(tmp_path) as stage:
        yield stage


def post(stage: Stage, path: str, first: int = 1, event_type: str | None = None) -> Job:
    """Send a message as the API would."""
    spec = message_spec(PAYLOAD, stage.hook.url(path), event_type, Message("Acme", first))
    return stage.service.push(ENVIRONMENT, QUEUE, Push(spec)).job


def until_tried(stage: Stage, job: Job, state: State) -> Job:
    """Wait until an attempt has ended so, and return the job."""
    until(lambda: stage.job(job).state is state, f"{state}")
    return stage.job(job)


def genuine(delivery: Delivery, secret: str) -> None:
    """Fail unless it was signed with this secret."""
    sent = int(delivery.headers["webhook-timestamp"])
    verify([Secret.parse(secret)], delivery.headers, PAYLOAD, sent)


@pytest.mark.parametrize("path", ["/", "/status/302"])
def test_it_arrives(stage: Stage, path: str) -> None:
    """302 counts as success and is not followed."""
    stage.worker(LQ_ALLOW_UNVALIDATED="1")
    (done,) = stage.until_ended(post(stage, path, event_type="order.paid"))
    (one,) = stage.hook.deliveries
    assert (done.state, done.attempt, done.max_attempts) == (State.COMPLETED, 1, 10)
    assert (one.method, one.path, one.body) == ("POST", path, PAYLOAD)
    assert one.headers["content-type"] == "application/json"
    assert one.headers["user-agent"] == "Acme-Webhook/1.0"
    assert one.headers["x-acme-attempt"] == "1"
    assert one.headers["x-acme-event-type"] == "order.paid"


def test_without_validation_the_queue_signs(stage: Stage) -> None:
    """Nobody was asked to prove anything, so the environment's signature is not given away."""
    stage.worker(LQ_ALLOW_UNVALIDATED="1")
    stage.until_ended(post(stage, "/"))
    assert stage.hook.validations == []
    own = stage.administration.queue_secret(ACTOR, QUEUE).reveal()
    assert own != SECRET
    genuine(stage.hook.deliveries[0], own)


def test_it_is_validated_where_the_operator_insists(stage: Stage) -> None:
    stage.worker()
    stage.until_ended(post(stage, "/in"))
    assert stage.hook.validations == ["/in"]
    genuine(stage.hook.deliveries[0], SECRET)


def test_failures_wait_longer_and_longer(stage: Stage) -> None:
    """A message that begins as attempt 3 waits 64 s, then 125 s; run by hand it need not."""
    stage.worker(LQ_ALLOW_UNVALIDATED="1")
    job = post(stage, "/flaky/4", first=3)
    for number, wait in ((3, 64_000), (4, 125_000)):
        tried = until_tried(stage, job, State.RETRY)
        assert (tried.attempt, tried.max_attempts) == (number, 10)
        last = tried.attempts[-1]
        assert (last.number, last.status) == (number, 500)
        assert 0 <= tried.due_at - (last.started_at + last.duration) - wait < 2_000
        stage.service.run_now(ENVIRONMENT, job.id)
        until(lambda n=number: len(stage.hook.deliveries) > n - 2, "the next attempt")  # type: ignore[misc]
    (done,) = stage.until_ended(job)
    assert (done.state, done.attempt, done.max_attempts) == (State.COMPLETED, 5, 10)
    assert [each.number for each in done.attempts] == [3, 4, 5]
    assert [each.headers["x-acme-attempt"] for each in stage.hook.deliveries] == ["3", "4", "5"]
    assert len(stage.hook.counts()) == 1


def test_an_exhausted_one_is_in_history(stage: Stage) -> None:
    stage.worker(LQ_ALLOW_UNVALIDATED="1")
    job = post(stage, "/status/500", first=9)
    until_tried(stage, job, State.RETRY)
    stage.service.run_now(ENVIRONMENT, job.id)
    (done,) = stage.until_ended(job)
    assert (done.state, done.attempt, done.max_attempts) == (State.FAILED, 10, 10)
    assert done.error == "http_500: the endpoint answered 500"
    assert [each.number for each in done.attempts] == [9, 10]
    assert [entry.id for entry in stage.history(QUEUE)] == [job.id]
    assert stage.left_over() == []


def test_a_lost_attempt_is_counted_from_the_first(redis_url: str) -> None:
    """The one that died is shown by the same numbers as those that ended."""
    with redis.Redis.from_url(redis_url) as client:
        world = World(client)
        spec = message_spec(PAYLOAD, "http://127.0.0.1:9/", None, Message("Acme", 3))
        (pushed,) = world.jobs.push(ENVIRONMENT, QUEUE, [Push(spec)])
        hand, other = world.worker(), world.worker()
        claim = hand.claim_one()
        assert (claim.attempt, claim.failures, claim.max_attempts) == (3, 2, 10)
        world.kill(hand)
        lost = world.job(pushed.job.id)
        assert (lost.attempt, lost.max_attempts) == (3, 11)
        assert [(each.number, each.error) for each in lost.attempts] == [
            (3, "lost: the worker died")
        ]
        again = other.claim_one()
        assert (again.attempt, again.failures, again.max_attempts) == (4, 2, 11)
        world.close()
