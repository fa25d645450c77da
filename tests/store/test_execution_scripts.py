"""The scripts of executions: sent twice, on a full Redis, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.connection import Scripts
from lambdaqueue.errors import NotFound, StorageFull
from lambdaqueue.execution import ExecutionStatus
from lambdaqueue.job import State
from tests.store.desk import full
from tests.store.service_desk import FAIL, QUEUE, SUCCESS, Called, ServiceDesk
from tests.store.snapshot import Snapshot
from tests.store.world import ACTOR, ENV, at_once

REF = keys.queue_ref(ENV, QUEUE)
JOB = "reports/daily"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, tuple[Any, ...], Any]]:
    """All calls of scripts, with their answers."""
    calls: list[tuple[str, Any, tuple[Any, ...], Any]] = []
    run = Scripts.run

    def noting(self: Scripts, name: str, keys_: Any, *args: Any) -> Any:
        answer = run(self, name, keys_, *args)
        calls.append((name, keys_, args, answer))
        return answer

    monkeypatch.setattr(Scripts, "run", noting)
    return calls


def _register(desk: ServiceDesk, claim: Any) -> bytes | None:
    digest = CallbackToken.mint(claim.id).digest
    return at_once(desk.worker.store.register(claim, digest))


class TestResends:
    @pytest.mark.parametrize(
        ("script", "act"),
        [
            ("start_execution", lambda desk, called: desk.run()),
            ("start_execution", lambda desk, called: desk.run("alone")),
            ("start_execution", lambda desk, called: _try_out(desk)),
            ("cancel", lambda desk, called: desk.cancel(called.name)),
        ],
        ids=["run", "run that is refused", "test", "cancel"],
    )  # fmt: skip
    def test_by_request_id(
        self,
        desk: ServiceDesk,
        sent: list[Any],
        script: str,
        act: Callable[[ServiceDesk, Called], object],
    ) -> None:
        desk.put("alone", exclusive=True)
        desk.run("alone")
        desk.start()
        desk.run()
        called = desk.start()
        act(desk, called)
        name, keys_, args, answer = next(each for each in sent[::-1] if each[0] == script)
        assert keys_[0].startswith("lq:request:")
        before = desk.world.snapshot()
        for _ in range(2):
            assert Scripts(desk.world.client).run(name, keys_, *args) == answer
            assert desk.world.snapshot() == before
        desk.assert_sound()

    @pytest.mark.parametrize("final", [SUCCESS, FAIL], ids=["success", "fail"])
    def test_an_end_finds_it_ended(self, desk: ServiceDesk, sent: list[Any], final: Any) -> None:
        for push in (desk.run, desk.push):
            push()
            called = desk.start()
            desk.finish(called, final)
            name, keys_, args, answer = sent[-1]
            assert (name, answer) == ("end_executions", [b"ended"])
            before = desk.world.snapshot()
            assert Scripts(desk.world.client).run(name, keys_, *args) == [b"gone"]
            assert desk.world.snapshot() == before

    def test_a_missed_deadline_is_ended_once(self, desk: ServiceDesk, sent: list[Any]) -> None:
        desk.push()
        desk.start()
        desk.world.tick_through(60)
        assert desk.expire() == 1
        name, keys_, args, _ = sent[-1]
        before = desk.world.snapshot()
        assert Scripts(desk.world.client).run(name, keys_, *args) == [b"gone"]
        assert desk.world.snapshot() == before

    def test_by_nature(self, desk: ServiceDesk, sent: list[Any]) -> None:
        """A token is registered, and a deadline looked at, however often that's asked for."""
        desk.run()
        desk.call()
        self.again(desk, sent, "invoke")
        desk.world.tick_through(1)
        desk.expire()
        self.again(desk, sent, "due_executions")

    def again(self, desk: ServiceDesk, sent: list[Any], script: str) -> None:
        name, keys_, args, answer = next(each for each in sent[::-1] if each[0] == script)
        before = desk.world.snapshot()
        assert Scripts(desk.world.client).run(name, keys_, *args) == answer
        assert desk.world.snapshot() == before

    def test_a_heartbeat_only_counts_twice(self, desk: ServiceDesk, sent: list[Any]) -> None:
        name = desk.run()
        called = desk.start()
        desk.beat(called, progress=50.0, extend=600_000)
        script, keys_, args, answer = sent[-1]
        before = desk.world.snapshot()
        assert Scripts(desk.world.client).run(script, keys_, *args) == answer == [b"heard"]
        after = desk.world.snapshot()
        assert len(before.jobs[name].pop("rate").split()) == 1
        assert len(after.jobs[name].pop("rate").split()) == 2
        assert after == before

    def test_a_settle_that_is_sent_again(self, desk: ServiceDesk, sent: list[Any]) -> None:
        desk.run()
        desk.start()
        name, keys_, args, answer = sent[-1]
        assert (name, answer) == ("settle", [b"settled"])
        before = desk.world.snapshot()
        assert Scripts(desk.world.client).run(name, keys_, *args) == answer
        assert desk.world.snapshot() == before

    def test_a_run_is_fired_once(self, desk: ServiceDesk, sent: list[Any]) -> None:
        desk.world.later(3_600_000)
        (name,) = desk.fire()
        script, keys_, args, _ = sent[-1]
        before = desk.world.snapshot()
        assert Scripts(desk.world.client).run(script, keys_, *args) == [b"stale"]
        assert desk.world.snapshot() == before
        assert desk.fire() == []
        assert desk.job(name).event_ms == desk.world.now


