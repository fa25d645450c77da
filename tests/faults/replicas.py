"""A primary with one replica and a Sentinel that watches over them, on loopback ports."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import redis

from lambdaqueue.orphans import tied_to_this_process
from tests.waiting import until

__all__ = ["SERVICE", "Replicas"]

SERVICE = "lq-primary"
PASSWORD = "pass/word@1"
DOWN_AFTER = 1_000
"""ms of silence after which the Sentinel gives the primary up."""


class Replicas:
    """Everything is ended with it."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("redis-server")
        assert found, "Sentinel needs a redis-server on PATH"
        self._binary = found
        self._folder = folder
        self.ports = _free_ports(4)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """What REDIS_URL is; nobody listens at the first of the two addresses."""
        nobody, sentinel = self.ports[3], self.ports[2]
        hosts = f"127.0.0.1:{nobody},127.0.0.1:{sentinel}"
        return f"redis+sentinel://:{quote(PASSWORD, safe='')}@{hosts}/{SERVICE}/0"

    def __enter__(self) -> Replicas:
        primary, replica, sentinel, _ = self.ports
        try:
            self._serve(primary)
            self._serve(replica, "--replicaof", "127.0.0.1", str(primary))
            until(lambda: self.client(primary).info("replication")["connected_slaves"] == 1, "copy")
            self._watch(sentinel, primary)
            until(lambda: self._knows_both(), "the Sentinel knows both")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def client(self, port: int) -> redis.Redis:
        """Return a client of one of the servers."""
        return redis.Redis(port=port, password=PASSWORD, socket_timeout=5)

    def sentinel(self) -> redis.Redis:
        """Return a client of the Sentinel."""
        return redis.Redis(port=self.ports[2], socket_timeout=5)

    def primary(self) -> int:
        """Return the port of the primary, as the Sentinel has it."""
        with self.sentinel() as client:
            return int(client.sentinel_get_master_addr_by_name(SERVICE)[1])

    def kill(self, port: int) -> None:
        """End one of the servers as a crash would."""
        self._processes[port].send_signal(signal.SIGKILL)
        self._processes.pop(port).wait()

    def back(self, port: int) -> None:
        """Start a server that was killed; the Sentinel makes it the replica of the other one."""
        self._serve(port)

    def stop(self) -> None:
        """End all."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._processes.clear()

    def _serve(self, port: int, *more: str) -> None:
        folder = self._folder / str(port)
        folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": "",
            "logfile": str(folder / "redis.log"), "requirepass": PASSWORD,
            "masterauth": PASSWORD, "appendonly": "yes", "repl-diskless-sync-delay": "0",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._start(port, self._binary, *words, *more)
        until(lambda: _answers(self.client(port)), "a redis-server answers")

    def _watch(self, port: int, primary: int) -> None:
        file = self._folder / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\nlogfile {self._folder}/sentinel.log\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 1\n"
            f"sentinel auth-pass {SERVICE} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        self._start(port, self._binary, str(file), "--sentinel")
        until(lambda: _answers(self.sentinel()), "the Sentinel answers")

    def _start(self, port: int, *command: str) -> None:
        self._processes[port] = subprocess.Popen(
            tied_to_this_process(command), stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _knows_both(self) -> bool:
        with self.sentinel() as client:
            return len(client.sentinel_slaves(SERVICE)) == 1


def _answers(client: redis.Redis) -> bool:
    with client, contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [each.getsockname()[1] for each in sockets]
