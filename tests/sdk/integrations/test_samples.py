"""The samples in examples/, each run as its own comment says, by a real `lambdaqueue up`.

Who signs up is pushed by the sample's own route; LambdaQueue validates the sample's endpoint, calls
it, and keeps what the handler returned.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.sdk.integrations.events import FORMATS, STAGE
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("samples")

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent
TOKEN = f"lqk_{'a' * 8}_{'b' * 43}"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

ENV = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ} | {
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


@contextmanager
def running(command: list[str], folder: Path, log: Path, **env: str) -> Iterator[Callable[[], str]]:
    """Run a command in a folder; yield what it has printed so far."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**ENV, **env},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def text() -> str:
        printed = log.read_text()
        assert process.poll() is None, printed
        return printed

    try:
        yield text
    finally:
        # Some start processes of their own; all are in its session.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@dataclass(frozen=True)
class Up:
    """A running LambdaQueue, and who may use it."""

    url: str

    @property
    def env(self) -> dict[str, str]:
        """What an application is told of it."""
        return {"LQ_API_URL": self.url, "LQ_TOKEN": TOKEN, "LQ_SECRET": SECRET}

    def item(self, id: str, wait: int = 10) -> dict[str, Any]:
        """Return an item when it has ended, or as it is after `wait` seconds."""
        answer = requests.get(
            f"{self.url}/api/v1/items/{id}",
            params={"wait": wait},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One LambdaQueue for all samples: it takes some seconds to start."""
    folder = tmp_path_factory.mktemp("up")
    command = [sys.executable, "-m", "lambdaqueue", "up", "--port", "0"]
    env = {"LQ_BOOTSTRAP_TOKEN": TOKEN, "LQ_BOOTSTRAP_SECRET": SECRET}
    with running(command, folder, folder / "log", **env) as text:
        until(lambda: " is ready after " in text(), "LambdaQueue is ready")
        [url] = re.findall(r"^  URL +(\S+)$", text(), re.MULTILINE)
        yield Up(url)


@dataclass(frozen=True)
class Sample:
    """One of the samples: how it's run at a port, and where it is then."""

    file: str
    command: Callable[[int], list[str]]
    base: str = ""
    signup: str = "/signup"
    welcome: str = "/welcome"

    @property
    def folder(self) -> Path:
        """Where it's run."""
        return (EXAMPLES / self.file).parent


def _as_said(file: str) -> Sample:
    """Return the sample of a file whose third comment line is the command that runs it."""
    lines = (EXAMPLES / file).read_text().splitlines()
    command = [line.removeprefix("# ") for line in lines if line.startswith("# ")][2]
    return Sample(file, lambda port: shlex.split(command.replace("8000", str(port))))


def _by_host(file: str, module: str, *words: str, **more: str) -> Sample:
    """Return the sample of a file that a host of these tests runs."""
    host = [sys.executable, "-m", f"tests.sdk.integrations.{module}", *words]
    return Sample(file, lambda port: [*host, str(port)], **more)


LAMBDA = "aws_lambda/lambda_function.py"
STAGED = ("http_api", "http_api_1", "rest_api")

SAMPLES = {
    "flask": _as_said("flask/app.py"),
    "django": _as_said("django/manage.py"),
    "fastapi": _as_said("fastapi/app.py"),
    "wsgi": _as_said("wsgi/app.py"),
    "asgi": _as_said("asgi/app.py"),
    "google_cloud": _as_said("google_cloud/main.py"),
    "vercel": _by_host(
        "vercel/requirements.txt",
        "vercel_host",
        str(EXAMPLES / "vercel"),
        signup="/api/signup",
        welcome="/api/welcome",
    ),
    **{
        name: _by_host(
            LAMBDA,
            "lambda_host",
            str(EXAMPLES / LAMBDA),
            name,
            base=f"/{STAGE}" if name in STAGED else "",
        )
        for name in FORMATS
    },
}


@contextmanager
def serving(sample: Sample, up: Up, log: Path, **env: str) -> Iterator[str]:
    """Run a sample; yield its URL when it takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    base = f"http://127.0.0.1:{port}{sample.base}"
    env = {**up.env, "LQ_BASE_URL": base, **env}
    with running(sample.command(port), sample.folder, log, **env) as text:
        until(lambda: text() is not None and _listens(port), f"port {port} is listened on")
        yield base


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _sign_up(sample: Sample, base: str) -> str:
    answer = requests.post(base + sample.signup, json={"name": "Zoë"}, timeout=30)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_does_its_job(up: Up, tmp_path: Path, name: str) -> None:
    sample = SAMPLES[name]
    with serving(sample, up, tmp_path / "log") as base:
        item = up.item(_sign_up(sample, base))
        assert item["state"] == "COMPLETED", (item, (tmp_path / "log").read_text())
        assert item["target"] == {"url": base + sample.welcome, "method": "POST"}
        assert item["result"]["status"] == 200
        assert item["result"]["contentType"] == "application/json"
        assert item["result"]["body"] == '{"message":"Hello, Zoë","attempt":1}'
        url = base + sample.welcome
        for body in (b"", b'{"name": "Mallory"}'):
            assert requests.post(url, data=body, timeout=30).status_code == 401
        assert requests.head(url, timeout=30).status_code == 401
        assert "Mallory" not in (tmp_path / "log").read_text()


def test_without_the_secret_it_is_told_nothing(up: Up, tmp_path: Path) -> None:
    sample = SAMPLES["wsgi"]
    with serving(sample, up, tmp_path / "log", LQ_SECRET=OTHER) as base:
        id = _sign_up(sample, base)
        until(lambda: up.item(id, wait=0).get("lastAttempt"), "an attempt has ended")
        item = up.item(id, wait=0)
    assert (item["state"], item["attempt"]) == ("RETRY", 1)
    assert item["error"].startswith("unverified: ")


def test_every_example_is_a_sample() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {
        Path(sample.file).parts[0] for sample in SAMPLES.values()
    }
