"""`lambdaqueue up` as it is installed from a wheel, with stand-ins for api and workers.

The package is laid out as in the wheel (lambdaqueue/_server/…) and called from a folder that
has an `api` of its own, so this also holds that the right one is run. What the real processes do
is tested elsewhere; here it is how they are started, watched and stopped.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from lambdaqueue.embedded import EmbeddedRedis
from tests.waiting import until, wait_for_exit

ROOT = Path(__file__).parents[2]

API = """
import json, os, signal
def create_app():
    def app(environ, start):
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"parent": os.getppid()}).encode()]
    return app
"""

# Says what it is and what it was given, and goes when it is told to.
PROCESS = """
import json, os, signal, sys
def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    words = {"name": __name__, "pid": os.getpid(), "cwd": os.getcwd()}
    words |= {name: os.environ.get(name) for name in (
        "REDIS_URL", "LQ_PUBLIC_URL", "LQ_DEVELOPMENT", "LQ_ALLOW_UNVALIDATED", "LQ_MASTER_KEYS",
        "LQ_BOOTSTRAP_TOKEN", "LQ_BOOTSTRAP_SECRET",
    )}
    os.write(1, ("\\nSTARTED " + json.dumps(words) + "\\n").encode())
    signal.sigwait({signal.SIGTERM})
    sys.exit(0)
"""

ENV = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


class Up:
    """A running `lambdaqueue up` and what it has printed."""

    def __init__(self, site: Path, folder: Path, *words: str, **env: str) -> None:
        self.folder = folder
        self.output = folder / "output"
        self._env = {**ENV, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lambdaqueue", "up", "--port", "0", *words],
                cwd=folder,
                env={**self._env, **env},
                stdout=output,
                stderr=output,
            )

    @property
    def text(self) -> str:
        """All that was printed so far."""
        return self.output.read_text()

    def started(self) -> list[dict[str, str]]:
        """What each process said about itself, in the order of their starts."""
        lines = [line for line in self.text.splitlines() if line.startswith("STARTED ")]
        return [json.loads(line.removeprefix("STARTED ")) for line in lines]

    def wait_until_ready(self) -> None:
        """Wait until it says so, and all processes have said that they run."""
        until(lambda: "is ready after" in self.text or self.process.poll() is not None, "ready")
        assert self.process.poll() is None, self.text

    def command(self, *words: str) -> str:
        """Call `lambdaqueue` in the same folder, with no variable set; return what it prints."""
        return subprocess.run(
            [sys.executable, "-m", "lambdaqueue", *words],
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()

    def restart(self) -> None:
        """Stop it, and forget what it printed; the caller starts the next one."""
        assert self.stop() == 0
        self.output.unlink()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


Start = Callable[..., Up]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder like site-packages with the wheel in it."""
    site = tmp_path / "site"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lambdaqueue", site / "lambdaqueue", ignore=ignored)
    server = site / "lambdaqueue" / "_server"
    for folder, files in {
        "api": {"__init__.py": API, "gunicorn.py": "control_socket_disable = True\n"},
        "workers": {"__init__.py": "", "delivery.py": PROCESS, "scheduler.py": PROCESS},
    }.items():
        (server / folder).mkdir(parents=True)
        for name, text in files.items():
            (server / folder / name).write_text(text)
    return site


@pytest.fixture
def up(site: Path, tmp_path: Path) -> Iterator[Start]:
    """Start `lambdaqueue up` with more arguments and variables."""
    folder = tmp_path / "project"
    (folder / "api").mkdir(parents=True)
    (folder / "api" / "__init__.py").write_text("raise SystemExit('the wrong api')\n")
    running: list[Up] = []

    def start(*words: str, **env: str) -> Up:
        running.append(Up(site, folder, *words, **env))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop(signal.SIGTERM)


def _processes(up: Up, count: int) -> list[dict[str, str]]:
    until(lambda: len(up.started()) >= count, f"{count} processes")
    return up.started()


def test_it_starts_everything_and_says_how_to_use_it(up: Start) -> None:
    running = up("--workers", "2")
    running.wait_until_ready()
    processes = _processes(running, 3)
    names = ["workers.delivery", "workers.delivery", "workers.scheduler"]
    assert sorted(process["name"] for process in processes) == names
    one = processes[0]
    assert one["cwd"].endswith("site/lambdaqueue/_server")
    assert one["LQ_DEVELOPMENT"] == one["LQ_ALLOW_UNVALIDATED"] == "1"
    shown = running.text
    for name in ("LQ_PUBLIC_URL", "LQ_BOOTSTRAP_TOKEN", "LQ_BOOTSTRAP_SECRET"):
        assert f"  {one[name]}\n" in shown
    for command in (" listen &", "curl ", " history hello"):
        assert command in shown
    with redis.Redis.from_url(one["REDIS_URL"]) as connection:
        assert connection.ping()
    assert running.stop(signal.SIGINT) == 0
    assert running.text.endswith("Stopped.\n")
    for process in processes:
        wait_for_exit(int(process["pid"]))


