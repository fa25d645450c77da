"""The main job as a stranger does it: `lambdaqueue up` and `listen`, push, watch, read history.

Everything is a real process; what is pushed goes through the API, what is seen is what the
commands print.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from lambdaqueue.embedded import EmbeddedRedis
from tests.operator import MASTER_KEY, SECRET, TOKEN
from tests.waiting import until, wait_for_exit
from tests.workers.stage import ROOT

# One process of the run has them, so that the system which they share is started once.
pytestmark = pytest.mark.xdist_group("main-job")

COMMAND = [sys.executable, "-m", "lambdaqueue"]
ENV = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
QUICK = json.dumps({"type": "constant", "delay": 100, "retries": 3, "jitter": 0})


class Running:
    """A command that runs, and what it has printed."""

    def __init__(self, folder: Path, name: str, *words: str, **env: str) -> None:
        self.output = folder / f"{name}.log"
        self.output.touch()
        self.offset = self.output.stat().st_size
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*COMMAND, *words],
                cwd=folder,
                env={**ENV, "PYTHONPATH": str(ROOT), **env},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has printed since its start."""
        return self.output.read_bytes()[self.offset :].decode()

    def lines(self, *words: str) -> list[str]:
        """Return the lines in which all `words` are."""
        return [line for line in self.text.splitlines() if all(word in line for word in words)]

    def wait_for(self, text: str) -> None:
        """Wait until `text` was printed."""
        until(lambda: text in self.text or self.process.poll() is not None, f"{text!r} is printed")
        assert text in self.text, self.text

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


class System:
    """`lambdaqueue up` in a folder of its own, and its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Running] = []
        self.up = self.start()

    def start(self, *words: str, **env: str) -> Running:
        """Start `lambdaqueue up` and read what it printed."""
        up = self.run("up", "up", "--port", "0", "--data", "data", *words, **env)
        up.wait_for("is ready after")
        shown = {name: _shown(up.text, name) for name in ("URL", "Token", "Secret")}
        self.url, self.token, self.secret = shown.values()
        self.up = up
        return up

    def run(self, name: str, *words: str, **env: str) -> Running:
        """Start a command."""
        running = Running(self.folder, name, *words, **env)
        self._running.append(running)
        return running

    def listen(self, *words: str) -> tuple[Running, str]:
        """Start a listener; return it with its URL."""
        env = {"LQ_SECRET": self.secret}
        name = f"listen-{len(self._running)}"
        listener = self.run(name, "listen", "--port", "0", *words, **env)
        listener.wait_for("Stop with Ctrl-C")
        found = re.search(r"http://127\.0\.0\.1:\d+/", listener.text)
        assert found is not None
        return listener, found[0]

    def command(self, *words: str) -> str:
        """Run a client command to its end; return what it printed."""
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env={
                **ENV, "PYTHONPATH": str(ROOT), "LQ_API_URL": self.url, "LQ_TOKEN": self.token
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> requests.Response:
        """Call the API as curl would."""
        return requests.request(
            method,
            f"{self.url}/api/v1{path}",
            data=body,
            headers={"Authorization": f"Bearer {self.token}", **_dashed(headers)},
            timeout=20,
        )

    def push(self, target: str, queue: str = "q", body: bytes = b"{}", **headers: str) -> Any:
        """Push an item by the API and return it."""
        answer = self.call(
            "POST", f"/queues/{queue}/items", body,
            content_type="application/json", x_lq_target=target, **headers,
        )  # fmt: skip
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def item(self, item_id: str) -> Any:
        """Return an item as the API shows it."""
        return self.call("GET", f"/items/{item_id}").json()

    def until_state(self, item_id: str, state: str) -> Any:
        """Wait until the item has a state; return it."""
        until(lambda: self.item(item_id)["state"] == state, f"{item_id} is {state}")
        return self.item(item_id)

    def children(self) -> dict[str, int]:
        """Return the processes that `up` has started, by a word of their command lines."""
        words = {"gunicorn": "web", "scheduler": "scheduler", "worker": "worker"}
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or _parent(entry) != self.up.process.pid:
                continue
            if line := _command(entry):
                name = next((name for word, name in words.items() if word in line), "redis")
                found[name] = int(entry.name)
        return found

    def stop_all(self) -> None:
        """End everything."""
        for running in reversed(self._running):
            running.end(signal.SIGTERM)


def _shown(text: str, name: str) -> str:
    found = re.search(rf"^  {name} +(\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _command(process: Path) -> list[str]:
    """Return its words; none of one that has ended."""
    try:
        return (process / "cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One system for those tests that leave it as it was."""
    system = System(tmp_path_factory.mktemp("system"))
    yield system
    system.stop_all()


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[System]:
    """A system for one test."""
    system = System(tmp_path)
    yield system
    system.stop_all()


