"""gunicorn as the Procfile starts it, and raw connections to it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.api.conftest import MASTER_KEY, TARGET, TOKEN

__all__ = ["HEAD", "PUSH", "Answer", "Web", "read_answer", "running"]

ROOT = Path(__file__).parents[2]
PUSH = "POST /api/v1/queues/mail/items HTTP/1.1"
HEAD = (
    f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    f"Content-Type: application/json\r\nx-lq-target: {TARGET}\r\n"
)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        assert self.headers["x-request-id"]
        return json.loads(self.body)


class Web:
    """gunicorn on the real configuration, and connections to it."""

    def __init__(self, redis_url: str, log: Path, **more: str) -> None:
        self.log = log
        self.listener = socket.create_server(("127.0.0.1", 0))
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "api/gunicorn.py")]
        command += ["--bind", f"fd://{self.listener.fileno()}", "api:create_app()"]
        environment = {
            **os.environ,
            "REDIS_URL": redis_url,
            "LQ_BOOTSTRAP_TOKEN": TOKEN,
            "LQ_MASTER_KEYS": MASTER_KEY,
            "LQ_DEVELOPMENT": "1",
            "LQ_LOG_LEVEL": "DEBUG",
            "LQ_GRACE": "5",
            **more,
        }
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                pass_fds=(self.listener.fileno(),),
            )

    def workers(self) -> list[int]:
        """The process ids of all workers ever started."""
        return [int(pid) for pid in re.findall(r"worker with pid: (\d+)", self.log.read_text())]

    def connect(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), timeout=20)

    def ask(self, request: bytes | str) -> Answer:
        """Send raw bytes on a connection of their own, and return the answer."""
        with self.connect() as sock:
            sock.sendall(request.encode("latin-1") if isinstance(request, str) else request)
            return read_answer(sock)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.listener.close()


@contextmanager
def running(redis_url: str, log: Path, **more: str) -> Iterator[Web]:
    """Start one, wait until it's ready, and stop it at the end."""
    web = Web(redis_url, log, **more)
    try:
        assert web.ask("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        yield web
    finally:
        web.stop()


def read_answer(sock: socket.socket, *, bodiless: bool = False) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65_536)
        assert chunk, f"closed after {data!r}"
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (li.partition(":") for li in lines)
    }
    while not bodiless and len(body) < int(headers["content-length"]):
        body += sock.recv(65_536)
    return Answer(int(first.split()[1]), headers, body)
