"""What is particular to WSGI: the environ, the input, the application beside."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator

import pytest

from lambdaqueue import LambdaQueue
from lambdaqueue.integrations.wsgi import handler, mount
from tests.sdk.integrations.deliveries import Taken, error_of, signed, validation
from tests.sdk.integrations.hosts import ask_wsgi


@pytest.fixture
def taken() -> Taken:
    """A queue with a handler."""
    taken = Taken()
    taken.add("/welcome")
    return taken


def beside(environ: Any, start_response: Any) -> Iterable[bytes]:
    """An application of its own."""
    start_response("418 I'm a teapot", [])
    return [environ["PATH_INFO"].encode("latin-1"), environ["wsgi.input"].read()]


class Slow(io.BytesIO):
    """An input that gives one byte at a time, and counts what was asked for."""

    asked = 0

    def read(self, size: int | None = -1) -> bytes:
        self.asked += 1
        return super().read(min(1, -1 if size is None else size))


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", signed, 204),
        ("POST", list, 401),
        ("HEAD", lambda: validation("/else"), 401),
        ("TRACE", list, 405),
    ],
)
def test_it_keeps_to_the_specification(
    taken: Taken, method: str, headers: Callable[[], list[tuple[str, str]]], status: int
) -> None:
    taken.add("/welcome", lambda payload: None)
    # What the validator wants always: no Content-Type among HTTP_…, and a length.
    fields = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2"}
    others = [(name, value) for name, value in headers() if name != "Content-Type"]
    ask = ask_wsgi(validator(handler(taken)), fields)
    assert ask(method, "/welcome", others, b"{}").status == status


def test_what_is_not_ours_goes_to_the_application(taken: Taken) -> None:
    ask = ask_wsgi(mount(beside, taken))
    answer = ask("POST", "/else", [], b"own body")
    assert (answer.status, answer.body) == (418, b"/elseown body")
    assert ask("POST", "/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/welcome", [], b"{}").status == 401
    assert ask("OPTIONS", "/welcome").status == 405


def test_below_a_prefix(taken: Taken) -> None:
    assert (
        ask_wsgi(handler(taken), script="/app")("POST", "/welcome", signed(), b"{}").status == 200
    )
    ask = ask_wsgi(handler(taken, prefix="/app"))
    assert ask("POST", "/app/welcome", signed(), b"{}").status == 200
    assert ask("POST", "/welcome", signed(), b"{}").status == 404


def test_one_queue_alone_needs_no_path() -> None:
    queue = LambdaQueue(env={}).queue("mail", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    queue.handler(lambda payload, job: payload)
    answer = ask_wsgi(handler(queue))("POST", "/", signed(b"[1]"), b"[1]")
    assert (answer.status, answer.body) == (200, b"[1]")


@pytest.mark.parametrize("path", ["/\xff\xfe", "/w\xe9", "", "/\u20ac"])
def test_a_path_that_no_queue_has(taken: Taken, path: str) -> None:
    assert ask_wsgi(handler(taken))("POST", path).status == 404


def test_a_chunked_body_that_the_server_ends(taken: Taken) -> None:
    body = b'{"a": 1}'
    more = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}
    ask = ask_wsgi(handler(taken), {**more, "wsgi.input_terminated": True})
    assert ask("POST", "/welcome", signed(body), body).status == 200
    assert taken.payloads == [{"a": 1}]
    big = b"x" * 1_001
    assert ask("POST", "/welcome", signed(big), big).status == 413


def test_a_chunked_body_is_read_no_further_than_the_limit(taken: Taken) -> None:
    endless = Slow(b"x" * 100_000)
    more: dict[str, Any] = {"wsgi.input": endless, "wsgi.input_terminated": True}
    assert ask_wsgi(handler(taken), more)("POST", "/welcome").status == 413
    assert endless.asked == 1_001


def test_one_that_the_server_does_not_end(taken: Taken) -> None:
    more = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = ask_wsgi(handler(taken), more)("POST", "/welcome", signed(), b"{}")
    assert answer.status == 411
    assert "Content-Length" in error_of(answer.body)


def test_a_server_may_give_little_at_a_time(taken: Taken) -> None:
    body = b'{"a": 1}'
    more = {"wsgi.input": Slow(body), "CONTENT_LENGTH": str(len(body))}
    assert ask_wsgi(handler(taken), more)("POST", "/welcome", signed(body)).status == 200


def test_no_more_is_read_than_is_announced(taken: Taken) -> None:
    stream = io.BytesIO(b"{}GET / HTTP/1.1")
    more = {"wsgi.input": stream, "CONTENT_LENGTH": "2"}
    assert ask_wsgi(handler(taken), more)("POST", "/welcome", signed()).status == 200
    assert stream.read() == b"GET / HTTP/1.1"


@pytest.mark.parametrize(("length", "status"), [("1001", 413), ("1e3", 400), ("-1", 400)])
def test_nothing_is_read_of_a_wrong_length(taken: Taken, length: str, status: int) -> None:
    stream = Slow(b"{}")
    more = {"wsgi.input": stream, "CONTENT_LENGTH": length}
    assert ask_wsgi(handler(taken), more)("POST", "/welcome", signed()).status == status
    assert stream.asked == 0


def test_nothing_is_read_for_a_method_that_no_delivery_has(taken: Taken) -> None:
    stream = Slow(b"{}")
    more = {"wsgi.input": stream, "CONTENT_LENGTH": "2"}
    assert ask_wsgi(handler(taken), more)("TRACE", "/welcome", signed()).status == 405
    assert stream.asked == 0


def test_a_body_that_ends_too_soon(taken: Taken) -> None:
    more = {"wsgi.input": io.BytesIO(b"{"), "CONTENT_LENGTH": "2"}
    assert ask_wsgi(handler(taken), more)("POST", "/welcome", signed()).status == 401
    assert taken.calls == []


def test_a_content_type_that_is_given_twice_counts_once(taken: Taken) -> None:
    more = {"HTTP_CONTENT_TYPE": "application/json", "HTTP_CONTENT_LENGTH": "2"}
    assert ask_wsgi(handler(taken), more)("POST", "/welcome", signed(), b"{}").status == 200
    [(_, job)] = taken.calls
    assert job.headers["content-type"] == "application/json"


def test_the_answer_has_its_length(taken: Taken) -> None:
    ask = ask_wsgi(handler(taken))
    answer = ask("POST", "/welcome", signed(), b"{}")
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert json.loads(answer.body) == {"from": "/welcome"}
    taken.add("/nothing", lambda payload: None)
    assert "content-length" not in ask("POST", "/nothing", signed(), b"{}").headers
    answer = ask("HEAD", "/else")
    assert (answer.status, answer.body) == (404, b"")
