"""A Redis of our own: for `lambdaqueue up` on a machine without one, and for tests.

It listens on a private Unix socket only, and keeps an append-only file in its directory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from lambdaqueue.errors import ConfigurationError
from lambdaqueue.orphans import tied_to_this_process
from lambdaqueue.redis_servers import RedisServer, find_server

__all__ = ["EmbeddedRedis"]

LONGEST_SOCKET_PATH = 103
"""Bytes of sun_path without its closing zero on macOS; Linux has 107, see unix(7)."""

START_TIMEOUT = 30.0
"""Seconds until it must answer; loading a large file has no limit of its own."""

STOP_TIMEOUT = 10.0
"""Seconds from SIGTERM to SIGKILL. It flushes its file before it ends."""

POLL = 0.01
"""Seconds between two looks at something that can't be waited for."""


class EmbeddedRedis:
    """One redis-server with its data in a directory that belongs to it alone.

    Either `start` and `stop` it (or use it as a context manager), from a thread that lives as
    long as it shall; or `reserve` its directory, let a supervisor run `command` with `pass_fds`,
    ask with `ping`, and `release` at the end.
    """

    def __init__(
        self, directory: Path, *, binary: Path | None = None, append_only: bool = True
    ) -> None:
        self.directory = directory.absolute()
        self.server = RedisServer.at(binary) if binary else find_server(self.directory)
        self._append_only = append_only
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._short: Path | None = None

    def __enter__(self) -> EmbeddedRedis:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def socket(self) -> Path:
        """Where it listens: in its directory, or in a short private one if that is too deep."""
        return (self._short or self.directory) / "redis.sock"

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"unix://{quote(str(self.socket))}?db=0"

    @property
    def log(self) -> Path:
        """Its own log."""
        return self.directory / "redis.log"

    @property
    def pid(self) -> int | None:
        """Its process id between `start` and `stop`."""
        return self._process.pid if self._process else None

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """The files it must inherit: the lock, which is held until it has really ended."""
        return () if self._lock is None else (self._lock,)

    @property
    def command(self) -> tuple[str, ...]:
        """The command line. No snapshots: the append-only file is the truth."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "logfile": str(self.log),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self._append_only else "no",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        pairs = ((f"--{name}", value) for name, value in options.items())
        return (str(self.server.path), *(word for pair in pairs for word in pair))

    def reserve(self) -> None:
        """Make the directory and take it for this process, until `release`.

        Raises:
            ConfigurationError: another one runs in it, or it can't be written.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.chmod(0o700)
            self._take_lock()
        except OSError as error:
            raise ConfigurationError(f"{self.directory} can't be used: {error}") from error
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            self._short = Path(tempfile.mkdtemp(prefix="lambdaqueue-", dir="/tmp"))

    def release(self) -> None:
        """Give the directory free again; without a reservation nothing happens."""
        if self._short is not None:
            shutil.rmtree(self._short)
            self._short = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def ping(self) -> bytes:
        """Send PING and return the answer: +PONG, -LOADING …, or nothing when nobody listens."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64)
            except OSError:
                return b""

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            ConfigurationError: its directory is in use, or it does not come up.
        """
        self.reserve()
        try:
            self._process = subprocess.Popen(
                tied_to_this_process(self.command),
                stdin=subprocess.DEVNULL,
                pass_fds=self.pass_fds,
                start_new_session=True,
            )
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in order: SIGTERM, and SIGKILL if it takes too long; again: does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.release()

    def kill(self) -> None:
        """End it as a crash would, for tests; `stop` must follow, `start` may then."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        """Return the end of its log, for error messages."""
        if not self.log.exists():
            return "it wrote no log"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not (answer := self.ping()).startswith(b"+PONG"):
            if process.poll() is not None:
                raise ConfigurationError(f"{self.server} ended at once:\n{self.last_words()}")
            if time.monotonic() > deadline and not answer.startswith(b"-LOADING"):
                raise ConfigurationError(
                    f"{self.server} did not answer within {START_TIMEOUT:g} s:\n{self.last_words()}"
                )
            time.sleep(POLL)

    def _take_lock(self) -> None:
        path = self.directory / "redis.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + STOP_TIMEOUT
        while not _locked(lock):
            owner = os.pread(lock, 20, 0).decode()
            # Its owner is gone, but the Redis that it left behind is still writing its file.
            if _is_alive(owner) or time.monotonic() > deadline:
                os.close(lock)
                raise ConfigurationError(
                    f"{self.directory} is in use by another LambdaQueue (process {owner}). "
                    "Stop that one, or choose another directory with --data"
                )
            time.sleep(POLL)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
