"""A stage with the web process too: all that the Procfile starts, and a client of its API."""

from __future__ import annotations

import http.client
import json
import re
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import redis

from lambdaqueue.embedded import EmbeddedRedis
from tests.operator import TOKEN
from tests.waiting import DEADLINE, until
from tests.workers.stage import ROOT, STARTING, Process, Stage

__all__ = ["QUICK_JSON", "SLACK", "Answer", "Client", "Plant"]

QUICK_JSON = json.dumps({"type": "constant", "delay": 50, "retries": 3, "jitter": 0})

PATIENCE = 20.0
"""Seconds for an answer of the API before a test calls it none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered; header names are lower-case. `took` is seconds."""

    status: int
    body: Any
    took: float
    headers: dict[str, str] = field(default_factory=dict)

    def check_unavailable(self, kind: str = "storage_unavailable") -> None:
        """Hold a refusal against the contract: 503 with Retry-After, within 2 s."""
        assert self.status == 503, self
        assert int(self.headers["retry-after"]) >= 1
        assert self.body["type"] == kind, self
        assert self.took < 2 + SLACK, self


SLACK = 0.5
"""Seconds that two busy cores may take for the way there and back."""


class Client:
    """One connection to the API, dialled again where it broke. For one thread."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request and read the answer; raises OSError where the process went away."""
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        began = time.monotonic()
        try:
            self._connection.request(method, path, body, sent)
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        took = time.monotonic() - began
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, json.loads(data) if data else None, took, named)

    def push(self, target: str, queue: str = "q", body: bytes = b"{}", **headers: str) -> Answer:
        """Push a job."""
        headers.setdefault("x_lq_retry", QUICK_JSON)
        path = f"/api/v1/queues/{queue}/items"
        return self("POST", path, body, x_lq_target=target, **headers)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Plant(Stage):
    """Web, worker and scheduler on a Redis of their own, that of `program` if that's given."""

    def __init__(
        self, folder: Path, *, append_only: bool = False, program: Path | None = None
    ) -> None:
        super().__init__(folder, append_only=append_only)
        if program is not None:
            self.redis = EmbeddedRedis(folder / "redis", binary=program, append_only=append_only)
        self._clients: list[Client] = []

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for client in self._clients:
            client.close()
        super().__exit__(*error)

    def web(self, port: int = 0, **env: str) -> Process:
        """Start the web process, on a free port unless one is given; wait until it is ready."""
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "api/gunicorn.py")]
        command += ["--bind", f"127.0.0.1:{port}", "api:create_app()"]
        with STARTING:
            web = self.start("web", command, **env)
            until(lambda: self.port_of(web) or not web.running, "web listens")
            assert web.running, web.text
            with closing(self.client_of(web)) as client:
                until(lambda: client("GET", "/ready").status == 200, "web is ready")
        return web

    def port_of(self, web: Process) -> int:
        """Return where a web process listens; 0 while it doesn't."""
        found = re.findall(r"Listening at: http://127\.0\.0\.1:(\d+)", web.text)
        return int(found[-1]) if found else 0

    def client_of(self, web: Process) -> Client:
        """Return a client of a web process; the plant closes it."""
        client = Client(self.port_of(web))
        self._clients.append(client)
        return client

    def item(self, client: Client, item: str) -> Any:
        """Return a job as the API shows it."""
        return client("GET", f"/api/v1/items/{item}").body

    def until_state(
        self, client: Client, item: str, state: str = "COMPLETED", within: float = DEADLINE
    ) -> Any:
        """Wait until a job has a state, and return it; a failure shows what it was instead."""
        try:
            until(lambda: self.item(client, item).get("state") == state, state, within)
        except AssertionError as error:
            error.add_note(f"{self.item(client, item)}, called {self.calls(item)}")
            raise
        return self.item(client, item)

    def calls(self, item: str) -> list[int]:
        """Return the numbers of the attempts that came for a job."""
        found = list(self.hook.deliveries)
        return [each.attempt for each in found if each.headers["x-lq-id"] == item]

    def kill_connections(self) -> int:
        """Cut all connections of others to Redis; return how many there were."""
        with redis.Redis.from_url(self.redis.url) as client:
            return sum(bool(client.client_kill_filter(_type=kind)) for kind in ("normal", "pubsub"))
