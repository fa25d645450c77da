"""What most scenarios begin with: a plant with all its processes, and jobs that are out."""

from __future__ import annotations

import time

from tests.faults.plant import Plant
from tests.faults.side_by_side import AT_ONCE
from tests.waiting import until
from tests.workers.stage import Process

__all__ = ["Running"]

LONGEST = "600000"
"""ms for an attempt that is to last until the test lets it end."""


class Running:
    """Web, worker and scheduler of a plant, and a client; at `redis_url` if that's given."""

    def __init__(self, plant: Plant, redis_url: str | None = None) -> None:
        url = redis_url or plant.redis.url
        self.plant = plant
        self.web = plant.web(REDIS_URL=url)
        worker, scheduler = plant.worker(REDIS_URL=url), plant.scheduler()
        self.processes: list[Process] = [self.web, worker, scheduler]
        self.client = plant.client_of(self.web)

    def push(self, path: str = "/", **headers: str) -> str:
        """Push a job that must be taken; return its id."""
        answer = self.client.push(self.plant.hook.url(path), "q", b"{}", **headers)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    def push_running(self, gate: str = "x") -> str:
        """Push a job and wait until its call is out, until that gate is opened."""
        item = self.push(f"/hold/{gate}", x_lq_timeout=LONGEST)
        until(lambda: self.plant.calls(item), "it is called")
        return item

    def check_refused(self, kind: str = "storage_unavailable") -> None:
        """A push is refused as the contract says, and so is readiness."""
        self.client.push(self.plant.hook.url()).check_unavailable(kind)
        ready = self.client("GET", "/ready")
        assert (ready.status, "redis" in str(ready.body)) == (503, True), ready
        assert ready.took < AT_ONCE

    def until_taken(self) -> float:
        """Wait until pushes are taken again; return after how many seconds."""
        began = time.monotonic()
        until(lambda: self.client.push(self.plant.hook.url()).status == 201, "it's taken")
        return time.monotonic() - began

    def check_ends(self, *items: str) -> None:
        """Each job ends well after exactly one call, and nothing else is left."""
        for item in items:
            self.plant.until_state(self.client, item)
            assert self.plant.calls(item) == [1], item
        assert all(process.running for process in self.processes)
        assert self.client("GET", "/ready").status == 200
        until(lambda: self.plant.left_over() == [], f"nothing left: {self.plant.left_over()}")
