"""AttemptStore: join, beat, claim, settle, leave."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import redis.asyncio

from lambdaqueue import keys
from lambdaqueue.attempts import LEASE, AttemptStore, Kind, Settlement
from lambdaqueue.claims import Seals
from lambdaqueue.commands import Push
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import StorageUnavailable, WorkerDeclaredDead
from lambdaqueue.identity import Actor
from lambdaqueue.job import State
from lambdaqueue.queue_settings import QueueSettings
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from tests.store.world import ACTOR, ENV, NOW, TARGET, ImmediateScripts, World


class TestClaim:
    def test_it_brings_all_that_sending_needs(self, world: World) -> None:
        policy = RetryPolicy("constant", delay=5, retries=3)
        world.queues.configure(ACTOR, "mail", {"retry": policy, "timeout": 9_000}, QueueSettings())
        pushed = world.push(key="k", payload=b"\xff", max_age=60_000).job
        world.later(40)
        claim = world.worker().claim_one()
        assert (claim.id, claim.environment, claim.queue) == (pushed.id, ENV, "mail")
        assert (claim.version, claim.attempt, claim.failures) == (1, 1, 0)
        assert (claim.started_at, claim.first_due_at) == (NOW + 40, NOW)
        assert (claim.key, claim.expires_at) == ("k", NOW + 60_000)
        assert (claim.policy, claim.timeout, claim.spec) == (policy, 9_000, pushed.spec)
        assert (claim.message_id, claim.max_attempts) == (f"{pushed.id}_1", 4)
        assert claim.attempts_log == b""
        job = world.job(pushed.id)
        assert (job.state, job.attempt) == (State.RUNNING, 1)

    def test_it_takes_as_many_as_asked_for_first_in_first(self, world: World) -> None:
        jobs = [world.push().job.id for _ in range(4)]
        worker = world.worker()
        assert [claim.id for claim in worker.claim(3)] == jobs[:3]
        assert worker.claim(0) == []
        assert [claim.id for claim in worker.claim(3)] == jobs[3:]
        assert worker.claim(3) == []

    def test_a_lost_answer_loses_no_job(self, world: World) -> None:
        worker = world.worker()
        jobs = [world.push().job.id for _ in range(2)]
        first = worker.claim(2)
        worker.store._claims -= 1  # the answer never came: the same number again
        again = worker.claim(2)
        assert [(c.id, c.token) for c in again] == [(c.id, c.token) for c in first]
        assert [claim.id for claim in again] == jobs
        worker.settle(again[0])
        worker.store._claims -= 1
        assert [claim.id for claim in worker.claim(2)] == jobs[1:]

    def test_a_late_copy_of_an_older_claim_takes_nothing(self, world: World) -> None:
        worker = world.worker()
        worker.claim()
        worker.claim()
        world.push()
        worker.store._claims -= 2
        assert worker.claim() == []
        worker.store._claims += 1
        assert len(worker.claim()) == 1

    def test_a_pause_bites_at_once(self, world: World) -> None:
        worker = world.worker()
        job = world.push(delay=5).job
        world.later(5)
        world.upkeep.tick()
        world.queues.pause(ACTOR, "mail")
        look = worker.look()
        assert (look.claims, look.held_back) == ((), False)
        assert world.line == []
        assert world.job(job.id).due_at == NOW + 5
        world.queues.resume(ACTOR, "mail")
        assert worker.claim_one().id == job.id

    def test_nothing_starts_when_its_max_age_is_over(self, world: World) -> None:
        worker = world.worker()
        last_moment, over = world.push(max_age=100).job.id, world.push(max_age=99).job.id
        world.later(100)
        assert [claim.id for claim in worker.claim()] == [last_moment]
        ended = world.ended(over)
        assert (ended.state, ended.error) == (State.FAILED, "expired: its max age is over")
        assert ended.attempt == 0

    def test_rq_suspend_holds_everything(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        world.client.set("rq:suspended", 1)
        look = worker.look()
        assert (look.suspended, look.claims) == (True, ())
        assert world.line == [job]
        world.client.delete("rq:suspended")
        assert worker.claim_one().id == job

    def test_rqs_books_show_what_runs(self, world: World) -> None:
        worker = world.worker()
        world.push()
        claim = worker.claim_one()
        entry = f"{claim.id}_1"
        assert world.client.zscore("rq:wip:lambdaqueue", f"{entry}:{claim.token}") == float("inf")
        shown = world.client.hmget(f"rq:job:{entry}", "status", "worker_name", "started_at")
        assert shown == [b"started", b"worker-1", b"2023-11-14T22:13:20.000000Z"]
        worker.settle(claim)
        assert not world.client.exists("rq:wip:lambdaqueue", f"rq:job:{entry}")

    def test_an_entry_of_somebody_else_is_dropped(self, world: World) -> None:
        world.client.rpush(keys.line, "not-one-of-ours", "0")
        job = world.push().job.id
        assert [claim.id for claim in world.worker().claim()] == [job]

    def test_a_stock_worker_takes_just_the_entry_it_popped(self, world: World) -> None:
        jobs = [world.push().job.id for _ in range(2)]
        entry = world.client.lpop(keys.line)
        assert isinstance(entry, bytes)
        worker = world.worker()
        worker.store._rq_worker = ""
        (claim,) = worker.look(1, [entry.decode()]).claims
        assert claim.id == jobs[0]
        assert not world.client.exists("rq:wip:lambdaqueue")
        assert worker.settle(claim)
        assert world.client.exists(f"rq:job:{entry.decode()}")  # RQ deletes it: result_ttl is 0
        assert world.line == jobs[1:]


class TestSeals:
    """A claim brings what signs, sealed as it is stored."""

    @pytest.fixture
    def environments(self, world: World) -> EnvironmentStore:
        store = EnvironmentStore(world.client, NOW)
        store.found(ENV, "default", b"first", "test")
        return store

    def seals(self, world: World) -> Seals:
        """Those of a job that is claimed now."""
        worker = world.worker()
        world.push()
        claim = worker.claim_one()
        assert worker.settle(claim)
        return claim.seals

    def test_the_environments_secret(self, world: World, environments: EnvironmentStore) -> None:
        assert self.seals(world) == Seals((b"first",))

    def test_without_an_environment_there_is_none(self, world: World) -> None:
        assert self.seals(world) == Seals(())

    def test_the_newest_first_and_the_one_before_while_it_counts(
        self, world: World, environments: EnvironmentStore
    ) -> None:
        environments.rotate(ACTOR, b"second\x00\xff", 1_000)
        both = Seals((b"second\x00\xff", b"first"))
        assert self.seals(world) == both
        world.later(999)
        assert self.seals(world) == both
        world.later(1)
        assert self.seals(world) == Seals((b"second\x00\xff",))

    def test_replaced_at_once_the_old_one_is_gone(
        self, world: World, environments: EnvironmentStore
    ) -> None:
        environments.rotate(ACTOR, b"second", 1_000)
        environments.rotate(ACTOR, b"third", 0)
        assert self.seals(world) == Seals((b"third",))

    def test_each_attempt_has_those_of_its_time(
        self, world: World, environments: EnvironmentStore
    ) -> None:
        worker = world.worker()
        world.push()
        claim = worker.claim_one()
        environments.rotate(ACTOR, b"second", 1_000)
        worker.retry(claim, delay=0)
        assert claim.seals == Seals((b"first",))
        assert worker.claim_one().seals == Seals((b"second", b"first"))

    def test_a_lost_answer_comes_again_with_them(
        self, world: World, environments: EnvironmentStore
    ) -> None:
        environments.rotate(ACTOR, b"second", 1_000)
        worker = world.worker()
        world.push()
        first = worker.claim_one()
        worker.store._claims -= 1
        assert worker.claim_one().seals == first.seals == Seals((b"second", b"first"))

    @pytest.mark.parametrize("unvalidated", [False, True])
    def test_a_queues_own(
        self, world: World, environments: EnvironmentStore, unvalidated: bool
    ) -> None:
        validation = "none" if unvalidated else "required"
        world.queues.configure(ACTOR, "mail", {"validation": validation}, None)
        assert self.seals(world) == Seals((b"first",), b"", unvalidated)
        environments.own_secret(ENV, "mail", b"mine\x00")
        assert self.seals(world) == Seals((b"first",), b"mine\x00", unvalidated)

    def test_in_one_claim_each_job_has_those_of_its_queue_and_environment(
        self, world: World, environments: EnvironmentStore
    ) -> None:
        other, third = "0ther1d0", "th1rd000"
        environments.found(other, "other", b"of other", "test")
        environments.found(third, "third", b"of third", "test")
        environments.rotate(Actor(other, "x"), b"new of other", 1_000)
        expected = {
            (ENV, "a"): Seals((b"first",), b"of a"),
            (ENV, "b"): Seals((b"first",)),
            (other, "a"): Seals((b"new of other", b"of other")),
            (third, "a"): Seals((b"of third",), b"of third's a"),
        }
        for environment, queue in [*expected, *expected]:
            world.jobs.push(environment, queue, [Push(Spec(target=TARGET))])
        environments.own_secret(ENV, "a", b"of a")
        environments.own_secret(third, "a", b"of third's a")
        claims = world.worker().claim()
        assert len(claims) == 8
        for claim in claims:
            assert claim.seals == expected[claim.environment, claim.queue]

    def test_they_are_not_stored_with_the_job(
        self, world: World, environments: EnvironmentStore
    ) -> None:
        mail = keys.queue(ENV, "mail")
        environments.rotate(ACTOR, b"second", 1_000)
        world.queues.pause(ACTOR, "mail")
        environments.own_secret(ENV, "mail", b"of mail")
        world.queues.resume(ACTOR, "mail")
        worker = world.worker()
        for _ in range(3):
            world.push()
        first, second, _ = worker.claim(3)
        worker.settle(first)
        worker.retry(second)
        snapshot = world.snapshot()
        kept = [snapshot.hashes.pop(keys.environment(ENV)), snapshot.hashes.pop(mail)]
        for secret in ("second", "of mail"):
            assert secret in repr(kept)
            assert secret not in repr(snapshot)


class TestSettle:
    def test_completed(self, world: World) -> None:
        worker = world.worker()
        job = world.push(key="k", payload=b"not kept").job.id
        claim = worker.claim_one()
        answer = json.dumps({"status": 200, "type": "text/plain"})
        assert worker.settle(claim, result=answer, body=b"\xffdone")
        ended = world.ended(job)
        assert (ended.state, ended.version, ended.attempt) == (State.COMPLETED, 1, 1)
        assert (ended.error, ended.spec.payload, ended.key) == (None, b"", "k")
        assert ended.result is not None
        assert (ended.result.status, ended.result.body) == (200, b"\xffdone")
        assert [made.number for made in ended.attempts] == [1]

    def test_retry(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        world.later(10)
        worker.retry(worker.claim_one(), delay=500)
        waiting = world.job(job)
        assert (waiting.state, waiting.attempt, waiting.error) == (
            State.RETRY, 1, "http_500: no",
        )  # fmt: skip
        assert (waiting.due_at, waiting.first_due_at) == (NOW + 510, NOW)
        assert worker.claim() == []
        world.later(500)
        world.upkeep.tick()
        claim = worker.claim_one()
        assert (claim.attempt, claim.failures, claim.first_due_at) == (2, 1, NOW)
        assert (claim.max_attempts, claim.message_id) == (6, f"{job}_1")
        worker.settle(claim, Kind.FAILED, error="http_410: gone")
        ended = world.ended(job)
        assert (ended.state, ended.error) == (State.FAILED, "http_410: gone")
        assert [made.number for made in ended.attempts] == [1, 2]
        assert (ended.spec.payload, ended.first_due_at, ended.max_attempts) == (b"{}", NOW, 6)

    def test_released_counts_the_attempt_but_no_failure(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        assert worker.settle(worker.claim_one(), Kind.RELEASED)
        assert world.line == [job]
        claim = worker.claim_one()
        assert (claim.attempt, claim.failures, claim.max_attempts) == (2, 0, 7)

    def test_unsent_was_no_attempt(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        assert worker.settle(worker.claim_one(), Kind.UNSENT)
        assert world.job(job).state is State.PENDING
        claim = worker.claim_one()
        assert (claim.attempt, claim.failures, claim.max_attempts) == (1, 0, 6)

    def test_only_the_current_token_counts(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        old = worker.claim_one()
        worker.settle(old, Kind.RELEASED)
        new = worker.claim_one()
        assert new.token != old.token
        assert not worker.settle(old)
        assert world.job(job).state is State.RUNNING
        assert worker.settle(new)
        assert not worker.settle(new)
        assert world.ended(job).attempt == 2

    def test_the_same_number_gets_the_same_answer(self, world: World) -> None:
        worker = world.worker()
        for _ in range(2):
            world.push()
        settlements = [Settlement(claim, Kind.COMPLETED, log="[]") for claim in worker.claim()]
        assert worker.settle_many(settlements) == [True, True]
        worker.store._settles -= 1
        assert worker.settle_many(settlements) == [True, True]
        assert worker.settle_many(settlements) == [False, False]

    def test_a_job_twice_in_one_call_is_settled_once(self, world: World) -> None:
        worker = world.worker()
        world.push()
        settlement = Settlement(worker.claim_one(), Kind.COMPLETED, log="[]")
        assert worker.settle_many([settlement, settlement]) == [True, False]
        info = world.queues.info(ENV, "mail")
        assert info is not None
        assert (info.completed, info.waiting, info.running) == (1, 0, 0)

    def test_what_is_settled_makes_room(self, world: World) -> None:
        worker = world.worker(slots=2)
        jobs = [world.push().job.id for _ in range(12)]
        assert world.line == jobs[:4]
        claims = worker.claim(4)
        assert world.line == jobs[4:8]
        worker.settle_many([Settlement(claim, Kind.COMPLETED, log="[]") for claim in claims])
        assert [claim.id for claim in worker.claim(20)] == jobs[4:8]
        assert world.line == jobs[8:]


class TestManyAtOnce:
    """One call moves at most 500 jobs: beyond some thousands, Lua itself would break off."""

    def test_claim(self, world: World) -> None:
        worker = world.worker(slots=10_000)
        for queue in ("a", "b"):
            world.client.hset(keys.queue(ENV, queue), "window", 512)
            world.jobs.push(ENV, queue, [Push(Spec(target=TARGET))] * 400)
        assert len(world.line) == 800
        assert len(worker.claim(10_000)) == 500
        assert len(worker.claim(10_000)) == 300

    def test_settle_goes_in_steps_and_on_after_an_error(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = world.worker(slots=10_000)
        world.client.hset(keys.queue(ENV, "mail"), "window", 512)
        world.jobs.push(ENV, "mail", [Push(Spec(target=TARGET))] * 1_000)
        claims = worker.claim(10_000) + worker.claim(10_000)
        assert len(claims) == 1_000
        settlements = [Settlement(claim, Kind.COMPLETED, log="[]") for claim in claims]
        calls = []

        def run(name: str, *args: Any) -> Any:
            calls.append(name)
            answer = world.scripts.run(name, *args)
            if len(calls) == 2:
                raise StorageUnavailable("the answer was lost")
            return answer

        wire = SimpleNamespace(run=run)
        monkeypatch.setattr(worker.store, "_scripts", ImmediateScripts(wire))  # type: ignore[arg-type]
        with pytest.raises(StorageUnavailable):
            worker.settle_many(settlements)
        assert worker.settle_many(settlements) == [True] * 1_000
        assert calls == ["settle"] * 3


class TestWindow:
    def window(self, world: World) -> int:
        return int(world.client.hget(keys.queue(ENV, "mail"), "window") or 16)

    def test_it_grows_with_successes_and_halves_on_timeouts(self, world: World) -> None:
        worker = world.worker()
        for _ in range(4):
            world.push()
        first, second, third, fourth = worker.claim()
        worker.settle_many([Settlement(each, Kind.COMPLETED, log="[]") for each in (first, second)])
        assert self.window(world) == 18
        worker.retry(third, error="http_500: it answers")
        assert self.window(world) == 18
        worker.retry(fourth, error="timeout: no answer")
        assert self.window(world) == 9

    @pytest.mark.parametrize(
        ("before", "error", "after"), [(511, "", 512), (7, "dns: no such name", 4)]
    )
    def test_it_stays_between_4_and_512(
        self, world: World, before: int, error: str, after: int
    ) -> None:
        worker = world.worker()
        world.client.hset(keys.queue(ENV, "mail"), "window", before)
        for _ in range(2):
            world.push()
        kind = Kind.FAILED if error else Kind.COMPLETED
        claims = worker.claim()
        worker.settle_many([Settlement(each, kind, error=error, log="[]") for each in claims])
        assert self.window(world) == after

    def test_queues_share_twice_the_workers_slots(self, world: World) -> None:
        world.worker(slots=10)
        for _ in range(30):
            world.push(queue="a")
        assert len(world.line) == 16
        for _ in range(30):
            world.push(queue="b")
        assert len(world.line) == 16 + 16 - 6  # b: 2 × 10 / 2 queues


class TestWorker:
    def test_a_lease_is_renewed_by_beats_only(self, world: World) -> None:
        worker, other = world.worker(), world.worker()
        kept, lost = world.push().job.id, world.push().job.id
        worker.claim()
        for _ in range(LEASE // 1_000 // 8):
            world.tick_through(8)
            worker.beat([kept])
            other.beat()
        world.tick_through(8)
        worker.beat([kept])
        assert world.upkeep.reclaim() == (1, 0)
        assert world.job(kept).state is State.RUNNING
        assert world.job(lost).state is State.RETRY

    def test_whoever_left_is_gone(self, world: World) -> None:
        worker = world.worker(slots=7)
        assert world.client.hget("lq:seq", "slots") == b"7"
        assert worker.leave()
        assert worker.leave()
        assert world.client.hget("lq:seq", "slots") == b"0"
        assert not world.client.exists(keys.worker(worker.name), keys.held(worker.name))
        with pytest.raises(WorkerDeclaredDead):
            worker.claim()

    def test_whoever_holds_jobs_may_not_leave(self, world: World) -> None:
        worker = world.worker()
        world.push()
        claim = worker.claim_one()
        assert not worker.leave()
        worker.settle(claim)
        assert worker.leave()

    def test_whoever_was_declared_dead_stays_dead(self, world: World) -> None:
        worker = world.worker(slots=7)
        job = world.push().job.id
        claim = worker.claim_one()
        assert world.kill(worker) == (1, 1)
        with pytest.raises(WorkerDeclaredDead):
            worker.beat([job])
        with pytest.raises(WorkerDeclaredDead):
            worker.claim()
        assert not worker.settle(claim)
        assert world.client.hget("lq:seq", "slots") == b"0"
        assert 0 < world.client.ttl(keys.worker(worker.name)) <= 3_600
        assert world.line == [job]

    def test_it_is_dead_also_while_its_many_jobs_are_being_taken_back(self, world: World) -> None:
        """One reclaim moves 500 jobs; whoever holds more is not to come back in between."""
        worker = world.worker(slots=600)
        world.client.hset(keys.queue(ENV, "mail"), "window", 512)
        for _ in range(20):
            for _ in range(30):
                world.push()
            worker.claim(30)
        assert world.kill(worker) == (500, 1)
        with pytest.raises(WorkerDeclaredDead):
            worker.beat()
        with pytest.raises(WorkerDeclaredDead):
            worker.claim()
        assert world.upkeep.reclaim() == (100, 0)


def test_on_an_event_loop(world: World, redis_url: str) -> None:
    """The same calls over a connection that waits, and the wait for an entry in the line."""

    async def live() -> None:
        client = redis.asyncio.Redis.from_url(redis_url)
        try:
            store = AttemptStore(client, rq_worker="worker-1", slots=2)
            await store.join()
            assert not await store.wait_for_ready(0.01)
            world.push()
            assert await store.wait_for_ready(5)
            claimed = await store.claim(2)
            await store.beat([claim.id for claim in claimed.claims])
            settlements = [Settlement(claim, Kind.COMPLETED, log="[]") for claim in claimed.claims]
            assert await store.settle(settlements) == [True]
            assert await store.leave()
        finally:
            await client.aclose()

    asyncio.run(live())


class TestUnreadable:
    """Newer code may store what this one can't read: it waits, is reported, and keeps nobody."""

    @pytest.mark.parametrize(
        "options",
        [
            {"retry": {"type": "fibonacci"}},
            {"retry": {"type": "constant", "newer": 1}},
            {"terms": [1_000, 1_000, 7]},
            {"message": ["X", 1, 7]},
        ],
        ids=["type", "field", "terms", "message"],
    )
    def test_a_job(self, world: World, options: dict[str, Any]) -> None:
        strange, plain = world.push().job.id, world.push().job.id
        packed = json.dumps({"target": TARGET, **options}).encode() + b"\n{}"
        world.client.hset(keys.payloads(ENV, "mail"), strange, packed)
        worker = world.worker()
        claimed = worker.look()
        assert [claim.id for claim in claimed.claims] == [plain]
        ((skeleton, reason),) = claimed.unreadable
        assert (skeleton.id, skeleton.queue) == (strange, "mail")
        assert reason
        assert worker.settle(skeleton, Kind.UNSENT, delay=60_000)
        assert world.client.hget(keys.job(strange), "due") == str(NOW + 60_000).encode()
        assert world.client.hget(keys.payloads(ENV, "mail"), strange) == packed

    def test_the_settings_of_a_queue(self, world: World) -> None:
        strange, plain = world.push("strange").job.id, world.push().job.id
        settings = json.dumps({"retry": {"type": "fibonacci"}})
        world.client.hset(keys.queue(ENV, "strange"), "settings", settings)
        claimed = world.worker().look()
        assert [claim.id for claim in claimed.claims] == [plain]
        assert [claim.id for claim, _ in claimed.unreadable] == [strange]
