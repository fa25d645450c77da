"""Upkeep: the lease clock, lost attempts, swept entries, wakes, the inspection."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.commands import Push
from lambdaqueue.job import State
from lambdaqueue.spec import Spec
from tests.store.world import ENV, NOW, TARGET, Hand, World

MAIL = keys.queue_ref(ENV, "mail")


class TestTick:
    def test_it_admits_what_has_come_due(self, world: World) -> None:
        world.push(delay=100)
        job = world.push(delay=50).job.id
        tick = world.upkeep.tick()
        assert (tick.now * 1000, tick.next) == (NOW, (NOW + 50) / 1000)
        world.later(49)
        world.upkeep.tick()
        assert world.line == []
        world.later(1)
        assert world.upkeep.tick().next == (NOW + 100) / 1000
        assert world.line == [job]
        world.later(50)
        assert world.upkeep.tick().next is None

    def test_it_takes_fifty_queues_at_a_time(self, world: World) -> None:
        for number in range(60):
            world.push(queue=f"q{number}", delay=10)
        world.later(10)
        assert world.upkeep.tick().next == (NOW + 10) / 1000
        assert len(world.line) == 50
        assert world.upkeep.tick().next is None
        assert len(world.line) == 60

    def test_it_moves_at_most_500_jobs(self, world: World) -> None:
        world.worker(slots=100_000)
        spec = Spec(target=TARGET)
        for number in range(3):
            world.client.hset(keys.queue(ENV, f"q{number}"), "window", 512)
            world.jobs.push(ENV, f"q{number}", [Push(spec, delay=10)] * 300)
        world.later(10)
        assert world.upkeep.tick().next == (NOW + 10) / 1000
        assert len(world.line) == 500
        assert world.upkeep.tick().next is None
        assert len(world.line) == 900

    def test_a_push_that_is_due_sooner_sounds_the_alarm(self, world: World) -> None:
        listener: Any
        with world.client.pubsub() as listener:  # type: ignore[no-untyped-call]
            listener.subscribe("lq:alarm")
            assert listener.get_message(timeout=5)
            world.push(delay=9_000)
            world.push(queue="later", delay=10_000)
            world.push(delay=1_000)
            heard = [listener.get_message(timeout=5) for _ in range(2)]
            assert [message and message["data"] for message in heard] == [
                str(NOW + 9_000).encode(), str(NOW + 1_000).encode(),
            ]  # fmt: skip
            assert listener.get_message(timeout=0) is None


class TestLeaseClock:
    def test_an_outage_lets_no_lease_run_out(self, world: World) -> None:
        worker = world.worker()
        world.push()
        claim = worker.claim_one()
        world.upkeep.tick()
        world.later(3_600_000)  # nobody ticked for an hour
        world.upkeep.tick()
        assert world.upkeep.reclaim() == (0, 0)
        worker.beat([claim.id])
        assert worker.settle(claim)

    def test_a_clock_that_is_set_back_or_forward_expires_nothing(self, world: World) -> None:
        worker = world.worker()
        world.push()
        worker.claim_one()
        for step in (-86_400_000, 86_400_000, 1, -1, 500):
            world.later(step)
            world.upkeep.tick()
        assert world.client.hget("lq:seq", "lease_ms") == b"1501"
        assert world.upkeep.reclaim() == (0, 0)

    @pytest.mark.parametrize(("seconds", "lost"), [(10, 0), (11, 1)])
    def test_ten_seconds_of_silence_are_death(self, world: World, seconds: int, lost: int) -> None:
        worker = world.worker()
        job = world.push().job.id
        worker.claim_one()
        world.tick_through(seconds)
        assert world.upkeep.reclaim() == (lost, lost)
        assert world.job(job).state is (State.RETRY if lost else State.RUNNING)


class TestReclaim:
    def test_a_lost_attempt_is_repeated_at_once(self, world: World) -> None:
        worker, other = world.worker(), world.worker()
        job = world.push(max_age=600_000).job.id
        lost = worker.claim_one()
        assert world.kill(worker) == (1, 1)
        assert world.line == [job]
        waiting = world.job(job)
        assert (waiting.state, waiting.error) == (State.RETRY, "lost: the worker died")
        claim = other.claim_one()
        # Attempt and maximum grow, no retry is used up, the message is the same.
        assert (claim.attempt, claim.failures, claim.max_attempts) == (2, 0, 7)
        assert claim.message_id == lost.message_id
        assert (claim.first_due_at, claim.expires_at) == (NOW, NOW + 600_000)
        assert other.settle(claim)
        assert not worker.settle(lost)
        ended = world.ended(job)
        assert [(made.number, made.error) for made in ended.attempts] == [
            (1, "lost: the worker died"), (2, None),
        ]  # fmt: skip

    def test_rqs_books_are_cleaned(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        worker.claim_one()
        world.kill(worker)
        assert not world.client.exists("rq:wip:lambdaqueue", f"rq:job:{job}_1")

    def test_a_worker_takes_one_suspect_at_a_time(self, world: World) -> None:
        worker, other = world.worker(), world.worker()
        for queue in ("a", "b"):
            world.push(queue=queue)
        assert len(worker.claim()) == 2
        world.kill(worker)
        assert len(world.line) == 2
        look = other.look()
        assert (len(look.claims), look.held_back) == (1, True)
        assert len(world.line) == 1
        again = other.look()
        assert (again.claims, again.held_back) == ((), True)
        other.settle(look.claims[0])
        assert len(other.claim()) == 1

    def test_one_suspect_of_a_queue_is_in_the_line_and_the_others_pass(self, world: World) -> None:
        worker, other = world.worker(), world.worker()
        suspects = [world.push().job.id for _ in range(3)]
        worker.claim(3)
        world.kill(worker)
        healthy = [world.push().job.id for _ in range(2)]
        assert world.line == [suspects[0], *healthy]
        assert [claim.id for claim in other.claim()] == [suspects[0], *healthy]
        assert world.line == [suspects[1]]

    def test_three_losses_as_a_suspect_are_the_end(self, world: World) -> None:
        poison = world.push().job.id
        friend = world.push().job.id
        worker, healthy = world.worker(), world.worker()
        assert [claim.id for claim in worker.claim()] == [poison, friend]
        world.kill(worker)  # which of the two was it?
        for losses in (1, 2):
            worker = world.worker()
            assert worker.claim_one().id == poison
            if losses == 1:
                assert healthy.settle(healthy.claim_one())
                assert world.ended(friend).state is State.COMPLETED
            world.kill(worker)
            assert world.snapshot().jobs[poison]["losses"] == str(losses)
        worker = world.worker()
        assert worker.claim_one().id == poison
        world.kill(worker)
        ended = world.ended(poison)
        assert (ended.state, ended.attempt) == (State.FAILED, 4)
        assert ended.error == "lost: three workers died on this job"
        assert [made.number for made in ended.attempts] == [1, 2, 3, 4]
        assert ended.spec.payload == b"{}"

    def test_a_loss_beside_a_suspect_does_not_count(self, world: World) -> None:
        worker, other = world.worker(), world.worker()
        suspect = world.push().job.id
        worker.claim_one()
        world.kill(worker)
        bystander = world.push().job.id
        assert len(other.claim()) == 2
        world.kill(other)
        jobs = world.snapshot().jobs
        assert (jobs[suspect]["losses"], jobs[bystander]["losses"]) == ("1", "0")

    def test_a_failure_clears_the_suspicion(self, world: World) -> None:
        worker, other = world.worker(), world.worker()
        job = world.push().job.id
        worker.claim_one()
        world.kill(worker)
        other.retry(other.claim_one(), delay=0)
        fields = world.snapshot().jobs[job]
        assert "suspect" not in fields
        assert "losses" not in fields
        assert other.claim_one().attempt == 3

    def test_a_frozen_worker_comes_back_too_late(self, world: World) -> None:
        frozen, other = world.worker(), world.worker()
        job = world.push().job.id
        old = frozen.claim_one()
        world.kill(frozen)
        new = other.claim_one()
        assert not frozen.settle(old)
        assert world.job(job).state is State.RUNNING
        assert other.settle(new)

    @pytest.mark.parametrize("pending", [False, True])
    def test_a_dropped_job_ends_cancelled(self, world: World, pending: bool) -> None:
        worker = world.worker()
        job = world.push(key="k").job.id
        worker.claim_one()
        world.cancel(job)
        if pending:
            world.push(key="k", payload=b"two")
        world.kill(worker)
        ended = world.ended(job)
        assert (ended.state, ended.version) == (State.CANCELLED, 1)
        assert ended.error == "cancelled: on request"
        live = world.jobs.read(job)
        assert (live and live.version) == (2 if pending else None)

    def test_a_replaced_job_gives_way_to_its_successor(self, world: World) -> None:
        worker = world.worker()
        job = world.push(key="k").job.id
        worker.claim_one()
        world.push(key="k", payload=b"two")
        world.kill(worker)
        assert world.ended(job).error == "superseded: by a newer version"
        successor = world.job(job)
        assert (successor.version, successor.state, successor.attempt) == (2, State.PENDING, 0)
        assert "suspect" not in world.snapshot().jobs[job]

    def test_the_log_keeps_the_last_twenty_attempts(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        for _ in range(22):
            worker.retry(worker.claim_one(), delay=0)
        worker.claim_one()
        world.kill(worker)
        assert [made.number for made in world.job(job).attempts] == list(range(4, 24))


class TestSweep:
    def swept(self, world: World) -> list[int]:
        return [world.upkeep.sweep() for _ in range(2)]

    def test_what_vanished_from_the_line_waits_again(self, world: World) -> None:
        jobs = [world.push().job.id for _ in range(3)]
        world.client.delete(keys.line)
        assert self.swept(world) == [0, 3]
        assert world.line == jobs
        assert [claim.id for claim in world.worker().claim()] == jobs

    def test_what_stands_in_the_line_stays(self, world: World) -> None:
        for _ in range(3):
            world.push()
        before = world.client.lrange(keys.line, 0, -1)
        assert self.swept(world) == [0, 0]
        assert world.client.lrange(keys.line, 0, -1) == before

    def test_an_entry_that_was_popped_and_not_claimed(self, world: World) -> None:
        lost, behind = world.push().job.id, world.push().job.id
        entry = world.client.lpop(keys.line)
        assert isinstance(entry, bytes)
        assert self.swept(world) == [0, 1]
        assert world.line == [behind, lost]
        # Whoever popped it comes too late: the entry no longer counts.
        stock = Hand(world, 1, rq_worker="")
        assert stock.look(1, [entry.decode()]).claims == ()

    def test_a_tombstone_that_vanished_gives_its_place_free(self, world: World) -> None:
        jobs = [world.push().job.id for _ in range(5)]
        world.cancel(jobs[0])
        world.client.lpop(keys.line)
        assert self.swept(world) == [0, 1]
        assert world.line == jobs[1:]

    def test_rq_empty_shuts_no_queue(self, world: World) -> None:
        """It deletes the RQ jobs as well, and a tombstone's queue is known from nowhere else."""
        jobs = [world.push().job.id for _ in range(6)]
        other = world.push(queue="other").job.id
        for job in jobs[:3]:
            world.cancel(job)
        for _ in range(4):
            entry: Any = world.client.lpop(keys.line)
            world.client.delete(f"rq:job:{entry.decode()}")
        assert self.swept(world) == [0, 4]
        assert sorted(world.line) == sorted([other, *jobs[3:]])
        assert world.snapshot().hashes["lq:in_line"] == {MAIL: "3", f"{ENV}:other": "1"}


