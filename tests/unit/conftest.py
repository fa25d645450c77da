"""A stand-in for the server, as the commands find theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_stub import ApiStub, Serve


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Start a stand-in that gives the answers named; clients find it and have a token."""
    running: list[ApiStub] = []

    def start(*answers: tuple[int, Any]) -> ApiStub:
        stub = ApiStub(list(answers)).__enter__()
        running.append(stub)
        monkeypatch.setenv("LQ_API_URL", stub.url)
        return stub

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LQ_TOKEN", "lqk_test")
    yield start
    for stub in running:
        stub.__exit__(None, None, None)
