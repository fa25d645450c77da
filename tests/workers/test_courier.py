"""The Courier against a real Redis: what it claims, sends and settles, and what it survives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from lambdaqueue.attempts import AttemptStore, Claimed, Kind, Settlement
from lambdaqueue.commands import HistoryFilter, Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.errors import StorageUnavailable
from lambdaqueue.job import Job, State
from lambdaqueue.outcome import Answer
from lambdaqueue.service import Service, open_service
from lambdaqueue.signing import Secret
from lambdaqueue.spec import Spec
from lambdaqueue.upkeep import Upkeep
from tests.operator import SECRET
from tests.redis_server import servers
from tests.workers.stage import ACTOR, ENVIRONMENT, QUICK
from workers import courier as courier_module
from workers.caller import Caller
from workers.courier import Courier
from workers.invoking import TokenInvoker
from workers.sender import Outgoing, RecordingSender, Sender
from workers.voucher import Credulous

DEADLINE = 20.0
TOOK = 7
PUBLIC_URL = "https://queue.example.org"


class Calls:
    """Calls that hang until the test answers them."""

    def __init__(self) -> None:
        self.open: dict[str, asyncio.Future[Answer]] = {}
        self.most = 0
        self.aborted: list[str] = []

    async def __call__(self, request: Outgoing) -> Answer:
        name = request.body.decode()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.open[name] = answer
        self.most = max(self.most, len(self.open))
        try:
            return await answer
        except asyncio.CancelledError:
            self.aborted.append(name)
            raise
        finally:
            del self.open[name]

    def answer(self, *names: str, status: int = 200) -> None:
        """Answer the calls with these payloads."""
        for name in names:
            self.open[name].set_result(Answer(status=status, duration=TOOK))


class WatchedStore(AttemptStore):
    """Remembers how it was called."""

    def __init__(self, client: redis.asyncio.Redis, slots: int) -> None:
        super().__init__(client, rq_worker="watched", slots=slots)
        self.batches: list[list[Settlement]] = []
        self.claimed: list[Claimed] = []
        self.names: list[str] = []

    async def join(self) -> None:
        await super().join()
        self.names.append(self.incarnation)

    async def claim(self, most: int, wanted: Sequence[str] = ()) -> Claimed:
        claimed = await super().claim(most, wanted)
        self.claimed.append(claimed)
        return claimed

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        answer = await super().settle(settlements)
        self.batches.append(list(settlements))
        return answer


@dataclass
class Work:
    """A courier at work, and the jobs around it."""

    url: str
    courier: Courier
    store: WatchedStore
    ended: asyncio.Task[bool]
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        self.service = open_service(Settings(redis_url=self.url))

    def state(self, job: Job) -> State:
        """Return the job's state."""
        return self.service.item(ENVIRONMENT, job.id).state

    def history(self) -> list[Job]:
        """Return what has ended, newest first."""
        page = self.service.history(ENVIRONMENT, "q", HistoryFilter(), 1_000, None)
        return list(page.rows)


