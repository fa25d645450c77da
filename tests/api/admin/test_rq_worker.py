"""A real worker at work, as rq-dashboard in the panel and `rq info` show it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import create_app
from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.config import Settings
from tests.api.admin.conftest import Panel
from tests.api.admin.test_rq import data
from tests.api.conftest import parts_of
from tests.operator import MASTER_KEY, SECRET
from tests.waiting import until
from tests.workers.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Redis, an endpoint, room for processes."""
    with Stage(tmp_path) as stage:
        yield stage


@pytest.fixture
def looking(stage: Stage) -> Iterator[Panel]:
    """The browser of somebody who may only look."""
    app = create_app(
        Settings(
            redis_url=stage.redis.url,
            bootstrap_secret=SECRET,
            master_keys=(MASTER_KEY,),
            development=True,
        )
    )
    yield Panel(app).as_("eva", {EVERYWHERE: Role.VIEWER})
    parts_of(app).close()


def test_both_show_what_is_ready_and_running(stage: Stage, looking: Panel) -> None:
    worker = stage.worker(LQ_SLOTS="1")
    stage.push("/hold/x")
    until(lambda: stage.hook.deliveries, "one runs")
    for _ in range(2):
        stage.push()
    until(lambda: one_worker(looking)["state"] == "busy", "RQ knows that it's busy")
    shown = one_worker(looking)
    assert (shown["pid"], shown["queues"]) == (worker.pid, ["lambdaqueue"])
    page = looking.get("/rq/0/view/workers")
    assert page.shows(shown["name"])
    assert page.shows("busy")
    queue = the_queue(looking)
    assert (queue["count"], queue["started_job_registry_count"]) == (2, 1)
    assert queue["failed_job_registry_count"] == 0
    assert statuses(looking, "queued") == ["queued"] * 2
    assert statuses(looking, "started") == ["started"]
    told = stage.rq("info")
    assert "1 workers, 1 queues" in told
    assert "lambdaqueue  |██ 2, 1 executing, 0 finished, 0 failed" in told
    assert "1 queues, 2 jobs total" in told
    assert f"{shown['name']} " in told
    stage.hook.gate("x").set()
    until(lambda: the_queue(looking)["count"] == 0, "nothing is ready")
    until(lambda: the_queue(looking)["started_job_registry_count"] == 0, "nothing runs")
    assert worker.end() == 0
    assert data(looking, "/rq/0/data/workers.json") == {"workers": []}


def one_worker(panel: Panel) -> dict[str, Any]:
    (found,) = data(panel, "/rq/0/data/workers.json")["workers"]
    return dict(found)


def the_queue(panel: Panel) -> dict[str, Any]:
    found = data(panel, "/rq/0/data/queues.json")["queues"]
    return next(dict(each) for each in found if each["name"] == "lambdaqueue")


def statuses(panel: Panel, registry: str) -> list[str]:
    """Return the status of each job in a list, from the jobs' own pages."""
    path = f"/rq/0/data/jobs/lambdaqueue/{registry}/20/asc/1.json"
    jobs = data(panel, path)["jobs"]
    return [data(panel, f"/rq/0/data/job/{each['id']}.json")["status"] for each in jobs]
