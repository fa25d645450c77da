"""What can happen to the machine that Redis runs on: its disk is full, its clock is set.

Both are done to one real redis-server while it runs, and undone again.
"""

from __future__ import annotations

import os
import resource
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from lambdaqueue.embedded import EmbeddedRedis
from tests.redis_server import servers

__all__ = ["Clock", "Disk", "Host", "with_clock", "with_disk"]

Host = Callable[[Path], Path]
"""Makes, for a plant's folder, the program that is its redis-server."""

LIBRARY = "faketime/libfaketimeMT.so.1"
"""Of https://github.com/wolfcw/libfaketime, for programs with threads."""


def with_disk(folder: Path) -> Path:
    """Return a redis-server whose writes fail, instead of ending it, beyond a size of file."""
    found = servers()
    return _program(folder, "trap '' XFSZ", found[max(found)].path)


class Disk:
    """The disk of a redis-server that `with_disk` made."""

    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server

    def fill(self, left: int = 0) -> None:
        """Leave room for `left` bytes: what goes beyond is cut off in the middle (EFBIG).

        A limit of the process rather than a small file system: that takes root to mount.
        """
        files = self._server.directory.rglob("appendonly.aof*")
        self._limit(max(file.stat().st_size for file in files) + left)

    def clear(self) -> None:
        """Let there be room again."""
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        pid = self._server.pid
        assert pid is not None
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


def with_clock(folder: Path) -> Path:
    """Return a redis-server whose clock can be set; without libfaketime the test is skipped,
    in CI it fails."""
    Clock(folder).set(0)
    library = _library()
    if library is None:
        missing = "no libfaketime here: apt install libfaketime, or name it in LQ_TEST_LIBFAKETIME"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    settings = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(Clock(folder).file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
    # 6.2 is the package's. Debian's 7 gets its memory from a jemalloc that asks for the time
    # before libfaketime is ready, and doesn't start.
    return _program(folder, f"export {exports}", servers()["6.2"].path)


class Clock:
    """The clock of a redis-server that `with_clock` made."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clock"

    def set(self, ahead: int) -> None:
        """Let it be so many seconds ahead of the real one, at once."""
        written = self.file.with_suffix(".new")
        written.write_text(f"{ahead:+d}\n")
        written.replace(self.file)  # it's read at every look at the clock


def _library() -> Path | None:
    given = os.environ.get("LQ_TEST_LIBFAKETIME")
    usual = [path for at in ("lib/*", "lib*") for path in Path("/usr").glob(f"{at}/{LIBRARY}")]
    return Path(given) if given else next(iter(usual), None)


def _program(folder: Path, before: str, server: Path) -> Path:
    script = folder / "redis-server"
    script.write_text(f'#!/bin/sh\n{before}\nexec {shlex.quote(str(server))} "$@"\n')
    script.chmod(0o700)
    return script
