"""JobStore.push: new jobs, replaced and kept ones, batches, idempotency keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue import ids, keys
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Idempotency, Push
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import Place, State
from lambdaqueue.spec import Spec
from lambdaqueue.store import TargetMissing
from tests.store.world import ACTOR, ENV, NOW, TARGET, World

ONE = Idempotency("once", "fingerprint")


def test_a_job_due_now_is_in_the_line_when_push_returns(world: World) -> None:
    pushed = world.push(payload=b"\xff\x00 raw ]] '")
    assert (pushed.place, pushed.replayed) == (Place.CREATED, False)
    assert (pushed.job.state, pushed.job.version, pushed.job.due_at) == (State.PENDING, 1, NOW)
    assert pushed.job.created_at == NOW
    assert world.line == [pushed.job.id]
    read = world.job(pushed.job.id)
    assert read == pushed.job
    assert read.spec.payload == b"\xff\x00 raw ]] '"


def test_ids_keep_the_order_of_pushes_within_a_millisecond(world: World) -> None:
    pushed = [world.push().job.id for _ in range(50)]
    world.later(-5_000)  # a clock that was set back changes nothing
    pushed += [world.push().job.id for _ in range(5)]
    assert pushed == sorted(pushed)
    assert len(set(pushed)) == 55
    assert all(ids.is_job_id(job_id) for job_id in pushed)


@pytest.mark.parametrize(
    ("when", "due"),
    [
        ({"delay": 0}, NOW),
        ({"delay": 1_500}, NOW + 1_500),
        ({"delay": 366 * 86_400_000}, NOW + 366 * 86_400_000),
        ({"on": NOW - 1}, NOW),  # the past means now
        ({"on": NOW + 7}, NOW + 7),
    ],
)
def test_due_times(world: World, when: dict[str, Any], due: int) -> None:
    pushed = world.push(**when)
    assert pushed.job.due_at == due
    assert world.job(pushed.job.id).due_at == due
    assert world.line == ([pushed.job.id] if due == NOW else [])
    assert world.wake() == (None if due == NOW else due)


def test_a_waiting_job_with_the_key_is_replaced_in_place(world: World) -> None:
    first = world.push(key="k", delay=5_000).job
    second = world.push(key="k", payload=b"two", delay=9_000)
    assert (second.place, second.job.id, second.job.version) == (Place.REPLACED, first.id, 2)
    job = world.job(first.id)
    assert (job.spec.payload, job.due_at, job.version) == (b"two", NOW + 9_000, 2)
    assert world.wake() == NOW + 9_000


def test_a_replaced_job_starts_over(world: World) -> None:
    worker = world.worker()
    job = world.push(key="k", priority=3, max_age=60_000).job
    worker.retry(worker.claim_one())
    assert world.job(job.id).attempt == 1
    world.push(key="k")
    replaced = world.job(job.id)
    assert (replaced.attempt, replaced.state, replaced.attempts) == (0, State.PENDING, ())
    assert (replaced.priority, replaced.first_due_at) == (0, NOW)
    claim = worker.claim_one()
    assert (claim.attempt, claim.failures, claim.version, claim.expires_at) == (1, 0, 2, None)


def test_a_ready_job_that_stays_due_keeps_its_place_in_the_line(world: World) -> None:
    first = world.push(key="k").job.id
    second = world.push().job.id
    world.push(key="k", payload=b"two")
    assert world.line == [first, second]
    assert [claim.spec.payload for claim in world.worker().claim()] == [b"two", b"{}"]


def test_a_ready_job_that_is_replaced_with_a_later_time_leaves_a_tombstone(world: World) -> None:
    job = world.push(key="k").job.id
    world.push(key="k", delay=1_000)
    assert world.line == [job]
    worker = world.worker()
    assert worker.claim() == []
    assert world.line == []
    world.later(1_000)
    world.upkeep.tick()
    assert worker.claim_one().version == 2


def test_keep_returns_the_unprocessed_job_as_it_is(world: World) -> None:
    job = world.push(key="k", payload=b"one", delay=1_000).job
    kept = world.push(key="k", payload=b"two", if_exists="keep")
    assert kept.place is Place.KEPT
    assert kept.job == world.job(job.id)
    assert (kept.job.spec.payload, kept.job.version) == (b"one", 1)


def test_keep_of_a_running_job_keeps_it(world: World) -> None:
    worker = world.worker()
    job = world.push(key="k").job.id
    worker.claim_one()
    assert world.push(key="k", if_exists="keep").place is Place.KEPT
    world.cancel(job)
    # What was dropped counts as processed: a new version waits for its end.
    assert world.push(key="k", if_exists="keep").place is Place.PENDING
    assert world.push(key="k", if_exists="keep").place is Place.KEPT


def test_a_running_job_gets_a_pending_version(world: World) -> None:
    worker = world.worker()
    job = world.push(key="k", payload=b"one").job.id
    claim = worker.claim_one()
    pushed = world.push(key="k", payload=b"two", delay=5_000)
    assert (pushed.place, pushed.job.id, pushed.job.version) == (Place.PENDING, job, 2)
    assert (pushed.job.state, pushed.job.pending) == (State.RUNNING, True)
    assert world.push(key="k", payload=b"three", delay=3_000, priority=4).job.version == 3
    assert worker.settle(claim)
    assert (world.ended(job).version, world.ended(job).state) == (1, State.COMPLETED)
    job_now = world.job(job)
    assert (job_now.version, job_now.state, job_now.pending) == (3, State.PENDING, False)
    assert (job_now.spec.payload, job_now.due_at, job_now.priority) == (b"three", NOW + 3_000, 4)
    world.later(3_000)
    world.upkeep.tick()
    assert worker.claim_one().message_id == f"{job}_3"


def test_after_the_end_the_key_makes_a_new_job(world: World) -> None:
    worker = world.worker()
    first = world.push(key="k").job.id
    worker.settle(worker.claim_one())
    second = world.push(key="k")
    assert second.place is Place.CREATED
    assert second.job.id != first
    assert second.job.version == 1


def test_the_same_key_in_two_queues_or_environments_is_two_jobs(world: World) -> None:
    push = Push(Spec(target=TARGET), key="k")
    pushed = [
        world.jobs.push(environment, queue, [push])[0]
        for environment, queue in ((ENV, "a"), (ENV, "b"), ("2", "a"))
    ]
    assert [each.place for each in pushed] == [Place.CREATED] * 3
    assert len({each.job.id for each in pushed}) == 3


def test_a_batch_answers_in_order(world: World) -> None:
    world.push(key="b", delay=1_000)
    spec = Spec(target=TARGET)
    pushed = world.jobs.push(
        ENV, "mail", [Push(spec, "a"), Push(spec, "b"), Push(spec, delay=50), Push(spec)]
    )
    assert [each.place.value for each in pushed] == ["created", "replaced", "created", "created"]
    assert [each.job.due_at for each in pushed] == [NOW, NOW, NOW + 50, NOW]


def test_a_batch_with_a_job_without_target_stores_nothing(world: World) -> None:
    before = world.snapshot()
    with pytest.raises(TargetMissing) as raised:
        world.jobs.push(ENV, "mail", [Push(Spec(target=TARGET)), Push(Spec())])
    assert raised.value.index == 1
    assert world.snapshot() == before


def test_the_target_may_be_the_queues(world: World) -> None:
    world.queues.configure(ACTOR, "mail", {"target": "http://127.0.0.1/queue"}, None)
    assert world.push(target=None).job.target == "http://127.0.0.1/queue"
    assert world.worker().claim_one().target == "http://127.0.0.1/queue"


def test_a_large_batch_is_admitted_as_far_as_the_window_goes(world: World) -> None:
    world.worker(slots=200)
    spec = Spec(target=TARGET)
    world.jobs.push(ENV, "mail", [Push(spec)] * 1_000)
    assert len(world.line) == 16  # the first window
    info = world.queues.info(ENV, "mail")
    assert info is not None
    assert info.waiting == 1_000


def test_an_idempotency_key_gets_the_first_answer_again(world: World) -> None:
    first = world.push(key="k", idempotency=ONE)
    world.worker().claim()
    world.later(3_600_000)
    again = world.push(key="k", payload=b"ignored", idempotency=ONE)
    assert again.replayed
    assert (again.job.id, again.job.version) == (first.job.id, 1)
    assert again.place is Place.CREATED
    info = world.queues.info(ENV, "mail")
    assert info is not None
    assert (info.waiting, info.running) == (0, 1)


def test_an_idempotency_key_for_another_request_is_refused(world: World) -> None:
    world.push(idempotency=ONE)
    with pytest.raises(InvalidRequest) as raised:
        world.push(idempotency=replace(ONE, fingerprint="another"))
    assert [issue.code for issue in raised.value.issues] == ["idempotency_mismatch"]
    assert len(world.line) == 1


def test_an_idempotency_key_is_remembered_for_a_day_per_environment(world: World) -> None:
    world.push(idempotency=ONE)
    lifetime = world.client.ttl(keys.idempotent(ENV, ONE.key))
    assert 86_390 <= lifetime <= 86_400
    (other,) = world.jobs.push("2", "mail", [Push(Spec(target=TARGET))], ONE)
    assert not other.replayed


def test_a_failed_push_leaves_the_idempotency_key_free(world: World) -> None:
    with pytest.raises(TargetMissing):
        world.push(target=None, idempotency=ONE)
    assert not world.push(idempotency=ONE).replayed


def test_versions_grow_even_after_a_cancelled_replacement(world: World) -> None:
    worker = world.worker()
    job = world.push(key="k").job.id
    claim = worker.claim_one()
    assert world.push(key="k").job.version == 2
    world.cancel(job)
    assert world.push(key="k").job.version == 3
    assert worker.settle(claim, Kind.FAILED, error="http_410: gone")
    assert world.job(job).version == 3


def test_priorities_go_first_up_to_the_window(world: World) -> None:
    world.queues.pause(ACTOR, "mail")
    low = [world.push().job.id for _ in range(5)]
    high = [world.push(priority=9).job.id for _ in range(2)]
    middle = world.push(priority=4).job.id
    later = world.push(priority=9, delay=1).job.id
    world.queues.resume(ACTOR, "mail")
    assert world.line == [*high, middle, *low][:4]  # without workers the window is 4
    world.later(1)
    assert [claim.id for claim in world.worker().claim(8)] == [*high, middle, low[0]]
    assert world.line[0] == later
