"""What is particular to Flask."""

from __future__ import annotations

import io
from typing import Any

import flask
import pytest
from flask import Flask
from flask.cli import routes_command

from lambdaqueue import ConfigurationError, LambdaQueue
from lambdaqueue.integrations.flask import mount
from lambdaqueue.sdk.delivery import Job
from tests.sdk.integrations.deliveries import Taken, error_of, signed
from tests.sdk.integrations.hosts import ask_wsgi


@pytest.fixture
def taken() -> Taken:
    """A queue with a handler."""
    taken = Taken()
    taken.add("/welcome")
    return taken


@pytest.fixture
def app() -> Flask:
    """An application with routes of its own, one of which takes every path."""
    app = Flask("shop")
    app.add_url_rule("/own", view_func=lambda: "own", endpoint="own")
    app.add_url_rule("/<path:path>", view_func=lambda path: f"page {path}", endpoint="page")
    return app


def test_it_returns_the_application(app: Flask, taken: Taken) -> None:
    assert mount(app, taken) is app


def test_other_paths_are_the_application_s(app: Flask, taken: Taken) -> None:
    ask = ask_wsgi(mount(app, taken))
    assert ask("GET", "/own").body == b"own"
    assert ask("GET", "/some/page").body == b"page some/page"
    assert ask("POST", "/welcome", signed(), b"{}").status == 200
    taken.add("/late")
    assert ask("POST", "/late", signed(), b"{}").status == 200
    assert ask("GET", "/own").body == b"own"


def test_the_test_client_reaches_it(app: Flask, taken: Taken) -> None:
    client = mount(app, taken).test_client()
    assert client.post("/welcome", data=b"{}", headers=dict(signed())).status_code == 200


def test_a_handler_runs_in_the_application(app: Flask, taken: Taken) -> None:
    happened: list[str] = []
    app.before_request(lambda: happened.append("before"))
    app.teardown_appcontext(lambda error: happened.append("after"))

    def handle(payload: Any, job: Job) -> str:
        happened.append(flask.request.method)
        return flask.current_app.name

    taken.add_handler("/own-context", handle)
    assert ask_wsgi(mount(app, taken))("POST", "/own-context", signed(), b"{}").body == b"shop"
    assert happened == ["before", "POST", "after"]


def test_below_a_prefix(app: Flask, taken: Taken) -> None:
    mount(app, taken)
    assert ask_wsgi(app, script="/app")("POST", "/welcome", signed(), b"{}").status == 200


def test_two_clients_can_be_mounted(app: Flask, taken: Taken) -> None:
    other = Taken()
    other.add("/other")
    ask = ask_wsgi(mount(mount(app, taken), other, prefix="/v2"))
    assert ask("POST", "/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/v2/other", signed(), b"{}").status == 200


def test_one_queue_needs_a_path(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match="has no path here"):
        mount(app, LambdaQueue(env={}).queue("mail"))


def test_the_body_may_have_been_read_before(app: Flask, taken: Taken) -> None:
    @app.before_request
    def log_it() -> None:
        assert flask.request.get_data() == b"{}"

    assert ask_wsgi(mount(app, taken))("POST", "/welcome", signed(), b"{}").status == 200
    chunked = {"CONTENT_LENGTH": None, "wsgi.input_terminated": True}
    assert ask_wsgi(app, chunked)("POST", "/welcome", signed(), b"{}").status == 200


def test_a_form_is_not_parsed(app: Flask, taken: Taken) -> None:
    body, kind = b"a=1&a=2", "application/x-www-form-urlencoded"
    ask = ask_wsgi(mount(app, taken))
    assert ask("POST", "/welcome", signed(body, kind=kind), body).status == 200
    assert taken.payloads == [body]


def test_a_chunked_body(app: Flask, taken: Taken) -> None:
    mount(app, taken)
    more: dict[str, Any] = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}
    assert ask_wsgi(app, more)("POST", "/welcome", signed(), b"{}").status == 411
    more["wsgi.input_terminated"] = True
    assert ask_wsgi(app, more)("POST", "/welcome", signed(), b"{}").status == 200
    more["wsgi.input"] = io.BytesIO(b"x" * 2_000)
    assert ask_wsgi(app, more)("POST", "/welcome", signed()).status == 413


def test_the_application_s_own_limit_counts(app: Flask, taken: Taken) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 5
    answer = ask_wsgi(mount(app, taken))("POST", "/welcome", signed(b"123456"), b"123456")
    assert answer.status == 413
    assert "5 bytes" in error_of(answer.body)


def test_the_rules_are_shown(app: Flask, taken: Taken) -> None:
    mount(app, taken)
    result = app.test_cli_runner().invoke(routes_command)
    assert result.exit_code == 0
    assert "lambdaqueue" in result.output
    assert "/welcome" in result.output


def test_csrf_extensions_can_be_told_of_the_view(app: Flask, taken: Taken) -> None:
    view = mount(app, taken).view_functions["lambdaqueue"]
    # How Flask-WTF names views; the module's docstring says it so.
    assert f"{view.__module__}.{view.__name__}" == "lambdaqueue.integrations.flask.deliver"
