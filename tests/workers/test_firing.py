"""Firing: what a scheduler does with the schedules that are due, by a clock that is passed in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lambdaqueue import keys
from lambdaqueue.job import State
from lambdaqueue.rescheduling import Wanted
from lambdaqueue.schedule import Recurrence
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.scheduling import Scheduling
from lambdaqueue.spec import Spec
from tests.store.desk import schedule
from tests.store.world import ENV, NOW, World
from tests.waiting import until
from tests.workers.stage import Stage
from workers.firing import FULL_PAUSE, LOOK_AGAIN, MOST_AT_ONCE, MOST_JOBS, Firing
from workers.waking import LONGEST_SLEEP

M = 60_000


@pytest.fixture
def store(world: World) -> ScheduleStore:
    """Schedules in the same Redis, at `NOW`."""
    return ScheduleStore(world.client, NOW)


def put(store: ScheduleStore, name: str, next_run: int = NOW, **recurrence: object) -> None:
    """Store one that runs every minute from `next_run` on."""
    store.put(replace(schedule(name, next_run, **recurrence), anchor=next_run), 0)


def jobs(world: World) -> list[str]:
    """The occurrences of all jobs, sorted."""
    return sorted(job["occurrence"] for job in world.snapshot().jobs.values())


@pytest.mark.parametrize(
    ("runs_in", "sleep"),
    [(None, LONGEST_SLEEP), (M, LONGEST_SLEEP), (20, 0.020), (1, 0.001)],
)
def test_it_sleeps_until_the_next_run(
    store: ScheduleStore, world: World, runs_in: int | None, sleep: float
) -> None:
    if runs_in is not None:
        put(store, "s", NOW + runs_in)
    assert Firing(store).poll() == pytest.approx(sleep, abs=1e-6)
    assert jobs(world) == []


@pytest.mark.parametrize("fraction", range(0, 1_000, 37))
def test_a_run_is_fired_in_its_millisecond(
    store: ScheduleStore, world: World, fraction: int
) -> None:
    """Whatever its digits come to as a float."""
    put(store, "s", NOW + fraction)
    store.now = NOW + fraction
    firing = Firing(store)
    assert firing.poll() == 0
    assert jobs(world) == [f"s_{NOW + fraction}"]
    assert firing.poll() == LONGEST_SLEEP


def steps(firing: Firing, world: World) -> list[int]:
    """Fire all that is due; return how many jobs there were after each step."""
    made = []
    while firing.poll() == 0:
        made.append(len(jobs(world)))
    return made


def test_a_step_has_at_most_so_many_schedules(store: ScheduleStore, world: World) -> None:
    for n in range(MOST_AT_ONCE + 5):
        put(store, f"s{n}")
    assert steps(Firing(store), world) == [MOST_AT_ONCE, MOST_AT_ONCE + 5]


def test_a_step_has_at_most_so_many_jobs(store: ScheduleStore, world: World) -> None:
    """Each makes up for a hundred runs, so five of them are a step."""
    for n in range(12):
        put(store, f"s{n}", NOW - 99 * M, misfire="all")
    assert steps(Firing(store), world) == [MOST_JOBS, 2 * MOST_JOBS, 1_200]
    assert len(set(jobs(world))) == 1_200


def test_one_that_cannot_be_read_holds_up_nobody(
    store: ScheduleStore, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an unknown expression nor an unknown form; they stand where they stood."""
    for n in range(MOST_AT_ONCE):
        put(store, f"a{n}", NOW - M)
        field = '{"expression": "moon(full)"}' if n % 2 else '{"phase": "full"}'
        world.client.hset(keys.schedule(ENV, f"a{n}"), "recurrence", field)
    put(store, "good")
    firing = Firing(store)
    while firing.poll() == 0:
        continue
    assert jobs(world) == [f"good_{NOW}"]
    assert caplog.text.count("schedule_unreadable") == MOST_AT_ONCE
    assert f'id={ENV}:a7 reason="schedule' in caplog.text
    assert world.client.hget(keys.schedule(ENV, "a7"), "next") == str(NOW - M).encode()
    # By a scheduler that can: its run is late by less than `misfire` is for, but not lost.
    readable = store.read(ENV, "good")
    assert readable is not None
    whole = replace(readable.recurrence, misfire="all").pack()
    world.client.hset(keys.schedule(ENV, "a7"), "recurrence", whole)
    store.now = NOW + LOOK_AGAIN
    while firing.poll() == 0:
        continue
    assert {f"a7_{NOW - M}", f"a7_{NOW}"} <= set(jobs(world))


def test_an_entry_without_a_schedule_goes(store: ScheduleStore, world: World) -> None:
    world.client.zadd(keys.due_schedules, {f"{ENV}:gone": 1})
    firing = Firing(store)
    assert firing.poll() == 0
    assert firing.poll() == LONGEST_SLEEP
    assert world.client.zcard(keys.due_schedules) == 0


def test_while_redis_is_full_they_wait_and_nothing_is_lost(
    store: ScheduleStore, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(3):
        put(store, f"s{n}")
    firing = Firing(store)
    before = world.snapshot()
    world.client.config_set("maxmemory", 1)
    for _ in range(2):
        assert firing.poll() == FULL_PAUSE
        assert world.snapshot() == before
    world.client.config_set("maxmemory", 0)
    assert "schedules_wait" in caplog.text
    store.now = NOW + 5_000
    while firing.poll() == 0:
        continue
    assert jobs(world) == [f"s{n}_{NOW}" for n in range(3)]


def test_a_run_by_real_processes(tmp_path: Path) -> None:
    """One with a target is delivered with its occurrence; one without any ends, failed."""
    with Stage(tmp_path) as stage:
        stage.scheduler()
        stage.worker()
        use = Scheduling(stage.client)
        once = Recurrence("every(1s)", max_runs=1)
        made, _ = use.set(ENV, "good", Wanted("q", Spec(target=stage.hook.url("/")), once))
        lost, _ = use.set(ENV, "lost", Wanted("nowhere", Spec(), once))
        for schedule_id in (made.id, lost.id):
            until(lambda each=schedule_id: use.schedule(ENV, each).runs == 1, "it ran")  # type: ignore[misc]
        (delivered,) = stage.until_ended(*use.history(ENV, made.id, 9, None).rows)
        (failed,) = stage.until_ended(*use.history(ENV, lost.id, 9, None).rows)
        assert (delivered.state, failed.state) == (State.COMPLETED, State.FAILED)
        assert (failed.error or "").startswith("no_target")
        assert delivered.occurrence == f"{made.id}_{made.next_run}"
        (call,) = stage.hook.deliveries
        assert call.headers["x-lq-schedule"] == "good"
        assert stage.left_over() == []