def _try_out(desk: ServiceDesk) -> str:
    return desk.executions.try_out(ENV, "reports", "daily")


class TestFullRedis:
    """What begins work is refused, what goes on or ends is not."""

    @pytest.mark.parametrize(
        ("act", "goes_on"),
        [
            (lambda desk, out, called: desk.run(), False),
            (lambda desk, out, called: desk.push(), False),
            (lambda desk, out, called: desk.put("other"), False),
            (lambda desk, out, called: _try_out(desk), False),
            (lambda desk, out, called: desk.services.drop(ENV, "reports", "daily"), True),
            (lambda desk, out, called: _register(desk, desk.worker.claim_one()), True),
            (lambda desk, out, called: desk.worker.settle(out.claim, Kind.STARTED), True),
            (lambda desk, out, called: desk.beat(out, progress=1.0), True),
            (lambda desk, out, called: desk.beat(called, extend=600_000), True),
            (lambda desk, out, called: desk.finish(out), True),
            (lambda desk, out, called: desk.finish(called), True),
            (lambda desk, out, called: desk.finish(called, FAIL), True),
            (lambda desk, out, called: desk.cancel(called.name), True),
            (lambda desk, out, called: desk.cancel(out.name), True),
            (lambda desk, out, called: _wait_in_vain(desk), True),
        ],
    )
    def test_all_or_nothing(
        self,
        desk: ServiceDesk,
        act: Callable[[ServiceDesk, Called, Called], object],
        goes_on: bool,
    ) -> None:
        desk.push()
        called = desk.start()
        desk.run()
        out = desk.call()
        desk.run()
        before = desk.world.snapshot()
        with full(desk.world):
            try:
                act(desk, out, called)
            except StorageFull:
                assert not goes_on
                assert desk.world.snapshot() == before
            else:
                assert goes_on
                assert desk.world.snapshot() != before
        desk.assert_sound()


def _wait_in_vain(desk: ServiceDesk) -> None:
    desk.world.tick_through(60)
    assert desk.expire() == 1


def _emptied(desk: ServiceDesk) -> Snapshot:
    """Trim all of history, look at deadlines and the line, and return what is left."""
    world = desk.world
    desk.worker.claim()
    world.later(600_000)
    desk.expire()
    world.upkeep.tick()
    for queue in (QUEUE, "mail"):
        for kind in "cf":
            while world.upkeep.trim(keys.queue_ref(ENV, queue), kind, 4_000_000_000_000):
                pass
    return world.snapshot()


def _left_of(snapshot: Snapshot) -> dict[str, object]:
    """All that grows with executions; not counters, clocks and names."""
    kept = {"lq:seq", "lq:workers", "lq:due_schedules", "rq:queues", "lq:1:env", "lq:wake",
            "lq:totals", "lq:busiest", "lq:fresh"}  # fmt: skip
    found: dict[str, object] = {}
    for kind in (snapshot.strings, snapshot.hashes, snapshot.lists, snapshot.sets, snapshot.zsets):
        for name, value in kind.items():
            starts = ("lq:1:queue", "lq:worker:", "lq:1:s", "lq:1:totals:", "lq:1:pieces:")
            if name not in kept and not name.startswith(starts):
                found[name] = value
    return found


