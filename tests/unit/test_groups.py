"""Tests that must not run beside each other don't: xdist has heard of their group."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_a_mark_is_heeded(request: pytest.FixtureRequest) -> None:
    """With a pytest that xdist doesn't know yet, marks are silently passed over."""
    by_group = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@together") == by_group
