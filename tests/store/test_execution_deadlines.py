"""Executions that nobody ends in time: by two clocks, and in a race with their services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind, Settlement
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.callbacks import Callbacks
from lambdaqueue.commands import Push
from lambdaqueue.endings import Underway, end
from lambdaqueue.execution import ExecutionStatus, Final, Terms
from lambdaqueue.executions import ExecutionStore
from lambdaqueue.job import Job, State
from lambdaqueue.spec import Spec
from tests.store.service_desk import FAIL, SUCCESS, TERMS, Called, ServiceDesk
from tests.store.world import ENV, NOW, TARGET, at_once

LONG = Terms(ttl=7_200_000, heartbeat=30_000)


class TestSilence:
    def test_two_intervals(self, desk: ServiceDesk) -> None:
        name = desk.run()
        desk.start()
        desk.world.tick_through(59)
        assert desk.expire() == 0
        desk.world.tick_through(1)
        assert desk.expire() == 1
        desk.assert_sound()
        job = desk.job(name)
        assert (job.state, job.error) == (
            State.FAILED, "heartbeat_missed: no heartbeat for 60000 ms",
        )  # fmt: skip
        assert job.execution_status is ExecutionStatus.TIMEOUT

    def test_heartbeats_prolong_it(self, desk: ServiceDesk) -> None:
        name = desk.run()
        called = desk.start()
        for _ in range(5):
            desk.world.tick_through(59)
            assert desk.expire() == 0
            desk.beat(called)
        desk.world.tick_through(59)
        assert desk.expire() == 0
        desk.world.tick_through(1)
        assert desk.expire() == 1
        assert desk.status(name) is ExecutionStatus.TIMEOUT

    def test_it_counts_from_the_answer(self, desk: ServiceDesk) -> None:
        """Before that nobody knew that the service had begun."""
        name = desk.run()
        called = desk.call()
        desk.world.tick_through(9)
        desk.worker.beat()
        desk.world.tick_through(9)
        assert desk.expire() == 0
        desk.worker.settle(called.claim, Kind.STARTED)
        desk.world.tick_through(59)
        assert desk.expire() == 0
        desk.world.tick_through(1)
        assert desk.expire() == 1
        assert desk.job(name).awaiting_since == NOW + 18_000

    def test_an_outage_is_nobodys_silence(self, desk: ServiceDesk) -> None:
        """All schedulers, or Redis itself, were away for an hour: who could have been heard?"""
        desk.push(terms=LONG)
        desk.start()
        desk.world.tick_through(10)
        desk.world.later(3_600_000)
        desk.world.upkeep.tick()
        assert desk.expire() == 0
        # 10 s went before the outage, and one tick counts for a second at most.
        assert desk.store.due(100).next == desk.world.now + 49_000
        desk.world.tick_through(48)
        assert desk.expire() == 0
        desk.world.tick_through(1)
        assert desk.expire() == 1

    def test_of_an_item_it_is_a_failed_attempt(self, desk: ServiceDesk) -> None:
        name = desk.push()
        desk.start()
        desk.world.tick_through(60)
        assert desk.expire() == 1
        desk.assert_sound()
        job = desk.job(name)
        assert (job.state, job.execution_status) == (State.RETRY, ExecutionStatus.INVOKED)
        assert (job.due_at, job.error) == (
            desk.world.now + 1_000, "heartbeat_missed: no heartbeat for 60000 ms",
        )  # fmt: skip
        desk.world.tick_through(1)
        again = desk.start()
        assert (again.claim.attempt, again.claim.failures) == (2, 1)
        desk.world.tick_through(60)
        assert desk.expire() == 1
        ended = desk.job(name)
        assert (ended.state, ended.execution_status) == (State.FAILED, ExecutionStatus.TIMEOUT)
        assert [each.error for each in ended.attempts] == [job.error, job.error]
        assert [each.duration for each in ended.attempts] == [60_000, 60_000]


class TestEnd:
    def test_its_end_is_a_time_of_day(self, desk: ServiceDesk) -> None:
        """Also when there was an outage, and however alive the service is."""
        name = desk.run()
        called = desk.start()
        desk.world.later(TERMS.ttl - 1)
        assert desk.expire() == 0
        desk.beat(called)
        desk.world.later(1)
        assert desk.expire() == 1
        job = desk.job(name)
        assert job.error == "callback_timeout: no end within 600000 ms of the start"
        assert job.execution_status is ExecutionStatus.TIMEOUT

    @pytest.mark.parametrize(
        ("at", "extend", "ends"),
        [
            # Less than is left changes nothing.
            (100_000, 499_999, 600_000),
            (100_000, 500_001, 600_001),
            (599_999, 600_000, 1_199_999),
            # Late, but nobody has seen that yet.
            (600_000, 1_000, 601_000),
            (0, 1, 600_000),
        ],
    )
    def test_it_may_be_extended(self, desk: ServiceDesk, at: int, extend: int, ends: int) -> None:
        desk.run()
        called = desk.start()
        desk.world.later(at)
        desk.beat(called, extend=extend)
        desk.world.later(ends - at - 1)
        assert desk.expire() == 0
        desk.world.later(1)
        assert desk.expire() == 1

    def test_an_extension_before_the_answer(self, desk: ServiceDesk) -> None:
        """It begins with that heartbeat: all of its time is left."""
        desk.run()
        called = desk.call()
        desk.world.later(5_000)
        desk.beat(called, extend=60_000)
        desk.worker.settle(called.claim, Kind.STARTED)
        desk.world.later(TERMS.ttl - 1)
        assert desk.expire() == 0
        desk.world.later(1)
        assert desk.expire() == 1

    def test_a_new_attempt_has_all_of_its_time(self, desk: ServiceDesk) -> None:
        desk.push()
        called = desk.start()
        desk.beat(called, extend=TERMS.ttl)
        desk.world.later(300_000)
        desk.finish(called, FAIL)
        desk.world.later(1_000)
        desk.world.upkeep.tick()
        desk.start()
        desk.world.later(TERMS.ttl - 1)
        assert desk.expire() == 0
        desk.world.later(1)
        assert desk.expire() == 1

    def test_what_an_update_changes_holds_for_the_next_run(self, desk: ServiceDesk) -> None:
        desk.run()
        desk.start()
        desk.put(ttl=60)
        desk.world.later(TERMS.ttl - 1)
        assert desk.expire() == 0
        desk.world.later(1)
        assert desk.expire() == 1


class TestRaces:
    """A callback and a deadline at once: whoever is first ends it, both learn how it ended."""

    def test_the_callback_is_first(self, desk: ServiceDesk) -> None:
        name, called, due = self.overdue(desk)
        desk.finish(called)
        assert desk.store.end([end(each, why, desk.world.now, 0.0) for each, why in due]) == [False]
        desk.finish(called)
        assert desk.status(name) is ExecutionStatus.SUCCESS
        desk.assert_sound()

    def test_the_deadline_is_first(self, desk: ServiceDesk) -> None:
        name, called, due = self.overdue(desk)
        ((underway, why),) = due
        assert desk.store.end([end(underway, why, desk.world.now, 0.0)]) == [True]
        ending = end(underway, SUCCESS, desk.world.now, 0.0)
        token = CallbackToken.parse(called.token)
        assert token is not None
        assert desk.store.end([ending], token.digest) == [False]
        desk.assert_over(called, "TIMEOUT")
        assert desk.status(name) is ExecutionStatus.TIMEOUT
        desk.assert_sound()

    def test_a_heartbeat_is_first(self, desk: ServiceDesk) -> None:
        name, called, due = self.overdue(desk)
        desk.beat(called)
        assert desk.store.end([end(each, why, desk.world.now, 0.0) for each, why in due]) == [False]
        assert desk.status(name) is ExecutionStatus.RUNNING
        desk.assert_sound()

    def test_a_cancellation_is_first(self, desk: ServiceDesk) -> None:
        name, _, due = self.overdue(desk)
        desk.cancel(name)
        assert desk.store.end([end(each, why, desk.world.now, 0.0) for each, why in due]) == [False]
        assert desk.status(name) is ExecutionStatus.CANCELLED

    def test_two_schedulers_see_the_same(self, desk: ServiceDesk) -> None:
        name = desk.push()
        desk.start()
        desk.world.tick_through(60)
        desk._follow()
        due = [desk.store.due(10).executions for _ in range(2)]
        endings = [[end(each, why, desk.world.now, 0.0) for each, why in one] for one in due]
        assert [desk.store.end(each) for each in endings] == [[True], [False]]
        assert desk.job(name).state is State.RETRY
        assert desk.world.snapshot().jobs[name]["failures"] == "1"

    def test_the_deadline_of_an_attempt_before(self, desk: ServiceDesk) -> None:
        name = desk.push()
        desk.start()
        desk.world.tick_through(60)
        desk._follow()
        due = desk.store.due(10).executions
        desk.expire()
        desk.world.tick_through(1)
        desk.start()
        assert desk.store.end([end(each, why, desk.world.now, 0.0) for each, why in due]) == [False]
        assert desk.status(name) is ExecutionStatus.RUNNING

    @pytest.mark.parametrize("final", [SUCCESS, FAIL], ids=["success", "fail"])
    def test_a_worker_takes_it_while_it_is_ended(self, desk: ServiceDesk, final: Final) -> None:
        """Between reading and ending: until the next attempt goes out, the old token counts."""
        name = desk.push()
        called = desk.call()
        desk.refuse(called, delay=1_000)
        desk.world.later(1_000)
        desk.world.upkeep.tick()
        desk._follow()
        hooked = Interrupted(desk, lambda: desk.worker.claim_one())
        callbacks = Callbacks(desk.world.client, desk.world.now)
        callbacks._executions = hooked
        callbacks.finish(called.token, final)
        job = desk.job(name)
        # The second attempt was never invoked: it isn't made, and uses up no retry.
        assert job.state is (State.COMPLETED if final is SUCCESS else State.RETRY)
        assert job.attempt == len(job.attempts) == 1
        desk.assert_sound()

    def overdue(self, desk: ServiceDesk) -> tuple[str, Called, tuple[tuple[Underway, str], ...]]:
        """An execution whose silence has been seen, but that has not been ended for it."""
        name = desk.run()
        called = desk.start()
        desk.world.tick_through(60)
        desk._follow()
        return name, called, desk.store.due(10).executions


class Interrupted(ExecutionStore):
    """Lets something happen after its first read."""

    def __init__(self, desk: ServiceDesk, between: Callable[[], object]) -> None:
        super().__init__(desk.world.client, desk.world.now)
        self._between = [between]

    def read(self, name: str) -> Underway | None:
        found = super().read(name)
        if self._between:
            self._between.pop()()
        return found


class TestMany:
    def test_five_hundred_at_once(self, desk: ServiceDesk) -> None:
        world, worker = desk.world, desk.worker
        spec = Spec(b"{}", target=TARGET, terms=TERMS)
        retried = replace(spec, retry=None)
        world.worker(slots=100_000)
        world.client.hset(keys.queue(ENV, "mail"), "window", 512)
        world.jobs.push(ENV, "mail", [Push(retried)] * 500)
        claims = worker.claim(500)
        for claim in claims:
            token = CallbackToken.mint(claim.id)
            at_once(worker.store.register(claim, token.digest))
        worker.settle_many([Settlement(claim, Kind.STARTED, log="[]") for claim in claims])
        assert len(claims) == 500
        due = desk.store.due(200)
        assert (due.executions, due.next) == ((), NOW + 60_000)
        world.later(TERMS.ttl)
        desk._follow()
        rounds = []
        while (due := desk.store.due(200)).executions:
            endings = [end(each, why, due.now, 0.5) for each, why in due.executions]
            assert due.next is not None
            assert due.next <= due.now
            rounds.append(sum(desk.store.end(endings)))
        assert rounds == [200, 200, 100]
        assert due.next is None
        desk.assert_sound()
        assert len(world.jobs.waiting(ENV, "mail", "0", 0, 1_000)) == 500

    def test_the_next_deadline_of_several_queues(self, desk: ServiceDesk) -> None:
        """The soonest is told, also of a queue whose first one ended."""
        desk.push()
        first = desk.start()
        desk.world.later(10_000)
        desk.push()
        desk.start()
        desk.world.later(10_000)
        desk.run()
        desk.start()
        desk._follow()
        assert desk.store.due(10).next == NOW + 60_000
        desk.finish(first)
        desk.world.later(40_000)
        desk._follow()
        assert desk.store.due(10).next == NOW + 70_000

    def test_one_that_is_more_patient_came_first(self, desk: ServiceDesk) -> None:
        """Of one queue the soonest deadline counts, whichever was set first."""
        patient = desk.push(terms=Terms(ttl=LONG.ttl, heartbeat=600_000))
        desk.start()
        desk.push()
        desk.start()
        assert desk.store.due(10).next == NOW + 60_000
        desk.world.tick_through(60)
        assert desk.expire() == 1
        assert desk.status(patient) is ExecutionStatus.RUNNING

    def test_nothing_is_watched_any_more(self, desk: ServiceDesk) -> None:
        desk.run()
        desk.finish(desk.start())
        desk.world.later(60_000)
        desk._follow()
        assert desk.store.due(10).next is None
        assert not desk.world.client.exists(keys.deadlines)

    def test_more_than_fifty_queues(self, desk: ServiceDesk) -> None:
        spec = Spec(b"{}", target=TARGET, terms=TERMS)
        names = []
        for number in range(60):
            (pushed,) = desk.world.jobs.push(ENV, f"q{number}", [Push(spec)])
            names.append(pushed.job.id)
            desk.start()
        desk.world.later(TERMS.ttl)
        assert [desk.expire(), desk.expire(), desk.expire()] == [50, 0, 10]
        assert desk.expire() == 0
        assert desk.store.due(1).next is None
        jobs: list[Job] = [desk.job(name) for name in names]
        assert {job.state for job in jobs} == {State.RETRY}
