"""Waiting on a condition: tests never sleep to be right."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

__all__ = ["until", "wait_for_exit"]

DEADLINE = 20.0
"""Seconds after which a condition counts as never true."""


def until(condition: Callable[[], object], what: str, within: float = DEADLINE) -> None:
    """Return when `condition` is true; fail, naming `what`, when it isn't `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.01)


def wait_for_exit(pid: int) -> None:
    """Return when process `pid`, not a child of ours, has ended (reaped by its parent or not)."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], DEADLINE)[0], f"process {pid} did not end"
    finally:
        os.close(handle)
