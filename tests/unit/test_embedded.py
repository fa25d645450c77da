"""The Redis of our own, in every generation there is."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from lambdaqueue import redis_servers
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.redis_servers import RedisServer, find_server
from tests.redis_server import generations, servers

DRIVER = """
import sys
from pathlib import Path
from lambdaqueue.embedded import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]), binary=Path(sys.argv[2]))
server.start()
print(server.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=generations())
def binary(request: pytest.FixtureRequest) -> Path:
    """The program of one generation."""
    return servers()[request.param].path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A redis-server that is none: it tells a version and nothing else."""
    path = tmp_path / "bin" / "redis-server"
    path.parent.mkdir()
    return path


def _pretend(program: Path, version: str) -> None:
    program.write_text(f"#!/bin/sh\necho Redis server v={version} sha=0\n")
    program.chmod(0o755)


def test_what_was_written_is_there_after_a_restart(binary: Path, tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "data", binary=binary)
    for expected in (None, b"1", b"1"):
        with server, redis.Redis.from_url(server.url) as connection:
            assert connection.get("a") == expected
            connection.set("a", "1")


def test_what_was_written_survives_a_kill(binary: Path, tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, binary=binary) as server:
        with redis.Redis.from_url(server.url) as connection:
            connection.set("a", "1")
        server.kill()
    with (
        EmbeddedRedis(tmp_path, binary=binary) as server,
        redis.Redis.from_url(server.url) as connection,
    ):
        assert connection.get("a") == b"1"


def test_its_settings(binary: Path, tmp_path: Path) -> None:
    with (
        EmbeddedRedis(tmp_path / "data", binary=binary) as server,
        redis.Redis.from_url(server.url) as connection,
    ):
        config = connection.config_get()
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "everysec"
    assert config["maxmemory-policy"] == "noeviction"
    assert config["port"] == "0"
    assert config["save"] == ""
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_deep_directory_gets_a_short_socket(binary: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "a % b?c"
    with EmbeddedRedis(deep, binary=binary) as server:
        socket = server.socket
        assert deep not in socket.parents
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        with redis.Redis.from_url(server.url) as connection:
            assert connection.ping()
    assert not socket.parent.exists()


def test_an_odd_directory_has_a_url_all_the_same(binary: Path, tmp_path: Path) -> None:
    with (
        EmbeddedRedis(tmp_path / "%2f? #", binary=binary) as server,
        redis.Redis.from_url(server.url) as connection,
    ):
        assert connection.ping()


def test_two_in_one_directory_are_refused(binary: Path, tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, binary=binary) as first:
        with pytest.raises(ConfigurationError, match="in use by another LambdaQueue"):
            EmbeddedRedis(tmp_path, binary=binary).start()
        assert first.ping() == b"+PONG\r\n"


def test_it_ends_with_its_parent_and_the_next_one_waits_for_that(
    binary: Path, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), str(binary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        with redis.Redis.from_url(driver.stdout.readline().strip()) as connection:
            connection.set("a", "1")
        driver.kill()
    with (
        EmbeddedRedis(tmp_path, binary=binary) as server,
        redis.Redis.from_url(server.url) as connection,
    ):
        assert connection.get("a") == b"1"


def test_one_that_can_not_start_says_why(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").write_text("no such format")
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").write_text("no such format\n")
    server = EmbeddedRedis(tmp_path, binary=binary)
    with pytest.raises(ConfigurationError, match="ended at once"):
        server.start()
    assert server.pid is None


def test_path_comes_first(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(program, "7.2.4")
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    assert find_server(tmp_path) == RedisServer(program, (7, 2, 4))


def test_an_old_one_is_passed_over(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend(program, "6.0.16")
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    assert find_server(tmp_path).path in redis_servers.packaged_servers()


def test_data_of_a_newer_generation_is_not_ignored(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend(program, "6.2.14")
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(ConfigurationError, match="was written by Redis 7"):
        find_server(tmp_path)


def test_without_any_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_servers, "packaged_servers", list)
    with pytest.raises(ConfigurationError, match="apt install redis-server"):
        find_server(tmp_path)


def test_a_program_that_is_no_redis_is_named(program: Path) -> None:
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    with pytest.raises(ConfigurationError, match="does not tell its version: 'hello'"):
        RedisServer.at(program)
