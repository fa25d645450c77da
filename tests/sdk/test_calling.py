"""Calls of the API: what is sent, what is repeated, and what an answer comes to."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambdaqueue.sdk.calling import Api, Patience, path_of
from lambdaqueue.sdk.errors import (
    ApiError,
    Conflict,
    ExecutionOver,
    Forbidden,
    InvalidRequest,
    Issue,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from lambdaqueue.sdk.requests_transport import RequestsTransport
from lambdaqueue.sdk.transport import Request, Response
from tests.sdk.conftest import Serve
from tests.sdk.stub import Stub, Told, problem

TOKEN = "lqk_a_secret"


@pytest.fixture
def pauses() -> list[float]:
    """What was slept, in seconds; nobody really sleeps."""
    return []


@pytest.fixture
def api_of(pauses: list[float]) -> Iterator[Callable[[Stub], Api]]:
    transport = RequestsTransport()

    def make(stub: Stub) -> Api:
        return Api(stub.url, TOKEN, transport, sleep=pauses.append, chance=lambda: 1.0)

    yield make
    transport.close()


Make = Callable[[Stub], Api]


def test_what_is_sent(serve: Serve, api_of: Make) -> None:
    stub = serve(Told(201, {"ok": True}, headers=(("Idempotency-Replayed", "true"),)))
    answer = api_of(stub).call(
        "POST",
        "/queues/a/items",
        query={"a": "b c&é", "none": None, "n": 1},
        headers={"x-lq-key": "k"},
        body=b"\x00\xff",
        content_type="image/x",
        idempotency_key="mine",
    )
    (asked,) = stub.asked
    assert asked.path == "/api/v1/queues/a/items?a=b+c%26%C3%A9&n=1"
    assert asked.body == b"\x00\xff"
    sent = {name: asked.headers[name] for name in asked.headers if name != "host"}
    assert sent.pop("user-agent").startswith("LambdaQueue-Python/")
    assert sent == {
        "authorization": f"Bearer {TOKEN}",
        "content-type": "image/x",
        "idempotency-key": "mine",
        "x-lq-key": "k",
        "content-length": "2",
        "accept": "application/json",
        "accept-encoding": "identity",
    }
    assert (answer.status, answer.json) == (201, {"ok": True})
    assert answer.headers["idempotency-replayed"] == "true"


def test_json_is_sent_compactly(serve: Serve, api_of: Make) -> None:
    stub = serve(Told(200, {}))
    api_of(stub).call("PATCH", "/x", json={"b": "é", "a": 10**30})
    assert stub.asked[0].body == '{"b":"é","a":1000000000000000000000000000000}'.encode()
    assert stub.asked[0].headers["content-type"] == "application/json"
    assert "idempotency-key" not in stub.asked[0].headers


def test_no_content_is_none(serve: Serve, api_of: Make) -> None:
    answer = api_of(serve(Told(204))).call("DELETE", "/x")
    assert (answer.status, answer.json) == (204, None)


def test_pages(serve: Serve, api_of: Make) -> None:
    stub = serve(
        Told(200, {"items": [1, 2], "nextCursor": "c&1"}),
        Told(200, {"items": [], "nextCursor": "c2"}),
        Told(200, {"items": [3]}),
    )
    assert list(api_of(stub).pages("/x", "items", {"state": "FAILED"})) == [1, 2, 3]
    queries = [asked.path.partition("?")[2] for asked in stub.asked]
    assert queries == ["state=FAILED", "state=FAILED&cursor=c%261", "state=FAILED&cursor=c2"]


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("queues", "a/b.c"), "/queues/a%2Fb.c"),
        (("items", "byKey", "clé 100%?#"), "/items/byKey/cl%C3%A9%20100%25%3F%23"),
        (("x", "a/../b"), "/x/a%2F..%2Fb"),
    ],
)
def test_paths(parts: tuple[str, ...], path: str) -> None:
    assert path_of(*parts) == path


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_what_no_path_has(part: str) -> None:
    with pytest.raises(ValueError, match="can't be a part of a path"):
        path_of("queues", part)


# Errors

ISSUES = [
    {"path": ["x-lq-delay"], "code": "not_integer", "message": "must be whole"},
    {"path": ["items", 3, "on"], "code": "zone", "message": "must have a zone"},
    {"path": [], "code": "not_object", "message": "must be an object"},
    {"path": ["x-lq-timeout"], "code": "out_of_range", "message": "from 1000"},
    {"path": ["x-lq-retry", "delays", 2], "code": "out_of_range", "message": "to 5000"},
    {"path": ["x-lq-priority"], "code": "out_of_range", "message": "to 9"},
]
REFUSED = (
    "refused: x-lq-delay: must be whole; items.3.on: must have a zone; request: must be an object; "
    "x-lq-timeout: from 1000 (that is in ms; a number in the SDK is seconds); "
    "x-lq-retry.delays.2: to 5000 (that is in ms; a number in the SDK is seconds); "
    "x-lq-priority: to 9"
)


@pytest.mark.parametrize(
    ("told", "kind", "message"),
    [
        (problem(400, "bad_json", "can't be read"), InvalidRequest, "HTTP 400: can't be read"),
        (problem(401, "unauthorized"), Unauthorized, "the token was refused: set LQ_TOKEN"),
        (problem(403, "forbidden", "…"), Forbidden, "the token lacks the scope for this"),
        (problem(404, "not_found", "…"), NotFound, "no such object here"),
        (Told(404, "my-timer", headers=(("x-request-id", "req1"),)), NotFound, "no such object"),
        (problem(409, "conflict", "it runs"), Conflict, "HTTP 409: it runs"),
        (problem(410, "execution_over", "is FAILED"), ExecutionOver, "HTTP 410: is FAILED"),
        (problem(413, "payload_too_large", "big"), InvalidRequest, "HTTP 413: big"),
        (problem(415, "unsupported_media_type", "t"), InvalidRequest, "HTTP 415: t"),
        (problem(422, "VALIDATION_ERROR", "d", issues=ISSUES), InvalidRequest, REFUSED),
        (problem(429, "too_many_requests", "slow"), TooManyRequests, "HTTP 429: slow"),
        (problem(431, "headers_too_large", "h"), InvalidRequest, "HTTP 431: h"),
        (problem(500, "internal", "oops"), Unavailable, "HTTP 500: oops"),
        (problem(503, "storage_full", "full"), Unavailable, "HTTP 503: full"),
    ],
)
def test_the_tree(
    serve: Serve, api_of: Make, told: Told, kind: type[ApiError], message: str
) -> None:
    with pytest.raises(ApiError) as caught:
        api_of(serve(told)).call("PATCH", "/x", json={})
    error = caught.value
    assert type(error) is kind
    assert str(error).startswith(message)
    assert str(error).endswith("(request req1)")
    assert error.status == told.status
    assert error.request_id == "req1"
    if isinstance(told.json, dict):
        assert error.code == told.json["type"]
        assert error.detail == told.json["detail"]


def test_issues_are_values(serve: Serve, api_of: Make) -> None:
    with pytest.raises(InvalidRequest) as caught:
        api_of(serve(problem(422, "VALIDATION_ERROR", issues=ISSUES))).call("PUT", "/x", json={})
    assert caught.value.issues[1] == Issue(("items", 3, "on"), "zone", "must have a zone")


@pytest.mark.parametrize(
    "told",
    [
        Told(200, body=b"<html>hello</html>"),
        Told(404, body=b"<html>not here</html>"),
        Told(401, body=b"Unauthorized"),
        Told(500, body=b"oops"),
        Told(302, body=b"{}", headers=(("Location", "/x"),)),
        Told(400),
        Told(200, body=b'{"a":'),
        Told(200, body=b"[" * 100_000),
    ],
)
def test_who_answers_is_not_lambdaqueue(serve: Serve, api_of: Make, told: Told) -> None:
    stub = serve(told)
    with pytest.raises(UnexpectedAnswer) as caught:
        api_of(stub).get("/x")
    assert caught.value.status == told.status
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"issues": "none"},
        {"issues": [1, {"path": "a"}, {"path": [None, {}], "message": 7}]},
        {"type": 7, "detail": [], "message": None},
        [],
        "text",
        7,
    ],
)
def test_problems_that_are_none(serve: Serve, api_of: Make, answer: Any) -> None:
    with pytest.raises(InvalidRequest):
        api_of(serve(Told(422, answer))).get("/x")


@pytest.mark.parametrize("told", [problem(401, "unauthorized", "no"), Told(drop=True)])
def test_the_token_is_never_shown(serve: Serve, api_of: Make, told: Told) -> None:
    api = api_of(serve(told))
    with pytest.raises(ApiError) as caught:
        api.call("POST", "/x", json={"a": 1})
    error = caught.value
    assert TOKEN not in f"{api!r} {error!r} {error} {vars(error)}"
    # What reporters of errors show of a traceback: the variables of every frame.
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if "/lambdaqueue/sdk/" in frame.f_code.co_filename]
    assert len(ours) >= 3
    for frame in ours:
        assert TOKEN not in repr(dict(frame.f_locals))


# Repeats


@dataclass
class Script:
    """A transport that comes to what a test tells it, and keeps what it was asked."""

    steps: list[Response | Exception]
    sent: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        """Nothing is open."""


GOOD = Response(200, {}, b"{}")
SILENCE = Unreachable("nobody")


def _status(status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps({"type": "t", "detail": "d"}).encode())


HTML_502 = Response(502, {}, b"<html>")
HTML_504 = Response(504, {}, b"<html>")


@pytest.mark.parametrize(
    ("method", "how", "first", "tries"),
    [
        ("GET", {}, SILENCE, 2),
        ("PUT", {}, SILENCE, 2),
        ("DELETE", {}, SILENCE, 2),
        ("POST", {"idempotency_key": ""}, SILENCE, 2),
        ("POST", {"repeatable": True}, SILENCE, 2),
        ("POST", {}, SILENCE, 1),
        ("PATCH", {}, SILENCE, 1),
        ("GET", {}, _status(503), 2),
        ("GET", {}, HTML_502, 2),
        ("GET", {}, HTML_504, 2),
        ("POST", {"idempotency_key": ""}, HTML_502, 2),
        # Stored perhaps, before Redis went away.
        ("PATCH", {}, _status(503), 1),
        ("POST", {}, _status(503), 1),
        # Surely not carried out.
        ("PATCH", {}, _status(429), 2),
        ("POST", {}, _status(429), 2),
        *(("GET", {}, _status(status), 1) for status in (400, 401, 403, 404, 409, 410, 422, 431)),
        ("POST", {"idempotency_key": ""}, _status(409), 1),
    ],
)
def test_what_is_repeated(
    method: str, how: Mapping[str, Any], first: Response | Exception, tries: int
) -> None:
    script = Script([first, GOOD])
    api = Api("http://x", TOKEN, script, sleep=lambda _: None)
    if tries == 1:
        with pytest.raises(ApiError):
            api.call(method, "/x", **how)
    else:
        assert api.call(method, "/x", **how).status == 200
    assert len(script.sent) == tries


def test_a_repeat_is_the_same_to_the_letter() -> None:
    script = Script([SILENCE, _status(503), GOOD, GOOD])
    api = Api("http://x", TOKEN, script, sleep=lambda _: None)
    api.call("POST", "/x", json={"a": 1}, idempotency_key="")
    api.call("POST", "/x", json={"a": 1}, idempotency_key="")
    first, second, third, other = script.sent
    assert first == second == third
    key, another = (dict(each.headers)["Idempotency-Key"] for each in (first, other))
    assert len(key) == 32
    assert key != another


@pytest.mark.parametrize("first", [SILENCE, _status(503), HTML_504])
def test_what_is_gone_was_deleted_by_the_try_before(first: Response | Exception) -> None:
    script = Script([first, _status(404)])
    answer = Api("http://x", TOKEN, script, sleep=lambda _: None).call("DELETE", "/x")
    assert (answer.status, answer.json) == (204, None)


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("DELETE", [_status(404)]),
        # Surely not carried out before.
        ("DELETE", [_status(429), _status(404)]),
        ("GET", [SILENCE, _status(404)]),
    ],
)
def test_what_was_never_there(method: str, steps: list[Response | Exception]) -> None:
    api = Api("http://x", TOKEN, Script(list(steps)), sleep=lambda _: None)
    with pytest.raises(NotFound):
        api.call(method, "/x")


def test_a_first_try_that_is_still_in_work_is_waited_for() -> None:
    script = Script([SILENCE, _status(409), _status(409), GOOD])
    api = Api("http://x", TOKEN, script, sleep=lambda _: None)
    assert api.call("POST", "/x", idempotency_key="").status == 200


@pytest.mark.parametrize(
    ("patience", "steps", "slept"),
    [
        # 0.25 · 2^n, the upper half of it by chance; here chance is 1.
        (Patience(), [SILENCE, SILENCE, SILENCE, GOOD], [0.25, 0.5, 1.0]),
        (Patience(retries=2, first=3, longest=4), [SILENCE, SILENCE, GOOD], [3.0, 4.0]),
        # What the server says counts, unless it's sooner than we would.
        (Patience(), [_status(503, retry_after="2"), GOOD], [2.0]),
        (Patience(first=1), [_status(429, retry_after="0"), GOOD], [1.0]),
        # A date, or junk, is nothing.
        (Patience(), [_status(503, retry_after="Fri, 21 Nov 2026 07:28:00 GMT"), GOOD], [0.25]),
        (Patience(), [_status(503, retry_after="-5"), GOOD], [0.25]),
    ],
)
def test_pauses(patience: Patience, steps: list[Response | Exception], slept: list[float]) -> None:
    pauses: list[float] = []
    api = Api(
        "http://x", TOKEN, Script(list(steps)), patience=patience, sleep=pauses.append,
        chance=lambda: 1.0,
    )  # fmt: skip
    assert api.call("GET", "/x").status == 200
    assert pauses == slept


def test_half_of_a_pause_is_chance() -> None:
    assert Patience(first=1.0).pause(1, SILENCE, 0.0) == 0.5
    assert Patience(first=1.0).pause(1, SILENCE, 0.5) == 0.75


@pytest.mark.parametrize(
    ("patience", "steps", "kind"),
    [
        (Patience(retries=0), [SILENCE], Unreachable),
        (Patience(retries=1), [SILENCE, _status(503)], Unavailable),
        # Nobody waits a minute in a call; but the caller is told.
        (Patience(), [_status(503, retry_after="60")], Unavailable),
        (Patience(longest=5), [_status(429, retry_after="6")], TooManyRequests),
    ],
)
def test_when_it_gives_up(
    patience: Patience, steps: list[Response | Exception], kind: type[ApiError]
) -> None:
    script = Script(list(steps))
    api = Api("http://x", TOKEN, script, patience=patience, sleep=lambda _: None)
    with pytest.raises(kind) as caught:
        api.call("GET", "/x")
    assert script.steps == []
    if "60" in repr(steps):
        assert caught.value.retry_after == 60


def test_an_answer_may_be_allowed_to_take_longer() -> None:
    script = Script([GOOD, GOOD])
    api = Api("http://x", TOKEN, script, timeout=3.0)
    api.call("GET", "/x")
    api.call("GET", "/x", longer=20.0)
    assert [request.timeout for request in script.sent] == [3.0, 23.0]
