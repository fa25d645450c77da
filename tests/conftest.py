"""Fixtures for every folder: a real Redis of their own for those who ask for one."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import pytest
import redis

from lambdaqueue.embedded import EmbeddedRedis
from tests.redis_server import generations, serving
from tests.remembered import remember

remember()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """`-n auto` is one process more than there are cores: tests wait for processes and clocks."""
    return (yield) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector away from what stays to the end: the modules, and every test's item.

    A process has 14 000 of them. Else the collector goes through all of that again and again,
    also while tests run: a third of a second each time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


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
