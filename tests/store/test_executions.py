"""What becomes of an execution: its start, its callbacks, its tokens, its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.commands import Push
from lambdaqueue.endings import end
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound, TooManyRequests
from lambdaqueue.execution import ExecutionStatus, Final
from lambdaqueue.job import State
from lambdaqueue.service import Service
from lambdaqueue.spec import Spec
from tests.store.service_desk import FAIL, QUEUE, SUCCESS, TERMS, Called, ServiceDesk
from tests.store.world import ACTOR, ENV, NOW, TARGET, Hand, at_once

MAIL = keys.queue_ref(ENV, "mail")


def call_from_stock(desk: ServiceDesk) -> tuple[Hand, Called, str]:
    """Call the only execution as a stock worker does; return that, the call, and its RQ job."""
    stock = Hand(desk.world, 1, rq_worker="")
    entry = desk.world.client.lpop(keys.line)
    assert isinstance(entry, bytes)
    (claim,) = stock.look(1, [entry.decode()]).claims
    token = CallbackToken.mint(claim.id)
    assert at_once(stock.store.register(claim, token.digest)) == b""
    return stock, Called(claim, token.text, b""), entry.decode()


class TestStart:
    def test_what_runs_holds_no_worker(self, desk: ServiceDesk) -> None:
        name = desk.run()
        called = desk.start()
        snapshot = desk.world.snapshot()
        assert called.name == name
        assert (snapshot.held, snapshot.rq_jobs, snapshot.line) == ({}, {}, [])
        assert "token" not in snapshot.jobs[name]
        # Silence ends it first: two intervals of 30 s.
        assert snapshot.zsets[f"lq:1:awaiting:{QUEUE}"] == {name: NOW + 60_000}
        assert snapshot.zsets["lq:deadlines"] == {f"1:{QUEUE}": NOW + 60_000}
        assert snapshot.hashes[f"lq:1:queue:{QUEUE}"]["running"] == "1"
        job = desk.job(name)
        assert (job.state, job.execution_status) == (State.RUNNING, ExecutionStatus.RUNNING)
        assert (job.awaiting_since, job.event_ms) == (NOW, NOW)
        assert desk.worker.leave()

    def test_no_token_is_stored(self, desk: ServiceDesk) -> None:
        desk.run()
        called = desk.start()
        secret = called.token.partition("_")[2]
        assert secret not in repr(desk.world.snapshot())
        desk.finish(called)
        assert secret not in repr(desk.world.snapshot())

    @pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.UNSENT])
    def test_a_heartbeat_before_the_answer_starts_it(self, desk: ServiceDesk, kind: Kind) -> None:
        """Whatever the answer is then: who calls back has been reached."""
        name = desk.run()
        called = desk.call()
        desk.world.later(1_000)
        desk.beat(called, progress=12.5)
        assert desk.status(name) is ExecutionStatus.RUNNING
        assert desk.worker.settle(called.claim, kind, error="timeout: no answer")
        desk.assert_sound()
        job = desk.job(name)
        assert (job.state, job.awaiting_since) == (State.RUNNING, NOW + 1_000)
        assert (job.progress, job.heard_at, job.attempt) == (12.5, NOW + 1_000, 1)
        desk.finish(called)
        assert desk.status(name) is ExecutionStatus.SUCCESS

    @pytest.mark.parametrize("kind", Kind)
    def test_an_end_before_the_answer_ends_it(self, desk: ServiceDesk, kind: Kind) -> None:
        name = desk.run()
        called = desk.call()
        desk.finish(called)
        assert not desk.worker.settle(called.claim, kind)
        desk.assert_sound()
        job = desk.job(name)
        assert (job.state, job.final, job.awaiting_since) == (State.COMPLETED, SUCCESS, None)
        assert desk.worker.leave()

    def test_its_worker_may_die(self, desk: ServiceDesk) -> None:
        """It answered by a heartbeat: nobody need call it again."""
        name = desk.run()
        called = desk.call()
        desk.beat(called)
        assert desk.world.kill(desk.worker) == (0, 1)
        desk.assert_sound()
        desk.finish(called)
        job = desk.job(name)
        assert (job.execution_status, job.attempt) == (ExecutionStatus.SUCCESS, 1)

    def test_its_lease_may_run_out(self, desk: ServiceDesk) -> None:
        """The worker lives on, and settles what it no longer holds."""
        name = desk.run()
        called = desk.call()
        desk.beat(called)
        for _ in range(4):
            desk.world.tick_through(9)
            desk.worker.beat()
        assert desk.world.upkeep.reclaim() == (0, 0)
        assert not desk.worker.settle(called.claim, Kind.STARTED)
        desk.assert_sound()
        desk.finish(called)
        assert desk.status(name) is ExecutionStatus.SUCCESS

    @pytest.mark.parametrize(
        "end",
        [
            lambda desk, called: desk.finish(called),
            lambda desk, called: desk.cancel(called.name),
            lambda desk, called: [desk.beat(called), desk.worker.settle(called.claim, Kind.RETRY)],
        ],
        ids=["end", "cancel", "heartbeat"],
    )
    def test_its_worker_may_take_another_suspect(
        self, desk: ServiceDesk, end: Callable[[ServiceDesk, Called], object]
    ) -> None:
        """A worker has one at a time, and this one is none any more."""
        for _ in range(2):
            desk.run()
        desk.call()
        desk.call()
        assert desk.world.kill(desk.worker) == (2, 1)
        desk.worker = desk.world.worker()
        suspect = desk.call()
        assert desk.worker.claim() == []
        end(desk, suspect)
        assert desk.call().name != suspect.name
        desk.assert_sound()

    def test_a_lost_start_is_repeated(self, desk: ServiceDesk) -> None:
        name = desk.run()
        desk.call()
        assert desk.world.kill(desk.worker) == (1, 1)
        desk.worker = desk.world.worker()
        assert desk.start().claim.attempt == 2
        assert desk.status(name) is ExecutionStatus.RUNNING

    def test_a_stock_worker_starts_one(self, desk: ServiceDesk) -> None:
        """RQ keeps that worker's books, so ours say nothing of the job."""
        name = desk.run()
        stock, called, _ = call_from_stock(desk)
        assert stock.settle(called.claim, Kind.STARTED)
        desk.beat(called)
        desk.assert_sound()
        desk.finish(called)
        assert stock.leave()
        assert desk.status(name) is ExecutionStatus.SUCCESS

    def test_a_stock_worker_is_overtaken(self, desk: ServiceDesk) -> None:
        desk.run()
        stock, called, entry = call_from_stock(desk)
        desk.finish(called)
        assert not stock.settle(called.claim, Kind.STARTED)
        assert stock.leave()
        # Its RQ job is RQ's to delete: nothing but that may be left.
        assert list(desk.world.snapshot().rq_jobs) == [entry]


