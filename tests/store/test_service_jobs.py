"""Service jobs: definitions, what fires, what a success leaves, the lock, the end of them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound
from lambdaqueue.executing import ExecutionFilter, Executions
from lambdaqueue.execution import ExecutionStatus, Final
from lambdaqueue.job import State
from lambdaqueue.removal import remove_environment
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.schedule import plan
from lambdaqueue.service_job import ServiceJob
from lambdaqueue.services import JobFilter, ServiceJobs
from tests.store.desk import OTHER, assert_ended
from tests.store.service_desk import FAIL, Called, ServiceDesk, service_job
from tests.store.world import ENV, NOW, TARGET, World

HOUR = 3_600_000
JOB = "reports/daily"
LOCKED = "exclusive_lock: another execution of the job is unfinished"


def names(desk: ServiceDesk) -> list[str]:
    """The executions that are listed, the oldest first."""
    desk._follow()
    return [job.id for job in desk.executions.search(ENV, ExecutionFilter()).rows]


def next_run(desk: ServiceDesk, job: str = JOB) -> int | None:
    schedule = desk.schedules.read(ENV, job)
    assert schedule is not None
    return schedule.next_run


def left(desk: ServiceDesk) -> dict[str, Any]:
    """What the next run is told of the last successful one."""
    desk.run()
    called = desk.call()
    desk.cancel(called.name)
    told: dict[str, Any] = json.loads(called.left or b"{}")
    return told


class TestDefinition:
    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"payload": None},
            {"payload": ""},
            {"payload": "é\n\x00\u2028"},
            {"exclusive": True, "enabled": False},
            {"heartbeat": 5, "ttl": 86_400},
            {"retry": RetryPolicy("constant", delay=1_000, retries=3, jitter=0)},
            {"schedule": "cron(0 12 * * ? *)"},
        ],
    )  # fmt: skip
    def test_it_is_read_as_it_was_put(self, desk: ServiceDesk, more: dict[str, Any]) -> None:
        for job in ("daily", "new"):
            assert desk.put(job, **more) == service_job(job, **more)
            assert desk.services.job(ENV, "reports", job) == service_job(job, **more)

    def test_the_same_again_changes_nothing(self, desk: ServiceDesk) -> None:
        desk.world.later(600_000)
        before = desk.world.snapshot()
        desk.put()
        assert desk.world.snapshot() == before

    @pytest.mark.parametrize(
        ("change", "runs_at"),
        [
            ({"payload": "new"}, NOW + HOUR),
            ({"exclusive": True}, NOW + HOUR),
            ({"ttl": 60}, NOW + HOUR),
            ({"schedule": "rate(2 hours)"}, NOW + 600_000 + 2 * HOUR),
            ({"enabled": False}, None),
        ],
    )
    def test_when_it_runs_next(
        self, desk: ServiceDesk, change: dict[str, Any], runs_at: int | None
    ) -> None:
        assert next_run(desk) == NOW + HOUR
        desk.world.later(600_000)
        desk.put(**change)
        assert next_run(desk) == runs_at

    def test_one_that_is_enabled_again_goes_on_in_its_phase(self, desk: ServiceDesk) -> None:
        """What it missed meanwhile is not made up."""
        desk.put(enabled=False)
        desk.world.later(2 * HOUR + 600_000)
        assert desk.fire() == []
        desk.put()
        assert next_run(desk) == NOW + 3 * HOUR

    def test_no_run_in_the_future(self, desk: ServiceDesk) -> None:
        with pytest.raises(InvalidRequest):
            desk.put("past", schedule="cron(0 0 1 1 ? 1999)")
        with pytest.raises(InvalidRequest):
            desk.put(schedule="cron(0 0 1 1 ? 1999)")
        assert desk.services.job(ENV, "reports", "daily") == service_job()

    def test_disabled(self, desk: ServiceDesk) -> None:
        """No runs and no history; what runs goes on."""
        name = desk.run()
        called = desk.start()
        desk.put(enabled=False)
        desk.world.later(HOUR // 10)
        with pytest.raises(Conflict):
            desk.run()
        desk.beat(called)
        desk.finish(called)
        assert desk.status(name) is ExecutionStatus.SUCCESS
        assert names(desk) == [name]

    def test_dropped(self, desk: ServiceDesk) -> None:
        """It stops firing; executions go on to their end, in each state."""
        waiting = desk.run()
        refused = desk.call()
        desk.refuse(refused)
        out = (desk.run(), desk.call())[1]
        running = (desk.run(), desk.start())[1]
        desk.services.drop(ENV, "reports", "daily")
        desk.world.later(2 * HOUR)
        assert desk.fire() == []
        with pytest.raises(NotFound):
            desk.run()
        with pytest.raises(Conflict):
            desk.executions.retry(ENV, waiting)
        with pytest.raises(NotFound):
            desk.services.drop(ENV, "reports", "daily")
        with pytest.raises(NotFound):
            desk.services.job(ENV, "reports", "daily")
        desk.finish(refused)
        desk.worker.settle(out.claim, Kind.STARTED)
        desk.finish(out)
        desk.finish(running, FAIL)
        assert [desk.job(each.name).state for each in (refused, out, running)] == [
            State.COMPLETED, State.COMPLETED, State.FAILED,
        ]  # fmt: skip
        with pytest.raises(NotFound):
            desk.executions.retry(ENV, running.name)
        desk.assert_sound()

    def test_dropped_and_made_again(self, desk: ServiceDesk) -> None:
        """Its guid is that of before, its state is not; the lock is still held."""
        desk.put(exclusive=True)
        desk.run()
        desk.finish(desk.start())
        desk.run()
        called = desk.start()
        desk.services.drop(ENV, "reports", "daily")
        desk.put(exclusive=True)
        assert desk.job(desk.run()).error == LOCKED
        desk.finish(called, FAIL)
        assert left(desk) == {}

    def test_an_update_leaves_a_running_one_alone(self, desk: ServiceDesk) -> None:
        desk.run()
        desk.finish(desk.start())
        name = desk.run()
        called = desk.start()
        before = desk.world.snapshot()
        desk.put(payload="new", ttl=60, exclusive=True, schedule="rate(1 day)")
        after = desk.world.snapshot()
        assert after.jobs == before.jobs
        assert after.strings == before.strings
        assert after.sets == before.sets
        assert (
            after.zsets["lq:1:awaiting:services.reports"]
            == (before.zsets["lq:1:awaiting:services.reports"])
        )
        desk.finish(called)
        assert desk.job(name).spec.payload == b""

    def test_an_update_holds_for_what_begins_later(self, desk: ServiceDesk) -> None:
        desk.run()
        desk.put(payload="new")
        desk.run()
        assert [desk.call().claim.spec.payload for _ in range(2)] == [b"p", b"new"]


class TestSearchOfDefinitions:
    @pytest.fixture
    def jobs(self, desk: ServiceDesk) -> list[ServiceJob]:
        """Jobs of three services, one of whose names begins with another's."""
        wanted = [
            ServiceJob(service, job, TARGET, "rate(1 hour)", 60)
            for service in ("a", "a-b", "b")
            for job in ("x", "y")
        ]
        for each in wanted:
            desk.services.put(ENV, each)
        desk.services.drop(ENV, "reports", "daily")
        return sorted(wanted, key=lambda each: each.id)

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (JobFilter(), ["a-b/x", "a-b/y", "a/x", "a/y", "b/x", "b/y"]),
            (JobFilter(("a",)), ["a/x", "a/y"]),
            (JobFilter(("a/x",)), ["a/x"]),
            (JobFilter(("b", "a/x", "b/y", "b")), ["a/x", "b/x", "b/y"]),
            (JobFilter(()), []),
            (JobFilter(("c", "a/z")), []),
            (JobFilter(("",)), ["a-b/x", "a-b/y", "a/x", "a/y", "b/x", "b/y"]),
        ],
    )
    def test_by_scope(
        self, desk: ServiceDesk, jobs: list[ServiceJob], where: JobFilter, found: list[str]
    ) -> None:
        assert [each.id for each in desk.services.search(ENV, where)] == found

    def test_by_guid(self, desk: ServiceDesk, jobs: list[ServiceJob]) -> None:
        first, last = jobs[0], jobs[-1]
        guids = (first.guid(ENV), last.guid(ENV), last.guid("other"))
        assert desk.services.search(ENV, JobFilter(guids=guids)) == [first, last]
        assert desk.services.search(ENV, JobFilter((last.service,), guids)) == [last]
        assert desk.services.search(ENV, JobFilter(guids=())) == []

    def test_of_a_service(self, desk: ServiceDesk, jobs: list[ServiceJob]) -> None:
        assert [each.id for each in desk.services.jobs_of(ENV, "a")] == ["a/x", "a/y"]
        assert desk.services.jobs_of(ENV, "c") == []

    def test_more_than_one_chunk(self, desk: ServiceDesk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lambdaqueue.services.CHUNK", 2)
        for number in range(5):
            desk.put(f"j{number}")
        found = [each.job for each in desk.services.jobs_of(ENV, "reports")]
        assert found == ["daily", "j0", "j1", "j2", "j3", "j4"]

    def test_others_see_nothing(self, desk: ServiceDesk, jobs: list[ServiceJob]) -> None:
        assert desk.services.search(OTHER, JobFilter()) == []
        assert desk.services.jobs_of(OTHER, "a") == []
        with pytest.raises(NotFound):
            desk.services.job(OTHER, "a", "x")
        with pytest.raises(NotFound):
            desk.services.drop(OTHER, "a", "x")


class TestFiring:
    def test_by_the_clock(self, desk: ServiceDesk) -> None:
        desk.world.later(HOUR - 1)
        assert desk.fire() == []
        desk.world.later(1)
        (name,) = desk.fire()
        job = desk.job(name)
        assert (job.queue, job.event_ms) == ("services.reports", NOW + HOUR)
        assert job.occurrence == f"{JOB}_{NOW + HOUR}"
        assert names(desk) == [name]

    def test_any_number_of_schedulers_fire_once(self, desk: ServiceDesk) -> None:
        desk.world.later(HOUR)
        desk._follow()
        rounds = [
            [plan(each, desk.world.now, 0.0) for each in desk.schedules.due(10).schedules]
            for _ in range(3)
        ]
        fired = [desk.schedules.fire(each) for each in rounds]
        assert [len(names) for (names,) in fired] == [1, 0, 0]
        assert len(names(desk)) == 1

    def test_after_an_outage_once(self, desk: ServiceDesk) -> None:
        desk.world.later(5 * HOUR + 1)
        (name,) = desk.fire()
        assert desk.job(name).event_ms == NOW + 5 * HOUR
        assert desk.fire() == []
        assert next_run(desk) == NOW + 6 * HOUR

    def test_runs_overlap_where_nothing_forbids_it(self, desk: ServiceDesk) -> None:
        desk.put(ttl=86_400)
        for _ in range(2):
            desk.world.later(HOUR)
            desk.fire()
            desk.start()
        assert {desk.status(name) for name in names(desk)} == {ExecutionStatus.RUNNING}


class TestLastSuccess:
    def test_what_it_left(self, desk: ServiceDesk) -> None:
        name = desk.run()
        desk.world.later(1_500)
        desk.finish(desk.start())
        assert left(desk) == {
            "name": name,
            "scheduled_time": "2023-11-14T22:13:20.000Z",
            "scheduled_time_ms": NOW,
            "service_invoked_at_ms": NOW + 1_500,
            "state": {"page": 7},
            "status": "success",
            "summary": "done",
            "correlation_id": "c-1",
        }

    @pytest.mark.parametrize(
        "end",
        [
            lambda desk, called: desk.finish(called, FAIL),
            lambda desk, called: desk.finish(called, Final("fail", state={"page": 8})),
            lambda desk, called: desk.cancel(called.name),
            lambda desk, called: (desk.world.tick_through(60), desk.expire()),
        ],
        ids=["fail", "fail with a state", "cancel", "timeout"],
    )
    def test_only_a_success_leaves_something(
        self, desk: ServiceDesk, end: Callable[[ServiceDesk, Called], object]
    ) -> None:
        assert left(desk) == {}
        first = desk.run()
        desk.finish(desk.start())
        desk.run()
        end(desk, desk.start())
        assert left(desk)["name"] == first

    def test_each_job_has_its_own(self, desk: ServiceDesk) -> None:
        desk.put("weekly")
        desk.run("weekly")
        desk.finish(desk.start())
        assert left(desk) == {}

    def test_an_empty_success(self, desk: ServiceDesk) -> None:
        desk.run()
        desk.finish(desk.start(), Final("success"))
        told = left(desk)
        assert (told["state"], told["summary"], told["correlation_id"]) == (None, None, None)

    def test_a_test_leaves_nothing(self, desk: ServiceDesk) -> None:
        desk.executions.try_out(ENV, "reports", "daily")
        desk.finish(desk.start())
        assert left(desk) == {}


def _times_out(desk: ServiceDesk, called: Called) -> None:
    desk.worker.settle(called.claim, Kind.STARTED)
    desk.world.tick_through(60)
    assert desk.expire() == 1


def _dies_three_times(desk: ServiceDesk, called: Called) -> None:
    for _ in range(4):
        desk.world.kill(desk.worker)
        desk.worker = desk.world.worker()
        desk.worker.claim()


class TestExclusive:
    def test_the_next_one_fails_at_once(self, desk: ServiceDesk) -> None:
        desk.put(exclusive=True)
        first = desk.run()
        desk.world.later(HOUR)
        (second,) = desk.fire()
        third = desk.run()
        for name in (second, third):
            job = desk.job(name)
            assert (job.state, job.error, job.attempt) == (State.FAILED, LOCKED, 0)
            assert job.execution_status is ExecutionStatus.FAIL
            assert job.spec.payload == b"p"
        assert names(desk) == [first, second, third]
        assert desk.worker.claim_one().id == first
        assert desk.worker.claim() == []
        desk.assert_sound()

    @pytest.mark.parametrize(
        "end",
        [
            lambda desk, called: desk.finish(called),
            lambda desk, called: desk.finish(called, FAIL),
            lambda desk, called: desk.cancel(called.name),
            lambda desk, called: (desk.refuse(called), desk.cancel(called.name)),
            lambda desk, called: (desk.refuse(called), desk.finish(called)),
            lambda desk, called: desk.worker.settle(called.claim, Kind.FAILED, error="x: y"),
            lambda desk, called: desk.worker.settle(called.claim, Kind.COMPLETED),
            lambda desk, called: (desk.beat(called), desk.finish(called)),
            _times_out,
            _dies_three_times,
            lambda desk, called: (
                desk.world.cancel(called.name),
                desk.worker.settle(called.claim, Kind.RETRY, delay=1),
            ),
        ],
        ids=["success", "fail", "cancel", "cancel a retry", "success of a retry", "no start",
             "completed", "heartbeat and success", "timeout", "its workers die", "deleted"],
    )  # fmt: skip
    def test_every_end_frees_it(
        self, desk: ServiceDesk, end: Callable[[ServiceDesk, Called], object]
    ) -> None:
        desk.put(exclusive=True)
        first = desk.run()
        called = desk.call()
        assert desk.job(desk.run()).error == LOCKED
        end(desk, called)
        assert desk.job(first).state.ended
        assert desk.job(desk.run()).state is State.PENDING
        desk.assert_sound()

    def test_a_failed_start_keeps_it(self, desk: ServiceDesk) -> None:
        desk.put(exclusive=True)
        desk.run()
        desk.refuse(desk.call())
        assert desk.job(desk.run()).error == LOCKED

    def test_switched_on_while_two_run(self, desk: ServiceDesk) -> None:
        """It holds for what begins from now on, until all have ended."""
        runs = [(desk.run(), desk.start())[1] for _ in range(2)]
        desk.put(exclusive=True)
        for called in runs:
            assert desk.job(desk.run()).error == LOCKED
            desk.finish(called)
        assert desk.job(desk.run()).state is State.PENDING

    def test_switched_off_while_one_runs(self, desk: ServiceDesk) -> None:
        desk.put(exclusive=True)
        desk.run()
        desk.start()
        desk.put()
        assert desk.job(desk.run()).state is State.PENDING

    def test_another_job_has_another_lock(self, desk: ServiceDesk) -> None:
        for job in ("daily", "weekly"):
            desk.put(job, exclusive=True)
            assert desk.job(desk.run(job)).state is State.PENDING

    def test_a_test_neither_takes_nor_heeds_it(self, desk: ServiceDesk) -> None:
        desk.put(exclusive=True)
        desk.executions.try_out(ENV, "reports", "daily")
        desk.start()
        desk.run()
        name = desk.executions.try_out(ENV, "reports", "daily")
        assert desk.job(name).state is State.PENDING

    def test_two_runs_that_are_due_at_once(self, desk: ServiceDesk) -> None:
        """One call of a script fires both: the second finds the first."""
        desk.put(exclusive=True)
        desk.world.later(HOUR)
        desk._follow()
        (due,) = desk.schedules.due(10).schedules
        once = plan(due, desk.world.now, 0.0)
        twice = replace(once, occurrences=once.occurrences * 2)
        ((first, second),) = desk.schedules.fire([twice])
        assert desk.job(first).state is State.PENDING
        assert desk.job(second).error == LOCKED


class TestRemovedEnvironment:
    def test_with_executions_in_every_state(self, world: World) -> None:
        environments = EnvironmentStore(world.client, NOW)
        environments.found(OTHER, "other", b"s", "test")
        services, executions = ServiceJobs(world.client), Executions(world.client)
        desk = ServiceDesk(world)
        services.put(OTHER, service_job())
        ended = executions.run(OTHER, "reports", "daily")
        desk.finish(desk.start())
        for _ in range(3):
            executions.run(OTHER, "reports", "daily")
        running, refused, out = desk.start(), desk.call(), desk.call()
        desk.refuse(refused)
        desk.beat(out)
        executions.run(OTHER, "reports", "daily")
        executions.retry(OTHER, ended)
        done = list(remove_environment(world.client, "other", "test", lambda seconds: None))
        assert "1 schedules removed" in done
        assert done[2].startswith("queue services.reports removed, ")
        # The tombstones in the line belong to nobody.
        assert desk.worker.claim() == []
        assert not desk.worker.settle(out.claim, Kind.STARTED)
        assert_ended(world, OTHER)
        assert not world.client.exists(keys.deadlines)
        for called in (running, refused, out):
            with pytest.raises(NotFound):
                desk.beat(called)

    def test_while_a_webhook_is_out_that_starts_one(self, world: World) -> None:
        """It would go on for as long as it may, and the removal with it."""
        EnvironmentStore(world.client, NOW).found(OTHER, "other", b"s", "test")
        ServiceJobs(world.client).put(OTHER, service_job())
        Executions(world.client).run(OTHER, "reports", "daily")
        desk = ServiceDesk(world)
        called = desk.call()
        waits: list[float] = []

        def wait(seconds: float) -> None:
            assert len(waits) < 3, "it waits for the end of an execution"
            if not waits:
                assert desk.worker.settle(called.claim, Kind.STARTED)
            waits.append(seconds)

        assert list(remove_environment(world.client, "other", "test", wait))
        assert_ended(world, OTHER)
