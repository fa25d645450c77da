"""Primary, replica and Sentinel: a failover in the middle of everything.

Replication is asynchronous: what a dying primary had acknowledged and not yet sent on is lost,
and that is the bound. The test waits for the replica before it kills the primary. A job that the
replica has, but whose outcome was such a loss, goes on when its lease runs out.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from lambdaqueue.attempts import LEASE
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect, scripts_of
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.errors import StorageUnavailable
from lambdaqueue.sentinel import LOOK_EVERY, UNKNOWN
from lambdaqueue.service import open_service
from tests.faults.plant import SLACK, Answer, Client, Plant
from tests.faults.replicas import SERVICE, Replicas
from tests.operator import prepared
from tests.waiting import DEADLINE, until

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")

Record = Callable[[str, object], None]


class LedPlant(Plant):
    """All its processes find Redis by Sentinel."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.replicas = Replicas(folder / "replicas")

    def __enter__(self) -> Self:
        self.replicas.__enter__()
        settings = Settings(redis_url=self.replicas.url)
        self.redis: Any = _Led(self.redis, self.replicas.url)
        self.client = connect(settings)
        self.service = open_service(settings)
        self.administration = prepared(self.replicas.url)
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.replicas.stop()

    def wait_for_replica(self) -> None:
        """Return when the replica has all that was acknowledged until now.

        Redis' WAIT is about what its own connection wrote last, so that must write something.
        """
        with self.client.pipeline(transaction=False) as connection:
            connection.publish("lq:test", "")
            connection.wait(1, 10_000)
            assert connection.execute()[1] == 1


class _Led:
    """What a stage asks its Redis for."""

    def __init__(self, unused: EmbeddedRedis, url: str) -> None:
        self.url = url
        self.stop = unused.stop


class Pusher:
    """Pushes all the time, and keeps what was acknowledged and what was refused."""

    def __init__(self, client: Client, target: str) -> None:
        self._client = client
        self._target = target
        self._ending = threading.Event()
        self.stored: list[str] = []
        self.at: dict[str, float] = {}
        self.refused: list[Answer] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.wait(0.02):
            answer = self._client.push(self._target)
            if answer.status == 201:
                self.stored.append(answer.body["id"])
                self.at[answer.body["id"]] = time.monotonic()
            else:
                self.refused.append(answer)

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(30)


def test_the_primary_dies(tmp_path: Path, record_property: Record) -> None:
    with LedPlant(tmp_path) as plant:
        web = plant.web()
        processes = [web, plant.worker(), plant.scheduler()]
        client = plant.client_of(web)
        running = client.push(plant.hook.url("/hold/x")).body["id"]
        waiting = client.push(plant.hook.url(), x_lq_delay="4000").body["id"]
        until(lambda: plant.calls(running), "one is running")
        pusher = Pusher(plant.client_of(web), plant.hook.url())
        until(lambda: len(pusher.stored) > 50, "pushes go on")
        safe = list(pusher.stored)
        plant.wait_for_replica()
        first = plant.replicas.primary()
        plant.replicas.kill(first)
        until(lambda: pusher.refused, "pushes are refused")
        plant.hook.gate("x").set()  # ends while there is no primary
        until(lambda: plant.replicas.primary() != first, "the Sentinel has promoted the replica")
        known = len(pusher.stored)
        until(lambda: len(pusher.stored) > known + 20, "pushes go on again")
        pusher.stop()
        for answer in pusher.refused:
            answer.check_unavailable()
        for item in (running, waiting, *safe, *pusher.stored[known:]):
            plant.until_state(client, item, within=LEASE / 1_000 + DEADLINE)
        assert plant.calls(running) == [1]
        between = pusher.stored[len(safe) : known]
        lost = [item for item in between if plant.item(client, item).get("state") is None]
        assert client("GET", "/ready").status == 200
        assert all(process.running for process in processes), [p.text for p in processes]
        plant.replicas.back(first)
        until(lambda: client.push(plant.hook.url()).status == 201, "the old one disturbs nobody")
    record_property(
        "fault",
        f"F30 Sentinel failover: {len(pusher.refused)} pushes refused meanwhile; "
        f"{len(safe)} acknowledged ones that the replica had all delivered; {len(lost)} of the "
        f"{len(between)} of the last moment lost",
    )


def test_a_planned_failover(tmp_path: Path, record_property: Record) -> None:
    """The old primary lives on, and takes writes for ten seconds more: all must look elsewhere."""
    with LedPlant(tmp_path) as plant:
        web = plant.web()
        processes = [web, plant.worker(), plant.scheduler()]
        client = plant.client_of(web)
        items = [client.push(plant.hook.url(), x_lq_delay="3000").body["id"] for _ in range(20)]
        pusher = Pusher(plant.client_of(web), plant.hook.url())
        until(lambda: pusher.stored, "pushes go on")
        safe = [*items, *pusher.stored[:1]]
        plant.wait_for_replica()
        first = plant.replicas.primary()
        with plant.replicas.sentinel() as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        until(lambda: plant.replicas.primary() != first, "the replica is the primary")
        moved_at = time.monotonic()
        until(lambda: _is_replica(plant.replicas, first), "the old one is its replica")
        known = len(pusher.stored)
        until(lambda: len(pusher.stored) > known + 20, "pushes go on")
        pusher.stop()
        for answer in pusher.refused:
            answer.check_unavailable()
        for item in (*safe, *pusher.stored[known + 1 :]):
            plant.until_state(client, item, within=LEASE / 1_000 + DEADLINE)
        # Sentinel doesn't stop the old primary first: what that one still wrote is undone, so a
        # job may be called again, under the webhook-id that it had.
        counts = plant.hook.counts()
        again = sum(counts[f"{item}_1"] - 1 for item in items)
        assert all(1 <= counts[f"{item}_1"] <= 2 for item in items)
        lost = [item for item in pusher.stored if plant.item(client, item).get("state") is None]
        assert all(pusher.at[item] < moved_at + LOOK_EVERY + SLACK for item in lost)
        assert all(process.running for process in processes), [p.text for p in processes]
    record_property(
        "fault",
        f"F30 planned failover: {len(pusher.refused)} pushes refused, {again} of {len(items)} "
        f"waiting jobs called twice, {len(lost)} of {len(pusher.stored)} pushes lost, those that "
        "the old primary took while the new one was there already",
    )


def _is_replica(replicas: Replicas, port: int) -> bool:
    with replicas.client(port) as client:
        return str(client.info("replication")["role"]) == "slave"


def test_no_sentinel_answers() -> None:
    """Three that take the connection and say nothing: the API's two seconds still hold."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        hosts = ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in silent)
        form = "redis+sentinel://:pa55word"
        settings = Settings(redis_url=f"{form}@{hosts}/lq?sentinel_password=pa55word")
        client = stack.enter_context(connect(settings))
        began = time.monotonic()
        with pytest.raises(StorageUnavailable) as refused:
            scripts_of(client).run("leave", [])
        assert time.monotonic() - began < 2 + SLACK
        assert str(refused.value.__cause__) == UNKNOWN
