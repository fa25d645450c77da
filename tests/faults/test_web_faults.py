"""The web process is killed around a change: all of it or nothing, once for those who ask again."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.identity import Author
from lambdaqueue.job import State
from lambdaqueue.signing_in import SigningIn
from tests.faults.plant import Client, Plant
from tests.faults.proxy import Proxy
from tests.waiting import until
from tests.workers.stage import ENVIRONMENT

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")

BATCH = [{"payload": {"n": n}, "delay": 60_000} for n in range(100)]

Record = Callable[[str, object], None]
Call = Callable[[Client], Any]
PASSWORD = "correct horse battery"


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


@pytest.mark.parametrize("side", ["request", "reply"])
def test_killed_while_the_panel_cancels(
    side: Literal["request", "reply"], tmp_path: Path, record_property: Record
) -> None:
    """The change and its entry in the audit are there, or neither."""
    with Plant(tmp_path) as plant, Proxy(plant.redis.socket, tmp_path) as proxy:
        job = plant.push(delay=60_000)
        SigningIn(plant.client).create(Author("test"), "jan", PASSWORD, {EVERYWHERE: Role.ADMIN})
        web = plant.web(REDIS_URL=proxy.url)
        origin = f"http://127.0.0.1:{plant.port_of(web)}"
        browser = _signed_in(f"{origin}/admin", origin)
        fields = {"csrf": _csrf(browser.get(f"{origin}/admin/account"))}
        path = f"{origin}/admin/e/default/items/{job.id}/cancel"
        hold = proxy.hold("cancel", side)
        failed = _in_background(lambda: browser.post(path, fields))
        hold.wait()
        web.kill()
        hold.lose()
        failed.join(20)
        assert not failed.is_alive()
        browser.close()
        done = side == "reply"
        assert (plant.job(job).state is State.CANCELLED) is done
        entries = plant.administration.audit(ENVIRONMENT, 100, None).rows
        told = [(row.token, row.object) for row in entries if row.action == "item.cancel"]
        assert told == ([("jan", f"q {job.id}")] if done else [])
    record_property(
        "fault",
        f"F01 SIGKILL web {'after' if done else 'before'} the panel's cancel was stored: "
        f"{'cancelled, with its entry' if done else 'neither cancelled nor'} in the audit",
    )


def _signed_in(panel: str, origin: str) -> requests.Session:
    """Return a browser in which somebody has signed in."""
    browser = requests.Session()
    browser.trust_env = False
    browser.headers["Origin"] = origin
    fields = {"csrf": _csrf(browser.get(f"{panel}/sign-in")), "name": "jan", "password": PASSWORD}
    assert browser.post(f"{panel}/sign-in", fields, allow_redirects=False).status_code == 303
    return browser


def _csrf(page: requests.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


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
