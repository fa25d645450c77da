"""A Redis, an endpoint and real processes of one test, and what it wants to know of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.commands import HistoryFilter, Push
from lambdaqueue.config import Settings
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.identity import Actor
from lambdaqueue.job import Job
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.scripts import load
from lambdaqueue.service import Service, open_service
from lambdaqueue.spec import Spec
from tests.operator import MASTER_KEY, SECRET, TOKEN, prepared
from tests.redis_server import servers
from tests.waiting import until
from tests.workers.hook import Hook

__all__ = ["ACTOR", "ENVIRONMENT", "QUICK", "ROOT", "Process", "Stage"]

ROOT = Path(__file__).parents[2]
ENVIRONMENT = keys.DEFAULT_ENVIRONMENT
ACTOR = Actor(ENVIRONMENT, "test")
QUICK = RetryPolicy("constant", delay=50, retries=3, jitter=0)

PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")

STARTING = threading.Semaphore(2)
"""Stages may be used side by side; starting all their processes at once would take minutes."""


class Process:
    """A child process whose output goes to a file."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], folder: Path) -> None:
        self.output = folder / f"{name}.log"
        with self.output.open("ab") as output:
            self._popen = subprocess.Popen(
                command, cwd=folder, env=env, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self._popen.poll() is None

    @property
    def text(self) -> str:
        """All that it has written."""
        return self.output.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL, and all that it started."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for its end and return its exit code."""
        return self._popen.wait(seconds)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.send(number)
        return self.wait()


class Stage:
    """Everything is private to it, and ended with it."""

    def __init__(
        self, folder: Path, *, append_only: bool = False, generation: str | None = None
    ) -> None:
        found = servers()
        self.folder = folder
        binary = found[generation or max(found)].path
        self.redis = EmbeddedRedis(folder / "redis", binary=binary, append_only=append_only)
        self.hook = Hook()
        self.processes: list[Process] = []

    def __enter__(self) -> Self:
        self.redis.start()
        self.client = redis.Redis.from_url(self.redis.url)
        self.service: Service = open_service(Settings(redis_url=self.redis.url))
        self.load_scripts()
        self.administration: Administration = prepared(self.redis.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes:
            process.kill()
        self.hook.stop()
        self.client.close()
        self.redis.stop()
        if error is not None:
            tails = (f"--- {p.output.name}\n{p.text[-3000:]}" for p in self.processes)
            error.add_note("\n".join(tails))

    def load_scripts(self) -> None:
        """Make every script known, so that each call is one request by its SHA."""
        for script in load().values():
            self.client.script_load(script.text)

    # Processes

    worker_command: ClassVar[list[str]] = [sys.executable, "-m", "lambdaqueue", "worker"]

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment that the Procfile's processes get."""
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {
            **passed,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": self.redis.url,
            "LQ_BOOTSTRAP_SECRET": SECRET,
            "LQ_BOOTSTRAP_TOKEN": TOKEN,
            "LQ_MASTER_KEYS": MASTER_KEY,
            "LQ_DEVELOPMENT": "1",
            "LQ_GRACE": "10",
            **more,
        }

    def start(self, name: str, command: list[str], **env: str) -> Process:
        """Start a process of this stage."""
        process = Process(f"{name}-{len(self.processes)}", command, self.env(**env), self.folder)
        self.processes.append(process)
        return process

    def worker(self, **env: str) -> Process:
        """Start a worker and wait until it lives."""
        return self.worker_by(self.worker_command, **env)

    def worker_by(self, command: list[str], **env: str) -> Process:
        """Start a worker by another command, and wait until it lives."""
        with STARTING:
            before = set(self.client.zrange("lq:workers", 0, -1))
            worker = self.start("worker", command, **env)
            until(
                lambda: set(self.client.zrange("lq:workers", 0, -1)) - before or not worker.running,
                "a worker",
            )
        assert worker.running, worker.text
        return worker

    def scheduler(self, **env: str) -> Process:
        """Start a scheduler and wait until it works."""
        command = [sys.executable, "-m", "lambdaqueue", "scheduler"]
        with STARTING:
            scheduler = self.start("scheduler", command, **env)
            until(lambda: "scheduler_started" in scheduler.text or not scheduler.running, "it runs")
        assert scheduler.running, scheduler.text
        return scheduler

    def rq(self, *words: str) -> str:
        """Run RQ's own command to its end and return what it printed."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("rq")), *words, "--url", self.redis.url],
            cwd=ROOT,
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    # Jobs

    def push(
        self,
        path: str = "/",
        payload: bytes = b"{}",
        *,
        queue: str = "q",
        delay: int | None = None,
        key: str | None = None,
        **spec: Any,
    ) -> Job:
        """Push a job that is to be delivered to `path` of the endpoint."""
        spec.setdefault("retry", QUICK)
        wanted = Spec(payload=payload, target=self.hook.url(path), **spec)
        return self.service.push(ENVIRONMENT, queue, Push(wanted, key=key, delay=delay)).job

    def job(self, job: Job) -> Job:
        """Return how a job is now."""
        return self.service.item(ENVIRONMENT, job.id)

    def history(self, queue: str = "q") -> list[Job]:
        """Return a queue's ended jobs, newest first."""
        return list(self.service.history(ENVIRONMENT, queue, HistoryFilter(), 1_000, None).rows)

    def until_ended(self, *jobs: Job) -> list[Job]:
        """Wait until the jobs have ended and return them."""
        until(lambda: all(self.job(job).state.ended for job in jobs), "the jobs have ended")
        return [self.job(job) for job in jobs]

    def left_over(self) -> list[str]:
        """Return the keys that ended jobs must not leave behind."""
        patterns = (
            "lq:*:job:*", "lq:*:waiting:*", "lq:*:payloads:*", "lq:*:keys:*", "lq:held:*",
            "lq:wake", "lq:ready", "lq:in_line", "rq:job:*", "rq:queue:lambdaqueue",
            "rq:queue:lambdaqueue:intermediate", "rq:wip:lambdaqueue", "rq:failed:lambdaqueue",
            "rq:finished:lambdaqueue", "rq:executions:*",
        )  # fmt: skip
        # A chore is no job of a user's: it may be under way, or die with its scheduler.
        chores = (b"rq:job:workers-", b"rq:executions:workers-")
        found = [key for pattern in patterns for key in self.client.scan_iter(pattern)]
        return sorted(key.decode() for key in found if not key.startswith(chores))