class TestMemory:
    """Once an execution has ended and its entry was trimmed, no key knows it."""

    @pytest.mark.parametrize(
        "live",
        [
            lambda desk: desk.finish(desk.start(), FAIL),
            lambda desk: desk.cancel(desk.start().name),
            lambda desk: [desk.start(), desk.world.tick_through(60), desk.expire()],
            lambda desk: desk.finish(desk.call(), FAIL),
            lambda desk: desk.cancel(desk.call().name),
            lambda desk: _falls_silent(desk),
            lambda desk: _revived(desk),
            lambda desk: _fails_to_start(desk),
        ],
        ids=["fail", "cancel", "timeout", "fail at once", "cancel at once", "silent",
             "revived", "no start"],
    )  # fmt: skip
    def test_of_a_service_job(
        self, desk: ServiceDesk, live: Callable[[ServiceDesk], object]
    ) -> None:
        before = _left_of(_emptied(desk))
        name = desk.run()
        live(desk)
        assert desk.job(name).state.ended
        again = desk.executions.retry(ENV, name)
        live(desk)
        _try_out(desk)
        live(desk)
        assert desk.executions.execution(ENV, name).retried_by == again
        assert _left_of(_emptied(desk)) == before

    def test_a_success_leaves_its_state_only(self, desk: ServiceDesk) -> None:
        before = _left_of(_emptied(desk))
        for _ in range(2):
            desk.run()
            desk.finish(desk.start())
        left = _left_of(_emptied(desk))
        state = keys.last_success(ENV, JOB)
        assert left.pop(state)
        assert left == before
        desk.services.drop(ENV, "reports", "daily")
        assert not desk.world.client.exists(state)

    def test_a_success_after_the_job_was_dropped(self, desk: ServiceDesk) -> None:
        name = desk.run()
        called = desk.start()
        desk.services.drop(ENV, "reports", "daily")
        desk.finish(called)
        assert desk.status(name) is ExecutionStatus.SUCCESS
        left = _left_of(_emptied(desk))
        assert [name for name in left if "reports" in name] == []

    @pytest.mark.parametrize("final", [SUCCESS, FAIL], ids=["success", "fail"])
    def test_of_an_item(self, desk: ServiceDesk, final: Any) -> None:
        before = _left_of(_emptied(desk))
        desk.push("k")
        first = desk.next_attempt(desk.call())
        desk.push("k")
        desk.finish(first, final)
        desk.beat(desk.start())
        _wait_in_vain(desk)
        desk.world.tick_through(1)
        desk.finish(desk.call(), final)
        assert _left_of(_emptied(desk)) == before

    def test_a_refused_run(self, desk: ServiceDesk) -> None:
        desk.put(exclusive=True)
        before = _left_of(_emptied(desk))
        desk.run()
        called = desk.start()
        refused = desk.run()
        assert desk.job(refused).state is State.FAILED
        desk.finish(called, FAIL)
        assert _left_of(_emptied(desk)) == before


def _falls_silent(desk: ServiceDesk) -> None:
    desk.beat(desk.call(), progress=3.0)
    _wait_in_vain(desk)


def _revived(desk: ServiceDesk) -> None:
    called = desk.call()
    desk.refuse(called)
    desk.beat(called)
    desk.finish(called, FAIL)


def _fails_to_start(desk: ServiceDesk) -> None:
    called = desk.call()
    desk.worker.settle(called.claim, Kind.FAILED, error="http_410: gone")


class TestHistoryLimits:
    def test_the_lists_and_links_are_trimmed_with_the_entries(self, desk: ServiceDesk) -> None:
        desk.world.queues.configure(ACTOR, QUEUE, {"failed_limit": 2, "history_limit": 1}, None)
        names = []
        for _ in range(3):
            names.append(desk.run())
            desk.finish(desk.start(), FAIL)
        names.append(desk.executions.retry(ENV, names[1]))
        desk.start()
        running = desk.run()
        called = desk.start()
        assert self.listed(desk) == [*names[1:], running]
        assert desk.executions.execution(ENV, names[1]).retried_by == names[3]
        desk.finish(called, FAIL)
        assert self.listed(desk) == [names[2], names[3], running]
        assert not desk.world.client.exists(keys.retried(ENV))
        with pytest.raises(NotFound):
            desk.job(names[1])

    def test_successes_push_out_no_failures(self, desk: ServiceDesk) -> None:
        desk.world.queues.configure(ACTOR, QUEUE, {"failed_limit": 1, "history_limit": 1}, None)
        failed = desk.run()
        desk.finish(desk.start(), FAIL)
        for _ in range(3):
            newest = desk.run()
            desk.finish(desk.start())
        assert self.listed(desk) == [failed, newest]

    def test_a_refused_run_is_an_entry_like_others(self, desk: ServiceDesk) -> None:
        desk.put(exclusive=True)
        desk.world.queues.configure(ACTOR, QUEUE, {"failed_limit": 1}, None)
        running = desk.run()
        desk.run()
        newest = desk.run()
        assert self.listed(desk) == [running, newest]

    def test_a_queue_that_is_dropped(self, desk: ServiceDesk) -> None:
        for _ in range(2):
            desk.finish((desk.run(), desk.start())[1])
        desk.world.queues.drop(ACTOR, QUEUE)
        assert self.listed(desk) == []

    def test_a_link_to_what_was_trimmed_meanwhile(self, desk: ServiceDesk) -> None:
        """It would stay for ever."""
        gone = "0" * 13 + ENV
        assert desk.store.start(ENV, JOB, "retry", retry_of=gone)
        assert not desk.world.client.exists(keys.retried(ENV))

    def listed(self, desk: ServiceDesk) -> list[str]:
        """What all three lists tell."""
        lists = [desk.store.names(ENV, scope, 0, None, 100) for scope in ("", "reports", JOB)]
        assert lists[0] == lists[1] == lists[2]
        return lists[0]
