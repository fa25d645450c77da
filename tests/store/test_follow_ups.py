"""Jobs that are pushed when others end: exactly one for each end that somebody asked about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue.attempts import Kind, Settlement
from lambdaqueue.claims import Claim
from lambdaqueue.commands import Push
from lambdaqueue.connection import Scripts
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.rate import FlowLimits
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.schedule import plan
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.spec import FollowUp, Spec
from tests.store.desk import full, schedule
from tests.store.lines import check, push, set_up, take
from tests.store.service_desk import FAIL, QUEUE, ServiceDesk
from tests.store.world import ACTOR, ENV, NOW, TARGET, Hand, World

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


MINE = FollowUp("mine", "https://example.com/mine")
MY_ALARM = FollowUp("mine/alarm", "https://example.com/alarm?a=b", "slack")


def push_own(world: World, key: str | None = None, **own: Any) -> str:
    """Push a job with follow-ups of its own; returns its id."""
    spec = Spec(b'{"a":1}', target=TARGET, max_age=60_000, **own)
    (pushed,) = world.jobs.push(ENV, "mail", [Push(spec, key)])
    return pushed.job.id


class TestOfAJob:
    @pytest.mark.parametrize(
        ("own", "end", "with_queues", "without"),
        [
            ({}, complete, ["after"], []),
            ({"on_success": MINE}, complete, ["mine"], ["mine"]),
            ({"on_success": MINE}, fail, ["alarm/slack"], []),
            ({"on_failure": MY_ALARM}, complete, ["after"], []),
            ({"on_failure": MY_ALARM}, fail, ["mine/alarm"], ["mine/alarm"]),
            ({"on_failure": MY_ALARM}, expire, ["mine/alarm"], ["mine/alarm"]),
            ({"on_failure": MY_ALARM}, kill_workers, ["mine/alarm"], ["mine/alarm"]),
            ({"on_success": MINE, "on_failure": MY_ALARM}, complete, ["mine"], ["mine"]),
            ({"on_success": MINE, "on_failure": MY_ALARM}, fail, ["mine/alarm"], ["mine/alarm"]),
            ({"on_success": MINE, "on_failure": MY_ALARM}, cancel, [], []),
            ({"on_success": MINE, "on_failure": MY_ALARM}, cancel_running, [], []),
            ({"on_success": MINE, "on_failure": MY_ALARM}, cancel_at_once, [], []),
            ({"on_success": MINE, "on_failure": MY_ALARM}, supersede, [], []),
            ({"on_success": MINE, "on_failure": MY_ALARM}, purge, [], []),
            ({"on_success": MINE, "on_failure": MY_ALARM}, retry, [], []),
            ({"on_success": MINE, "on_failure": MY_ALARM}, hand_back, [], []),
            ({"on_success": "none"}, complete, [], []),
            ({"on_success": "none"}, fail, ["alarm/slack"], []),
            ({"on_failure": "none"}, complete, ["after"], []),
            ({"on_failure": "none"}, fail, [], []),
            ({"on_success": "none", "on_failure": MY_ALARM}, fail, ["mine/alarm"], ["mine/alarm"]),
        ],
    )
    @pytest.mark.parametrize("queue_has_some", [True, False])
    def test_it_stands_in_place_of_its_queues(
        self,
        world: World,
        own: dict[str, Any],
        end: Callable[[World, Hand], None],
        with_queues: list[str],
        without: list[str],
        queue_has_some: bool,
    ) -> None:
        if queue_has_some:
            wanted(world)
        push_own(world, "k", **own)
        end(world, world.worker())
        expected = with_queues if queue_has_some else without
        assert [job["queue"] for job in pushed(world)] == expected

    def test_what_is_said(self, world: World) -> None:
        wanted(world)
        ids = [push_own(world, on_success=MINE, on_failure=MY_ALARM) for _ in range(2)]
        worker = world.worker()
        one, two = take(worker)
        worker.settle(one, result=DONE)
        worker.settle(two, Kind.FAILED, error="http_410: gone")
        report, line = take(worker)
        assert report.spec == Spec(
            report.spec.payload, target=MINE.target, event_type="job.completed"
        )
        assert line.spec == Spec(line.spec.payload, target=MY_ALARM.target, event_type="job.failed")
        told = json.loads(report.spec.payload)
        assert told["type"] == "job.completed"
        assert (told["job"]["id"], told["job"]["result"]) == (ids[0], {"status": 200})
        assert json.loads(line.spec.payload) == {
            "text": f"Job {ids[1]} of queue mail has failed: http_410: gone"
        }

    def test_each_of_many_that_end_at_once(self, world: World) -> None:
        wanted(world)
        for own in ({}, {"on_success": MINE}, {"on_success": "none"}, {}):
            push_own(world, **own)
        worker = world.worker()
        worker.settle_many([Settlement(claim, Kind.COMPLETED) for claim in take(worker)])
        assert [job["queue"] for job in pushed(world)] == ["after", "mine", "after"]

    @pytest.mark.parametrize(
        "spec",
        [
            Spec(b'{"follow":{"COMPLETED":"a json https://example.com/"}}', target=TARGET),
            Spec(b'{"follow":{"COMPLETED":"a json https://example.com/"}}'),
            Spec(target=TARGET, headers={"follow": "a", "onSuccess": "b"}),
            Spec(target=TARGET, event_type='{"follow":{"COMPLETED":"a json b"}}'),
            Spec(b"{}", '{"follow":{', TARGET),
        ],
        ids=["payload", "payload alone", "headers", "text", "content type"],
    )
    def test_what_only_looks_like_one(self, world: World, spec: Spec) -> None:
        set_up(world, target=TARGET)
        world.jobs.push(ENV, "mail", [Push(spec)])
        complete(world, world.worker())
        assert pushed(world) == []

    def test_beside_all_other_options(self, world: World) -> None:
        spec = Spec(
            b"\n\n", "text/plain", TARGET, "PUT", {"a": "}\n"}, event_type="\u00e9", flow_key="f",
            on_success=MINE,
        )  # fmt: skip
        world.jobs.push(ENV, "mail", [Push(spec)])
        complete(world, world.worker())
        assert [job["queue"] for job in pushed(world)] == ["mine"]

    def test_a_change_leaves_it(self, world: World) -> None:
        job = push_own(world, on_success=MINE)
        world.change(job, b"new")
        complete(world, world.worker())
        assert [each["queue"] for each in pushed(world)] == ["mine"]

    def test_each_version_has_its_own(self, world: World) -> None:
        """What a push replaces while it runs keeps those that it was pushed with."""
        push_own(world, "k", on_success=MINE)
        worker = world.worker()
        (claim,) = take(worker)
        push_own(world, "k", on_success=replace(MINE, queue="newer"))
        worker.settle(claim)
        assert [job["queue"] for job in pushed(world)] == ["mine"]
        (newer,) = [each for each in take(worker) if each.queue == "mail"]
        worker.settle(newer)
        assert sorted(job["queue"] for job in pushed(world)) == ["mine", "newer"]

    def test_a_push_with_the_key_takes_it_away(self, world: World) -> None:
        push_own(world, "k", on_success=MINE)
        push_own(world, "k")
        complete(world, world.worker())
        assert pushed(world) == []

    def test_history_knows_it(self, world: World) -> None:
        """So a replay has it, too."""
        own: dict[str, Any] = {"on_success": MINE, "on_failure": "none"}
        ended = [push_own(world, **own) for _ in range(2)]
        worker = world.worker()
        one, two = take(worker)
        worker.settle(one)
        worker.settle(two, Kind.FAILED, error="http_410: gone")
        for job in ended:
            spec = world.ended(job).spec
            assert (spec.on_success, spec.on_failure) == (MINE, "none")

    def test_not_of_a_follow_up(self, world: World) -> None:
        """Whatever it's changed to: it would never end."""
        push_own(world, on_success=MINE)
        worker = world.worker()
        complete(world, worker)
        (told,) = pushed(world)
        (follower,) = world.snapshot().jobs
        job = world.job(follower)
        world.jobs.change(job, replace(job.spec, on_success=MINE), delay=None, on=None, priority=0)
        assert told["queue"] == "mine"
        complete(world, worker)
        assert world.snapshot().jobs == {}

    def test_of_a_schedules_jobs(self, world: World) -> None:
        store = ScheduleStore(world.client, NOW)
        made = schedule("s", NOW)
        store.put(replace(made, spec=replace(made.spec, on_success=MINE)), 0)
        store.fire([plan(each, NOW, 0) for each in store.due(100).schedules])
        complete(world, world.worker())
        assert [job["queue"] for job in pushed(world)] == ["mine"]

    def test_an_environment_that_has_ended_gets_none(self, world: World) -> None:
        EnvironmentStore(world.client, NOW).found(ENV, "default", b"s", "test")
        push_own(world, on_success=MINE)
        worker = world.worker()
        (claim,) = take(worker)
        EnvironmentStore(world.client, NOW).close(ENV)
        assert worker.settle(claim)
        assert world.snapshot().jobs == {}
        assert world.queues.info(ENV, "mine") is None

    def test_when_redis_is_full(self, world: World) -> None:
        push_own(world, on_success=MINE)
        worker = world.worker()
        (claim,) = take(worker)
        with full(world):
            assert worker.settle(claim)
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

    @pytest.mark.parametrize(
        ("own", "queues"),
        [({}, ["after"]), ({"on_success": MINE}, ["mine"]), ({"on_success": "none"}, [])],
    )
    def test_an_async_items_own(
        self, world: World, desk: ServiceDesk, own: dict[str, Any], queues: list[str]
    ) -> None:
        wanted(world)
        desk.push(**own)
        desk.finish(desk.start())
        assert [job["queue"] for job in pushed(world)] == queues

    @pytest.mark.parametrize(
        ("own", "queues"),
        [({}, ["alarm/slack"]), ({"on_failure": MINE}, ["mine"]), ({"on_failure": "none"}, [])],
    )
    def test_an_async_items_own_when_nobody_calls_back(
        self, world: World, desk: ServiceDesk, own: dict[str, Any], queues: list[str]
    ) -> None:
        wanted(world)
        desk.push(retry=RetryPolicy("constant", delay=0, retries=0), **own)
        desk.start()
        world.later(3_600_000)
        world.tick_through(61)
        assert desk.expire() == 1
        assert [job["queue"] for job in pushed(world)] == queues

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
