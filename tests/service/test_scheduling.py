"""The use cases around schedules, by a clock that is passed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound
from lambdaqueue.removal import remove_environment
from lambdaqueue.rescheduling import ScheduleChange, Wanted
from lambdaqueue.schedule import Recurrence
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.scheduling import Scheduling
from lambdaqueue.spec import Spec
from tests.store.desk import OTHER
from tests.store.world import ENV, NOW, TARGET, World
from workers.firing import Firing

M = 60_000
SPEC = Spec(payload=b"{}", target=TARGET)


class Clockwork:
    """The use cases and a scheduler, with one clock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.use = Scheduling(world.client, NOW)
        self.store = self.use._schedules

    def at(self, ms: int) -> Scheduling:
        """Set the clock to so many ms after `NOW`."""
        self.store.now = NOW + ms
        return self.use

    def fire(self, ms: int) -> list[int]:
        """Fire what is due then; return the runs pushed by it, in ms after `NOW`."""
        self.at(ms)
        before = self.runs()
        firing = Firing(self.store)
        while firing.poll() == 0:
            continue
        return sorted(run - NOW for run in self.runs() - before)

    def runs(self) -> set[int]:
        """The runs of all jobs."""
        jobs = self.world.snapshot().jobs.values()
        return {int(job["occurrence"].rpartition("_")[2]) for job in jobs}


@pytest.fixture
def clock(redis_url: str) -> Iterator[Clockwork]:
    """Use cases on an empty Redis."""
    with redis.Redis.from_url(redis_url) as client:
        world = World(client)
        yield Clockwork(world)
        world.close()


def wanted(expression: str = "every(10m)", **recurrence: object) -> Wanted:
    """What somebody wants, every ten minutes."""
    return Wanted("q", SPEC, Recurrence(expression, **recurrence))  # type: ignore[arg-type]


def test_set_again_changes_nothing(clock: Clockwork) -> None:
    first, is_new = clock.use.set(ENV, "k", wanted())
    assert is_new
    assert first.next_run == NOW + 10 * M
    assert clock.fire(10 * M) == [10 * M]
    before = clock.use.by_key(ENV, "k")
    assert clock.at(13 * M).set(ENV, "k", wanted()) == (before, False)
    assert clock.use.by_key(ENV, "k") == before
    assert len(clock.use.history(ENV, first.id, 9, None).rows) == 1


@pytest.mark.parametrize(
    ("change", "next_run"),
    [
        ({"jitter": 500}, 20 * M),
        ({"misfire": "all"}, 20 * M),
        ({"max_runs": 9}, 20 * M),
        ({"ends_at": NOW + 20 * M}, 20 * M),
        ({"ends_at": NOW + 20 * M - 1}, None),
        ({"max_runs": 1}, None),
        ({"expression": "every(11m)"}, 24 * M),  # anchored at the change, at 13
        ({"zone": "Europe/Warsaw"}, 23 * M),
        ({"starts_at": NOW + 60 * M}, 60 * M),
        ({"starts_at": NOW + 5 * M}, 15 * M),
    ],
)
def test_what_a_change_does_to_the_next_run(
    clock: Clockwork, change: dict[str, object], next_run: int | None
) -> None:
    made, _ = clock.use.set(ENV, "k", wanted())
    clock.fire(10 * M)
    changed = clock.at(13 * M).change(ENV, made.id, ScheduleChange(recurrence=change))
    assert changed.next_run == (None if next_run is None else NOW + next_run)
    assert (changed.runs, changed.last_run) == (1, NOW + 10 * M)
    due = clock.world.client.zscore(keys.due_schedules, f"{ENV}:{made.id}")
    assert due == changed.next_run
    assert clock.use.schedule(ENV, made.id) == changed


def test_a_run_that_is_due_survives_a_change(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted())
    changed = clock.at(10 * M + 5).change(
        ENV, made.id, ScheduleChange({"payload": b"new"}, {"jitter": 0, "misfire": "all"})
    )
    assert changed.next_run == NOW + 10 * M
    assert clock.fire(10 * M + 6) == [10 * M]
    assert clock.fire(10 * M + 7) == []


def test_more_runs_and_a_later_end_let_it_go_on(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted(max_runs=1))
    assert clock.fire(10 * M) == [10 * M]
    assert clock.use.schedule(ENV, made.id).next_run is None
    changed = clock.at(35 * M).change(ENV, made.id, ScheduleChange(recurrence={"max_runs": 2}))
    assert changed.next_run == NOW + 40 * M
    assert clock.fire(200 * M) == [200 * M]
    assert clock.use.schedule(ENV, made.id).next_run is None