def test_data_and_credentials_are_there_at_the_next_start(up: Start) -> None:
    first = up()
    first.wait_until_ready()
    before = _processes(first, 2)[0]
    with redis.Redis.from_url(before["REDIS_URL"]) as connection:
        connection.set("waiting", "still there")
    assert first.stop(signal.SIGTERM) == 0
    first.output.unlink()
    second = up()
    second.wait_until_ready()
    after = _processes(second, 2)[0]
    assert after["LQ_BOOTSTRAP_TOKEN"] == before["LQ_BOOTSTRAP_TOKEN"]
    assert after["LQ_BOOTSTRAP_SECRET"] == before["LQ_BOOTSTRAP_SECRET"]
    assert after["LQ_MASTER_KEYS"] == before["LQ_MASTER_KEYS"]
    with redis.Redis.from_url(after["REDIS_URL"]) as connection:
        assert connection.get("waiting") == b"still there"


def test_variables_fix_token_and_secret(up: Start) -> None:
    token = f"lqk_{'a' * 8}_{'b' * 43}"
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    running = up(LQ_BOOTSTRAP_TOKEN=token, LQ_BOOTSTRAP_SECRET=secret)
    running.wait_until_ready()
    assert f"  Token   {token}\n  Secret  {secret}\n" in running.text
    # While there is no account, the panel's link makes the first one.
    link = re.search(r"^  Panel   (http://\S+/admin/first\?link=[\w-]{43})$", running.text, re.M)
    assert link is not None


