"""Tests of the store, on a real redis-server."""

import pytest

pytest.register_assert_rewrite("tests.store.model", "tests.store.world")