class TestTokens:
    def test_that_of_the_newest_attempt_counts(self, desk: ServiceDesk) -> None:
        name = desk.push()
        first = desk.call()
        second = desk.next_attempt(first)
        desk.assert_over(first, "REPLACED")
        desk.beat(second)
        desk.finish(second)
        desk.assert_over(first, "REPLACED")
        assert desk.job(name).attempt == 2

    def test_that_of_a_failed_start_counts_until_the_next_one(self, desk: ServiceDesk) -> None:
        """It wins if it comes while the next attempt is being prepared."""
        name = desk.push()
        first = desk.call()
        desk.refuse(first)
        desk.world.later(10_000)
        desk.world.upkeep.tick()
        claim = desk.worker.claim_one()
        desk.beat(first)
        token = CallbackToken.mint(name)
        assert at_once(desk.worker.store.register(claim, token.digest)) is None
        assert desk.worker.settle(claim, Kind.UNSENT)
        desk.assert_sound()
        job, stored = desk.job(name), desk.world.snapshot().jobs[name]
        assert (job.execution_status, job.attempt) == (ExecutionStatus.RUNNING, 1)
        assert stored["failures"] == "0"
        desk.finish(first, FAIL)
        assert desk.job(name).state is State.RETRY

    def test_whoever_holds_the_job_no_more_registers_nothing(self, desk: ServiceDesk) -> None:
        desk.push()
        called = desk.call()
        desk.refuse(called)
        token = CallbackToken.mint(called.name)
        assert at_once(desk.worker.store.register(called.claim, token.digest)) is None
        desk.beat(called)

    @pytest.mark.parametrize(
        "forge",
        [
            lambda token: CallbackToken.mint(token.partition("_")[0]).text,
            lambda token: "0" * 13 + "1_" + token.partition("_")[2],
            lambda token: token[:-1],
            lambda token: token + "=",
            lambda token: token + "A",
            lambda token: token.upper(),
            lambda token: token.swapcase(),
            lambda token: token.partition("_")[0],
            lambda token: token.partition("_")[2],
            lambda token: "",
            lambda token: token + "\n",
            lambda token: "*",
        ],
    )
    def test_what_never_was_one(self, desk: ServiceDesk, forge: Callable[[str], str]) -> None:
        desk.run()
        called = desk.start()
        forged = Called(called.claim, forge(called.token), None)
        before = desk.world.snapshot()
        for _ in ("while it runs", "after its end"):
            with pytest.raises(NotFound):
                desk.beat(forged)
            with pytest.raises(NotFound):
                desk.finish(forged)
            before.lifetimes.clear()
            after = desk.world.snapshot()
            after.lifetimes.clear()
            assert after == before
            if called.name in before.jobs:
                desk.finish(called)
                before = desk.world.snapshot()

    @pytest.mark.parametrize(
        ("end", "status"),
        [
            (lambda desk, called: desk.finish(called), "SUCCESS"),
            (lambda desk, called: desk.finish(called, FAIL), "FAIL"),
            (lambda desk, called: desk.cancel(called.name), "CANCELLED"),
            (lambda desk, called: _wait_in_vain(desk), "TIMEOUT"),
        ],
        ids=["success", "fail", "cancelled", "timeout"],
    )
    def test_after_the_end(
        self, desk: ServiceDesk, end: Callable[[ServiceDesk, Called], object], status: str
    ) -> None:
        desk.run()
        called = desk.start()
        end(desk, called)
        desk.assert_over(called, status)

    @pytest.mark.parametrize("final", [SUCCESS, FAIL], ids=["success", "fail"])
    def test_the_same_end_again_is_fine(self, desk: ServiceDesk, final: Final) -> None:
        name = desk.run()
        called = desk.start()
        desk.finish(called, final)
        ended = desk.job(name)
        desk.finish(called, final)
        assert desk.job(name) == ended

    def test_the_same_failure_again_is_fine_between_attempts(self, desk: ServiceDesk) -> None:
        name = desk.push()
        called = desk.start()
        desk.finish(called, FAIL)
        waiting = desk.job(name)
        desk.finish(called, FAIL)
        assert desk.job(name) == waiting
        assert (waiting.state, waiting.error) == (State.RETRY, "fail: out of paper")
        desk.assert_over(called, "FAIL")

    def test_the_same_failure_again_is_fine_later_on(self, desk: ServiceDesk) -> None:
        """Its answer got lost, and meanwhile the next attempt began, and ended."""
        name = desk.push()
        first = desk.start()
        desk.finish(first, FAIL)
        desk.world.later(1_000)
        desk.world.upkeep.tick()
        second = desk.start()
        running = desk.job(name)
        desk.finish(first, FAIL)
        assert desk.job(name) == running
        desk.assert_over(first, "REPLACED")
        desk.finish(second)
        ended = desk.job(name)
        desk.finish(first, FAIL)
        assert desk.job(name) == ended
        desk.assert_over(first, "REPLACED")

    def test_a_missed_attempt_is_over(self, desk: ServiceDesk) -> None:
        name = desk.push()
        called = desk.start()
        _wait_in_vain(desk)
        assert desk.job(name).state is State.RETRY
        desk.assert_over(called, "TIMEOUT")

    def test_only_the_last_are_remembered(self, desk: ServiceDesk) -> None:
        """A key may be pushed for ever, each time while its job runs."""
        first = None
        for _ in range(70):
            desk.push("k")
            called = desk.start()
            first = first or called
            desk.push("k")
            desk.finish(called)
        job = desk.world.snapshot().jobs[called.name]
        assert len(job["tokens"].split()) == 64
        desk.assert_over(called, "SUCCESS")
        assert first is not None
        with pytest.raises(NotFound):
            desk.beat(first)


