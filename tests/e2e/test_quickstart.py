"""docs/quickstart.md as a new user follows it: its commands, its file, its order.

Only the installing is left out: what it would bring stands in `.venv/bin` already, as scripts that
call this checkout. And the ports are free ones, in place of 8080 and 8000.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.markdown import blocks
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("samples")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "quickstart.md"
INSTALL, UP, SERVE, PUSH, HISTORY = (block.text for block in blocks(PAGE, "sh"))
[APP], [PUSHED], [KEPT] = (
    [block.text for block in blocks(PAGE, k)] for k in ("python", "json", "")
)

ENV = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


class User:
    """Somebody with an empty folder and some shells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.app_port = _free_ports(2)
        self._running: list[subprocess.Popen[bytes]] = []
        self._install()

    def _install(self) -> None:
        """Put there what `pip install` would."""
        place = self.folder / ".venv" / "bin"
        place.mkdir(parents=True)
        (place / "activate").write_text(f"PATH={place}:$PATH\n")
        for name in ("lambdaqueue", "flask"):
            (place / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {name} "$@"\n')
            (place / name).chmod(0o755)

    def start(self, commands: str, name: str) -> Path:
        """Type commands of which the last one stays; return what gets their output."""
        output = self.folder / name
        with output.open("wb") as file:
            self._running.append(self._type(commands, file))
        return output

    def type(self, commands: str) -> str:
        """Type commands in a new shell; return what they print."""
        process = self._type(commands, subprocess.PIPE)
        printed, _ = process.communicate(timeout=30)
        return printed.decode()

    def stop(self) -> None:
        """Press Ctrl-C in every shell."""
        for process in reversed(self._running):
            os.killpg(process.pid, signal.SIGINT)
            process.wait(30)

    def _type(self, commands: str, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", commands.replace("8000", str(self.app_port))],
            cwd=self.folder,
            env={
                **ENV,
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "LQ_API_URL": f"http://127.0.0.1:{self.port}",
            },
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """A new user."""
    user = User(tmp_path)
    yield user
    user.stop()


def _like(text: str) -> str:
    """Return what of a printed text is the same each time."""
    return re.sub(r"[0-9a-z]{14}|\d+", "N", text)


def test_it_ends_with_a_job_in_history(user: User) -> None:
    (user.folder / "app.py").write_text(APP)

    up = user.start(f". .venv/bin/activate; exec {UP.strip()} --port {user.port}", "up.log")
    until(lambda: " is ready after " in up.read_text(), "LambdaQueue is ready")
    *settings, serve = SERVE.strip().splitlines()
    served = user.start("\n".join([*settings, f"exec {serve}"]), "app.log")
    until(lambda: "Running on" in served.read_text(), f"the application runs: {served}")

    pushed = json.loads(user.type(PUSH.replace("curl", "curl --silent")))
    assert pushed.keys() == json.loads(PUSHED).keys()

    lines: list[str] = []

    def in_history() -> bool:
        lines[:] = user.type(f". .venv/bin/activate; {HISTORY}").splitlines()
        return pushed["id"] in "".join(lines)

    until(in_history, "the job is in history")
    assert [_like(line) for line in lines] == [_like(line) for line in KEPT.splitlines()]
    assert "COMPLETED" in lines[0]


def test_what_it_installs_is_what_there_is() -> None:
    assert "pip install 'lambdaqueue[server]'\n" in INSTALL
    setup = (ROOT / "setup.cfg").read_text()
    server = setup.split("[options.extras_require]")[1].split("\ndev =")[0]
    assert "\nserver =" in server
    assert "\n    flask>" in server
