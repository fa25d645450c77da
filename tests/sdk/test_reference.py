"""The API reference, as `make docs` builds it: complete, without a warning, no link that's dead."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

# One process of the run has them, so that the reference is built once.
pytestmark = pytest.mark.xdist_group("reference")

ROOT = Path(__file__).parents[2]

PAGES = [
    "lambdaqueue",
    "lambdaqueue.testing",
    "lambdaqueue.testing.pytest",
    *(
        f"lambdaqueue.integrations.{name}"
        for name in (
            "asgi",
            "aws_lambda",
            "django",
            "flask",
            "google_cloud",
            "starlette",
            "vercel",
            "wsgi",
        )
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the reference."""
    folder = tmp_path_factory.mktemp("reference") / "docs"
    done = subprocess.run(
        [sys.executable, "-W", "error", "docs/reference", str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def _file(folder: Path, module: str) -> Path:
    return folder / f"{module.replace('.', '/')}.html"


@cache
def _ids(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', page.read_text()))


@pytest.mark.parametrize("module", PAGES)
def test_every_public_name_is_in_it(built: Path, module: str) -> None:
    names = set(import_module(module).__all__) - {"__version__"}
    assert names - _ids(_file(built, module)) == set()


def test_a_class_is_shown_with_what_it_inherits(built: Path) -> None:
    ids = _ids(_file(built, "lambdaqueue"))
    assert {"Queue.push", "Queue.handler", "LambdaQueue.queue", "NotFound.issues"} <= ids


def test_every_public_name_says_what_it_is(built: Path) -> None:
    page = _file(built, "lambdaqueue").read_text()
    sections = re.split(r'<section id="', page)[1:]
    silent = [text.partition('"')[0] for text in sections if 'class="docstring"' not in text]
    assert silent == []


def test_no_link_is_dead(built: Path) -> None:
    dead = []
    for page in built.rglob("*.html"):
        for link in re.findall(r'href="([^"$]*)"', page.read_text()):
            file, _, place = link.partition("#")
            if ":" in file:
                continue
            target = page.parent / file if file else page
            if not target.is_file() or (place and place not in _ids(target)):
                dead.append((page.name, link))
    assert dead == []