def _wait_in_vain(desk: ServiceDesk) -> None:
    desk.world.tick_through(60)
    assert desk.expire() == 1


def _failed(desk: ServiceDesk, called: Called) -> None:
    desk.refuse(called)


def _failed_and_ready_again(desk: ServiceDesk, called: Called) -> None:
    desk.refuse(called)
    desk.world.later(10_000)
    desk.world.upkeep.tick()
    assert desk.world.line == [called.name]


def _lost(desk: ServiceDesk, called: Called) -> None:
    desk.world.queues.pause(ACTOR, "mail")
    assert desk.world.kill(desk.worker) == (1, 1)
    desk.worker = desk.world.worker()
    assert desk.world.snapshot().jobs[called.name]["suspect"] == "1"


def _lost_and_ready_again(desk: ServiceDesk, called: Called) -> None:
    assert desk.world.kill(desk.worker) == (1, 1)
    desk.worker = desk.world.worker()
    assert desk.world.line == [called.name]


def _handed_back(desk: ServiceDesk, called: Called) -> None:
    desk.worker.settle(called.claim, Kind.RELEASED)


class TestRevive:
    """A start that was taken for a failure, or lost, while the service had been reached."""

    BEFORE = pytest.mark.parametrize(
        "before",
        [_failed, _failed_and_ready_again, _lost, _lost_and_ready_again, _handed_back],
    )

    @BEFORE
    def test_by_a_heartbeat(
        self, desk: ServiceDesk, before: Callable[[ServiceDesk, Called], None]
    ) -> None:
        name = desk.push()
        called = desk.call()
        before(desk, called)
        assert desk.status(name) is ExecutionStatus.INVOKED
        desk.beat(called)
        desk.assert_sound()
        job = desk.job(name)
        assert (job.state, job.awaiting_since) == (State.RUNNING, desk.world.now)
        assert {"suspect", "losses", "admission"}.isdisjoint(desk.world.snapshot().jobs[name])
        self.assert_one_retry_is_left(desk, called)

    @BEFORE
    def test_by_a_failure(
        self, desk: ServiceDesk, before: Callable[[ServiceDesk, Called], None]
    ) -> None:
        """It's the same failure that was counted already."""
        desk.push()
        called = desk.call()
        before(desk, called)
        self.assert_one_retry_is_left(desk, called)

    @BEFORE
    def test_by_success(
        self, desk: ServiceDesk, before: Callable[[ServiceDesk, Called], None]
    ) -> None:
        name = desk.push()
        called = desk.call()
        began = desk.world.now
        before(desk, called)
        desk.world.later(500)
        desk.finish(called)
        desk.assert_sound()
        job = desk.job(name)
        assert (job.state, job.attempt, job.max_attempts) == (State.COMPLETED, 1, 2)
        (made,) = job.attempts
        if before is not _handed_back:  # nothing has been noted of it
            assert (made.started_at, made.error) == (began, None)
        self.assert_the_line_is_clean(desk)

    def assert_one_retry_is_left(self, desk: ServiceDesk, called: Called) -> None:
        desk.finish(called, FAIL)
        desk.assert_sound()
        job = desk.job(called.name)
        assert (job.state, job.attempt) == (State.RETRY, 1)
        assert desk.world.snapshot().jobs[called.name]["failures"] == "1"
        assert job.due_at == desk.world.now + 1_000
        desk.world.queues.resume(ACTOR, "mail")
        assert desk.worker.claim() == []  # a tombstone, if it was ready
        desk.world.later(1_000)
        desk.world.upkeep.tick()
        again = desk.start()
        assert (again.name, again.claim.attempt, again.claim.failures) == (called.name, 2, 1)
        desk.finish(again, FAIL)
        assert desk.job(called.name).state is State.FAILED
        self.assert_the_line_is_clean(desk)

    def assert_the_line_is_clean(self, desk: ServiceDesk) -> None:
        """Once the tombstones are popped, there's room for as many jobs as before."""
        assert desk.worker.claim() == []
        snapshot = desk.world.snapshot()
        assert (snapshot.line, snapshot.ready, snapshot.rq_jobs) == ([], {}, {})
        assert "lq:in_line" not in snapshot.hashes

    def test_the_next_run_learns_when_it_began(self, desk: ServiceDesk) -> None:
        desk.run()
        called = desk.call()
        desk.refuse(called)
        desk.world.later(5_000)
        desk.finish(called)
        desk.run()
        assert f'"service_invoked_at_ms":{NOW}'.encode() in (desk.call().left or b"")


