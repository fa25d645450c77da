"""Many producers, many workers, and somebody who kills their processes all the while.

LQ_STORM says how much: producers x workers x keys, 10x4x1000 unless it is set (the full storm is
20x8x4000). Every fourth key is pushed by two producers, so versions replace each other too.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.plant import Client, Plant
from tests.faults.watching import Watching
from tests.waiting import until
from tests.workers.stage import Process

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")

QUEUES = {
    "plain": b"{}",
    "narrow": b'{"concurrency": 6}',
    "flowing": b'{"flow": {"concurrency": 2}}',
    "other": b"{}",
}
KILL_EVERY = (0.3, 1.5)
"""Seconds between a start and the next kill."""

LEAST_KILLS = 8
PAUSE = 0.05
"""Seconds between a producer's pushes: the storm is to outlast some kills."""

PATIENCE = 100.0
"""Seconds for one push, and for the end of all jobs after the last kill."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How big the storm is."""

    producers: int
    workers: int
    keys: int

    @classmethod
    def asked(cls) -> Scale:
        """Return what LQ_STORM says."""
        words = re.fullmatch(r"(\d+)x(\d+)x(\d+)", os.environ.get("LQ_STORM", "10x4x1000"))
        assert words, "LQ_STORM is like 20x8x4000"
        return cls(*map(int, words.groups()))


@dataclass(frozen=True, slots=True)
class Push:
    """A push that was acknowledged."""

    id: str
    version: int
    body: bytes

    @property
    def webhook_id(self) -> str:
        return f"{self.id}_{self.version}"


