"""Processes that a benchmark starts: ended by their id, whatever happens, and their CPU time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lambdaqueue.orphans import tied_to_this_process

__all__ = ["ROOT", "BenchmarkFailed", "Process", "cpu_us", "procfile", "started", "until"]

ROOT = Path(__file__).resolve().parent.parent

STOP_WITHIN = 15.0
"""Seconds from SIGTERM to SIGKILL: our own processes drain for up to ten."""

TICKS = os.sysconf("SC_CLK_TCK")

USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM = 11, 12, 13, 14
"""Places in /proc/<pid>/stat behind the name, see proc(5)."""


class BenchmarkFailed(Exception):
    """Raised when what was to be measured did not come about."""


class Process:
    """One of them. `log` is what it printed, stdout and stderr."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def check(self) -> None:
        """Raise BenchmarkFailed, with its last words, when it has ended."""
        if self._popen.poll() is not None:
            words = self.log.read_text(errors="replace").splitlines()[-15:]
            raise BenchmarkFailed(
                f"{self.log.stem} ended ({self._popen.returncode}):\n" + "\n".join(words)
            )

    def wait(self, within: float) -> None:
        """Wait until it has ended by itself, well.

        Raises:
            BenchmarkFailed: it takes longer than `within` seconds, or failed.
        """
        try:
            code = self._popen.wait(within)
        except subprocess.TimeoutExpired:
            raise BenchmarkFailed(f"{self.log.stem}: not within {within:g} s") from None
        if code:
            self.check()

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL if it takes too long."""
        self._popen.terminate()
        try:
            self._popen.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


@contextmanager
def started(
    name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run `command` in the checkout; its log is `folder`/`name`.log.

    It's in a session of its own: Ctrl-C reaches the benchmark alone, which then ends it; and
    tied to this process, so that it doesn't outlive a SIGKILL either.
    """
    log = folder / f"{name}.log"
    # Appended to: a worker of each round tells its story in the same file.
    with log.open("ab") as output:
        popen = subprocess.Popen(
            tied_to_this_process(command),
            cwd=ROOT,
            env={**_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        process.stop()


def procfile(name: str) -> list[str]:
    """Return the command of a process type as the Procfile has it."""
    for line in (ROOT / "Procfile").read_text().splitlines():
        kind, _, command = line.partition(": ")
        if kind == name:
            return ["sh", "-c", f"exec {command}"]
    raise BenchmarkFailed(f"the Procfile has no {name}")


def cpu_us(pid: int) -> float:
    """Return the CPU time of a process and its ended children so far, in µs (10 ms steps)."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    places = (USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM)
    return sum(int(words[place]) for place in places) / TICKS * 1e6


def until(
    condition: Callable[[], bool],
    what: str,
    *processes: Process,
    within: float = 30.0,
    every: float = 0.05,
) -> None:
    """Wait until `condition` holds.

    Raises:
        BenchmarkFailed: after `within` seconds, or when one of `processes` ends.
    """
    deadline = time.monotonic() + within
    while not condition():
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"{what}: not within {within:g} s")
        time.sleep(every)


def _environment() -> dict[str, str]:
    """Return ours without settings of LambdaQueue, with this Python's commands first."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LQ_")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["PYTHONPATH"] = str(ROOT)
    return env
