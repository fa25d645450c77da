"""The first environment, and endpoints that know its secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambdaqueue.administration import Administration
from tests.operator import prepared
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
