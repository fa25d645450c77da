"""The supervisor with real child processes, each a few lines of Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lambdaqueue.supervisor import Backoff
from tests.waiting import wait_for_exit

DRIVER = """
import json, sys
from lambdaqueue.supervisor import Backoff, ChildSpec, Supervisor
grace, children = json.loads(sys.argv[1])
with Supervisor(grace, Backoff(first=0.01)) as supervisor:
    for name, program, last in children:
        supervisor.start(ChildSpec(name, (sys.executable, "-c", program, name), last=last))
    supervisor.wait_for_signal()
    code = supervisor.drain()
print("driver", code, flush=True)
sys.exit(code)
"""

# Each says its name and process id when it is ready, so that a test can wait for it; each line
# in one write, because they share a pipe.
SAY = """
import os, signal, sys
def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())
"""
# A read of the wake-up pipe, not signal.pause(): that misses a signal that comes just before it.
READY = """
wake, woken = os.pipe()
os.set_blocking(woken, False)
signal.set_wakeup_fd(woken)
say(sys.argv[1], os.getpid())
while True:
    os.read(wake, 1)
"""
BYE = """
def bye(*_):
    say(sys.argv[1], "bye")
    sys.exit()
signal.signal(signal.SIGTERM, bye)
"""
POLITE = SAY + BYE + READY
STUBBORN = SAY + "signal.signal(signal.SIGTERM, lambda *_: say(sys.argv[1], 'no'))" + READY
PARENT = f"""{SAY}
if os.fork() == 0:
    sys.argv[1] = "grandchild"
{READY}"""
LEADER = f"""{SAY}
say(os.getsid(0) == os.getpid() == os.getpgid(0))
{READY}"""


class Driver:
    """A process that supervises children; its output and theirs, word by word."""

    def __init__(self, grace: float, *children: tuple[str, str, bool]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps([grace, children])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> list[str]:
        """Wait for the next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def pids(self, count: int) -> dict[str, int]:
        """Wait until `count` processes have said that they are ready."""
        return {name: int(pid) for name, pid in (self.line() for _ in range(count))}

    def finish(self) -> tuple[list[list[str]], str]:
        """Wait until everybody who could write is gone; return the rest of it."""
        out, err = self.process.communicate(timeout=60)
        return [line.split() for line in out.splitlines()], err


@pytest.fixture
def drivers() -> Iterator[list[Driver]]:
    """Those that a test started; what it left running is ended."""
    started: list[Driver] = []
    yield started
    for driver in started:
        if driver.process.poll() is None:
            driver.process.kill()
        driver.process.communicate(timeout=60)


@pytest.fixture
def supervise(drivers: list[Driver]) -> Any:
    """Start a driver with the grace time and the children given."""

    def start(grace: float, *children: tuple[str, str, bool]) -> Driver:
        drivers.append(Driver(grace, *children))
        return drivers[-1]

    return start


@pytest.mark.parametrize(
    ("crashes", "delay"),
    # 0.5 s × 2^(crashes - 1), at most 30 s
    [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (8, 30.0), (10**6, 30.0)],
)
def test_the_pause_doubles_up_to_a_bound(crashes: int, delay: float) -> None:
    assert Backoff().delay(crashes) == delay


@pytest.mark.parametrize(
    ("before", "lived", "crashes"), [(0, 0.1, 1), (4, 59.9, 5), (4, 60.0, 1), (0, 1e6, 1)]
)
def test_a_long_life_forgives_earlier_crashes(before: int, lived: float, crashes: int) -> None:
    assert Backoff().crashes(before, lived) == crashes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_all_children(supervise: Any, number: signal.Signals) -> None:
    driver = supervise(30, ("a", POLITE, False), ("b", POLITE, False))
    driver.pids(2)
    driver.process.send_signal(number)
    lines, _ = driver.finish()
    assert sorted(lines[:2]) == [["a", "bye"], ["b", "bye"]]
    assert lines[2:] == [["driver", "0"]]


def test_the_last_one_is_stopped_after_the_others(supervise: Any) -> None:
    driver = supervise(30, ("redis", POLITE, True), ("a", POLITE, False))
    driver.pids(2)
    driver.process.terminate()
    assert driver.finish()[0] == [["a", "bye"], ["redis", "bye"], ["driver", "0"]]


def test_a_crashed_child_is_started_again(supervise: Any) -> None:
    driver = supervise(30, ("a", POLITE, False))
    first = driver.pids(1)["a"]
    os.kill(first, signal.SIGKILL)
    assert driver.pids(1)["a"] != first
    driver.process.terminate()
    lines, errors = driver.finish()
    assert lines == [["a", "bye"], ["driver", "0"]]
    assert "a was ended by SIGKILL; it is started again in 0.01 s" in errors


def test_a_child_that_just_ends_is_started_again(supervise: Any) -> None:
    driver = supervise(30, ("a", "import sys; print('a', 0, flush=True); sys.exit(3)", False))
    assert [driver.line() for _ in range(3)] == [["a", "0"]] * 3
    driver.process.terminate()
    assert "a ended with exit code 3; it is started again in 0.02 s" in driver.finish()[1]


def test_who_does_not_end_in_time_is_asked_again_and_killed(supervise: Any) -> None:
    driver = supervise(0.1, ("a", STUBBORN, False), ("b", POLITE, False))
    driver.pids(2)
    driver.process.terminate()
    lines, errors = driver.finish()
    assert lines.count(["a", "no"]) == 2
    assert lines[-1] == ["driver", "1"]
    assert "a did not end in time and was killed" in errors


def test_a_second_signal_does_not_wait_for_the_grace_time(supervise: Any) -> None:
    driver = supervise(3_600, ("a", STUBBORN, False), ("redis", POLITE, True))
    driver.pids(2)
    driver.process.send_signal(signal.SIGINT)
    assert driver.line() == ["a", "no"]
    driver.process.send_signal(signal.SIGINT)
    # Redis still ends in order: it has a file to write.
    assert driver.finish()[0] == [["a", "no"], ["redis", "bye"], ["driver", "1"]]


def test_what_a_crashed_child_started_does_not_survive_it(supervise: Any) -> None:
    driver = supervise(30, ("a", PARENT, False))
    pids = driver.pids(2)
    os.kill(pids["a"], signal.SIGKILL)
    wait_for_exit(pids["grandchild"])


def test_children_do_not_survive_the_supervisor(supervise: Any) -> None:
    driver = supervise(30, ("a", POLITE, False), ("redis", POLITE, True))
    driver.pids(2)
    driver.process.kill()
    # The end of the output: nobody is left who could write to it.
    assert sorted(driver.finish()[0]) == [["a", "bye"], ["redis", "bye"]]


def test_a_child_leads_a_session_so_that_ctrl_c_does_not_reach_it(supervise: Any) -> None:
    driver = supervise(30, ("a", LEADER, False))
    assert driver.line() == ["True"]