class TestCancel:
    @pytest.mark.parametrize(
        "bring",
        [
            lambda desk: None,
            lambda desk: desk.call(),
            lambda desk: desk.start(),
            lambda desk: desk.beat(desk.call()),
            lambda desk: desk.refuse(desk.call()),
            lambda desk: _failed_and_ready_again(desk, desk.call()),
            lambda desk: desk.beat(desk.start(), progress=1.0),
        ],
        ids=["ready", "out", "awaiting", "heard", "waiting again", "ready again", "at work"],
    )
    def test_in_every_state(
        self, desk: ServiceDesk, bring: Callable[[ServiceDesk], object]
    ) -> None:
        name = desk.run()
        bring(desk)
        assert desk.world.client.exists(keys.unfinished(ENV, "reports/daily"))
        cancelled = desk.cancel(name)
        desk.assert_sound()
        assert (cancelled.state, cancelled.error) == (State.CANCELLED, "cancelled: on request")
        assert cancelled.execution_status is ExecutionStatus.CANCELLED
        assert not desk.world.client.exists(keys.unfinished(ENV, "reports/daily"))
        assert name not in desk.world.snapshot().jobs
        with pytest.raises(Conflict):
            desk.cancel(name)
        desk.worker.claim()
        assert desk.worker.leave()

    def test_the_call_that_is_out_is_of_no_more_interest(self, desk: ServiceDesk) -> None:
        name = desk.run()
        called = desk.call()
        desk.cancel(name)
        desk.assert_over(called, "CANCELLED")
        assert not desk.worker.settle(called.claim, Kind.STARTED)
        assert desk.status(name) is ExecutionStatus.CANCELLED

    def test_what_is_none(self, desk: ServiceDesk) -> None:
        job = desk.world.push().job.id
        for name in (job, "0" * 14, "../etc", ""):
            with pytest.raises(NotFound):
                desk.cancel(name)
        assert desk.world.job(job).state is State.PENDING


