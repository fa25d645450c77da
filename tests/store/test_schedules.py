"""The scripts of schedules and their store: who changes, fires and drops at the same time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.errors import NotFound
from lambdaqueue.job import Job, State
from lambdaqueue.schedule import Overlap, Recurrence, Schedule, plan
from lambdaqueue.schedules import ScheduleChanged, ScheduleStore
from tests.store.desk import schedule
from tests.store.world import ACTOR, ENV, NOW, World

M = 60_000


@pytest.fixture
def store(world: World) -> ScheduleStore:
    """Schedules in the same Redis, at `NOW`."""
    return ScheduleStore(world.client, NOW)


def put(store: ScheduleStore, name: str = "s", next_run: int = NOW, **recurrence: object) -> None:
    """Store one that is due now; a minute later again."""
    made = replace(schedule(name, next_run, **recurrence), anchor=next_run, created=NOW)
    store.put(made, 0)


def read(store: ScheduleStore, name: str = "s") -> Schedule:
    """Read one that there is."""
    found = store.read(ENV, name)
    assert found is not None
    return found


def look(store: ScheduleStore, now: int | None = None) -> list[str]:
    """Fire what is due at `now`; return the ids of the jobs."""
    store.now = now or store.now
    assert store.now is not None
    rounds = [plan(each, store.now, 0) for each in store.due(100).schedules]
    return [job_id for ids in store.fire(rounds) for job_id in ids]


def occurrences(world: World) -> list[str]:
    """The occurrences of all jobs that have not ended, sorted."""
    return sorted(job["occurrence"] for job in world.snapshot().jobs.values())


def ran(*runs: int, name: str = "s") -> list[str]:
    return [f"{name}_{run}" for run in runs]


class TestFire:
    def test_a_run_is_a_job_that_is_ready(self, world: World, store: ScheduleStore) -> None:
        put(store)
        (job_id,) = look(store)
        job = world.job(job_id)
        assert (job.occurrence, job.due_at, job.state) == (f"s_{NOW}", NOW, State.PENDING)
        assert world.line == [job_id]
        after = read(store)
        assert (after.next_run, after.last_run, after.runs) == (NOW + M, NOW, 1)
        assert world.upkeep.inspect(f"{ENV}:clock") == []

    def test_nothing_is_fired_early(self, world: World, store: ScheduleStore) -> None:
        put(store)
        store.now = NOW - 1
        found = store.due(100)
        assert (found.schedules, found.next, found.now) == ((), NOW, NOW - 1)

    def test_jitter_only_delays(self, world: World, store: ScheduleStore) -> None:
        put(store, jitter=10_000)
        (found,) = store.due(1).schedules
        ((job_id,),) = store.fire([plan(found, NOW, 0.5)])
        assert world.line == []
        assert world.job(job_id).due_at == NOW + 5_000
        assert read(store).next_run == NOW + M

    def test_max_age_counts_from_the_due_time(self, world: World, store: ScheduleStore) -> None:
        made = schedule("s", NOW)
        store.put(replace(made, spec=replace(made.spec, max_age=7_000)), 0)
        (job_id,) = look(store)
        assert world.snapshot().jobs[job_id]["expires"] == str(NOW + 7_000)

    def test_a_round_is_fired_once(self, world: World, store: ScheduleStore) -> None:
        """Three schedulers have read the same."""
        put(store)
        rounds = [[plan(each, NOW, 0) for each in store.due(9).schedules] for _ in range(3)]
        assert [len(store.fire(each)[0]) for each in rounds] == [1, 0, 0]
        assert occurrences(world) == ran(NOW)
        assert read(store).runs == 1

    def test_equal_expressions_share_nothing(self, world: World, store: ScheduleStore) -> None:
        put(store, "a")
        put(store, "b", NOW + 1)
        assert len(look(store)) == 1
        before = read(store, "b")
        assert (before.next_run, before.runs) == (NOW + 1, 0)
        store.drop(ENV, "a")
        assert read(store, "b") == before
        look(store, NOW + 1)
        assert occurrences(world) == [*ran(NOW, name="a"), *ran(NOW + 1, name="b")]

    def test_the_end_leaves_it_readable(self, world: World, store: ScheduleStore) -> None:
        put(store, ends_at=NOW + M - 1)
        look(store)
        after = read(store)
        assert (after.next_run, after.runs) == (None, 1)
        assert world.client.zcard(keys.due_schedules) == 0
        assert look(store, NOW + 10 * M) == []

    def test_many_runs_in_one_step(self, world: World, store: ScheduleStore) -> None:
        for name in "abcdef":
            put(store, name, misfire="all")
        assert len(look(store, NOW + 99 * M)) == 600
        assert len(set(occurrences(world))) == 600
        assert world.upkeep.inspect(f"{ENV}:clock") == []

    def test_a_paused_queue_keeps_the_job(self, world: World, store: ScheduleStore) -> None:
        world.queues.pause(ACTOR, "clock")
        put(store)
        (job_id,) = look(store)
        assert world.line == []
        world.queues.resume(ACTOR, "clock")
        assert world.line == [job_id]

    def test_a_dropped_queue_is_made_again(self, world: World, store: ScheduleStore) -> None:
        put(store)
        worker = world.worker()
        look(store)
        worker.settle(worker.claim_one())
        world.queues.drop(ACTOR, "clock")
        (job_id,) = look(store, NOW + M)
        assert world.job(job_id).occurrence == f"s_{NOW + M}"
        assert list(world.upkeep.queues(ENV)) == ["clock"]

    def test_due_is_read_in_pieces_that_payloads_do_not_swell(self, store: ScheduleStore) -> None:
        for n in range(12):
            made = schedule(f"s{n}", NOW + n - 20)
            store.put(replace(made, spec=replace(made.spec, payload=b"x" * 2**20)), 0)
        found = store.due(100)
        assert 1 < len(found.schedules) < 12
        assert found.next == NOW + len(found.schedules) - 20


class TestMaxRuns:
    def test_is_exact_when_all_are_made_up_for(self, world: World, store: ScheduleStore) -> None:
        put(store, misfire="all", max_runs=5)
        look(store)
        look(store, NOW + M)
        assert len(look(store, NOW + 180 * M)) == 3
        assert occurrences(world)[:2] == ran(NOW, NOW + M)
        assert (read(store).runs, read(store).next_run) == (5, None)
        assert world.client.zcard(keys.due_schedules) == 0

    def test_a_run_that_overlap_forbade_does_not_count(
        self, world: World, store: ScheduleStore
    ) -> None:
        put(store, overlap="skip", max_runs=2)
        worker = world.worker()
        look(store)
        assert look(store, NOW + M) == []
        assert (read(store).runs, read(store).next_run) == (1, NOW + 2 * M)
        worker.settle(worker.claim_one())
        assert len(look(store, NOW + 2 * M)) == 1
        assert (read(store).runs, read(store).next_run) == (2, None)

    def test_runs_by_hand_do_not_count(self, world: World, store: ScheduleStore) -> None:
        put(store, max_runs=1)
        for _ in range(3):
            assert store.run(read(store), NOW) is not None
        assert (read(store).runs, read(store).next_run) == (0, NOW)
        assert len(look(store)) == 1


class TestOverlap:
    @pytest.mark.parametrize(
        ("overlap", "state", "runs_again"),
        [
            ("allow", "ready", True),
            ("skip", "ready", False),
            ("skip", "waiting", False),
            ("skip", "running", False),
            ("skip", "retry", False),
            ("skip", "failed", True),
            ("skip", "completed", True),
            ("skip", "cancelled", True),
        ],
    )
    def test_while_the_last_job_is(
        self, world: World, store: ScheduleStore, overlap: Overlap, state: str, runs_again: bool
    ) -> None:
        put(store, overlap=overlap, jitter=2 * M)
        (found,) = store.due(1).schedules
        wait = 0.99 if state == "waiting" else 0.0
        ((job_id,),) = store.fire([plan(found, NOW, wait)])
        worker = world.worker()
        if state in ("running", "retry", "failed", "completed"):
            claim = worker.claim_one()
            if state == "retry":
                worker.retry(claim, 10 * M)
            elif state != "running":
                worker.settle(claim, Kind.FAILED if state == "failed" else Kind.COMPLETED)
        elif state == "cancelled":
            world.cancel(job_id)
        assert bool(look(store, NOW + M)) is runs_again
        assert read(store).next_run == NOW + 2 * M
        assert (store.run(read(store), NOW + M + 1) is not None) is (overlap == "allow")


class TestRunsByHand:
    def test_move_nothing(self, world: World, store: ScheduleStore) -> None:
        put(store, next_run=NOW + M)
        before = read(store)
        job_id = store.run(before, NOW)
        assert job_id is not None
        assert world.job(job_id).occurrence == f"s_{NOW}"
        assert read(store) == replace(before, last_run=NOW)
        assert world.client.zscore(keys.due_schedules, f"{ENV}:s") == NOW + M

    def test_between_plan_and_fire(self, world: World, store: ScheduleStore) -> None:
        put(store)
        rounds = [plan(each, NOW, 0) for each in store.due(1).schedules]
        assert store.run(read(store), NOW + 3) is not None
        assert len(store.fire(rounds)[0]) == 1
        assert occurrences(world) == ran(NOW, NOW + 3)
        assert read(store).last_run == NOW + 3

    def test_of_a_changed_one_is_refused(self, store: ScheduleStore) -> None:
        put(store)
        before = read(store)
        look(store)
        with pytest.raises(ScheduleChanged):
            store.run(before, NOW)


class TestChanges:
    def test_between_plan_and_fire(self, world: World, store: ScheduleStore) -> None:
        """The plan is void; the next look makes the run, as it is by then."""
        put(store)
        rounds = [plan(each, NOW, 0) for each in store.due(1).schedules]
        before = read(store)
        changed = replace(before, spec=replace(before.spec, payload=b"new"))
        store.put(changed, before.revision)
        assert store.fire(rounds) == [[]]
        (job_id,) = look(store)
        assert occurrences(world) == ran(NOW)
        assert world.job(job_id).spec.payload == b"new"

    def test_from_before_a_run_do_not_bring_it_back(
        self, world: World, store: ScheduleStore
    ) -> None:
        put(store)
        before = read(store)
        look(store)
        with pytest.raises(ScheduleChanged):
            store.put(replace(before, priority=5), before.revision)
        assert read(store).next_run == NOW + M
        assert look(store) == []
        assert occurrences(world) == ran(NOW)

    def test_of_two_one_wins(self, store: ScheduleStore) -> None:
        put(store)
        before = read(store)
        store.put(replace(before, priority=1), before.revision)
        with pytest.raises(ScheduleChanged):
            store.put(replace(before, priority=2), before.revision)
        assert read(store).priority == 1

    def test_a_key_belongs_to_one(self, store: ScheduleStore) -> None:
        put(store)
        with pytest.raises(ScheduleChanged):
            store.put(replace(schedule("other", NOW), key="s"), 0)
        found = store.read_by_key(ENV, "s")
        assert found is not None
        assert found.id == "s"
        assert store.read(ENV, "other") is None

    def test_pause_takes_it_out_of_the_index(self, world: World, store: ScheduleStore) -> None:
        put(store)
        before = read(store)
        store.put(replace(before, paused=True), before.revision)
        assert (read(store).paused, read(store).next_run) == (True, None)
        assert world.client.zcard(keys.due_schedules) == 0
        again = read(store)
        store.put(replace(again, paused=False, next_run=NOW + M), again.revision)
        assert not read(store).paused
        assert look(store, NOW + M) != []


class TestDrop:
    def test_leaves_jobs_alone_and_nothing_else(self, world: World, store: ScheduleStore) -> None:
        empty = set(world.client.keys("lq:*schedule*"))
        put(store)
        (job_id,) = look(store)
        store.drop(ENV, "s")
        assert set(world.client.keys("lq:*schedule*")) == empty
        assert world.job(job_id).state is State.PENDING
        with pytest.raises(NotFound):
            store.drop(ENV, "s")

    def test_between_plan_and_fire(self, world: World, store: ScheduleStore) -> None:
        put(store)
        rounds = [plan(each, NOW, 0) for each in store.due(1).schedules]
        store.drop(ENV, "s")
        assert store.fire(rounds) == [[]]
        assert world.snapshot().jobs == {}
        assert world.client.zcard(keys.due_schedules) == 0

    def test_an_entry_without_a_schedule_is_removed(
        self, world: World, store: ScheduleStore
    ) -> None:
        put(store)
        world.client.delete(keys.schedule(ENV, "s"))
        found = store.due(1)
        assert (found.schedules, found.gone) == ((), (f"{ENV}:s",))
        store.fire((), found.gone)
        assert world.client.zcard(keys.due_schedules) == 0

    def test_names_of_one_without_a_hash_can_be_dropped(
        self, world: World, store: ScheduleStore
    ) -> None:
        put(store)
        world.client.delete(keys.schedule(ENV, "s"))
        with pytest.raises(NotFound):
            store.drop(ENV, "s")
        assert store.ids(ENV, 9) == []
        assert world.client.zcard(keys.due_schedules) == 0


class TestUnreadable:
    """What a newer version wrote waits, and is left as it is."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("recurrence", '{"expression": "every(1m)", "colour": "blue"}'),
            ("recurrence", "not JSON"),
            ("spec", "{not JSON\n"),
            ("anchor", "soon"),
        ],
    )
    def test_is_told_apart_and_postponed(
        self, world: World, store: ScheduleStore, name: str, value: str
    ) -> None:
        put(store, "strange")
        put(store, "good")
        world.client.hset(keys.schedule(ENV, "strange"), name, value)
        before = world.client.hgetall(keys.schedule(ENV, "strange"))
        found = store.due(9)
        assert [each.id for each in found.schedules] == ["good"]
        assert [each.ref for each in found.unreadable] == [f"{ENV}:strange"]
        store.postpone(found.unreadable, NOW + 30_000)
        assert world.client.hgetall(keys.schedule(ENV, "strange")) == before
        assert len(look(store)) == 1
        assert store.due(9).next == NOW + 30_000

    def test_one_that_was_fired_meanwhile_is_not_postponed(
        self, world: World, store: ScheduleStore
    ) -> None:
        """By a scheduler that can read it."""
        put(store)
        whole = world.client.hget(keys.schedule(ENV, "s"), "recurrence")
        world.client.hset(keys.schedule(ENV, "s"), "recurrence", "?")
        found = store.due(9)
        world.client.hset(keys.schedule(ENV, "s"), "recurrence", whole)
        look(store)
        store.postpone(found.unreadable, NOW + 30_000)
        assert world.client.zscore(keys.due_schedules, f"{ENV}:s") == NOW + M


def test_a_page_is_in_the_order_of_making(store: ScheduleStore) -> None:
    for name in "abc":
        put(store, name)
    first = store.page(ENV, 2, None)
    assert [each.id for each in first.rows] == ["a", "b"]
    assert [each.id for each in store.page(ENV, 2, first.cursor).rows] == ["c"]


def test_history_is_bounded(world: World, store: ScheduleStore) -> None:
    put(store, misfire="all")
    for look_at in range(11):
        look(store, NOW + (100 * look_at + 99) * M)
    assert len(world.snapshot().jobs) == 1_100
    runs = store.runs(ENV, "s", 2_000, None)
    assert len(runs) == 1_000
    assert runs[0][1] == NOW + 1_099 * M
    assert runs[-1][1] == NOW + 100 * M
    assert isinstance(world.job(runs[0][0]), Job)


def test_recurrence_survives_the_store(store: ScheduleStore) -> None:
    full = Recurrence("@daily", "Europe/Warsaw", NOW, NOW * 2, 3, 4, "all", "skip")
    store.put(replace(schedule("s", NOW), recurrence=full), 0)
    assert read(store).recurrence == full