class TestStirAndAudit:
    def test_stir_admits_what_was_forgotten(self, world: World) -> None:
        job = world.push(delay=100).job.id
        world.client.delete("lq:wake")
        world.later(100)
        world.upkeep.tick()
        assert world.line == []
        assert world.upkeep.stir([MAIL, "1:unknown"]) == 1
        assert world.line == [job]
        assert world.queues.info(ENV, "unknown") is None

    def test_a_sound_queue_has_no_findings(self, world: World) -> None:
        worker = world.worker()
        for number in range(8):
            world.push(key=f"k{number % 3}", delay=1_000 * (number % 2), priority=number)
        worker.claim(2)
        assert world.upkeep.inspect(MAIL) == []
        assert world.upkeep.inspect("1:unknown") == []

    @pytest.mark.parametrize(
        ("command", "finding"),
        [
            (("HINCRBY", "lq:1:queue:mail", "jobs", 1), "2 jobs, but only 1 wait, 0 run"),
            (("HINCRBY", "lq:1:queue:mail", "jobs", -1), "1 wait and 0 run, but there are 0 jobs"),
            (("HSET", "lq:1:queue:mail", "levels", ""), "level 0 holds 1 jobs but is not listed"),
            (("DEL", "lq:wake"), "1 jobs wait, and nothing will wake them"),
            (("DEL", "lq:1:payloads:mail"), "1 jobs, but 0 payloads"),
            (("HSET", "lq:1:keys:mail", "a", "x", "b", "y"), "more unique keys than the 1 jobs"),
        ],
    )
    def test_damage_is_found(self, world: World, command: tuple[str, ...], finding: str) -> None:
        world.push(delay=1_000)
        world.client.execute_command(*command)  # type: ignore[no-untyped-call]
        assert any(found.startswith(finding) for found in world.upkeep.inspect(MAIL))

    def test_all_environments_and_queues_are_listed(self, world: World) -> None:
        for environment, queue in (("1", "b"), ("2", "a"), ("1", "a/c")):
            world.jobs.push(environment, queue, [Push(Spec(target=TARGET))])
        assert world.upkeep.environments() == ["1", "2"]
        assert list(world.upkeep.queues("1")) == ["a/c", "b"]
