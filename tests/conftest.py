"""Fixtures for every folder: a real Redis of their own for those who ask for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from lambdaqueue.embedded import EmbeddedRedis
from tests.redis_server import generations, serving


@pytest.fixture(scope="session", params=generations())
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedRedis]:
    """A redis-server of this test process alone, once for each generation of Redis."""
    with serving(request.param, tmp_path_factory) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """The address of that server, emptied for this test."""
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.flushall()
    return redis_server.url
