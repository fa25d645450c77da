"""What is particular to Google Cloud: functions-framework."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import functions_framework
import pytest
from flask import Flask, Request

from lambdaqueue.integrations.google_cloud import handler, mount
from tests.sdk.integrations.deliveries import Taken, signed
from tests.sdk.integrations.hosts import ask_wsgi


@pytest.fixture
def taken() -> Taken:
    """A queue with a handler."""
    taken = Taken()
    taken.add("/welcome")
    return taken


def own(request: Request) -> str:
    """A function of its own."""
    return f"own {request.path}"


SOURCE = """
from lambdaqueue.integrations.google_cloud import handler, mount
from tests.sdk.integrations.deliveries import Taken
from tests.sdk.integrations.test_google_cloud import own

taken = Taken()
taken.add("/welcome")
alone = handler(taken)
beside = mount(own, taken)
"""


@pytest.mark.parametrize(("target", "status"), [("alone", 404), ("beside", 200)])
def test_the_framework_takes_it(tmp_path: Path, target: str, status: int) -> None:
    (tmp_path / "main.py").write_text(SOURCE)
    create_app: Callable[[str, str], Flask] = functions_framework.create_app
    app = create_app(target, str(tmp_path / "main.py"))
    ask = ask_wsgi(app)
    assert ask("POST", "/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/welcome", [], b"{}").status == 401
    assert ask("OPTIONS", "/welcome").status == 405
    assert ask("GET", "/else").status == status


def test_it_is_a_function_with_the_name_of_the_other(taken: Taken) -> None:
    # functions-framework takes nothing else that can be called.
    for function in (handler(taken), mount(own, taken)):
        assert type(function) is type(own)
    assert mount(own, taken).__name__ == "own"
