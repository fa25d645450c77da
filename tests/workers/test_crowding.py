"""A host that hangs leaves slots to others: the counts, and the Courier against a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.claims import Claim
from lambdaqueue.commands import HistoryFilter
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.job import Job
from lambdaqueue.outcome import Answer
from lambdaqueue.retry import DEFAULT_POLICY
from lambdaqueue.service import Service, open_service
from lambdaqueue.signing import Secret
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import SUCCESS
from lambdaqueue.upkeep import Upkeep
from tests.operator import SECRET
from tests.workers.stage import ACTOR, ENVIRONMENT
from tests.workers.test_courier import PUBLIC_URL, Calls, WatchedStore, push, run, soon
from workers import courier as courier_module
from workers.caller import Caller
from workers.courier import Courier
from workers.crowding import LATER, LIVELY, SOON, Crowding
from workers.invoking import TokenInvoker
from workers.sender import Outgoing, RecordingSender
from workers.voucher import Credulous

HANGS, WORKS = "http://127.0.0.1:1/", "http://127.0.0.1:2/"


def claim(target: str | None) -> Claim:
    """A job for `target`."""
    return Claim(
        id="x", token="t", environment="1", queue="q", version=1, attempt=1, failures=0,
        started_at=0, first_due_at=0, spec=Spec(target=target), target=target,
        policy=DEFAULT_POLICY, timeout=1, success=SUCCESS, result_bytes=0, attempts_log=b"[]",
    )  # fmt: skip


class TestCounts:
    @pytest.mark.parametrize(
        ("slots", "limit", "most"),
        [(1, 0, 1), (4, 0, 4), (19, 0, 19), (20, 0, 15), (50, 0, 38), (100, 0, 75), (100, 5, 5),
         (4, 1, 1), (10, 100, 100)],
    )  # fmt: skip
    def test_the_most(self, slots: int, limit: int, most: int) -> None:
        crowding = Crowding(slots, limit)
        entered = 0
        while crowding.enter(claim(HANGS)):
            entered += 1
            assert entered <= most
        assert entered == most
        assert crowding.enter(claim(WORKS))

    def test_who_leaves_makes_room_for_one(self) -> None:
        crowding = Crowding(10, 2)
        assert [crowding.enter(claim(HANGS)) for _ in range(3)] == [True, True, False]
        crowding.leave(claim(HANGS))
        assert [crowding.enter(claim(HANGS)) for _ in range(2)] == [True, False]

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("https://a.example/x?y=1", "https://a.example/z", True),
            ("https://A.example/", "https://a.EXAMPLE/", True),
            ("https://a.example/", "https://a.example:8443/", False),
            ("https://a.example/", "https://a.example:443/", True),
            ("https://a.example/", "https://b.example/", False),
            ("https://a.example/", "https://x.a.example/", False),
            ("http://[::1]:1/", "http://[::1]:1/x", True),
            ("http://[::1", "", True),  # the sender will say what is wrong with these
        ],
    )
    def test_what_is_one_host(self, one: str, other: str, same: bool) -> None:
        crowding = Crowding(10, 1)
        assert crowding.enter(claim(one))
        assert crowding.enter(claim(other or None)) is not same

    @pytest.mark.parametrize(
        ("answer", "delay", "rest"),
        [(Answer(status=200), SOON, None), (Answer(failure="timeout"), LATER, LATER)],
    )
    def test_what_is_put_off(self, answer: Answer, delay: int, rest: int | None) -> None:
        """No attempt was made; an endpoint that hangs rests a while."""
        crowding = Crowding(10, 1)
        crowding.hear(claim(HANGS), answer)
        put_off = crowding.put_off(claim(HANGS))
        assert (put_off.kind, put_off.delay, put_off.error) == (Kind.UNSENT, delay, "")
        assert (put_off.asked, put_off.log) == (rest, "[]")

    @pytest.mark.parametrize(
        ("answer", "limit", "most"),
        [
            (Answer(status=200), 0, 20),
            (Answer(status=500), 0, 20),
            (Answer(failure="timeout"), 0, 15),
            (Answer(status=200, failure="bad_response"), 0, 15),
            (Answer(status=200), 3, 3),
        ],
    )
    def test_who_answers_may_have_all(self, answer: Answer, limit: int, most: int) -> None:
        """But for a limit that the operator has set."""
        crowding = Crowding(20, limit)
        crowding.hear(claim(HANGS), answer)
        assert sum(crowding.enter(claim(HANGS)) for _ in range(20)) == most

    def test_what_was_heard_long_ago_counts_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        crowding = Crowding(20)
        now = time.monotonic()
        crowding.hear(claim(HANGS), Answer(status=200))
        monkeypatch.setattr(time, "monotonic", lambda: now + LIVELY + 1)
        assert sum(crowding.enter(claim(HANGS)) for _ in range(20)) == 15


@dataclass
class Scene:
    """A courier at work, one host that hangs and one that answers at once."""

    calls: Calls
    courier: Courier
    service: Service
    upkeep: Upkeep

    def history(self, queue: str = "q") -> list[Job]:
        return list(self.service.history(ENVIRONMENT, queue, HistoryFilter(), 1_000, None).rows)

    async def soon(self, condition: Callable[[], object], what: str) -> None:
        """Wait, and do meanwhile what a scheduler would."""
        await soon(lambda: (self.upkeep.tick(), condition())[1], what)


@contextlib.asynccontextmanager
async def scene(url: str, slots: int, host_slots: int = 0) -> AsyncIterator[Scene]:
    client = connect_async(Settings(redis_url=url), answer_within=courier_module.ANSWER_WITHIN)
    store = WatchedStore(client, slots)
    calls = Calls()

    async def answer(request: Outgoing) -> Answer:
        return await calls(request) if request.url == HANGS else Answer(status=200)

    sender = RecordingSender(answer)
    caller = Caller(sender, Credulous(Secret.parse(SECRET)), TokenInvoker(store, PUBLIC_URL))
    courier = Courier(store, caller, slots=slots, grace=5.0, host_slots=host_slots)
    ended = asyncio.create_task(courier.run())
    with redis.Redis.from_url(url) as plain:
        try:
            yield Scene(calls, courier, open_service(Settings(redis_url=url)), Upkeep(plain))
        finally:
            courier.stop()
            courier.stop()
            await asyncio.wait_for(ended, 20)
            await client.aclose()


class TestAtWork:
    @pytest.mark.parametrize(("slots", "host_slots", "most"), [(20, 0, 15), (8, 3, 3)])
    def test_others_are_served_while_a_host_hangs(
        self, redis_url: str, slots: int, host_slots: int, most: int
    ) -> None:
        hanging = push(redis_url, *(f"hangs-{n}" for n in range(20)), queue="slow", target=HANGS)

        async def body() -> None:
            async with scene(redis_url, slots, host_slots) as work:
                calls = work.calls
                await work.soon(lambda: len(calls.open) == most, "the host has all it may")
                names = (f"works-{n}" for n in range(30))
                push(redis_url, *names, queue="q", target=WORKS)
                await work.soon(lambda: len(work.history()) == 30, "the others are served")
                assert (len(calls.open), calls.most) == (most, most)
                while len(work.history("slow")) < len(hanging):
                    calls.answer(*(name for name, call in calls.open.items() if not call.done()))
                    work.upkeep.tick()
                    await asyncio.sleep(0.01)
                assert calls.most == most
                ended = work.history("slow")
                # None of the waiting has cost an attempt, or is told as one.
                assert {job.attempt for job in ended} == {1}
                assert {len(job.attempts) for job in ended} == {1}
                await soon(lambda: not work.courier.busy, "nothing is out")
                assert work.courier.delivered == 50
                for queue in ("slow", "q"):
                    assert work.upkeep.inspect(keys.queue_ref(ENVIRONMENT, queue)) == []

        run(body())

    @pytest.mark.parametrize("own", [True, False])
    def test_an_endpoint_that_hangs_rests(self, redis_url: str, own: bool) -> None:
        """Else its jobs would be claimed and put off, one after the other, without end."""
        service = open_service(Settings(redis_url=redis_url))
        service.configure(ACTOR, "slow", {"target": HANGS}, True)
        names = (f"hangs-{n}" for n in range(200))
        push(redis_url, *names, queue="slow", target=None if own else HANGS)

        async def body() -> None:
            async with scene(redis_url, 8, 2) as work:
                await work.soon(lambda: len(work.calls.open) == 2, "two are out")
                await work.soon(lambda: rests(work), "the endpoint rests")
                push(redis_url, *(f"works-{n}" for n in range(30)), queue="q", target=WORKS)
                await work.soon(lambda: len(work.history()) == 30, "the others are served")
                info: Any = service.queue(ENVIRONMENT, "slow")
                assert (info.running, info.waiting) == (2, 198)
                assert info.breaker_state is None

        def rests(work: Scene) -> bool:
            return [each.url for each in work.service.endpoints(ENVIRONMENT, "slow")] == [HANGS]

        run(body())

    def test_calls_that_are_cut_off_are_counted_no_more(self, redis_url: str) -> None:
        jobs = push(redis_url, "one", "two", queue="slow", target=HANGS)

        async def body() -> None:
            async with scene(redis_url, 4, 1) as work:
                await work.soon(lambda: len(work.calls.open) == 1, "one is out")
                (out,) = work.calls.open
                work.courier.stop_attempt(jobs[0 if out == "one" else 1].id)
                await work.soon(
                    lambda: work.calls.open and out not in work.calls.open, "the other one is out"
                )

        run(body())
