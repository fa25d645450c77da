"""The machine that Redis runs on: its disk is full, its clock is set. Seen from the API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from tests.faults.plant import Plant
from tests.faults.redis_host import Clock, Disk, Host, with_clock, with_disk
from tests.faults.running import Running
from tests.faults.side_by_side import Scenarios, pushing
from tests.waiting import until

HOUR = 3_600
"""Seconds by which the clock is set."""

BURST = 5
"""Attempts in a second that a queue allows, and at once."""

LOOK = 1_500
"""ms of the lease clock in which the scheduler looks at least once for leases that ran out."""

scenarios = Scenarios(partial(Plant, append_only=True))


def on(host: Host) -> Callable[[Path], Plant]:
    """Return what makes plants whose Redis runs on a `host` of its own."""
    return lambda folder: Plant(folder, append_only=True, program=host(folder))


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    with scenarios.playing(request, tmp_path_factory.mktemp("host")) as futures:
        yield futures


@pytest.mark.timeout(120)
@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("name", scenarios.named)
def test_all_goes_on(
    name: str, played: dict[str, Future[str]], record_property: Callable[[str, object], None]
) -> None:
    record_property("fault", f"{name}: {played[name].result(110)}")


@scenarios.scenario("F66 the disk is full: the append-only file can't be written", on(with_disk))
def full_disk(plant: Plant) -> str:
    running, disk = Running(plant), Disk(plant.redis)
    out = running.push_running()
    waiting = running.push(x_lq_delay="3000")
    clients = [plant.client_of(running.web) for _ in range(3)]
    with pushing(clients, plant.hook.url()) as (stored, refused):
        until(lambda: len(stored) > 20, "pushes go on")
        disk.fill(left=5_000)
        until(lambda: len(refused) > 20, "pushes are refused")
        running.check_refused("storage_full")
        _check_nothing_stored(running)
        refusal = running.client("DELETE", f"/api/v1/items/{waiting}")
        refusal.check_unavailable("storage_full")
        assert plant.item(running.client, waiting)["id"] == waiting
        plant.hook.gate("x").set()  # this attempt ends in the gap
        until(lambda: "storage_unavailable" in running.processes[1].text, "the worker noticed")
        until(lambda: "storage_unavailable" in running.processes[2].text, "the scheduler, too")
        taken = len(stored)
        disk.clear()
        after = running.until_taken()
        until(lambda: len(stored) > taken + 20, "pushes go on")
    for answer in refused:
        answer.check_unavailable("storage_full")
    running.check_ends(out, waiting, *stored)
    _check_file(running, [out, waiting, *stored])
    return (
        f"503 storage_full, {len(refused)} times, and nothing of these stored; reads go on; pushes "
        f"taken {after:.1f} s after there is room, {len(stored) + 2} acknowledged, each called once"
    )


def _check_nothing_stored(running: Running) -> None:
    """Pushes that are refused leave nothing, not even their queue."""
    target = running.plant.hook.url()
    running.client.push(target, "refused").check_unavailable("storage_full")
    batch = json.dumps({"items": [{"payload": n, "target": target} for n in range(100)]}).encode()
    path = "/api/v1/queues/refused/items/batch"
    running.client("POST", path, batch).check_unavailable("storage_full")
    assert running.client("GET", "/api/v1/queues/refused").status == 404


def _check_file(running: Running, items: list[str]) -> None:
    """What Redis has written, cut off once, is whole."""
    running.plant.redis.kill()
    running.plant.redis.stop()
    running.plant.redis.start()
    running.until_taken()
    for item in items:
        assert running.plant.item(running.client, item)["state"] == "COMPLETED", item


@scenarios.scenario(
    "F39 the clock of Redis' machine is set, an hour forward and back", on(with_clock)
)
def clock_set(plant: Plant) -> str:
    running, clock = Running(plant), Clock(plant.folder)
    _limit(running, "limited")
    out = [running.push_running() for _ in range(3)]
    early = running.push(x_lq_delay=str(HOUR * 500))
    with pushing([plant.client_of(running.web)], plant.hook.url()) as (stored, refused):
        until(lambda: len(stored) > 20, "pushes go on")
        clock.set(HOUR)
        until(lambda: plant.calls(early), "what is due within that hour is called")
        _check_goes_on(running, out, stored)
        ready = running.client("GET", "/ready")
        assert (ready.status, "clock" in str(ready.body)) == (503, True), ready
        clock.set(0)
        _check_goes_on(running, out, stored)
    assert refused == []
    until(lambda: plant.calls(stored[-1]), "the newest is called")
    late = [item for item in stored if not plant.calls(item)]
    assert late, "some were due within the second before the clock went back"
    for item in late:
        assert running.client("POST", f"/api/v1/items/{item}/run").status == 200, item
    plant.hook.gate("x").set()
    running.check_ends(*out, early, *stored)
    return (
        f"{len(stored)} pushed meanwhile, each called once; no lease ran out; of those that waited "
        f"when it went back {len(late)} would have been an hour late, and were run by hand"
    )


def _limit(running: Running, queue: str) -> None:
    rate = json.dumps({"rate": {"limit": BURST, "period": 1_000}}).encode()
    assert running.client("PUT", f"/api/v1/queues/{queue}", rate).status == 200


def _check_goes_on(running: Running, out: list[str], stored: list[str]) -> None:
    """Jobs are taken and called as before, a rate is kept, no lease has run out."""
    seen, before = len(stored), _lease_clock(running)
    limited = [_push_limited(running) for _ in range(BURST)]
    until(lambda: all(map(running.plant.calls, limited)), "the rate lets them through")
    until(lambda: _lease_clock(running) > before + LOOK, "the lease clock goes on")
    assert len(stored) > seen + 20
    assert any(map(running.plant.calls, stored[seen:])), "those of now are called"
    for item in out:
        assert running.plant.calls(item) == [1], item


def _push_limited(running: Running) -> str:
    answer = running.client.push(running.plant.hook.url(), "limited")
    assert answer.status == 201, answer
    return str(answer.body["id"])


def _lease_clock(running: Running) -> int:
    return int(running.plant.client.hget("lq:seq", "lease_ms") or 0)
