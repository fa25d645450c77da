"""Keeps child processes running: starts them, starts crashed ones again, drains them all.

One thread, no fork of its own code: children are started with `subprocess`, signals arrive as
bytes in a pipe, and `turn` is one round of the loop. Each child is the leader of a session, so
a terminal's Ctrl-C reaches the supervisor alone and nothing is signalled twice. A child's own
children (gunicorn's workers) are in its process group and never survive it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from lambdaqueue.errors import ConfigurationError
from lambdaqueue.orphans import tied_to_this_process

__all__ = ["Backoff", "ChildSpec", "Supervisor"]

HURRY = 1.0
"""Seconds between the second SIGTERM, which tells a child to hand back what it has, and SIGKILL."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A process to keep running. `last` ones are stopped when all others have ended."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    pass_fds: tuple[int, ...] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a crashed child is started again; all in seconds."""

    first: float = 0.5
    longest: float = 30.0
    healthy_after: float = 60.0

    def delay(self, crashes: int) -> float:
        """Return the pause after the `crashes`-th crash in a row (from 1): doubling, then flat."""
        return float(min(self.longest, self.first * 2 ** min(crashes - 1, 20)))

    def crashes(self, before: int, lived: float) -> int:
        """Count a crash after `lived` seconds; a child that lived long starts from 1 again."""
        return 1 if lived >= self.healthy_after else before + 1


class Supervisor:
    """Runs children until it is told to stop; a context manager, in the main thread only."""

    def __init__(
        self,
        grace: float,
        backoff: Backoff | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._grace = grace
        self._backoff = backoff or Backoff()
        self._report = report or _report_to_stderr
        self._children: list[_Child] = []
        self._stops = 0
        self._restore: dict[int, Any] = {}

    def __enter__(self) -> Supervisor:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*STOPPING, signal.SIGCHLD):
            # Whoever ignores SIGHUP (nohup) wants it ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._restore[number] = signal.signal(number, _written_to_the_pipe)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reader, selectors.EVENT_READ)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.drain()
        finally:
            for number, handler in self._restore.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_wakeup)
            self._selector.close()
            os.close(self._reader)
            os.close(self._writer)

    @property
    def stopping(self) -> bool:
        """True once a signal asked for the end."""
        return self._stops > 0

    def start(self, spec: ChildSpec) -> None:
        """Start a child and keep it running from now on.

        Raises:
            ConfigurationError: its program can't be started at all.
        """
        child = _Child(spec)
        child.start()
        self._children.append(child)

    def pids(self) -> dict[str, int]:
        """Return the process ids of the children that run now, by name."""
        return {c.spec.name: c.process.pid for c in self._children if c.process is not None}

    def wait_for_signal(self) -> None:
        """Keep the children running until a signal asks for the end."""
        while self.turn():
            pass

    def turn(self, timeout: float = 60.0) -> bool:
        """Wait for the next event or `timeout` seconds, act on it; False when asked to stop."""
        self._wait(min([timeout, *self._pauses()]))
        if self.stopping:
            return False
        for child in self._children:
            self._look_after(child)
        return True

    def drain(self) -> int:
        """End all children, those that are `last` after the others; again: does nothing.

        SIGTERM, then the grace time; whoever still runs gets a second SIGTERM, and SIGKILL a
        second later. A second signal from outside cuts the grace time short.

        Returns:
            0 when every child had ended within the grace time, else 1.
        """
        early = self._end([c for c in self._children if not c.spec.last], hurried_by=2)
        # Redis saves on SIGTERM, so it gets its grace even when the others were hurried.
        late = self._end([c for c in self._children if c.spec.last], hurried_by=3)
        self._children = []
        return 0 if early and late else 1

    def _end(self, children: Iterable[_Child], hurried_by: int) -> bool:
        running = [child for child in children if child.process is not None]
        running = self._ask_to_end(running, self._grace, hurried_by)
        if not running:
            return True
        for child in self._ask_to_end(running, HURRY, hurried_by + 1):
            self._report(f"{child.spec.name} did not end in time and was killed")
            child.kill()
        return False

    def _ask_to_end(self, running: list[_Child], patience: float, hurried_by: int) -> list[_Child]:
        """Send SIGTERM; return who still runs after `patience` s, or after `hurried_by` signals."""
        for child in running:
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + patience
        while running := [child for child in running if child.reap() is None]:
            left = deadline - time.monotonic()
            if left <= 0 or self._stops >= hurried_by:
                break
            self._wait(left)
        return running

    def _look_after(self, child: _Child) -> None:
        code = child.reap()
        if code is not None:
            lived = time.monotonic() - child.started_at
            child.crashes = self._backoff.crashes(child.crashes, lived)
            delay = self._backoff.delay(child.crashes)
            child.restart_at = time.monotonic() + delay
            self._report(f"{child.spec.name} {_ending(code)}; it is started again in {delay:g} s")
        if child.restart_at is not None and time.monotonic() >= child.restart_at:
            child.start()

    def _pauses(self) -> Iterable[float]:
        now = time.monotonic()
        return [max(0.0, c.restart_at - now) for c in self._children if c.restart_at is not None]

    def _wait(self, timeout: float) -> None:
        if not self._selector.select(timeout):
            return
        for number in os.read(self._reader, 4096):
            if number in STOPPING:
                self._stops += 1


class _Child:
    """One child: the process that runs now, if any, and when it is due to be started again."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.restart_at: float | None = None
        self.crashes = 0

    def start(self) -> None:
        try:
            self.process = subprocess.Popen(
                tied_to_this_process(self.spec.command),
                env=self.spec.env,
                cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL,
                pass_fds=self.spec.pass_fds,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(f"{self.spec.name} can't be started: {error}") from error
        self.started_at = time.monotonic()
        self.restart_at = None

    def reap(self) -> int | None:
        """Return the exit code once, when the process has just ended; end what it left behind."""
        if self.process is None:
            return None
        # Looked at before it is reaped: until then nobody else can get its process group's id.
        ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return self.kill()

    def send(self, number: signal.Signals) -> None:
        """Signal the process alone: it knows best how to end its own children."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> int:
        """Kill the whole process group and return the exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.process = None
        return code


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _written_to_the_pipe(number: int, frame: FrameType | None) -> None:
    """Do nothing: a Python handler must be set for the wake-up pipe to get the signal's byte."""


def _report_to_stderr(message: str) -> None:
    print(f"lambdaqueue: {message}", file=sys.stderr, flush=True)
