"""Redis stopped, killed, full, read-only, slow, cut off: what the API says, and that all goes on.

Real processes of all kinds. What a fault does to a worker or a scheduler alone is in
test_kill_matrix.py; here everything is seen as a client of the API sees it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from tests.faults.plant import Answer, Plant
from tests.faults.proxy import Proxy
from tests.faults.running import Running
from tests.faults.side_by_side import AT_ONCE, Scenarios, pushing
from tests.waiting import until
from tests.workers.stage import ENVIRONMENT

AWAY = 5.0
"""Seconds for which Redis is gone."""

LEASE = 30.0
"""Seconds that a lease lasts unless it is renewed."""

BESIDE = 4
"""Plants at work at the same time: more would only slow each other down."""

scenarios = Scenarios(partial(Plant, append_only=True), beside=BESIDE)


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    with scenarios.playing(request, tmp_path_factory.mktemp("redis")) as futures:
        yield futures


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("name", scenarios.named)
def test_all_goes_on(
    name: str, played: dict[str, Future[str]], record_property: Callable[[str, object], None]
) -> None:
    record_property("fault", f"{name}: {played[name].result(280)}")


# The scenarios


@scenarios.scenario("F33 every command takes 2 s, for longer than a lease")
def slow(plant: Plant) -> str:
    with Proxy(plant.redis.socket, plant.folder) as proxy:
        running = Running(plant, proxy.url)
        worker = running.processes[1]
        item = running.push_running()
        proxy.delay = 1.0  # each way
        began = time.monotonic()
        answers = [running.client.push(plant.hook.url(), x_lq_delay="90000") for _ in range(2)]
        answers.append(running.client("GET", f"/api/v1/items/{item}"))
        for answer in answers:
            answer.check_unavailable()
        assert running.client("GET", "/ready").status == 503
        refused_after = max(answer.took for answer in answers)
        while time.monotonic() < began + LEASE + 4:
            assert plant.calls(item) == [1]
            time.sleep(0.5)
        plant.hook.gate("x").set()
        until(lambda: plant.service.item(ENVIRONMENT, item).state.ended, "it is settled")
        proxy.delay = 0
        running.until_taken()
        assert plant.calls(item) == [1]
        assert plant.until_state(running.client, item)["attempt"] == 1
        assert "declared_dead" not in worker.text
    return f"refused after {refused_after:.1f} s; an attempt of {LEASE + 4:.0f} s is settled once"


@scenarios.scenario("F24 SIGTERM Redis, back after 5 s")
def stopped(plant: Plant) -> str:
    running = Running(plant)
    out = [running.push_running() for _ in range(3)]
    waiting = [running.push(x_lq_delay="1000") for _ in range(10)]
    client = plant.client_of(running.web)
    with pushing([client], plant.hook.url()) as (stored, refused):
        until(lambda: len(stored) > 20, "pushes go on")
        plant.redis.stop()
        gone_at = time.monotonic()
        plant.hook.gate("x").set()  # these attempts end in the gap
        while time.monotonic() < gone_at + AWAY:
            running.check_refused()
            time.sleep(0.2)
        plant.redis.start()
        web_after = running.until_taken()
        back_at = time.monotonic()
        until(lambda: _ended(running, out), "outcomes of the gap are settled")
        until(lambda: all(map(plant.calls, waiting)), "what became due in the gap is called")
        settled_after = web_after + time.monotonic() - back_at
    assert web_after < AT_ONCE
    assert settled_after < AT_ONCE
    for answer in refused:
        answer.check_unavailable()
    running.check_ends(*out, *waiting, *stored)
    return (
        f"{len(refused)} pushes got 503; pushes taken {web_after:.1f} s, outcomes of the gap "
        f"settled and what was due called {settled_after:.1f} s after its return; {len(stored)} "
        "acknowledged, 0 lost"
    )


def _ended(running: Running, items: list[str]) -> bool:
    states = {running.plant.item(running.client, item).get("state") for item in items}
    return states == {"COMPLETED"}


@scenarios.scenario("F25 SIGKILL Redis while pushing, append-only file every second")
def killed(plant: Plant) -> str:
    running = Running(plant)
    clients = [plant.client_of(running.web) for _ in range(4)]
    with pushing(clients, plant.hook.url()) as (stored, refused):
        until(lambda: len(stored) > 200, "200 are acknowledged")
        plant.redis.kill()
        until(lambda: refused, "they are refused")
        plant.redis.stop()
        plant.redis.start()
        known = len(stored)
        until(lambda: len(stored) > known + 50, "they are taken again")
    for answer in refused:
        answer.check_unavailable()
    for item in stored:
        plant.until_state(running.client, item)
        assert plant.calls(item), item
    return f"{len(stored)} acknowledged before and after, 0 lost"


@scenarios.scenario("F26 Redis is full")
def full(plant: Plant) -> str:
    running = Running(plant)
    out = running.push_running()
    waiting, unwanted = (running.push(x_lq_delay=delay) for delay in ("3000", "60000"))
    plant.client.config_set("maxmemory", 1)
    running.check_refused("storage_full")
    assert running.client("GET", f"/api/v1/items/{waiting}").body["state"] == "PENDING"
    assert running.client("DELETE", f"/api/v1/items/{unwanted}").body["state"] == "CANCELLED"
    info = running.client("GET", "/api/v1/queues/q").body
    assert (info["waiting"], info["running"]) == (1, 1)  # nothing of the refused one
    plant.hook.gate("x").set()
    plant.until_state(running.client, out)
    plant.until_state(running.client, waiting)
    running.check_refused("storage_full")
    plant.client.config_set("maxmemory", 0)
    after = running.until_taken()
    running.check_ends(out, waiting, running.push(x_lq_delay="200"))
    return f"503 storage_full, reads, deletes and work go on; pushes taken {after:.1f} s after"


@scenarios.scenario("F29 Redis can't save (MISCONF)")
def misconfigured(plant: Plant) -> str:
    running = Running(plant)
    out = running.push_running()
    (plant.redis.directory / "dump.rdb").mkdir()  # in the way of the file
    plant.client.config_set("save", "3600 1000000")
    plant.client.bgsave()
    until(lambda: plant.client.info("persistence")["rdb_last_bgsave_status"] == "err", "it failed")
    running.check_refused("storage_full")
    plant.hook.gate("x").set()
    until(lambda: "storage_unavailable" in running.processes[1].text, "the worker noticed")
    plant.client.config_set("save", "")
    after = running.until_taken()
    running.check_ends(out)
    return f"503 storage_full; pushes taken {after:.1f} s after, the outcome kept till then"


@scenarios.scenario("F28 Redis becomes a replica, and primary again")
def read_only(plant: Plant) -> str:
    running = Running(plant)
    out = running.push_running()
    waiting = running.push(x_lq_delay="500")
    plant.client.replicaof("127.0.0.1", 1)
    running.check_refused()
    plant.hook.gate("x").set()
    until(lambda: "storage_unavailable" in running.processes[2].text, "the scheduler noticed")
    running.check_refused()
    plant.client.replicaof("NO", "ONE")
    after = running.until_taken()
    assert after < AT_ONCE
    running.check_ends(out, waiting)
    return f"503 meanwhile; pushes taken {after:.1f} s after, each job called once"


@scenarios.scenario("F36 all connections to Redis are cut, ten times")
def cut(plant: Plant) -> str:
    running = Running(plant)
    clients = [plant.client_of(running.web) for _ in range(2)]
    with pushing(clients, plant.hook.url()) as (stored, refused):
        for _ in range(10):
            known = len(stored) + len(refused)
            plant.kill_connections()
            until(partial(_more_than, known + 10, stored, refused), "pushes go on")
    assert refused == []
    running.check_ends(*stored)
    return f"{len(stored)} pushes, none refused, each called once"


def _more_than(count: int, stored: list[str], refused: list[Answer]) -> bool:
    return len(stored) + len(refused) > count


@scenarios.scenario("F04 the reply to a push is lost, and the request")
def reply_lost(plant: Plant) -> str:
    with Proxy(plant.redis.socket, plant.folder) as proxy:
        web = plant.web(REDIS_URL=proxy.url)
        client = plant.client_of(web)
        pushed = []
        for number in range(20):
            proxy.hold("push", "reply" if number % 2 else "request").lose()
            answer = client.push(plant.hook.url(), x_lq_delay="60000")
            assert answer.status == 201, answer
            pushed.append(answer.body["id"])
        listed = client("GET", "/api/v1/queues/q/items").body["items"]
        assert sorted(each["id"] for each in listed) == sorted(pushed)
    return "20 pushes, each 201 and one job: web sends again, the script knows its answer"


@scenarios.scenario("F27, F31 an evicting policy, an emptied database")
def readiness(plant: Plant) -> str:
    client = plant.client_of(plant.web())
    for policy, status in (("allkeys-lru", 503), ("noeviction", 200)):
        plant.client.config_set("maxmemory-policy", policy)
        answer = client("GET", "/ready")
        assert answer.status == status, answer
        assert ("eviction" in str(answer.body)) is (status == 503)
    plant.client.flushall()
    answer = client("GET", "/ready")
    assert (answer.status, "instance" in str(answer.body)) == (503, True), answer
    return "readiness is red for both, and says which"
