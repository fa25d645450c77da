"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.store.service_desk import ServiceDesk
from tests.store.world import World


@pytest.fixture
def world(redis_url: str) -> Iterator[World]:
    """All stores on a Redis that was emptied for this test."""
    with redis.Redis.from_url(redis_url) as client:
        world = World(client)
        yield world
        world.close()


@pytest.fixture
def desk(world: World) -> ServiceDesk:
    """A world with the service job reports/daily, whose scheduler has ticked."""
    desk = ServiceDesk(world)
    desk.put()
    world.upkeep.tick()
    return desk
