"""The real web server's start: without Redis, and where it can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from gunicorn.arbiter import Arbiter

from lambdaqueue import keys
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.vault import Vault
from tests.api.conftest import MASTER_KEY
from tests.api.web import HEAD, Web


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"LQ_MASTER_KEYS": ""}, "LQ_MASTER_KEYS is required"),
        ({"LQ_MASTER_KEYS": "nonsense-and-secret"}, "LQ_MASTER_KEYS must be Fernet keys"),
        ({"LQ_MASTER_KEYS": Vault.new_key()}, "LQ_MASTER_KEYS has not the key"),
        ({"LQ_BOOTSTRAP_TOKEN": "lqk_nonsense"}, "LQ_BOOTSTRAP_TOKEN must match"),
        ({"WEB_CONCURRENCY": "2", "LQ_MASTER_KEYS": Vault.new_key()}, "LQ_MASTER_KEYS has not"),
    ],
    ids=["missing", "malformed", "wrong", "token", "two workers"],
)
def test_a_start_that_can_not_be(
    redis_url: str, tmp_path: Path, more: dict[str, str], told: str
) -> None:
    """The server ends by itself, and says why in one line."""
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.vault, Vault([MASTER_KEY]).check_value())
    started = Web(redis_url, tmp_path / "web.log", LQ_LOG_LEVEL="INFO", **more)
    try:
        assert started.process.wait(20) == Arbiter.APP_LOAD_ERROR
    finally:
        started.stop()
    log = started.log.read_text()
    lines = [line for line in log.splitlines() if told in line]
    assert lines
    assert len(set(lines)) == 1
    assert lines[0].startswith(told)
    assert "Traceback" not in log
    assert not [value for value in more.values() if len(value) > 1 and value in log]


def test_redis_comes_later(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "r", append_only=False) as server:
        server.stop()
        web = Web(server.url, tmp_path / "web.log")
        try:
            assert web.ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
            assert web.ask("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").status == 503
            assert web.ask(f"GET /api/v1/queues HTTP/1.1\r\n{HEAD}\r\n").status == 503
            server.start()
            assert web.ask(f"GET /api/v1/queues HTTP/1.1\r\n{HEAD}\r\n").status == 200
            assert web.ask("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        finally:
            web.stop()
    assert "Traceback" not in web.log.read_text()
