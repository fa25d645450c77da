"""Fixtures of the workers' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from lambdaqueue.administration import Administration
from tests.operator import prepared
from tests.store.world import World
from tests.workers.vouching import Endpoints


@pytest.fixture
def administration(redis_url: str) -> Administration:
    """The first environment, whose secret is SECRET."""
    return prepared(redis_url)


@pytest.fixture
def make(administration: Administration) -> Iterator[Endpoints]:
    """Makes endpoints."""
    made = Endpoints(administration)
    yield made
    made.stop()


@pytest.fixture
def world(redis_url: str) -> Iterator[World]:
    """All stores on a Redis that was emptied for this test."""
    with redis.Redis.from_url(redis_url) as client:
        world = World(client)
        yield world
        world.close()