def test_pause_and_resume(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted(misfire="all"))
    paused = clock.at(5 * M).pause(ENV, made.id)
    assert (paused.paused, paused.next_run) == (True, None)
    assert clock.fire(30 * M) == []
    assert clock.at(31 * M).set(ENV, "k", wanted(jitter=1))[0].paused
    resumed = clock.at(35 * M).resume(ENV, made.id)
    assert resumed.next_run == NOW + 40 * M  # of the grid; nothing is made up for
    assert clock.use.resume(ENV, made.id) == resumed
    assert clock.fire(40 * M) == [40 * M]


def test_paused_it_can_run_by_hand(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted())
    clock.use.pause(ENV, made.id)
    job = clock.at(3 * M).run(ENV, made.id)
    assert job.occurrence == f"{made.id}_{NOW + 3 * M}"
    assert clock.use.schedule(ENV, made.id).next_run is None


def test_two_runs_by_hand_within_a_millisecond(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted(overlap="allow"))
    runs = [clock.at(3 * M).run(ENV, made.id) for _ in range(3)]
    assert len({job.id for job in runs}) == 3
    assert [job.occurrence for job in runs] == [f"{made.id}_{NOW + 3 * M + n}" for n in range(3)]
    assert {job.due_at for job in runs} == {NOW + 3 * M}
    page = clock.use.history(ENV, made.id, 10, None)
    assert [job.id for job in page.rows] == [job.id for job in reversed(runs)]
    made, _ = clock.use.set(ENV, "other", wanted(overlap="skip"))
    clock.at(3 * M).run(ENV, made.id)
    with pytest.raises(Conflict):
        clock.at(3 * M).run(ENV, made.id)


def test_runs_by_hand_beside_the_timetable(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted(overlap="skip"))
    clock.at(3 * M).run(ENV, made.id)
    assert clock.use.schedule(ENV, made.id).next_run == NOW + 10 * M
    with pytest.raises(Conflict):
        clock.at(4 * M).run(ENV, made.id)
    assert clock.fire(10 * M) == []
    assert clock.use.schedule(ENV, made.id).next_run == NOW + 20 * M


@pytest.mark.parametrize(
    "recurrence",
    [
        Recurrence("at(2020-01-01T00:00:00)"),
        Recurrence("every(1h)", ends_at=NOW + M),
        Recurrence("every(1h)", starts_at=NOW + 2 * M, ends_at=NOW + M),
    ],
)
def test_one_without_a_run_is_not_made(clock: Clockwork, recurrence: Recurrence) -> None:
    with pytest.raises(InvalidRequest):
        clock.use.set(ENV, "k", replace(wanted(), recurrence=recurrence))
    with pytest.raises(NotFound):
        clock.use.by_key(ENV, "k")
    assert clock.world.client.keys("lq:*schedule*") == []


def test_dropped_it_is_gone_and_its_key_is_free(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted())
    clock.use.drop(ENV, made.id)
    assert clock.fire(60 * M) == []
    again, is_new = clock.use.set(ENV, "k", wanted())
    assert is_new
    assert again.id != made.id


def test_another_environment_sees_nothing(clock: Clockwork) -> None:
    made, _ = clock.use.set(ENV, "k", wanted())
    for look in (clock.use.drop, clock.use.run, clock.use.pause, clock.use.schedule):
        with pytest.raises(NotFound):
            look("0ther1d0", made.id)
    with pytest.raises(NotFound):
        clock.use.by_key("0ther1d0", "k")
    assert ScheduleStore(clock.world.client).page("0ther1d0", 9, None).rows == ()


def test_the_end_of_an_environment_ends_its_schedules_first(clock: Clockwork) -> None:
    """A schedule that fires meanwhile would make its queue anew."""
    client = clock.world.client
    EnvironmentStore(client, NOW).found(OTHER, "other", b"s", "test")
    for number in range(3):
        clock.use.set(OTHER, f"k{number}", wanted())
    clock.use.set(ENV, "stays", wanted())
    ScheduleStore(client, NOW, "timers").put(
        replace(clock.use.by_key(OTHER, "k0"), id="timer", key="t"), 0
    )
    told = []
    for each in remove_environment(client, "other", "test", sleep=lambda _: None):
        told.append(each)
        clock.fire(len(told) * 10 * M)
    assert told == [
        "tokens revoked",
        "4 schedules removed",
        "queue q removed, 4 jobs cancelled",
        "environment removed",
    ]
    # What is left tells for a day that it was closed.
    assert list(client.scan_iter(f"lq:{OTHER}:*")) == [keys.environment(OTHER).encode()]
    assert client.zcard(keys.due_schedules) == 1
    assert clock.use.by_key(ENV, "stays").runs > 0
