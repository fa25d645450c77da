"""The wheel as users get it: what it brings alone, and with its server.

It is built of a copy of what is packaged and installed into empty virtual environments. Commands
are called from a folder that has an `api` of its own, as many applications have. The server's
packages aren't installed a second time: they are those that run this test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import until

pytestmark = pytest.mark.xdist_group("wheel")

ROOT = Path(__file__).parents[2]
PACKAGED = ("lambdaqueue", "api", "workers", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")

# Without PYTHONPATH, which may lead to the checkout.
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LQ_"))}

LARGEST = 1_000_000
"""Bytes: more than that, and something is in it by mistake."""

APPLICATION = """
import threading
from wsgiref.simple_server import make_server

from lambdaqueue import LambdaQueue
from lambdaqueue.integrations.wsgi import handler

server = make_server("127.0.0.1", 0, None)
lq = LambdaQueue(base_url=f"http://127.0.0.1:{server.server_port}")
greet = lq.queue("/greet")

@greet.handler
def greeted(payload, job):
    return f"Hello, {payload['name']}"

server.set_app(handler(lq))
threading.Thread(target=server.serve_forever, daemon=True).start()
item = greet.wait(greet.push({"name": "Ada"}).id)
print(item.state, item.entry.result.value)
"""


def _pip(*words: str) -> str:
    """Call the pip that is beside this Python; return what it printed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as `make wheel` builds it."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    _pip("wheel", "--no-deps", "--wheel-dir", str(source / "dist"), str(source))
    [wheel] = (source / "dist").iterdir()
    return wheel


def _installed(folder: Path, *words: str) -> Path:
    """Make a virtual environment of what pip is told to install; return its folder."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    _pip("--python", str(folder / "bin" / "python"), "install", *words)
    return folder


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pip install lambdaqueue` in an empty environment."""
    return _installed(tmp_path_factory.mktemp("bare"), str(wheel))


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pip install 'lambdaqueue[server]'`."""
    folder = _installed(tmp_path_factory.mktemp("full"), "--no-deps", str(wheel))
    [packages] = folder.glob("lib/python*/site-packages")
    # A line of a path, and no more: what else is switched on there, as our checkout, isn't here.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Where the user is: the packages of his application have the names of ours."""
    for name in ("api", "workers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    return tmp_path


def _run(project: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=project, env={**ENV, **env}, capture_output=True, text=True, timeout=60
    )


def test_all_is_in_it_below_one_name(wheel: Path) -> None:
    places = {"lambdaqueue": "", "api": "lambdaqueue/_server/", "workers": "lambdaqueue/_server/"}
    files = {
        f"{place}{path.relative_to(ROOT).as_posix()}"
        for folder, place in places.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == files
    assert wheel.stat().st_size < LARGEST


def test_alone_it_brings_requests_and_the_sdk(bare: Path, project: Path) -> None:
    python = str(bare / "bin" / "python")
    listed = json.loads(_pip("--python", python, "list", "--format", "json"))
    assert {each["name"].lower().replace("_", "-") for each in listed} == {
        "lambdaqueue",
        "requests",
        # What requests needs.
        "certifi",
        "charset-normalizer",
        "idna",
        "urllib3",
    }
    code = "import lambdaqueue; print(lambdaqueue.LambdaQueue(), lambdaqueue.__file__)"
    done = _run(project, python, "-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    assert str(bare) in done.stdout


def test_alone_the_command_tells_how_to_get_the_server(bare: Path, project: Path) -> None:
    done = _run(project, str(bare / "bin" / "lambdaqueue"), "up")
    assert done.returncode != 0
    assert "pip install 'lambdaqueue[server]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def shown(full: Path, project: Path) -> Iterator[dict[str, str]]:
    """What a running `lambdaqueue up` has printed: URL, Token and Secret."""
    log = project / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [str(full / "bin" / "lambdaqueue"), "up", "--port", "0"],
            cwd=project,
            env=ENV,
            stdout=output,
            stderr=output,
        )
    try:
        ready = " is ready after "
        until(lambda: ready in log.read_text() or up.poll() is not None, "LambdaQueue is ready")
        text = log.read_text()
        assert ready in text, text
        yield dict(re.findall(r"^  (URL|Token|Secret) +(\S+)$", text, re.MULTILINE))
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0, log.read_text()


def test_with_the_server_a_job_is_done(bare: Path, project: Path, shown: dict[str, str]) -> None:
    (project / "shop.py").write_text(APPLICATION)
    done = _run(
        project,
        str(bare / "bin" / "python"),
        "shop.py",
        LQ_API_URL=shown["URL"],
        LQ_TOKEN=shown["Token"],
        LQ_SECRET=shown["Secret"],
    )
    assert done.stdout == "COMPLETED Hello, Ada\n", done.stderr