def test_a_push_is_delivered_signed_and_at_once(system: System) -> None:
    listener, target = system.listen()
    system.push(target, "warm-up")
    until(lambda: listener.lines("queue=warm-up"), "the first is there")
    began = time.monotonic()
    item = system.push(target, "swift", b'{"hello": "world"}')
    until(lambda: listener.lines("queue=swift"), "it arrives")
    assert time.monotonic() - began < 1
    (line,) = listener.lines("queue=swift")
    assert "verified" in line
    assert "-> 200" in line
    assert '{"hello": "world"}' in line
    ended = system.until_state(item["id"], "COMPLETED")
    assert ended["attempt"] == 1
    assert ended["lastAttempt"]["status"] == 200


def test_the_command_pushes_and_shows_history(system: System) -> None:
    listener, target = system.listen()
    pushed = system.command("push", "cli", "--target", target, "--data", '{"to": "ada"}')
    item_id = pushed.split()[0]
    until(lambda: listener.lines("queue=cli", '{"to": "ada"}'), "it arrives")
    system.until_state(item_id, "COMPLETED")
    shown = system.command("history", "cli")
    assert item_id in shown
    assert "COMPLETED" in shown
    assert re.search(r"^cli +no +0 +0 +1 +0", system.command("queues"), re.MULTILINE)


def test_a_push_with_its_key_again_replaces_what_waits(system: System) -> None:
    listener, target = system.listen()
    first = system.push(target, "keyed", b'{"n": 1}', x_lq_delay="60000", x_lq_key="k/1")
    assert (first["state"], first["version"]) == ("PENDING", 1)
    second = system.push(target, "keyed", b'{"n": 2}', x_lq_delay="800", x_lq_key="k/1")
    assert (second["id"], second["version"]) == (first["id"], 2)
    assert system.item(first["id"])["payload"] == {"n": 2}
    assert system.until_state(first["id"], "COMPLETED")["version"] == 2
    (line,) = listener.lines("queue=keyed")
    assert '{"n": 2}' in line
    assert "key=k/1" in line
    again = system.push(target, "keyed", x_lq_delay="60000", x_lq_key="k/1")
    assert again["id"] != first["id"]
    cancelled = system.call("DELETE", "/queues/keyed/items/byKey/k/1")
    assert cancelled.status_code == 200
    assert system.item(again["id"])["state"] == "CANCELLED"
    assert system.call("DELETE", f"/items/{again['id']}").status_code == 404
    assert len(listener.lines("queue=keyed")) == 1


def test_failures_are_retried_until_success(system: System) -> None:
    listener, target = system.listen("--fail-first", "2")
    item = system.push(target, "flaky", x_lq_retry=QUICK)
    ended = system.until_state(item["id"], "COMPLETED")
    assert ended["attempt"] == 3
    assert [_status(line) for line in listener.lines("queue=flaky")] == ["500", "500", "200"]
    (entry,) = system.call("GET", "/queues/flaky/history").json()["entries"]
    assert [each.get("status") for each in entry["attempts"]] == [500, 500, 200]
    assert entry["attempts"][0]["error"].startswith("http_500: ")
    shown = system.command("history", "flaky")
    assert "attempt 3/4" in shown
    assert shown.count("HTTP 500") == 2


def _status(line: str) -> str:
    found = re.search(r"-> (\d+)", line)
    return found[1] if found else ""


def test_failures_to_the_end_are_failed(system: System) -> None:
    listener, target = system.listen("--status", "500")
    item = system.push(target, "doomed", b'{"keep": "me"}', x_lq_retry=QUICK)
    ended = system.until_state(item["id"], "FAILED")
    assert ended["error"] == "http_500: the endpoint answered 500"
    assert ended["payload"] == {"keep": "me"}
    assert len(listener.lines("doomed")) == 4
    assert "FAILED" in system.command("history", "doomed")
    info = system.call("GET", "/queues/doomed").json()
    assert (info["completed"], info["failed"], info["waiting"]) == (0, 1, 0)


def test_an_endpoint_with_another_secret_gets_nothing(system: System) -> None:
    listener = system.run("listen-wrong", "listen", "--port", "0", LQ_SECRET=SECRET)
    listener.wait_for("Stop with Ctrl-C")
    found = re.search(r"http://127\.0\.0\.1:\d+/", listener.text)
    assert found is not None
    item = system.push(found[0], "wrong", x_lq_retry='{"retries": 0}')
    error = system.until_state(item["id"], "FAILED")["error"]
    assert error == "unverified: the endpoint answered 401 to the validation request"
    assert listener.lines("validation REFUSED")
    assert not listener.lines("POST")
    assert system.call("GET", "/queues/wrong").json()["lastError"]["error"] == error