class TestChangedWhileItRuns:
    """Items with a key that are pushed, or deleted, while their endpoint works."""

    @pytest.mark.parametrize(
        ("final", "state", "error"),
        [
            (SUCCESS, State.COMPLETED, None),
            (FAIL, State.CANCELLED, "superseded: by a newer version"),
            (None, State.CANCELLED, "superseded: by a newer version"),
        ],
        ids=["success", "fail", "timeout"],
    )
    def test_replaced(
        self, desk: ServiceDesk, final: Final | None, state: State, error: str | None
    ) -> None:
        name = desk.push("k")
        called = desk.start()
        assert desk.push("k") == name
        assert desk.world.job(name).pending
        if final:
            desk.finish(called, final)
        else:
            _wait_in_vain(desk)
        desk.assert_sound()
        old, new = desk.world.ended(name), desk.job(name)
        assert (old.state, old.version, old.error) == (state, 1, error)
        assert (new.state, new.version, new.awaiting_since) == (State.PENDING, 2, None)
        old_versions = {"awaiting", "ends", "beaten", "heard", "progress", "failed"}
        assert old_versions.isdisjoint(desk.world.snapshot().jobs[name])
        # The old token speaks for the old version alone.
        if final:
            desk.finish(called, final)
        desk.assert_over(called, str(old.execution_status).upper())
        second = desk.start()
        desk.assert_over(called, str(old.execution_status).upper())
        desk.finish(second)
        assert desk.job(name).version == 2
        desk.assert_over(called, "REPLACED")

    def test_replaced_and_cancelled(self, desk: ServiceDesk) -> None:
        """The version that runs has ended; the one that was asked for later is another matter."""
        name = desk.push("k")
        called = desk.start()
        desk.push("k")
        assert desk.cancel(name).state is State.CANCELLED
        desk.assert_sound()
        new = desk.job(name)
        assert (new.state, new.version, new.awaiting_since) == (State.PENDING, 2, None)
        desk.assert_over(called, "CANCELLED")
        desk.finish(desk.start())

    def test_replaced_by_what_answers_at_once(self, desk: ServiceDesk) -> None:
        name = desk.push("k")
        called = desk.start()
        desk.world.jobs.push(ENV, "mail", [Push(Spec(b"", target=TARGET), "k")])
        desk.beat(called)
        desk.finish(called)
        desk.assert_sound()
        assert desk.worker.settle(desk.worker.claim_one())
        assert desk.world.ended(name).awaiting_since is None

    def test_replaced_while_it_waits_for_another_attempt(self, desk: ServiceDesk) -> None:
        name = desk.push("k")
        called = desk.call()
        desk.refuse(called)
        assert desk.push("k") == name
        desk.assert_sound()
        with pytest.raises(Exception, match="The job execution status is "):
            desk.beat(called)
        assert desk.job(name).state is State.PENDING

    @pytest.mark.parametrize(
        ("final", "state"),
        [(SUCCESS, State.COMPLETED), (FAIL, State.CANCELLED), (None, State.CANCELLED)],
        ids=["success", "fail", "timeout"],
    )
    def test_deleted(self, desk: ServiceDesk, final: Final | None, state: State) -> None:
        """No attempt follows; whoever works on may still end it."""
        name = desk.push("k")
        called = desk.start()
        desk.world.cancel(name)
        desk.beat(called)
        if final:
            desk.finish(called, final)
        else:
            _wait_in_vain(desk)
        desk.assert_sound()
        assert desk.job(name).state is state

    def test_deleted_before_the_answer(self, desk: ServiceDesk) -> None:
        name = desk.push()
        called = desk.call()
        desk.world.cancel(name)
        assert desk.worker.settle(called.claim, Kind.STARTED)
        assert desk.status(name) is ExecutionStatus.RUNNING
        desk.cancel(name)
        assert desk.status(name) is ExecutionStatus.CANCELLED
        desk.assert_sound()

    def test_its_queue_stays(self, desk: ServiceDesk) -> None:
        desk.push()
        called = desk.start()
        with pytest.raises(Conflict):
            desk.world.queues.drop(ACTOR, "mail")
        desk.finish(called)
        desk.world.queues.drop(ACTOR, "mail")
        assert desk.world.client.zscore(keys.deadlines, MAIL) is None

    def test_run_now_finds_it_running(self, desk: ServiceDesk) -> None:
        name = desk.push()
        desk.start()
        with pytest.raises(Conflict):
            desk.world.jobs.run_now(name, ENV, None)


