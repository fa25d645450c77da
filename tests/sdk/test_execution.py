"""Callbacks, against a small real server: what is sent, what is repeated, what is refused."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from lambdaqueue.sdk.errors import (
    ApiError,
    ConfigurationError,
    ExecutionOver,
    InvalidRequest,
    NotFound,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from lambdaqueue.sdk.execution import Execution
from lambdaqueue.sdk.invocation import Invocation
from lambdaqueue.sdk.requests_transport import RequestsTransport
from tests.sdk.callback_server import OVER, TAKEN, Answer, CallbackServer, refusal

TOKEN = "0mwqjo94r00001_secret-token"
HTML: Answer = (502, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")


@pytest.fixture
def server() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    made = RequestsTransport()
    yield made
    made.close()


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


Make = Callable[..., Execution]


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
def make(server: CallbackServer, transport: RequestsTransport, passing: Time) -> Make:
    def made(**options: Any) -> Execution:
        given: dict[str, Any] = {
            "api_url": server.origin,
            "transport": transport,
            "clock": passing.clock,
            "sleep": passing.sleep,
            "chance": lambda: 1.0,
            **options,
        }
        return Execution(server.url(TOKEN), **given)

    return made


def answering(server: CallbackServer, *answers: Answer) -> None:
    """Let the server give these answers, then take everything."""
    left = iter(answers)
    server.judge = lambda heard: next(left, None)


# What is sent


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, {}),
        ({"progress": 0}, {"progress": 0}),
        ({"progress": 40.0}, {"progress": 40}),
        ({"progress": 99.5}, {"progress": 99.5}),
        ({"extend": 600}, {"extend_seconds": 600}),
        ({"extend": 0.2}, {"extend_seconds": 1}),
        ({"extend": timedelta(minutes=2, milliseconds=1)}, {"extend_seconds": 121}),
        ({"extend": "1h30m", "progress": 1}, {"extend_seconds": 5_400, "progress": 1}),
    ],
)
def test_a_heartbeat(
    server: CallbackServer, make: Make, given: dict[str, Any], said: dict[str, Any]
) -> None:
    assert make().heartbeat(**given) is True
    [heard] = server.heard
    assert heard.said == {"status": "processing", **said}
    assert heard.path == f"/api/v1/callback/{TOKEN}"
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["user-agent"].startswith("LambdaQueue-Python/")
    assert "authorization" not in heard.headers


@pytest.mark.parametrize(
    "given",
    [{"progress": -1}, {"progress": 101}, {"progress": float("nan")}, {"extend": -1}],
)
def test_a_heartbeat_that_makes_no_sense(
    server: CallbackServer, make: Make, given: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"can't|number"):
        make().heartbeat(**given)
    assert server.heard == []


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda e: e.succeed(), {"status": "success"}),
        (
            lambda e: e.succeed(summary="ł" * 2_000, state={"b": [1]}, correlation_id="c"),
            {
                "status": "success",
                "summary": "ł" * 1_000,
                "state": {"b": [1]},
                "correlation_id": "c",
            },
        ),
        (lambda e: e.succeed(state=0), {"status": "success", "state": 0}),
        (lambda e: e.fail(), {"status": "fail"}),
        (lambda e: e.fail("\x00" * 99_999), {"status": "fail", "error": "\x00" * 10_000}),
        (lambda e: e.fail({"code": 7}), {"status": "fail", "error": {"code": 7}}),
        (
            lambda e: e.fail(KeyError("x"), summary="s", correlation_id="c"),
            {"status": "fail", "error": "KeyError: 'x'", "summary": "s", "correlation_id": "c"},
        ),
    ],
)
def test_an_end(
    server: CallbackServer, make: Make, end: Callable[[Execution], None], said: dict[str, Any]
) -> None:
    execution = make()
    end(execution)
    assert [heard.said for heard in server.heard] == [said]
    assert (execution.over, execution.finished, execution.lost) == (True, True, None)


def test_errors_can_be_kept_private(server: CallbackServer, make: Make) -> None:
    make(show_errors=False).fail(ValueError("password 123"))
    assert server.said("fail") == [{"status": "fail", "error": "ValueError"}]


@pytest.mark.parametrize("state", [object(), float("nan"), {"a": {1}}, "\ud800"])
def test_a_state_that_is_no_json_is_refused_here(
    server: CallbackServer, make: Make, state: Any
) -> None:
    execution = make()
    with pytest.raises((TypeError, ValueError)):
        execution.succeed(state=state)
    assert (server.heard, execution.over) == ([], False)


# Where it goes


@pytest.mark.parametrize(
    ("url", "api_url"),
    [
        ("http://evil.example/api/v1/callback/a_b", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8081/api/v1/callback/a_b", "http://127.0.0.1:8080"),
        ("https://127.0.0.1:8080/api/v1/callback/a_b", "http://127.0.0.1:8080"),
        ("http://localhost:8080/api/v1/callback/a_b", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080@evil.example/api/v1/callback/a_b", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api/v1/callback/a_b?x=1", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api/v1/callback/a_b#x", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api/v1/callback/../tokens", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api/v1/callback/a/../../tokens", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api/v1/callback/", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/x/api/v1/callback/a_b", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/api/v1/callback/a_b\n", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080\\.evil.example/api/v1/callback/a", "http://127.0.0.1:8080"),
        ("file:///api/v1/callback/a_b", "file://"),
        ("", "http://127.0.0.1:8080"),
    ],
)
def test_callbacks_go_to_our_lambdaqueue_only(
    url: str, api_url: str, transport: RequestsTransport
) -> None:
    with pytest.raises(ConfigurationError, match="LQ_API_URL"):
        Execution(url, api_url=api_url, transport=transport)


@pytest.mark.parametrize(
    ("url", "api_url"),
    [
        ("http://127.0.0.1:8080/api/v1/callback/a_b", "http://127.0.0.1:8080"),
        ("http://LOCALHOST/api/v1/callback/a_b", "http://localhost:80"),
        ("https://lq.example:443/api/v1/callback/a_b-c", "https://LQ.example"),
        ("http://[::1]:8080/api/v1/callback/a_b", "http://[::1]:8080"),
    ],
)
def test_spellings_of_our_lambdaqueue(url: str, api_url: str, transport: RequestsTransport) -> None:
    assert Execution(url, api_url=api_url, transport=transport).name == "a"


def test_the_token_is_not_shown(server: CallbackServer, make: Make) -> None:
    execution = make(patience=0)
    shown = [repr(execution), execution.name]
    for answer in (OVER, refusal(404), refusal(422, "no"), HTML):
        answering(server, answer)
        with pytest.raises(ApiError) as caught:
            execution.succeed()
        shown.append(f"{caught.value} {caught.value!r}")
    with pytest.raises(ConfigurationError) as wrong:
        Execution(server.url(TOKEN), api_url="http://127.0.0.1:1", transport=RequestsTransport())
    shown.append(str(wrong.value))
    assert not any("secret-token" in text for text in shown)


# What is answered


@pytest.mark.parametrize(
    ("answer", "raised", "over"),
    [
        (OVER, ExecutionOver, True),
        (refusal(404), NotFound, True),
        (refusal(422, "no"), InvalidRequest, False),
        (refusal(406, "Unsupported Content-Type."), InvalidRequest, False),
        ((200, {"Content-Type": "text/html"}, b"<html>log in</html>"), UnexpectedAnswer, False),
        ((302, {"Location": "http://evil.example/"}, b""), UnexpectedAnswer, False),
        ((404, {"Content-Type": "text/html"}, b"<html>"), UnexpectedAnswer, False),
    ],
)
def test_a_heartbeat_that_is_refused(
    server: CallbackServer, make: Make, answer: Answer, raised: type[ApiError], over: bool
) -> None:
    answering(server, answer)
    execution = make()
    with pytest.raises(raised):
        execution.heartbeat()
    assert (execution.over, execution.lost is not None) == (over, over)
    assert not execution.under_way
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    "answer", [refusal(503), refusal(429, Retry_After="1"), refusal(500), HTML]
)
def test_a_heartbeat_that_nobody_can_take_now(
    server: CallbackServer, make: Make, answer: Answer
) -> None:
    answering(server, answer)
    execution = make()
    assert execution.heartbeat() is False
    assert not execution.under_way
    assert execution.heartbeat() is True
    assert execution.under_way


def test_a_heartbeat_where_nobody_is(transport: RequestsTransport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
        url = f"{origin}/api/v1/callback/{TOKEN}"
        execution = Execution(url, api_url=origin, transport=transport)
        assert execution.heartbeat() is False


def test_a_heartbeat_that_hangs_does_so_for_a_third_of_the_interval(
    server: CallbackServer, make: Make
) -> None:
    timeouts: list[float] = []

    class Spy(RequestsTransport):
        def send(self, request: Any) -> Any:
            timeouts.append(request.timeout)
            return super().send(request)

    spy = Spy()
    server.judge = lambda heard: server.hang()
    assert make(transport=spy, interval=0.1).heartbeat() is False
    assert timeouts == [1.0]
    server.released.set()
    assert make(transport=spy, interval=6.0).heartbeat() is True
    assert make(transport=spy, interval=3_600.0).heartbeat() is True
    assert timeouts == [1.0, 2.0, 10.0]
    spy.close()


# The end is repeated


@pytest.mark.parametrize("answer", [refusal(503), refusal(429), refusal(500), HTML])
def test_an_end_is_repeated_until_it_is_answered(
    server: CallbackServer, make: Make, passing: Time, answer: Answer
) -> None:
    answering(server, *[answer] * 8)
    execution = make()
    execution.succeed(state={"a": 1})
    assert len(server.heard) == 9
    assert len({heard.raw for heard in server.heard}) == 1, "the same to the letter"
    assert passing.slept == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert execution.finished


def test_pauses_have_chance_in_them(server: CallbackServer, make: Make, passing: Time) -> None:
    answering(server, refusal(503), refusal(503))
    make(chance=lambda: 0.0).succeed()
    assert passing.slept == [0.25, 0.5]


def test_an_end_waits_as_long_as_it_is_told_to(
    server: CallbackServer, make: Make, passing: Time
) -> None:
    answering(server, refusal(503, Retry_After="60"), refusal(503, Retry_After="0"))
    make().succeed()
    assert passing.slept == [60, 1]


@pytest.mark.parametrize(
    ("patience", "within", "tries"), [(7.5, None, 5), (300.0, 1.4, 2), (300.0, 0.0, 1)]
)
def test_an_end_that_nobody_takes(
    server: CallbackServer, make: Make, patience: float, within: float | None, tries: int
) -> None:
    # Pauses 0.5 + 1 + 2 + 4 = 7.5 s
    server.judge = lambda heard: refusal(503, "Redis is away")
    execution = make(patience=patience)
    with pytest.raises(Unavailable, match="Redis is away"):
        execution.fail("x", within=within)
    assert len(server.heard) == tries
    assert not execution.over
    server.judge = lambda heard: None
    execution.fail("x")
    assert execution.finished


@pytest.mark.parametrize(
    ("answer", "raised", "over"),
    [
        (OVER, ExecutionOver, True),
        (refusal(404), NotFound, True),
        (refusal(422, "state is too large"), InvalidRequest, False),
        (refusal(413, "too large"), InvalidRequest, False),
    ],
)
def test_an_end_that_is_refused_is_not_repeated(
    server: CallbackServer, make: Make, answer: Answer, raised: type[ApiError], over: bool
) -> None:
    answering(server, refusal(503), answer)
    execution = make()
    with pytest.raises(raised):
        execution.succeed()
    assert len(server.heard) == 2
    assert (execution.over, execution.finished) == (over, False)


def test_an_end_where_the_answer_is_lost(server: CallbackServer, make: Make) -> None:
    server.judge = lambda heard: server.hang() if len(server.heard) == 1 else TAKEN
    execution = make(timeout=0.2)
    execution.succeed()
    assert len(server.heard) == 2
    assert execution.finished


def test_an_end_where_nobody_is(transport: RequestsTransport, passing: Time) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
        execution = Execution(
            f"{origin}/api/v1/callback/{TOKEN}",
            api_url=origin,
            transport=transport,
            clock=passing.clock,
            sleep=passing.sleep,
        )
        with pytest.raises(Unreachable):
            execution.succeed(within=10)
    assert len(passing.slept) >= 4


# What asks for callbacks

URL = f"http://127.0.0.1:8080/api/v1/callback/{TOKEN}"
SIGNED = {"webhook-id": "0mwqjo94r00001_1"}
JOB = {"callback_url": URL, "execution_name": "0mwqjo94r00001", "heartbeat_interval_seconds": 5}


@pytest.mark.parametrize(
    ("headers", "payload", "expected"),
    [
        (SIGNED, JOB, Invocation(URL, 5.0)),
        (SIGNED, {**JOB, "heartbeat_interval_seconds": "x"}, Invocation(URL, 30.0)),
        (SIGNED, {**JOB, "heartbeat_interval_seconds": 0}, Invocation(URL, 30.0)),
        ({"x-lq-callback-url": URL, "x-lq-heartbeat": "7500"}, None, Invocation(URL, 7.5)),
        ({"x-lq-callback-url": URL, "x-lq-heartbeat": "-1"}, "text", Invocation(URL, 30.0)),
        (
            {**SIGNED, "x-lq-callback-url": URL},
            {**JOB, "callback_url": "http://evil.example/"},
            Invocation(URL, 30.0),
        ),
        (SIGNED, None, None),
        (SIGNED, [JOB], None),
        (SIGNED, {"callback_url": URL}, None),
        (SIGNED, {**JOB, "callback_url": 7}, None),
        (SIGNED, {**JOB, "execution_name": "0mwqjo94r0000"}, None),
        (SIGNED, {**JOB, "execution_name": ["0mwqjo94r00001"]}, None),
        ({}, JOB, None),
    ],
)
def test_what_asks_for_callbacks(
    headers: dict[str, str], payload: Any, expected: Invocation | None
) -> None:
    assert Invocation.of(headers, payload) == expected