def test_wrong_signatures_are_seen(system: System) -> None:
    """A queue without validation signs with a secret of its own."""
    listener = system.run("listen-own", "listen", "--port", "0", LQ_SECRET=SECRET)
    listener.wait_for("Stop with Ctrl-C")
    found = re.search(r"http://127\.0\.0\.1:\d+/", listener.text)
    assert found is not None
    body = b'{"validation": "none"}'
    system.call("PUT", "/queues/own", body, Content_Type="application/json")
    item = system.push(found[0], "own", x_lq_retry='{"retries": 0}')
    assert system.until_state(item["id"], "FAILED")["error"].startswith("http_401: ")
    assert listener.lines("WRONG SIGNATURE")
    own = system.call("GET", "/queues/own/secret").json()["secret"]
    knowing = system.run("listen-knowing", "listen", "--port", "0", LQ_SECRET=own)
    knowing.wait_for("Stop with Ctrl-C")
    found = re.search(r"http://127\.0\.0\.1:\d+/", knowing.text)
    assert found is not None
    item = system.push(found[0], "own", x_lq_retry='{"retries": 0}')
    system.until_state(item["id"], "COMPLETED")
    assert knowing.lines("verified")


def test_whatever_is_killed_is_started_again_and_work_goes_on(system: System) -> None:
    _, target = system.listen()
    for name in ("web", "scheduler", "worker", "redis"):
        before = system.children()
        assert set(before) == {"web", "scheduler", "worker", "redis"}
        item = system.push(target, "killed", x_lq_delay="300")
        os.kill(before[name], signal.SIGKILL)
        until(partial(_again, system, before, name), f"a new {name}")
        until(lambda: _is_ready(system), f"ready again after the death of {name}")
        system.until_state(item["id"], "COMPLETED")
        system.until_state(system.push(target, "killed")["id"], "COMPLETED")
    assert system.call("GET", "/queues/killed").json()["completed"] == 8


def _again(system: System, before: dict[str, int], name: str) -> bool:
    now = system.children()
    return set(now) == set(before) and now[name] != before[name]


def _is_ready(system: System) -> bool:
    try:
        return requests.get(f"{system.url}/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_what_waited_is_still_there_after_a_restart(own_system: System) -> None:
    system = own_system
    listener, target = system.listen()
    _stalled, slow = system.listen("--delay", "1s")
    kept = [system.push(target, "kept", b"%d" % n, x_lq_delay="2500") for n in range(20)]
    far = system.push(target, "kept", x_lq_delay="86400000", x_lq_key="far")
    out = system.push(slow, "out")
    system.until_state(out["id"], "RUNNING")
    token, secret = system.token, system.secret
    assert stat.S_IMODE((system.folder / "data" / "credentials").stat().st_mode) == 0o600
    children = system.children()
    assert system.up.end(signal.SIGINT) == 0
    assert system.up.text.endswith("Stopped.\n")
    for pid in children.values():
        wait_for_exit(pid)
    assert listener.lines("queue=kept") == []
    system.start()
    assert (system.token, system.secret) == (token, secret)
    assert system.item(out["id"])["state"] == "COMPLETED"  # the drain let it finish
    assert system.item(far["id"])["state"] == "PENDING"
    for item in kept:
        system.until_state(item["id"], "COMPLETED")
    bodies = sorted(int(line.split()[-1]) for line in listener.lines("queue=kept"))
    assert bodies == list(range(20))


def test_scripts_can_drive_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    up = Running(
        tmp_path, "up", "up", "--port", str(port), "--data", "here",
        LQ_BOOTSTRAP_TOKEN=TOKEN, LQ_BOOTSTRAP_SECRET=SECRET, LQ_MASTER_KEYS=MASTER_KEY,
    )  # fmt: skip
    try:
        up.wait_for("is ready after")
        assert _shown(up.text, "URL") == f"http://127.0.0.1:{port}"
        assert _shown(up.text, "Token") == TOKEN
        assert _shown(up.text, "Secret") == SECRET
        url = f"http://127.0.0.1:{port}/api/v1/queues"
        assert requests.get(url, timeout=10).status_code == 401
        good = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
        assert good.json() == {"queues": []}
    finally:
        assert up.end() == 0
    assert "Traceback" not in up.text


def test_a_redis_that_is_there_is_used(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        up = Running(tmp_path, "up", "up", "--port", "0", "--data", "data", REDIS_URL=server.url)
        try:
            up.wait_for("is ready after")
            with redis.Redis.from_url(server.url) as client:
                assert client.get("lq:instance")
                until(lambda: client.zcard("lq:workers") == 1, "its worker is there")
        finally:
            assert up.end() == 0
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
            assert client.zcard("lq:workers") == 0