class TestRate:
    def test_ten_in_a_second(self, desk: ServiceDesk) -> None:
        desk.run()
        called = desk.start()
        for _ in range(10):
            desk.beat(called)
        desk.world.later(999)
        before = desk.world.snapshot()
        with pytest.raises(TooManyRequests) as caught:
            desk.beat(called, progress=99.0)
        assert (caught.value.limit, caught.value.window, caught.value.after) == (10, 1, 1)
        assert desk.world.snapshot().jobs == before.jobs
        desk.world.later(1)
        desk.beat(called)

    def test_never_more_in_any_second(self, desk: ServiceDesk) -> None:
        """Also not around the border of two."""
        desk.run()
        called = desk.start()
        taken: list[int] = []
        desk.world.later(700)
        for _ in range(300):
            desk.world.later(10)
            with suppress(TooManyRequests):
                desk.beat(called)
                taken.append(desk.world.now)
        for start in taken:
            assert sum(start <= at < start + 1_000 for at in taken) <= 10
        assert len(taken) >= 25

    def test_each_has_its_own(self, desk: ServiceDesk) -> None:
        for _ in range(2):
            desk.run()
        first, second = desk.start(), desk.start()
        for _ in range(10):
            desk.beat(first)
            desk.beat(second)

    def test_it_may_end_all_the_same(self, desk: ServiceDesk) -> None:
        name = desk.run()
        called = desk.start()
        for _ in range(10):
            desk.beat(called)
        desk.finish(called)
        assert desk.status(name) is ExecutionStatus.SUCCESS

    def test_a_clock_that_was_set_back(self, desk: ServiceDesk) -> None:
        desk.run()
        called = desk.start()
        for _ in range(10):
            desk.beat(called)
        desk.world.later(-60_000)
        desk.beat(called)

    def test_more_than_was_agreed_is_too_long(self, desk: ServiceDesk) -> None:
        desk.run()
        called = desk.start()
        desk.beat(called, extend=TERMS.ttl)
        with pytest.raises(InvalidRequest) as caught:
            desk.beat(called, extend=TERMS.ttl + 1)
        (issue,) = caught.value.issues
        assert (issue.path, issue.code) == (("extend_seconds",), "out_of_range")


