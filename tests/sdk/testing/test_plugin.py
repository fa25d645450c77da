"""The fixtures of `lambdaqueue.testing.pytest`, in a pytest of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[3]

CONFTEST = """
    pytest_plugins = ["lambdaqueue.testing.pytest"]
"""

JOBS = """
    from lambdaqueue.sdk.client import LambdaQueue

    lq = LambdaQueue(env={})
    welcome = lq.queue("/welcome")
    sent = []

    @welcome.handler
    def send(payload, job):
        sent.append(payload)
"""

OWN_CLIENT = """
    import pytest

    import jobs

    @pytest.fixture
    def lambdaqueue_client():
        return jobs.lq
"""


def run(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.stdout


def test_the_fixture_of_its_own(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        conftest=CONFTEST,
        test_it="""
        def test_push(lambdaqueue_memory):
            lambdaqueue_memory.queue("/mail").push(1)
            lambdaqueue_memory.assert_pushed("mail", payload=1)

        def test_another_starts_empty(lambdaqueue_memory):
            lambdaqueue_memory.assert_not_pushed()
        """,
    )
    assert "2 passed" in told, told


def test_the_fixture_behind_an_application(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        conftest=CONFTEST + OWN_CLIENT,
        jobs=JOBS,
        test_it="""
        import jobs

        def test_welcome(lambdaqueue_memory):
            jobs.welcome.push({"name": "Al"}, delay="10m")
            lambdaqueue_memory.clock.advance("10m")
            assert jobs.sent == [{"name": "Al"}]
        """,
    )
    assert "1 passed" in told, told


def test_a_failed_assertion_says_what_was_pushed(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        conftest=CONFTEST,
        test_it="""
        def test_push(lambdaqueue_memory):
            lambdaqueue_memory.queue("/mail").push({"n": 1}, key="a")
            lambdaqueue_memory.assert_pushed("mail", payload={"n": 2})
        """,
    )
    assert "1 failed" in told
    assert "expected payload={'n': 2} to be pushed to mail" in told
    assert "mail: {'n': 1}, key='a'" in told


def test_it_is_not_there_uninvited(tmp_path: Path) -> None:
    told = run(tmp_path, test_it="def test_it(lambdaqueue_memory): pass")
    assert "fixture 'lambdaqueue_memory' not found" in told


def test_it_is_no_entry_point() -> None:
    assert "pytest11" not in (ROOT / "setup.cfg").read_text()
