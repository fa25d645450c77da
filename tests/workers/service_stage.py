"""A stage with service jobs: they are defined, run, invoked at the hook, and called back."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.callbacks import Callbacks
from lambdaqueue.executing import Execution, Executions
from lambdaqueue.execution import ExecutionStatus, Final, Terms
from lambdaqueue.job import Job
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.service_job import ServiceJob
from lambdaqueue.services import ServiceJobs
from tests.operator import TOKEN
from tests.waiting import until
from tests.workers.hook import Delivery
from tests.workers.stage import ENVIRONMENT, QUICK, ROOT, Process, Stage

__all__ = ["ONCE", "SERVICE", "SUCCESS", "ServiceStage", "callback_url", "token_of"]

SERVICE = "reports"
ONCE = RetryPolicy("constant", retries=0)
SUCCESS = Final("success", summary="done", state={"page": 7}, correlation_id="c-1")


def callback_url(delivery: Delivery) -> str:
    """Return where the service is to call back that got `delivery`."""
    in_header = delivery.headers.get("x-lq-callback-url")
    return in_header or str(json.loads(delivery.body)["callback_url"])


def token_of(delivery: Delivery) -> str:
    """Return the callback token of a delivery."""
    text = callback_url(delivery).rpartition("/")[2]
    assert CallbackToken.parse(text) is not None
    return text


class ServiceStage(Stage):
    """Its web server, once started, is where all its processes send callbacks to."""

    def __init__(self, folder: Path, *, append_only: bool = False) -> None:
        super().__init__(folder, append_only=append_only)
        # Bound as long as this lasts, so that nobody else gets the port while no web server has it.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._port.bind(("127.0.0.1", 0))
        self.port = int(self._port.getsockname()[1])
        self.origin = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        super().__enter__()
        self.services = ServiceJobs(self.client)
        self.executions = Executions(self.client)
        self.callbacks = Callbacks(self.client)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._port.close()

    def env(self, **more: str) -> dict[str, str]:
        """See `Stage.env`."""
        return super().env(
            **{"LQ_PUBLIC_URL": self.origin, "HOST": "127.0.0.1", "PORT": str(self.port), **more}
        )

    def web(self, **env: str) -> Process:
        """Start the web server as the Procfile does, and wait until it answers."""
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "api/gunicorn.py")]
        web = self.start("web", [*command, "--reuse-port", "api:create_app()"], **env)
        until(lambda: self._answers() or not web.running, "the web server answers")
        assert web.running, web.text
        return web

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.origin}/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def api(self, method: str, path: str, **body: Any) -> requests.Response:
        """Call the API as its user."""
        url, user = f"{self.origin}/api/v1{path}", {"Authorization": f"Bearer {TOKEN}"}
        return requests.request(method, url, json=body or None, headers=user, timeout=20)

    # Jobs and their executions

    def define(self, path: str = "/", job: str = "daily", **more: Any) -> ServiceJob:
        """Define a service job whose endpoint is `path` of the hook; it runs by hand only."""
        fields: dict[str, Any] = {
            "schedule": "rate(1 day)", "ttl": 600, "payload": "p", "retry": QUICK, **more
        }  # fmt: skip
        return self.services.put(
            ENVIRONMENT, ServiceJob(SERVICE, job, self.hook.url(path), **fields)
        )

    def run(self, job: str = "daily") -> str:
        """Start an execution; return its name."""
        return self.executions.run(ENVIRONMENT, SERVICE, job)

    def push_async(
        self, path: str = "/", ttl: int = 600_000, heartbeat: int = 30_000, **more: Any
    ) -> str:
        """Push an item that a callback is to end; return its id. Times are ms."""
        more.setdefault("retry", ONCE)
        return self.push(path, terms=Terms(ttl, heartbeat), **more).id

    def execution(self, name: str) -> Execution:
        """Return an execution as it is now."""
        return self.executions.execution(ENVIRONMENT, name)

    def shown(self, name: str) -> Job:
        """Return its job."""
        return self.execution(name).job

    def calls(self, name: str) -> list[Delivery]:
        """Return what its service got."""
        return [each for each in list(self.hook.deliveries) if each.headers["x-lq-id"] == name]

    def until_invoked(self, name: str, times: int = 1) -> Delivery:
        """Wait until its service was called so often; return the last call."""
        until(lambda: len(self.calls(name)) >= times, f"webhook {times} of {name}")
        return self.calls(name)[times - 1]

    def until_status(self, name: str, status: ExecutionStatus) -> Job:
        """Wait until an execution has come so far; return its job."""
        until(lambda: self.shown(name).execution_status is status, f"{name}: {status}")
        return self.shown(name)

    def started(self, *names: str) -> list[str]:
        """Wait until executions run; return the callback tokens of their newest attempts."""
        for name in names:
            self.until_status(name, ExecutionStatus.RUNNING)
        return [token_of(self.calls(name)[-1]) for name in names]