class TestFromReview:
    """What a reviewer has found."""

    def test_twice_in_one_call(self, desk: ServiceDesk) -> None:
        """One ends it, the other finds it gone: nothing is counted twice."""
        name = desk.run()
        called = desk.start()
        underway = desk.store.read(name)
        assert underway is not None
        ending = end(underway, SUCCESS, desk.world.now, 0.0)
        assert desk.store.end([ending, ending], underway.token) == [True, False]
        assert called.name == name
        desk.assert_sound()

    def test_a_plain_job_is_no_execution_though_an_async_one_follows(
        self, desk: ServiceDesk
    ) -> None:
        name = desk.world.push(key="k").job.id
        desk.worker.claim_one()
        assert desk.push("k") == name
        with pytest.raises(NotFound):
            desk.cancel(name)
        assert desk.world.job(name).pending

    def test_an_execution_is_one_though_a_plain_job_follows(self, desk: ServiceDesk) -> None:
        name = desk.push("k")
        called = desk.start()
        desk.world.push(key="k")
        assert desk.status(name) is ExecutionStatus.RUNNING
        desk.finish(called)
        assert desk.world.job(name).spec.terms is None

    def test_a_definition_made_anew_learns_nothing_of_the_old_ones_runs(
        self, desk: ServiceDesk
    ) -> None:
        desk.run()
        called = desk.start()
        desk.services.drop(ENV, "reports", "daily")
        desk.world.later(1)
        desk.put()
        desk.finish(called)
        desk.run()
        assert desk.call().left == b""

    def test_a_disabled_job_is_not_retried(self, desk: ServiceDesk) -> None:
        name = desk.run()
        desk.finish(desk.start())
        desk.put(enabled=False)
        with pytest.raises(Conflict):
            desk.executions.retry(ENV, name)

    def test_a_page_does_not_move_with_heartbeats(self, desk: ServiceDesk) -> None:
        service = Service(desk.world.client, desk.world.now)
        called = [(desk.push(), desk.start())[1] for _ in range(3)]
        seen, cursor = [], None
        for _ in range(3):
            page = service.items(ENV, "mail", State.RUNNING, 1, cursor)
            seen += [job.id for job in page.rows]
            cursor = page.cursor
            desk.world.later(1_000)
            desk.beat(called[len(seen) - 1])
        assert seen == [each.name for each in called]
