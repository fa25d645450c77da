"""The web process is killed around a push: all or nothing, and once for those who ask again."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.faults.plant import Client, Plant
from tests.faults.proxy import Proxy
from tests.waiting import until

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")

BATCH = [{"payload": {"n": n}, "delay": 60_000} for n in range(100)]

Record = Callable[[str, object], None]
Call = Callable[[Client], Any]


@pytest.mark.parametrize("side", ["request", "reply"])
@pytest.mark.parametrize("kind", ["item", "batch"])
def test_killed_while_pushing(
    kind: str, side: Literal["request", "reply"], tmp_path: Path, record_property: Record
) -> None:
    count = len(BATCH) if kind == "batch" else 1
    with Plant(tmp_path) as plant, Proxy(plant.redis.socket, tmp_path) as proxy:
        web = plant.web(REDIS_URL=proxy.url)
        client, watcher = plant.client_of(web), plant.client_of(web)
        send = _batch(plant) if kind == "batch" else _item(plant)
        hold = proxy.hold("push", side)
        failed = _in_background(lambda: send(client))
        hold.wait()
        web.kill()
        hold.lose()
        failed.join(20)
        assert not failed.is_alive()
        assert _waiting(plant) == (count if side == "reply" else 0)
        plant.web(plant.port_of(web), REDIS_URL=proxy.url)
        again = send(watcher)
        assert again.status == 201, again
        assert (again.headers.get("idempotency-replayed") == "true") is (side == "reply")
        assert _waiting(plant) == count
    row = "F01" if side == "request" else "F02"
    row = "F03" if kind == "batch" else row
    before = "before" if side == "request" else "after"
    record_property(
        "fault",
        f"{row} SIGKILL web {before} the write of {count}: {0 if side == 'request' else count} "
        f"stored, {count} after the same request again",
    )


def test_a_push_is_delivered_once_though_web_died(tmp_path: Path, record_property: Record) -> None:
    """The client hears nothing, the job is out already when it asks again."""
    with Plant(tmp_path) as plant, Proxy(plant.redis.socket, tmp_path) as proxy:
        web = plant.web(REDIS_URL=proxy.url)
        plant.worker()
        client, watcher = plant.client_of(web), plant.client_of(web)
        hold = proxy.hold("push", "reply")
        failed = _in_background(lambda: client.push(plant.hook.url(), Idempotency_Key="k"))
        until(lambda: plant.hook.deliveries, "it is delivered")
        web.kill()
        hold.lose()
        failed.join(20)
        plant.web(plant.port_of(web))
        answer = watcher.push(plant.hook.url(), Idempotency_Key="k")
        assert (answer.status, answer.headers["idempotency-replayed"]) == (201, "true")
        plant.until_state(watcher, answer.body["id"])
        assert plant.calls(answer.body["id"]) == [1]
        assert len(plant.hook.deliveries) == 1
    record_property("fault", "F02 SIGKILL web after the write: the retry finds it delivered, once")


def _item(plant: Plant) -> Call:
    return lambda client: client.push(
        plant.hook.url(), x_lq_delay="60000", x_lq_key="once", Idempotency_Key="k"
    )


def _batch(plant: Plant) -> Call:
    items = [{**item, "target": plant.hook.url()} for item in BATCH]
    body = json.dumps({"items": items}).encode()
    path = "/api/v1/queues/q/items/batch"
    return lambda client: client("POST", path, body, Idempotency_Key="k")


def _in_background(call: Callable[[], object]) -> threading.Thread:
    """Start a call that must end without an answer."""

    def run() -> None:
        with pytest.raises((OSError, http.client.HTTPException)):
            call()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _waiting(plant: Plant) -> int:
    return len(list(plant.client.scan_iter("lq:*:job:*", count=1_000)))
