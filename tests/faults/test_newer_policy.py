"""A worker beside a newer one: what that one's API has stored must not end it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.job import State
from tests.faults.test_versions import FUTURE, PAYLOAD, change_spec
from tests.waiting import until
from tests.workers.stage import ACTOR, ENVIRONMENT, Stage

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"retry": {"type": "constant", "delay": 50, **FUTURE}}, id="field"),
        pytest.param({"retry": {"type": "fibonacci", "delay": 50}}, id="type"),
        pytest.param({"terms": [1_000, 1_000, 7]}, id="terms"),
        pytest.param({"message": ["X", 1, 7]}, id="message"),
        pytest.param({"follow": {"FAILED": {}}}, id="follow"),
    ],
)
def test_a_spec_of_newer_code(options: dict[str, Any], tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        worker = stage.worker()
        job = stage.push(payload=PAYLOAD, delay=500)
        change_spec(stage, job, {"target": stage.hook.url(), **options})
        stage.scheduler()
        until(lambda: int(time.time() * 1_000) > job.due_at + 500, "it is due")
        other = stage.push(queue="other")
        (ended,) = stage.until_ended(other)
        assert ended.state is State.COMPLETED
        assert worker.running, worker.text


@pytest.mark.parametrize(
    "settings",
    [
        {"retry": {"type": "constant", **FUTURE}},
        {"rate": {"limit": 5, "period": 1_000, **FUTURE}},
        {"breaker": {"ratio": 0.5, "window": 60_000, **FUTURE}},
        {"on_success": {"queue": "x", "target": "http://127.0.0.1:1/", **FUTURE}},
        {"flow": {"concurrency": 3, **FUTURE}},
    ],
)
def test_settings_of_newer_code(settings: dict[str, Any], tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        worker = stage.worker()
        job = stage.push(payload=PAYLOAD, delay=500)
        stage.service.configure(ACTOR, "q", {"concurrency": 3}, False)
        stage.client.hset(keys.queue(ENVIRONMENT, "q"), "settings", json.dumps(settings))
        stage.scheduler()
        until(lambda: int(time.time() * 1_000) > job.due_at + 500, "it is due")
        (ended,) = stage.until_ended(stage.push(queue="other"))
        assert ended.state is State.COMPLETED
        assert worker.running, worker.text
