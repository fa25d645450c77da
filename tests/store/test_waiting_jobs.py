"""JobStore.cancel, change, run_now, active and waiting: what may be asked of a stored job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Idempotency
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound
from lambdaqueue.job import State
from lambdaqueue.store import TargetMissing, VersionChanged
from tests.store.world import ACTOR, ENV, NOW, World


class TestCancel:
    def test_a_waiting_job_ends_cancelled(self, world: World) -> None:
        job = world.push(key="k", delay=1_000, payload=b"kept for replay").job.id
        answer = world.cancel(job)
        assert answer is not None
        assert (answer.id, answer.state) == (job, State.CANCELLED)
        ended = world.ended(job)
        assert (ended.state, ended.error) == (State.CANCELLED, "cancelled: on request")
        assert ended.spec.payload == b"kept for replay"
        assert world.jobs.read(job) is None
        assert world.jobs.read_by_key(ENV, "mail", "k") is None
        assert world.wake() is None

    def test_by_key(self, world: World) -> None:
        job = world.push(key="it's ]] {}").job.id
        answer = world.jobs.cancel(ENV, "mail", "", "it's ]] {}")
        assert answer is not None
        assert answer.id == job

    def test_what_is_absent_or_ended(self, world: World) -> None:
        job = world.push().job.id
        world.cancel(job)
        assert world.cancel(job) is None
        assert world.jobs.cancel(ENV, "mail", "", "no such key") is None

    def test_a_ready_job_leaves_a_tombstone_that_a_claim_drops(self, world: World) -> None:
        gone = world.push().job.id
        stays = world.push().job.id
        world.cancel(gone)
        assert world.line == [gone, stays]
        assert [claim.id for claim in world.worker().claim()] == [stays]
        assert world.line == []
        assert f"rq:job:{gone}_1" not in world.snapshot().lifetimes

    def test_the_room_of_a_dropped_tombstone_is_filled(self, world: World) -> None:
        jobs = [world.push().job.id for _ in range(6)]
        assert world.line == jobs[:4]
        for job in jobs[:4]:
            world.cancel(job)
        assert world.line == jobs[:4]  # tombstones keep their places until they are popped
        assert world.worker().claim(4) == []
        assert world.line == jobs[4:]

    @pytest.mark.parametrize(
        ("kind", "state"),
        [
            (Kind.COMPLETED, State.COMPLETED),
            (Kind.RETRY, State.CANCELLED),
            (Kind.FAILED, State.CANCELLED),
            (Kind.RELEASED, State.CANCELLED),
            (Kind.UNSENT, State.CANCELLED),
        ],
    )
    def test_a_running_job_is_not_tried_again(self, world: World, kind: Kind, state: State) -> None:
        worker = world.worker()
        job = world.push().job.id
        claim = worker.claim_one()
        answer = world.cancel(job)
        assert answer is not None
        assert answer.state is State.RUNNING
        assert worker.settle(claim, kind)
        assert world.ended(job).state is state
        assert world.jobs.read(job) is None

    def test_a_running_job_loses_its_pending_version(self, world: World) -> None:
        worker = world.worker()
        job = world.push(key="k").job.id
        claim = worker.claim_one()
        world.push(key="k", payload=b"two")
        answer = world.cancel(job)
        assert answer is not None
        assert (answer.version, answer.pending) == (1, False)
        worker.retry(claim)
        assert world.jobs.read(job) is None
        assert world.ended(job).error == "cancelled: on request"

    def test_a_push_after_it_is_a_new_version_of_the_running_job(self, world: World) -> None:
        worker = world.worker()
        job = world.push(key="k").job.id
        claim = worker.claim_one()
        world.cancel(job)
        world.push(key="k", payload=b"two")
        worker.retry(claim)
        assert (world.ended(job).version, world.ended(job).state) == (1, State.CANCELLED)
        claim = worker.claim_one()
        assert (claim.version, claim.spec.payload) == (2, b"two")
        assert worker.retry(claim)  # the promotion cleared the flag: it is tried again
        assert world.job(job).state is State.RETRY


class TestChange:
    def test_a_waiting_job_gets_a_new_version(self, world: World) -> None:
        job = world.push(delay=5_000, priority=2).job.id
        changed = world.change(job, delay=9_000)
        assert (changed.version, changed.due_at, changed.spec.payload) == (2, NOW + 9_000, b"new")
        assert (changed.priority, changed.state) == (2, State.PENDING)
        assert world.job(job) == changed

    def test_without_a_time_the_due_time_stays(self, world: World) -> None:
        job = world.push(delay=5_000).job.id
        world.later(1_000)
        assert world.change(job).due_at == NOW + 5_000
        assert world.wake() == NOW + 5_000

    def test_a_running_job_gets_a_pending_version(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        claim = worker.claim_one()
        world.later(100)
        changed = world.change(job)
        assert (changed.version, changed.pending, changed.due_at) == (2, True, NOW + 100)
        again = world.change(job, b"newer", delay=5_000)
        assert (again.version, again.due_at) == (3, NOW + 5_100)
        worker.settle(claim, Kind.FAILED, error="http_410: gone")
        ended = world.ended(job)
        assert (ended.state, ended.error) == (
            State.CANCELLED, "superseded: by a newer version",
        )  # fmt: skip
        assert (world.job(job).version, world.job(job).spec.payload) == (3, b"newer")

    def test_another_version_is_a_conflict(self, world: World) -> None:
        read = world.push(key="k", delay=1_000).job
        world.push(key="k", delay=1_000)
        with pytest.raises(VersionChanged):
            world.jobs.change(read, read.spec, delay=None, on=None, priority=0)
        assert world.job(read.id).version == 2

    def test_an_ended_job_is_not_found(self, world: World) -> None:
        read = world.push().job
        world.cancel(read.id)
        with pytest.raises(NotFound):
            world.jobs.change(read, read.spec, delay=None, on=None, priority=0)

    def test_it_must_have_a_target(self, world: World) -> None:
        read = world.push().job
        with pytest.raises(TargetMissing):
            world.jobs.change(
                read, replace(read.spec, target=None), delay=None, on=None, priority=0
            )
        assert world.job(read.id).version == 1

    def test_the_new_priority_counts_among_those_that_wait(self, world: World) -> None:
        jobs = [world.push().job.id for _ in range(6)]
        world.change(jobs[5], priority=9)
        assert [claim.id for claim in world.worker().claim(4)] == jobs[:4]
        assert world.line == [jobs[5], jobs[4]]


class TestRunNow:
    def test_a_delayed_job_is_due(self, world: World) -> None:
        job = world.push(delay=60_000).job.id
        world.later(1_000)
        due, replayed = world.jobs.run_now(job, ENV, None)
        assert (due.due_at, replayed) == (NOW + 1_000, False)
        assert world.line == [job]
        assert world.wake() is None

    def test_a_retry_is_due_and_keeps_its_attempts(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        worker.retry(worker.claim_one(), delay=900_000)
        world.jobs.run_now(job, ENV, None)
        claim = worker.claim_one()
        assert (claim.attempt, claim.failures, claim.version) == (2, 1, 1)

    def test_a_paused_queue_stays_paused(self, world: World) -> None:
        world.queues.pause(ACTOR, "mail")
        job = world.push(delay=1_000).job.id
        world.jobs.run_now(job, ENV, None)
        assert world.line == []
        world.queues.resume(ACTOR, "mail")
        assert world.line == [job]

    def test_a_running_or_absent_job(self, world: World) -> None:
        worker = world.worker()
        job = world.push().job.id
        claim = worker.claim_one()
        with pytest.raises(Conflict):
            world.jobs.run_now(job, ENV, None)
        worker.settle(claim)
        with pytest.raises(NotFound):
            world.jobs.run_now(job, ENV, None)

    def test_an_idempotency_key_gets_the_first_answer_again(self, world: World) -> None:
        one = Idempotency("once", "fingerprint")
        job = world.push(delay=60_000).job.id
        first, _ = world.jobs.run_now(job, ENV, one)
        worker = world.worker()
        worker.retry(worker.claim_one(), delay=900_000)
        again, replayed = world.jobs.run_now(job, ENV, one)
        assert (again, replayed) == (first, True)
        assert world.line == []
        with pytest.raises(InvalidRequest):
            world.jobs.run_now(job, ENV, replace(one, fingerprint="another"))


class TestLists:
    def test_active_are_the_ready_and_the_running(self, world: World) -> None:
        jobs = [world.push().job.id for _ in range(3)]
        world.push(queue="other")
        world.push(delay=1_000)
        world.worker().claim(1)
        world.cancel(jobs[1])
        assert world.jobs.active(ENV, "mail") == [jobs[0], jobs[2]]
        assert world.jobs.active(ENV, "unknown") == []

    def test_waiting_is_by_due_time(self, world: World) -> None:
        late = world.push(delay=9_000).job.id
        soon = world.push(delay=1_000).job.id
        assert world.jobs.waiting(ENV, "mail", "0", 0, 10) == [
            (soon, NOW + 1_000), (late, NOW + 9_000),
        ]  # fmt: skip
        assert world.jobs.waiting(ENV, "mail", "0", NOW + 1_001, 10) == [(late, NOW + 9_000)]
        assert len(world.jobs.waiting(ENV, "mail", "0", 0, 1)) == 1
        assert [job.id for job in world.jobs.read_many([soon, "0" * 14, late])] == [soon, late]