class Killer:
    """Kills one process after the other, and starts another for each."""

    def __init__(self, plant: Plant, scale: Scale) -> None:
        self._plant = plant
        self._chance = random.Random(6)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failed: list[BaseException] = []
        self.web = plant.web(WEB_CONCURRENCY="2")
        self.port = plant.port_of(self.web)
        self.scheduler = plant.scheduler()
        self.workers = [self._worker() for _ in range(scale.workers)]
        self.kills: Counter[str] = Counter()

    def _worker(self) -> Process:
        return self._plant.worker(LQ_SLOTS="4")

    def _run(self) -> None:
        try:
            while not self._ending.wait(self._chance.uniform(*KILL_EVERY)):
                kind = self._chance.choices(("worker", "scheduler", "web"), (7, 1, 2))[0]
                self._replace(kind)
                self.kills[kind] += 1
        except BaseException as error:
            self._failed.append(error)
            raise

    def _replace(self, kind: str) -> None:
        if kind == "worker":
            self.workers.pop(self._chance.randrange(len(self.workers))).kill()
            self.workers.append(self._worker())
        elif kind == "scheduler":
            self.scheduler.kill()
            self.scheduler = self._plant.scheduler()
        else:
            self.web.kill()
            self.web = self._plant.web(self.port, WEB_CONCURRENCY="2")

    @contextmanager
    def raging(self) -> Iterator[None]:
        """Kill as long as this lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._thread.join(PATIENCE)
        assert not self._failed, self._failed


def pushes_of(producer: int, scale: Scale) -> Iterator[tuple[str, bytes]]:
    """Yield the keys and bodies that one of the producers pushes."""
    for number in range(producer, scale.keys, scale.producers):
        yield f"key-{number}", b'{"n": %d}' % number
        if number % 4 == 0:
            # The neighbour's, which he pushes at about the same time.
            other = (number + 1) % scale.keys
            yield f"key-{other}", b'{"n": %d, "by": %d}' % (other, producer)


def produce(
    plant: Plant, web: Process, target: str, own: Iterator[tuple[str, bytes]]
) -> list[Push]:
    """Push until each is acknowledged; web may be killed meanwhile."""
    client, acknowledged = plant.client_of(web), []
    for key, body in own:
        queue = list(QUEUES)[int(key.rpartition("-")[2]) % len(QUEUES)]
        answer = _push(client, target, queue, key, body)
        acknowledged.append(Push(answer["id"], answer["version"], body))
        time.sleep(PAUSE)
    return acknowledged


def _push(client: Client, target: str, queue: str, key: str, body: bytes) -> Any:
    again = f"{key}-{hash(body)}"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            answer = client.push(
                target, queue, body, x_lq_key=key, x_lq_flow_key=key[-1], Idempotency_Key=again
            )
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
            continue
        assert answer.status in (200, 201, 503), answer
        if answer.status != 503:
            return answer.body
    pytest.fail(f"{key} was not taken within {PATIENCE:g} s")


def entries_of(client: Client) -> list[Any]:
    """Return all history entries."""
    found: list[Any] = []
    for queue in QUEUES:
        path = f"/api/v1/queues/{queue}/history?limit=1000"
        page = client("GET", path).body
        found += page["entries"]
        while "nextCursor" in page:
            page = client("GET", f"{path}&cursor={page['nextCursor']}").body
            found += page["entries"]
    return found


def waiting_or_running(client: Client) -> int:
    """Return how many jobs have not ended."""
    infos = [client("GET", f"/api/v1/queues/{queue}").body for queue in QUEUES]
    return sum(info["waiting"] + info["running"] for info in infos)


def check_each_delivered(pushes: list[Push], endpoint: Watching) -> None:
    """Each acknowledged version came, or a newer one of the same job did."""
    newest: dict[str, int] = {}
    for push in pushes:
        newest[push.id] = max(newest.get(push.id, 0), push.version)
    calls = endpoint.by_id()
    for push in pushes:
        if push.version == newest[push.id]:
            assert push.webhook_id in calls, f"{push} was acknowledged and never delivered"
        for call in calls.get(push.webhook_id, ()):
            assert call.body == push.body


def check_never_two_at_once(endpoint: Watching, entries: list[Any]) -> int:
    """Only a lost attempt may still be open when the next one comes; return how many were."""
    assert endpoint.twice() == []
    lost = {
        (f"{entry['id']}_{entry['version']}", attempt["attempt"])
        for entry in entries
        for attempt in entry["attempts"]
        if attempt.get("error", "").startswith("lost:")
    }
    pairs = endpoint.overlapping()
    assert [pair for pair in pairs if (pair[0].id, pair[0].attempt) not in lost] == []
    return len(lost)


def check_counters(client: Client, entries: list[Any]) -> None:
    """Counters, history and what the API says of each queue agree."""
    for queue in QUEUES:
        info = client("GET", f"/api/v1/queues/{queue}").body
        states = Counter(entry["state"] for entry in entries if entry["queue"] == queue)
        assert info["completed"] == states["COMPLETED"]
        assert info["failed"] == states["FAILED"]
        assert info["cancelled"] == states["CANCELLED"]
    assert len({(entry["id"], entry["version"]) for entry in entries}) == len(entries)


def _configure(client: Client) -> None:
    for queue, settings in QUEUES.items():
        assert client("PUT", f"/api/v1/queues/{queue}", settings).status == 200


@pytest.mark.timeout(600)
def test_a_storm(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    scale, endpoint = Scale.asked(), Watching()
    began = time.monotonic()
    with Plant(tmp_path, append_only=True) as plant, ThreadPoolExecutor(scale.producers) as pool:
        killer = Killer(plant, scale)
        _configure(plant.client_of(killer.web))
        with killer.raging():
            producing = [
                pool.submit(produce, plant, killer.web, endpoint.url, pushes_of(each, scale))
                for each in range(scale.producers)
            ]
            pushes = [push for each in producing for push in each.result(500)]
            pushed_after = time.monotonic() - began
            until(lambda: killer.kills.total() >= LEAST_KILLS, "enough were killed")
        client = plant.client_of(killer.web)
        deadline = time.monotonic() + PATIENCE
        while left := waiting_or_running(client):
            assert time.monotonic() < deadline, f"{left} jobs are stuck"
            time.sleep(0.1)
        entries = entries_of(client)
        check_each_delivered(pushes, endpoint)
        lost = check_never_two_at_once(endpoint, entries)
        check_counters(client, entries)
        assert {entry["state"] for entry in entries} <= {"COMPLETED", "CANCELLED"}
        until(lambda: plant.left_over() == [], f"nothing is left: {plant.left_over()[:10]}")
        endpoint.stop()
    kills = ", ".join(f"{count} {kind}" for kind, count in sorted(killer.kills.items()))
    record_property(
        "fault",
        f"storm {scale.producers} producers x {scale.workers} workers x {scale.keys} keys: "
        f"{len(pushes)} pushes acknowledged in {pushed_after:.0f} s, killed meanwhile: {kills}; "
        f"{lost} attempts lost and repeated, each job delivered, never two calls of one at once",
    )
