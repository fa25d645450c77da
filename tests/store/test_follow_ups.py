"""Jobs that are pushed when others end: exactly one for each end that somebody asked about."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.connection import Scripts
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.job import Claim
from lambdaqueue.queue_settings import FollowUp
from lambdaqueue.rate import FlowLimits
from lambdaqueue.spec import Spec
from tests.store.desk import full
from tests.store.lines import check, push, set_up, take
from tests.store.service_desk import FAIL, QUEUE, ServiceDesk
from tests.store.world import ACTOR, ENV, NOW, Hand, World

AFTER = "https://example.com/after"
SLACK = "https://example.com/slack"
DONE = '{"status":200,"type":"text/plain"}'


def wanted(world: World, queue: str = "mail") -> None:
    """Let successes be told as JSON, failures as a line."""
    settings = {
        "on_success": FollowUp("after", AFTER),
        "on_failure": FollowUp("alarm/slack", SLACK, "slack"),
    }
    world.queues.configure(ACTOR, queue, settings, None)


def pushed(world: World) -> list[dict[str, str]]:
    """The jobs that follow others, oldest first."""
    jobs = check(world).jobs
    return [jobs[job] for job in sorted(jobs) if "follows" in jobs[job]]


def followers(world: World, worker: Hand) -> list[Claim]:
    """Take what is ready: follow-ups, as the test has nothing else there."""
    claims = take(worker)
    assert all(claim.queue in ("after", "alarm/slack") for claim in claims)
    return claims


class TestWhatIsSaid:
    def test_of_a_success(self, world: World) -> None:
        wanted(world)
        job = push(world, key='é"\\/\U0001f600')
        worker = world.worker()
        (claim,) = take(worker)
        world.later(1_500)
        worker.settle(claim, result=DONE, body=b"secret")
        (told,) = followers(world, worker)
        assert told.queue == "after"
        assert told.spec == Spec(told.spec.payload, target=AFTER, event_type="job.completed")
        assert json.loads(told.spec.payload) == {
            "type": "job.completed",
            "job": {
                "id": job,
                "queue": "mail",
                "key": 'é"\\/\U0001f600',
                "state": "COMPLETED",
                "version": 1,
                "attempt": 1,
                "endedAt": "2023-11-14T22:13:21.500Z",
                "result": {"status": 200},
            },
        }

    def test_of_a_failure(self, world: World) -> None:
        world.queues.configure(ACTOR, "mail", {"on_failure": FollowUp("after", AFTER)}, None)
        job = push(world)
        worker = world.worker()
        worker.settle(take(worker)[0], Kind.FAILED, error="http_500: no", result='{"status":500}')
        (told,) = followers(world, worker)
        assert told.spec.event_type == "job.failed"
        body = json.loads(told.spec.payload)
        assert body["type"] == "job.failed"
        assert body["job"] == {
            "id": job,
            "queue": "mail",
            "state": "FAILED",
            "error": "http_500: no",
            "version": 1,
            "attempt": 1,
            "endedAt": "2023-11-14T22:13:20.000Z",
            "result": {"status": 500},
        }

    @pytest.mark.parametrize(
        ("key", "error", "name"),
        [
            (None, "http_500: no", "{id}"),
            ("é", 'http_500: "<b>&\\', "{id} (é)"),
            ("k" * 255, "", "{id} (" + "k" * 255 + ")"),
        ],
    )
    def test_a_line(self, world: World, key: str | None, error: str, name: str) -> None:
        wanted(world)
        job = push(world, key=key)
        worker = world.worker()
        worker.settle(take(worker)[0], Kind.FAILED, error=error)
        (told,) = followers(world, worker)
        assert told.queue == "alarm/slack"
        assert json.loads(told.spec.payload) == {
            "text": f"Job {name.format(id=job)} of queue mail has failed: {error}"
        }

    def test_a_line_of_a_success(self, world: World) -> None:
        world.queues.configure(ACTOR, "mail", {"on_success": FollowUp("a", AFTER, "slack")}, None)
        job = push(world)
        worker = world.worker()
        worker.settle(take(worker)[0])
        (told,) = take(worker)
        assert json.loads(told.spec.payload) == {"text": f"Job {job} of queue mail has completed."}


def complete(world: World, worker: Hand) -> None:
    worker.settle(take(worker)[0])


def fail(world: World, worker: Hand) -> None:
    worker.settle(take(worker)[0], Kind.FAILED, error="http_410: gone")


def expire(world: World, worker: Hand) -> None:
    world.later(61_000)
    assert worker.claim(1) == []


def kill_workers(world: World, worker: Hand) -> None:
    for _ in range(4):
        other = world.worker()
        assert len(other.claim(1)) == 1
        world.kill(other)


def cancel(world: World, worker: Hand) -> None:
    (job,) = world.snapshot().jobs
    world.cancel(job)


def cancel_running(world: World, worker: Hand) -> None:
    (claim,) = take(worker)
    world.cancel(claim.id)
    worker.retry(claim)


def cancel_at_once(world: World, worker: Hand) -> None:
    world.jobs.cancel_at_once(take(worker)[0].id)


def supersede(world: World, worker: Hand) -> None:
    (claim,) = take(worker)
    push(world, key="k", delay=1_000)
    worker.retry(claim)


def purge(world: World, worker: Hand) -> None:
    world.queues.purge(ENV, "mail", None, list(world.snapshot().jobs))


def retry(world: World, worker: Hand) -> None:
    worker.retry(take(worker)[0])


def hand_back(world: World, worker: Hand) -> None:
    worker.settle(take(worker)[0], Kind.RELEASED)


class TestWhichEnds:
    @pytest.mark.parametrize(
        ("end", "queues"),
        [
            (complete, ["after"]),
            (fail, ["alarm/slack"]),
            (expire, ["alarm/slack"]),
            (kill_workers, ["alarm/slack"]),
            (cancel, []),
            (cancel_running, []),
            (cancel_at_once, []),
            (supersede, []),
            (purge, []),
            (retry, []),
            (hand_back, []),
        ],
    )
    def test_one_for_each(
        self, world: World, end: Callable[[World, Hand], None], queues: list[str]
    ) -> None:
        wanted(world)
        push(world, key="k", max_age=60_000)
        end(world, world.worker())
        assert [job["queue"] for job in pushed(world)] == queues

    def test_one_for_each_of_many(self, world: World) -> None:
        wanted(world)
        jobs = [push(world) for _ in range(60)]
        worker = world.worker(50)
        told = []
        for _ in range(60):
            for claim in worker.claim(7):
                if claim.queue == "mail":
                    worker.settle(claim)
                else:
                    told.append(json.loads(claim.spec.payload)["job"]["id"])
                    worker.settle(claim)
        assert sorted(told) == sorted(jobs)
        check(world)

    def test_none_of_a_follow_up(self, world: World) -> None:
        """Not even where both queues want one: it would never end."""
        wanted(world)
        wanted(world, "after")
        wanted(world, "alarm/slack")
        push(world)
        worker = world.worker()
        complete(world, worker)
        fail(world, worker)
        assert pushed(world) == []
        assert world.snapshot().jobs == {}

    def test_into_its_own_queue(self, world: World) -> None:
        set_up(world, on_success=FollowUp("mail", AFTER))
        push(world)
        worker = world.worker()
        complete(world, worker)
        (claim,) = take(worker)
        assert claim.spec.target == AFTER
        worker.settle(claim)
        assert check(world).jobs == {}

    def test_not_when_it_was_taken_away(self, world: World) -> None:
        wanted(world)
        push(world)
        worker = world.worker()
        (claim,) = take(worker)
        set_up(world, on_success=None)
        worker.settle(claim)
        assert pushed(world) == []

    def test_a_resend_of_the_settlement_brings_no_second_one(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted(world)
        push(world)
        push(world)
        worker = world.worker()
        one, two = take(worker)
        run = Scripts.run
        calls: list[tuple[Any, ...]] = []

        def noting(self: Scripts, *args: Any) -> Any:
            calls.append(args)
            return run(self, *args)

        monkeypatch.setattr(Scripts, "run", noting)
        worker.settle(one)
        first = calls[-1]
        assert world.scripts.run(*first) == [b"settled"]
        assert len(pushed(world)) == 1
        worker.settle(two, Kind.FAILED, error="http_410: gone")
        # The older call once more: its job has ended, and with it what followed.
        assert world.scripts.run(*first) == [b"stale"]
        assert len(pushed(world)) == 2

    def test_who_comes_too_late_brings_none(self, world: World) -> None:
        wanted(world)
        push(world)
        lost, worker = world.worker(), world.worker()
        (claim,) = take(lost)
        world.kill(lost)
        (again,) = take(worker)
        assert not lost.settle(claim)
        assert pushed(world) == []
        worker.settle(again)
        assert len(pushed(world)) == 1


class TestExecutions:
    @pytest.fixture
    def desk(self, world: World) -> ServiceDesk:
        EnvironmentStore(world.client, NOW).found(ENV, "default", b"s", "test")
        return ServiceDesk(world)

    def test_a_callback_ends_it(self, world: World, desk: ServiceDesk) -> None:
        wanted(world)
        desk.push()
        desk.push(retry=None)
        called, other = desk.start(), desk.start()
        assert pushed(world) == []
        desk.finish(called)
        assert [job["queue"] for job in pushed(world)] == ["after"]
        desk.finish(called)  # the same final body again
        assert [job["queue"] for job in pushed(world)] == ["after"]
        desk.finish(other, FAIL)
        assert len(pushed(world)) == 1  # it's to be tried again

    def test_of_service_jobs(self, world: World, desk: ServiceDesk) -> None:
        wanted(world, QUEUE)
        desk.put(retry=None)
        desk.run()
        called = desk.start()
        desk.finish(called, FAIL)
        (told,) = pushed(world)
        assert told["queue"] == "alarm/slack"

    def test_the_lock_of_an_exclusive_one(self, world: World, desk: ServiceDesk) -> None:
        wanted(world, QUEUE)
        desk.put(exclusive=True)
        desk.run()
        desk.start()
        desk.run()
        (told,) = pushed(world)
        (claim,) = take(desk.worker)
        assert told["queue"] == "alarm/slack"
        assert "exclusive_lock" in claim.spec.payload.decode()

    def test_its_time_is_over(self, world: World, desk: ServiceDesk) -> None:
        wanted(world, QUEUE)
        desk.put()
        desk.run()
        desk.start()
        world.later(3_600_000)
        world.tick_through(61)
        assert desk.expire() == 1
        (told,) = pushed(world)
        assert told["queue"] == "alarm/slack"


class TestCircumstances:
    def test_when_redis_is_full(self, world: World) -> None:
        wanted(world)
        push(world)
        worker = world.worker()
        (claim,) = take(worker)
        with full(world):
            assert worker.settle(claim)
        assert len(pushed(world)) == 1

    @pytest.mark.parametrize("queue", ["after", "mail"])
    def test_an_environment_that_has_ended_gets_none(self, world: World, queue: str) -> None:
        EnvironmentStore(world.client, NOW).found(ENV, "default", b"s", "test")
        set_up(world, on_success=FollowUp(queue, AFTER))
        push(world)
        worker = world.worker()
        (claim,) = take(worker)
        EnvironmentStore(world.client, NOW).close(ENV)
        assert worker.settle(claim)
        assert world.snapshot().jobs == {}
        assert world.queues.info(ENV, "after") is None

    def test_a_new_queue_is_made(self, world: World) -> None:
        wanted(world)
        push(world)
        complete(world, world.worker())
        info = world.queues.info(ENV, "after")
        assert info is not None
        assert (info.waiting, info.completed) == (1, 0)

    def test_a_paused_queue_keeps_it(self, world: World) -> None:
        wanted(world)
        world.queues.pause(ACTOR, "after")
        push(world)
        worker = world.worker()
        complete(world, worker)
        assert take(worker) == []
        world.queues.resume(ACTOR, "after")
        assert len(followers(world, worker)) == 1

    def test_of_a_job_with_a_flow_key(self, world: World) -> None:
        """It has none itself: it's the other queue's."""
        wanted(world)
        set_up(world, flow=FlowLimits(ordered=True))
        push(world, "a")
        complete(world, world.worker())
        (told,) = pushed(world)
        assert "flow" not in told

    def test_it_is_tried_again_and_kept_like_any_job(self, world: World) -> None:
        wanted(world)
        push(world)
        worker = world.worker()
        complete(world, worker)
        (claim,) = followers(world, worker)
        worker.retry(claim, delay=1_000)
        world.later(1_000)
        world.upkeep.tick()
        (claim,) = followers(world, worker)
        assert claim.attempt == 2
        worker.settle(claim)
        assert world.ended(claim.id).spec.target == AFTER

    def test_a_body_that_is_no_json_needs_no_status(self, world: World) -> None:
        wanted(world)
        push(world)
        worker = world.worker()
        (claim,) = take(worker)
        worker.settle(claim, result="")
        (told,) = followers(world, worker)
        assert "result" not in json.loads(told.spec.payload)["job"]
