"""What the real processes log as JSON, and that web processes tell the same metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.api.conftest import MASTER_KEY, TOKEN
from tests.api.test_metrics import samples
from tests.api.web import HEAD, PUSH, ROOT, Web
from tests.waiting import until

SIGN = {"worker": "lq:workers", "scheduler": "lq:seq"}
"""What stands in Redis as soon as a process works."""

SCRAPE = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def web(redis_url: str, tmp_path: Path) -> Iterator[Web]:
    started = Web(redis_url, tmp_path / "web.log", LQ_LOG_FORMAT="json", WEB_CONCURRENCY="2")
    try:
        yield started
    finally:
        started.stop()


def events(log: Path) -> list[dict[str, Any]]:
    """Return all lines; the last may be unfinished."""
    return [json.loads(line) for line in log.read_text().split("\n")[:-1]]


def test_two_web_processes(web: Web) -> None:
    for _ in range(12):
        assert web.ask(f"{PUSH}\r\n{HEAD}Content-Length: 2\r\n\r\n{{}}").status == 201

    def told() -> float:
        return samples(web.ask(SCRAPE).body.decode())[
            ("lambdaqueue_pushes_total", "default", "mail")
        ]

    # Each of them, whichever answers.
    until(lambda: all(told() == 12 for _ in range(8)), "both tell what both have taken")
    assert web.ask(f"GET /x\nevil HTTP/1.1\r\n{HEAD}\r\n").status == 400
    web.stop()
    found = events(web.log)
    assert {"time", "level", "logger", "pid", "event"} <= set.intersection(*map(set, found))
    assert len({line["pid"] for line in found}) == 3
    assert any(line["event"] == "log" and "Booting" in line["message"] for line in found)
    assert TOKEN not in web.log.read_text()


@pytest.mark.parametrize("name", ["worker", "scheduler"])
def test_a_process(redis_url: str, tmp_path: Path, name: str) -> None:
    log = tmp_path / "log"
    env = {
        "REDIS_URL": redis_url,
        "LQ_MASTER_KEYS": MASTER_KEY,
        "LQ_LOG_FORMAT": "json",
        "PYTHONPATH": str(ROOT),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lambdaqueue", name], cwd=ROOT, env=env, stderr=output
        )
    try:
        with redis.Redis.from_url(redis_url) as client:
            # Only then it knows signals.
            until(lambda: bool(client.exists(SIGN[name])), "it lives")
    finally:
        process.terminate()
        process.wait(20)
    told = [line["event"] for line in events(log)]
    assert f"{name}_started" in told
    assert told[-1] == f"{name}_stopped"
    assert MASTER_KEY not in log.read_text()
