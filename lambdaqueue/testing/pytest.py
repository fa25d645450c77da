"""Fixtures for pytest. One line in the conftest.py at the root of the tests switches them on:

    pytest_plugins = ["lambdaqueue.testing.pytest"]

Installed by itself it would run in everybody's pytest, also where nobody tests jobs; so it isn't.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.testing.memory import Memory, MemoryLambdaQueue, in_memory

__all__ = ["lambdaqueue_client", "lambdaqueue_memory"]


@pytest.fixture
def lambdaqueue_client() -> LambdaQueue | None:
    """The application's own client. Override it in a conftest.py to return that:

    @pytest.fixture
    def lambdaqueue_client():
        return app.jobs.lq
    """
    return None


@pytest.fixture
def lambdaqueue_memory(lambdaqueue_client: LambdaQueue | None) -> Iterator[Memory]:
    """An in-memory LambdaQueue, new for each test, behind the application's client.

    Without a `lambdaqueue_client` it is a client of its own, a `MemoryLambdaQueue`.
    """
    if lambdaqueue_client is None:
        yield MemoryLambdaQueue()
        return
    with in_memory(lambdaqueue_client) as memory:
        yield memory
