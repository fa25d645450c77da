"""A LambdaQueue to measure: a Redis of its own, and our processes as the Procfile starts them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks.processes import Process, procfile, started, until
from lambdaqueue import keys
from lambdaqueue.cli.credentials import Credentials
from lambdaqueue.commands import Push
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.identity import Actor
from lambdaqueue.service import Service
from lambdaqueue.signing import Secret
from lambdaqueue.spec import Spec
from lambdaqueue.vault import Vault

__all__ = [
    "ACTOR",
    "BATCH",
    "ENVIRONMENT",
    "PAYLOAD",
    "SECRET",
    "Rig",
    "SinkProcess",
    "backlog",
    "running_sink",
]

ENVIRONMENT = keys.DEFAULT_ENVIRONMENT
ACTOR = Actor(ENVIRONMENT, "benchmark")
SECRET = Secret.generate().reveal()

PAYLOAD = b'{"user":"' + b"x" * 281 + b'","ok":1}'
"""300 bytes of JSON."""

BATCH = 500
"""Jobs in one push of a backlog."""

ANSWER_WITHIN = 30.0
"""Seconds for one answer of Redis: the benchmark's own client may be kept waiting."""


class Rig:
    """Redis, ours alone, in `folder`, with what is needed to talk to it. Processes are extra."""

    def __init__(self, redis: EmbeddedRedis, folder: Path) -> None:
        self.redis = redis
        self.folder = folder
        self.credentials = Credentials.keep(folder, {"LQ_BOOTSTRAP_SECRET": SECRET})
        self.env = {
            **self.credentials.env(),
            "LQ_MASTER_KEYS": Vault.new_key(),
            "REDIS_URL": redis.url,
            "LQ_DEVELOPMENT": "1",
            "LQ_LOG_LEVEL": "WARNING",
        }
        settings = Settings.from_env(self.env)
        self.client = connect(settings, answer_within=ANSWER_WITHIN)
        self.service = Service(self.client)
        self.slots = settings.slots

    @classmethod
    @contextmanager
    def running(cls, folder: Path, server: Path | None) -> Iterator[Rig]:
        """Start the Redis; `server` is its program, or None for the one that `up` would take."""
        folder.mkdir()
        with EmbeddedRedis(folder / "redis", binary=server) as redis:
            rig = cls(redis, folder)
            try:
                yield rig
            finally:
                rig.client.close()

    @property
    def redis_pid(self) -> int:
        """The process id of the Redis."""
        assert self.redis.pid is not None
        return self.redis.pid

    @contextmanager
    def worker(self) -> Iterator[Process]:
        """Run a worker; ready when it has joined."""
        before = self._workers()
        with started("worker", procfile("worker"), self.folder, self.env) as process:
            until(lambda: bool(self._workers() - before), "a worker joins", process)
            yield process

    @contextmanager
    def scheduler(self) -> Iterator[Process]:
        """Run a scheduler; ready when it ticks."""
        before = self._ticked()
        with started("scheduler", procfile("scheduler"), self.folder, self.env) as process:
            until(lambda: self._ticked() != before, "the scheduler ticks", process)
            yield process

    @contextmanager
    def web(self, processes: int = 1) -> Iterator[str]:
        """Run the web process with so many gunicorn workers; gives its origin."""
        port = _free_port()
        env = {**self.env, "PORT": str(port), "WEB_CONCURRENCY": str(processes)}
        origin = f"http://127.0.0.1:{port}"
        with started("web", procfile("web"), self.folder, env) as process:
            until(lambda: _answers(f"{origin}/ready"), "the web process answers", process)
            yield origin

    @contextmanager
    def workforce(self) -> Iterator[tuple[Process, Process]]:
        """Run a worker and a scheduler."""
        with ExitStack() as stack:
            worker = stack.enter_context(self.worker())
            yield worker, stack.enter_context(self.scheduler())

    def ended(self, queue: str) -> int:
        """Return how many jobs of a queue have ended since it was made."""
        info = self.service.queue(ENVIRONMENT, queue)
        return info.completed + info.failed + info.cancelled

    def _workers(self) -> set[bytes]:
        members: Any = self.client.zrange("lq:workers", 0, -1)
        return set(members)

    def _ticked(self) -> Any:
        return self.client.hget("lq:seq", "tick_ms")


def backlog(rig: Rig, queue: str, url: str, jobs: int) -> None:
    """Push `jobs` to a queue that is paused."""
    rig.service.pause(ACTOR, queue)
    push = Push(Spec(payload=PAYLOAD, target=url))
    for at in range(0, jobs, BATCH):
        rig.service.push_many(ENVIRONMENT, queue, [push] * min(BATCH, jobs - at))


class SinkProcess:
    """A `benchmarks.sink` that runs."""

    def __init__(self, process: Process, origin: str) -> None:
        self.process = process
        self.url = f"{origin}/hook"
        self._origin = origin
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy to this machine itself

    def reset(self) -> None:
        """Forget what came in."""
        self._session.post(f"{self._origin}/reset").raise_for_status()

    def stats(self) -> dict[str, Any]:
        """Return what came in; see `Sink.stats`."""
        answer = self._session.get(f"{self._origin}/stats")
        return dict(answer.json())

    def wait_for(self, requests: int, within: float, *processes: Process) -> dict[str, Any]:
        """Wait until so many deliveries came in; return the stats."""
        latest: dict[str, Any] = {}

        def enough() -> bool:
            latest.update(self.stats())
            return bool(latest["requests"] >= requests)

        what = f"{requests} deliveries at the sink"
        until(enough, what, self.process, *processes, within=within, every=0.1)
        return latest


@contextmanager
def running_sink(folder: Path, *options: str) -> Iterator[SinkProcess]:
    """Start a sink on a free port with these command-line options; it knows every rig's secret."""
    port = _free_port()
    command: Sequence[str] = [sys.executable, "-m", "benchmarks.sink", "--port", str(port)]
    origin = f"http://127.0.0.1:{port}"
    env = {"LQ_SECRET": SECRET}
    with started(f"sink-{port}", [*command, *options], folder, env) as process:
        until(lambda: _answers(f"{origin}/stats"), "the sink answers", process)
        yield SinkProcess(process, origin)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2, proxies={"http": ""}).ok
    except requests.ConnectionError:
        return False