def test_the_master_key_is_kept_for_the_owner_alone(up: Start) -> None:
    running = up(LQ_ALLOW_UNVALIDATED="0")
    running.wait_until_ready()
    one = _processes(running, 2)[0]
    file = running.folder / ".lambdaqueue" / "master_keys"
    assert file.read_text().splitlines()[-1] == one["LQ_MASTER_KEYS"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = [line for line in running.text.splitlines() if not line.startswith("STARTED ")]
    assert not any(one["LQ_MASTER_KEYS"] in line for line in said)
    assert one["LQ_ALLOW_UNVALIDATED"] == "0"


def test_master_keys_of_the_environment_win_and_are_not_kept(up: Start) -> None:
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    running = up(LQ_MASTER_KEYS=key)
    running.wait_until_ready()
    assert _processes(running, 2)[0]["LQ_MASTER_KEYS"] == key
    assert not (running.folder / ".lambdaqueue" / "master_keys").exists()
    running.restart()
    without = up()
    assert without.process.wait(60) == 1
    assert "master_keys is missing: it has the key" in without.text


def test_without_the_right_master_key_it_says_so_and_stops(up: Start) -> None:
    first = up()
    first.wait_until_ready()
    file = first.folder / ".lambdaqueue" / "master_keys"
    first.restart()
    copy = file.rename(file.with_name("copy"))
    second = up()
    assert second.process.wait(60) == 1
    assert second.started() == []
    (said,) = [line for line in second.text.splitlines() if line.startswith("lambdaqueue: ")]
    assert f"{file} is missing" in said
    assert "Traceback" not in second.text
    copy.rename(file)
    up().wait_until_ready()


def test_the_commands_work_beside_it_without_a_variable(up: Start) -> None:
    running = up()
    running.wait_until_ready()
    token = running.command("token", "create", "--name", "shop", "--quiet")
    assert token.startswith("lqk_")
    assert "  shop  " in running.command("token", "list")
    secret = running.command("secret", "show")
    assert f"  Secret  {secret}\n" in running.text
    assert running.stop() == 0
    assert not (running.folder / ".lambdaqueue" / "redis_url").exists()


def test_they_do_in_a_folder_too_deep_for_a_socket(up: Start) -> None:
    deep = "/".join(["deep" * 10] * 3)
    running = up("--data", deep)
    running.wait_until_ready()
    assert "default" in running.command("env", "list", "--data", deep)


def test_what_it_prints_is_true_after_a_rotation(up: Start) -> None:
    first = up()
    first.wait_until_ready()
    before = _processes(first, 2)[0]["LQ_BOOTSTRAP_SECRET"]
    secret = first.command("secret", "rotate")
    first.restart()
    second = up()
    second.wait_until_ready()
    assert f"  Secret  {secret}\n" in second.text
    kept = (second.folder / ".lambdaqueue" / "credentials").read_text()
    assert f"LQ_BOOTSTRAP_SECRET={secret}\n" in kept
    assert before not in kept


def test_a_revoked_token_is_not_offered(up: Start) -> None:
    first = up()
    first.wait_until_ready()
    token = _processes(first, 2)[0]["LQ_BOOTSTRAP_TOKEN"]
    first.command("token", "revoke", token)
    first.restart()
    second = up()
    second.wait_until_ready()
    banner = second.text[second.text.index(" is ready after ") :]
    assert token not in banner
    assert "  Token   was revoked" in banner
    made = re.search(r"LQ_TOKEN=\$\((.*)\) LQ_SECRET", banner)
    assert made is not None
    words = shlex.split(made[1])
    assert second.command(*words[words.index("token") :]).startswith("lqk_")


def test_it_takes_the_redis_that_is_there(up: Start, tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "elsewhere") as server:
        running = up(REDIS_URL=server.url)
        running.wait_until_ready()
        assert {process["REDIS_URL"] for process in _processes(running, 2)} == {server.url}
        kept = {path.name for path in (running.folder / ".lambdaqueue").iterdir()}
        assert kept == {"credentials", "master_keys"}
        assert running.stop() == 0


def test_it_waits_for_the_redis_that_it_was_given(up: Start, tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "elsewhere")
    running = up(REDIS_URL=server.url)
    until(lambda: "Waiting for Redis: Redis can't be reached" in running.text, "it waits")
    with server:
        running.wait_until_ready()
        assert running.text.count("Waiting for Redis") == 1
        assert running.stop() == 0


def test_it_can_be_stopped_while_it_waits(up: Start) -> None:
    running = up(REDIS_URL="unix:///nowhere/redis.sock")
    until(lambda: "Waiting for Redis" in running.text, "it waits")
    assert running.stop() == 0
    assert running.started() == []


def test_whatever_is_killed_is_started_again(up: Start) -> None:
    running = up()
    running.wait_until_ready()
    processes = _processes(running, 2)
    for process in processes:
        os.kill(int(process["pid"]), signal.SIGKILL)
    assert {p["name"] for p in _processes(running, 4)[2:]} == {p["name"] for p in processes}
    with redis.Redis.from_url(processes[0]["REDIS_URL"]) as connection:
        connection.set("a", "1")
        os.kill(connection.info()["process_id"], signal.SIGKILL)
        until(lambda: _get(connection) == b"1", "Redis is back")
    assert running.stop() == 0


def test_nothing_survives_its_sudden_end(up: Start) -> None:
    running = up()
    running.wait_until_ready()
    processes = _processes(running, 2)
    with redis.Redis.from_url(processes[0]["REDIS_URL"]) as connection:
        server = connection.info()["process_id"]
    running.process.kill()
    for pid in (server, *(int(process["pid"]) for process in processes)):
        wait_for_exit(pid)
    running.process.wait()


def test_two_in_one_folder_are_refused(up: Start) -> None:
    up().wait_until_ready()
    second = up()
    assert second.process.wait(60) == 1
    assert "choose another directory with --data" in second.text


def test_a_taken_port_is_named(up: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = up("--port", str(port))
        assert running.process.wait(60) == 1
    assert f"the API can't listen on 127.0.0.1:{port}" in running.text
    assert f"lambdaqueue up --port {port + 1}" in running.text


def test_a_wrong_variable_is_named(up: Start) -> None:
    running = up(LQ_GRACE="soon")
    assert running.process.wait(60) == 1
    assert "LQ_GRACE must be a whole number" in running.text


@pytest.mark.parametrize(
    ("name", "value"),
    [("LQ_BOOTSTRAP_TOKEN", "lqk_short"), ("LQ_BOOTSTRAP_SECRET", "whsec_c2hvcnQ=")],
)
def test_wrong_credentials_are_refused_and_not_kept(up: Start, name: str, value: str) -> None:
    running = up(**{name: value})
    assert running.process.wait(60) == 1
    assert not (running.folder / ".lambdaqueue" / "credentials").exists()
    assert value not in running.text


def _get(connection: redis.Redis) -> object:
    try:
        return connection.get("a")
    except redis.exceptions.ConnectionError:
        return None