async def soon(condition: Callable[[], object], what: str) -> None:
    """Return when `condition` is true; fail, naming `what`, when it never becomes so."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE:g} s: {what}"
        await asyncio.sleep(0.005)


def push(url: str, *names: str, queue: str = "q", **spec: object) -> list[Job]:
    """Push one job for each name, which is also its payload."""
    service = open_service(Settings(redis_url=url))
    options = {"target": "http://127.0.0.1:1/", "retry": QUICK, **spec}
    pushes = [Push(Spec(payload=name.encode(), **options)) for name in names]  # type: ignore[arg-type]
    return [each.job for each in service.push_many(ENVIRONMENT, queue, pushes)[0]]


@contextlib.asynccontextmanager
async def at_work(
    url: str, sender: Sender, *, slots: int = 4, grace: float = 5.0, burst: bool = False
) -> AsyncIterator[Work]:
    """Run a courier; at the end it is stopped, if it still runs, without patience."""
    client = connect_async(Settings(redis_url=url), answer_within=courier_module.ANSWER_WITHIN)
    store = WatchedStore(client, slots)
    caller = Caller(sender, Credulous(Secret.parse(SECRET)), TokenInvoker(store, PUBLIC_URL))
    one = Courier(store, caller, slots=slots, grace=grace, burst=burst)
    ended = asyncio.create_task(one.run())
    try:
        yield Work(url, one, store, ended)
    finally:
        one.stop()
        one.stop()
        await asyncio.wait_for(ended, DEADLINE)
        await client.aclose()


def declare_dead(url: str, times: int = 1) -> None:
    """Let lease time pass, by a clock of our own, until every worker was silent for too long."""
    with redis.Redis.from_url(url) as client:
        now = int(client.time()[0]) * 1_000
        now = max(now, int(client.hget("lq:seq", "tick_ms") or 0))
        for second in range(1, 13):
            Upkeep(client, now + second * 1_000).tick()
        assert Upkeep(client).reclaim()[1] == times


def run(body: Awaitable[None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await body

    asyncio.run(limited())


# Claiming and settling


def test_jobs_are_claimed_as_slots_come_free_and_never_more(redis_url: str) -> None:
    calls = Calls()
    names = [f"job-{n}" for n in range(10)]
    push(redis_url, *names)

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(calls), slots=3) as work:
            await soon(lambda: len(calls.open) == 3, "three calls are out")
            calls.answer("job-1")
            await soon(lambda: "job-3" in calls.open, "the free slot is taken")
            assert set(calls.open) == {"job-0", "job-2", "job-3"}
            while len(work.history()) < 10:
                calls.answer(*(name for name, call in calls.open.items() if not call.done()))
                await asyncio.sleep(0)
            assert calls.most == 3
            assert all(len(claimed.claims) <= 3 for claimed in work.store.claimed)

    run(body())


def test_outcomes_that_come_together_are_settled_together(redis_url: str) -> None:
    calls = Calls()
    names = [f"job-{n}" for n in range(12)]
    push(redis_url, *names)

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(calls), slots=12) as work:
            await soon(lambda: len(calls.open) == 12, "all are out")
            calls.answer(*names)
            await soon(
                lambda: (work.courier.delivered, work.courier.failed) == (12, 0), "all are counted"
            )
            (batch,) = work.store.batches
            assert [each.duration for each in batch] == [TOOK] * 12
            assert len(work.history()) == 12

    run(body())


def test_what_came_of_each_attempt_is_in_history(redis_url: str) -> None:
    statuses = {b"good": [200], b"better": [500, 503, 204], b"bad": [500] * 4, b"gone": [410]}

    def reply(request: Outgoing) -> Answer:
        return Answer(status=statuses[request.body].pop(0), body=b"said", duration=3)

    good, better, bad, gone = push(redis_url, "good", "better", "bad", "gone")

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(reply)) as work:
            upkeep = Upkeep(redis.Redis.from_url(redis_url))
            await soon(lambda: upkeep.tick().now and len(work.history()) == 4, "all have ended")
            item = {job.id: job for job in work.history()}
            seen = {
                job.id: (
                    item[job.id].state,
                    [each.status for each in item[job.id].attempts],
                    item[job.id].error,
                )
                for job in (good, better, bad, gone)
            }
            assert seen == {
                good.id: (State.COMPLETED, [200], None),
                better.id: (State.COMPLETED, [500, 503, 204], None),
                bad.id: (State.FAILED, [500] * 4, "http_500: the endpoint answered 500"),
                gone.id: (State.FAILED, [410], "http_410: the endpoint answered 410"),
            }
            result = item[good.id].result
            assert result is not None
            assert result.body == b"said"
            await soon(
                lambda: (work.courier.delivered, work.courier.failed) == (2, 7), "all are counted"
            )

    run(body())


def test_a_job_without_a_target_has_failed_without_a_call(redis_url: str) -> None:
    service = open_service(Settings(redis_url=redis_url))
    service.configure(ACTOR, "q", {"target": "http://127.0.0.1:1/"}, False)
    service.pause(ACTOR, "q")
    (job,) = push(redis_url, "x", target=None)
    service.configure(ACTOR, "q", {"target": None}, False)
    sender = RecordingSender()

    async def body() -> None:
        async with at_work(redis_url, sender) as work:
            service.resume(ACTOR, "q")
            await soon(lambda: work.state(job) is State.FAILED, "it has failed")
        assert sender.requests == []
        assert str(service.item(ENVIRONMENT, job.id).error).startswith("no_target: ")

    run(body())


def test_a_mistake_in_one_call_is_recorded_and_takes_no_other_along(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Calls()

    async def reply(request: Outgoing) -> Answer:
        if request.body == b"broken":
            raise RuntimeError("a mistake of ours")
        return await calls(request)

    fine, broken = push(redis_url, "fine", "broken", retry=QUICK)

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(reply)) as work:
            await soon(lambda: work.state(broken) is State.RETRY, "the broken one is to be retried")
            error = work.service.item(ENVIRONMENT, broken.id).error
            assert error == "bad_response: internal error: RuntimeError"
            calls.answer("fine")
            await soon(lambda: work.state(fine) is State.COMPLETED, "the other one is delivered")

    run(body())
    assert f"attempt_broke id={broken.id}" in caplog.text
    assert "a mistake of ours" in caplog.text


def test_an_operator_stops_one_call(redis_url: str) -> None:
    calls = Calls()
    one, other = push(redis_url, "one", "other")

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(calls)) as work:
            await soon(lambda: len(calls.open) == 2, "both are out")
            work.courier.stop_attempt(one.id)
            work.courier.stop_attempt("no-such-job")
            await soon(lambda: work.state(one) is State.FAILED, "it has failed")
            assert calls.aborted == ["one"]
            assert str(work.service.item(ENVIRONMENT, one.id).error).startswith("cancelled: ")
            calls.answer("other")
            await soon(lambda: work.state(other) is State.COMPLETED, "the other goes on")

    run(body())


# Holding back


def test_nothing_starts_while_rq_is_suspended(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.set("rq:suspended", 1)
    (job,) = push(redis_url, "x")
    sender = RecordingSender()

    async def body() -> None:
        async with at_work(redis_url, sender) as work:
            await soon(lambda: work.store.claimed, "it has asked")
            assert work.store.claimed[0].suspended
            assert sender.requests == []
            client.delete("rq:suspended")
            await soon(lambda: work.state(job) is State.COMPLETED, "it is delivered")

    run(body())


async def lose(url: str, jobs: int) -> None:
    """Let a worker claim so many jobs and vanish: they are suspects from then on."""
    client = connect_async(Settings(redis_url=url), answer_within=5.0)
    store = AttemptStore(client, rq_worker="lost", slots=jobs)
    await store.join()
    assert len((await store.claim(jobs)).claims) == jobs
    await client.aclose()
    declare_dead(url)


def test_of_several_suspects_one_is_out_at_a_time(redis_url: str) -> None:
    calls = Calls()
    suspects = [push(redis_url, name, queue=name)[0] for name in ("a", "b", "c")]

    async def body() -> None:
        await lose(redis_url, len(suspects))
        (plain,) = push(redis_url, "plain", queue="plain")
        async with at_work(redis_url, RecordingSender(calls), slots=5) as work:
            for _ in suspects[1:]:
                await one_suspect(work)
            await soon(lambda: {"plain"} < set(calls.open), "the last suspect is out")
            calls.answer(*(calls.open.keys() - {"plain"}))
            calls.answer("plain")
            everybody = (*suspects, plain)
            await soon(lambda: all(work.state(job).ended for job in everybody), "all have ended")

    async def one_suspect(work: Work) -> None:
        """Let one suspect be out while others are held back, then end."""
        await soon(lambda: {"plain"} < set(calls.open), "a suspect is out, and the other job")
        seen, (out,) = len(work.store.claimed), calls.open.keys() - {"plain"}
        held_back = lambda: any(each.held_back for each in work.store.claimed[seen:])  # noqa: E731
        await soon(held_back, "the rest is held back")
        assert set(calls.open) == {"plain", out}
        calls.answer(out)
        await soon(lambda: out not in calls.open, "it has ended")

    run(body())


def test_a_burst_ends_with_the_line(redis_url: str) -> None:
    names = [f"job-{n}" for n in range(40)]
    push(redis_url, *names)

    async def body() -> None:
        started = time.monotonic()
        async with at_work(redis_url, RecordingSender(), burst=True) as work:
            assert await work.ended
            assert len(work.history()) == 40
        assert time.monotonic() - started < courier_module.LOOK_AGAIN

    run(body())


# Stopping


def test_a_stop_finishes_what_is_out_and_claims_no_more(redis_url: str) -> None:
    calls = Calls()
    out, left = push(redis_url, "out", "left")

    async def body() -> None:
        sender = RecordingSender(calls)
        async with at_work(redis_url, sender, slots=1) as work:
            await soon(lambda: calls.open, "a call is out")
            work.courier.stop()
            await asyncio.sleep(0)
            assert not work.ended.done()
            calls.answer("out")
            assert await work.ended
            assert work.state(out) is State.COMPLETED
            assert work.state(left) is State.PENDING
            assert sender.closed
            assert redis.Redis.from_url(redis_url).zcard("lq:workers") == 0

    run(body())


def test_what_outlasts_the_grace_time_is_handed_back(redis_url: str) -> None:
    calls, others = Calls(), Calls()
    (job,) = push(redis_url, "x")

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(calls), grace=0.05) as work:
            await soon(lambda: calls.open, "a call is out")
            work.courier.stop()
            assert not await work.ended
            assert calls.aborted == ["x"]
        async with at_work(redis_url, RecordingSender(others)) as work:
            await soon(lambda: others.open, "another worker has it at once")
            others.answer("x")
            await soon(lambda: work.state(job) is State.COMPLETED, "it is delivered")
            assert work.service.item(ENVIRONMENT, job.id).attempt == 2

    run(body())


def test_a_second_stop_does_not_wait(redis_url: str) -> None:
    calls = Calls()
    (job,) = push(redis_url, "x")

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(calls), grace=3_600) as work:
            await soon(lambda: calls.open, "a call is out")
            work.courier.stop()
            await asyncio.sleep(0)
            work.courier.stop()
            assert not await work.ended
            assert work.state(job) is State.RETRY

    run(body())


def test_what_was_claimed_while_a_stop_came_is_not_sent(redis_url: str) -> None:
    (job,) = push(redis_url, "x")
    sender = RecordingSender()

    async def body() -> None:
        async with at_work(redis_url, sender) as work:
            claim = work.store.claim

            async def claim_late(most: int, wanted: Sequence[str] = ()) -> Claimed:
                claimed = await claim(most, wanted)
                work.courier.stop()
                return claimed

            work.store.claim = claim_late  # type: ignore[method-assign]
            assert await work.ended
            assert sender.requests == []
            ((given_back,),) = work.store.batches
            assert (given_back.kind, given_back.duration) == (Kind.UNSENT, None)
            now = work.service.item(ENVIRONMENT, job.id)
            assert (now.state, now.attempt) == (State.PENDING, 0)

    run(body())


# Silence


def test_declared_dead_it_aborts_its_calls_and_goes_on_under_a_new_name(redis_url: str) -> None:
    calls = Calls()
    (job,) = push(redis_url, "x")

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(calls)) as work:
            await soon(lambda: calls.open, "a call is out")
            first = calls.open["x"]
            declare_dead(redis_url)
            await soon(lambda: calls.aborted == ["x"], "the call was aborted")
            assert first.cancelled()
            await soon(lambda: calls.open, "it has the job again, lost once")
            calls.answer("x")
            await soon(lambda: work.state(job) is State.COMPLETED, "it is delivered")
            assert len(set(work.store.names)) == 2
            attempts = work.service.item(ENVIRONMENT, job.id).attempts
            assert [each.error for each in attempts] == ["lost: the worker died", None]

    run(body())


def test_an_outcome_that_comes_after_its_worker_was_declared_dead_is_refused(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("workers.pulse.BEAT_EVERY", 3_600.0)  # it must not learn of it sooner
    calls = Calls()
    (job,) = push(redis_url, "x")

    async def body() -> None:
        async with at_work(redis_url, RecordingSender(calls), slots=1) as work:
            await soon(lambda: calls.open, "a call is out")
            declare_dead(redis_url)
            calls.answer("x", status=200)
            await soon(lambda: len(work.store.names) == 2, "it has taken a new name")
            assert work.history() == []
            await soon(lambda: calls.open, "it has the job again")
            calls.answer("x", status=410)
            await soon(lambda: work.history(), "it has ended")
            assert [each.state for each in work.history()] == [State.FAILED]
            assert work.courier.delivered == 0

    run(body())
    assert f"outcome_refused id={job.id}" in caplog.text


def test_calls_are_aborted_when_redis_says_nothing_for_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.pulse.BEAT_EVERY", 0.05)
    monkeypatch.setattr("workers.pulse.GIVE_UP", 0.5)
    calls = Calls()

    async def body() -> None:
        with own_redis(tmp_path) as server:
            (job,) = push(server.url, "x")
            async with at_work(server.url, RecordingSender(calls)) as work:
                await soon(lambda: calls.open, "a call is out")
                assert server.pid is not None
                os.kill(server.pid, signal.SIGSTOP)
                try:
                    await soon(lambda: calls.aborted == ["x"], "the call was aborted")
                finally:
                    os.kill(server.pid, signal.SIGCONT)
                await soon(lambda: calls.open, "it was handed back and is tried again")
                calls.answer("x")
                await soon(lambda: work.state(job) is State.COMPLETED, "it is delivered")

    run(body())


def own_redis(folder: Path) -> EmbeddedRedis:
    """Return a Redis that a test may stop and start."""
    found = servers()
    return EmbeddedRedis(folder / "redis", binary=found[max(found)].path)


def test_outcomes_are_kept_while_redis_is_away_and_settled_once(tmp_path: Path) -> None:
    calls = Calls()

    async def body() -> None:
        with own_redis(tmp_path) as server:
            one, two = push(server.url, "one", "two")
            async with at_work(server.url, RecordingSender(calls)) as work:
                await soon(lambda: len(calls.open) == 2, "both are out")
                server.stop()
                calls.answer("one")
                await soon(lambda: "one" not in calls.open, "one ended in the gap")
                server.start()
                calls.answer("two", status=410)
                await soon(lambda: len(work.history()) == 2, "both are settled")
                assert work.state(one) is State.COMPLETED
                assert work.state(two) is State.FAILED
                info = work.service.queue(ENVIRONMENT, "q")
                assert (info.completed, info.failed, info.running) == (1, 1, 0)
                (late,) = push(server.url, "late")
                await soon(lambda: calls.open, "it goes on")
                calls.answer("late")
                await soon(lambda: work.state(late) is State.COMPLETED, "it goes on")

    run(body())


@pytest.mark.parametrize("noticed", [False, True])
def test_a_worker_that_is_to_stop_waits_for_redis_only_so_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, noticed: bool
) -> None:
    calls = Calls()

    async def body() -> None:
        with own_redis(tmp_path) as server:
            push(server.url, "x")
            async with at_work(server.url, RecordingSender(calls), grace=0.3) as work:
                await soon(lambda: calls.open, "a call is out")
                server.stop()
                calls.answer("x")
                if noticed:
                    await soon(lambda: "trying again" in caplog.text, "it tries to settle")
                work.courier.stop()
                assert not await work.ended

    run(body())
    assert "outcomes_not_stored" in caplog.text


class LosingStore(WatchedStore):
    """Loses the answer of each first settle, after it was carried out."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        answer = await super().settle(settlements)
        if len(self.batches) % 2:
            self._settles -= 1
            raise StorageUnavailable("the answer got lost")
        return answer


def test_a_settle_whose_answer_got_lost_counts_once(redis_url: str) -> None:
    push(redis_url, "x")

    async def body() -> None:
        client = connect_async(Settings(redis_url=redis_url), answer_within=5.0)
        store = LosingStore(client, 1)
        sender = RecordingSender()
        caller = Caller(sender, Credulous(Secret.parse(SECRET)), TokenInvoker(store, PUBLIC_URL))
        one = Courier(store, caller, slots=1, grace=1.0, burst=True)
        assert await one.run()
        await client.aclose()
        assert len(store.batches) == 2
        assert one.delivered == 1
        info = open_service(Settings(redis_url=redis_url)).queue(ENVIRONMENT, "q")
        assert (info.completed, info.failed) == (1, 0)
        assert len(sender.requests) == 1

    run(body())
