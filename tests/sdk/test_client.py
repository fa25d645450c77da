"""The client and its queues as objects: handlers, defaults, what is read when. No server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.delivery import Delivery, Job
from lambdaqueue.sdk.errors import ConfigurationError, Unreachable
from lambdaqueue.sdk.pushes import Push
from lambdaqueue.sdk.replay_guard import MemoryGuard
from lambdaqueue.sdk.settings import Settings
from lambdaqueue.sdk.transport import Request, Response
from lambdaqueue.signing import Secret, sign
from tests.sdk.conftest import SECRET, TOKEN, Serve
from tests.sdk.stub import Stub, Told, problem

ENV = {"LQ_TOKEN": TOKEN, "LQ_SECRET": SECRET, "LQ_BASE_URL": "https://app.example.com"}
ITEM = {"id": "a1", "queue": "welcome", "state": "PENDING"}
NOW = 1_772_366_400


class Recorder:
    """A transport that answers everything with `answer`, and keeps what it was asked."""

    def __init__(self, answer: Any = ITEM) -> None:
        self.sent: list[Request] = []
        self.closed = 0
        self._answer = json.dumps(answer).encode()

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        return Response(200, {}, self._answer)

    def close(self) -> None:
        self.closed += 1


def _delivery(secret: Secret, body: bytes = b'{"n":1}') -> Delivery:
    headers = {
        "webhook-id": "a1_1",
        "x-lq-id": "a1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": sign([secret], "a1_1", NOW, body),
        "content-type": "application/json",
    }
    return Delivery("POST", headers, body)


def test_it_can_be_made_where_nothing_is_set() -> None:
    lq = LambdaQueue(env={})
    queue = lq.queue("/welcome", timeout="10s")

    @queue.handler
    def welcome(payload: Any, job: Job) -> str:
        return f"{payload} {job.id}"

    assert welcome("hello", Job(id="j1")) == "hello j1"
    assert list(lq.handlers) == ["/welcome"]
    with pytest.raises(ConfigurationError, match="set LQ_BASE_URL"):
        queue.push({})
    with pytest.raises(ConfigurationError, match="set LQ_TOKEN"):
        lq.get("x")
    lq.close()


def test_what_is_set_later_counts() -> None:
    env: dict[str, str] = {}
    transport = Recorder()
    lq = LambdaQueue(env=env, transport=transport)
    with pytest.raises(ConfigurationError):
        lq.get("a1")
    env["LQ_TOKEN"] = "later"
    assert lq.get("a1").id == "a1"
    assert ("Authorization", "Bearer later") in transport.sent[0].headers


def test_settings_and_transport_can_be_exchanged() -> None:
    mine, other = Recorder(), Recorder()
    lq = LambdaQueue(env=ENV, transport=mine)
    lq.get("a1")
    elsewhere = Settings({}, "another", given_api_url="http://127.0.0.1:9090")
    taken = lq._connection.exchange(elsewhere, other)
    lq.get("a2")
    assert lq._connection.exchange(*taken) == (elsewhere, other)
    lq.get("a3")
    assert [request.url for request in mine.sent] == [
        "http://127.0.0.1:8080/api/v1/items/a1",
        "http://127.0.0.1:8080/api/v1/items/a3",
    ]
    (request,) = other.sent
    assert request.url == "http://127.0.0.1:9090/api/v1/items/a2"
    assert ("Authorization", "Bearer another") in request.headers


def test_a_push_with_another_transport() -> None:
    transport = Recorder()
    with LambdaQueue(env=ENV, transport=transport) as lq:
        item = lq.queue("/welcome").push({"n": 1}, key="k", delay="10m")
    assert item.id == "a1"
    assert transport.closed == 1
    (request,) = transport.sent
    assert request.method == "POST"
    assert request.url == "http://127.0.0.1:8080/api/v1/queues/welcome/items"
    assert request.body == b'{"n":1}'
    assert request.timeout == 10.0
    headers = dict(request.headers)
    assert len(headers.pop("Idempotency-Key")) == 32
    assert headers.pop("User-Agent").startswith("LambdaQueue-Python/")
    assert headers == {
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
        "x-lq-key": "k",
        "x-lq-delay": "600000",
        "x-lq-target": "https://app.example.com/welcome",
    }


Call = Callable[[LambdaQueue], object]


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda lq: lq.queue("/q").push({}), ITEM),
        (lambda lq: lq.queue("/q").push_many([{}]), {"items": [ITEM]}),
        (lambda lq: lq.queue("/q").schedule({}, "@daily"), ITEM),
        (lambda lq: lq.queue("/q").schedule({}, "@daily", key="k"), ITEM),
        (lambda lq: lq.queue("/q").replay("f1"), ITEM),
        (lambda lq: lq.queue("/q").replay_all(), {"replayed": 0, "more": False}),
        (lambda lq: lq.run_now("a"), ITEM),
        (lambda lq: lq.schedules.run("a"), ITEM),
        (lambda lq: lq.send_message("https://x/", 1), {"id": "a"}),
        (lambda lq: lq.services.run("a", "b"), {"name": "a"}),
        (lambda lq: lq.services.test("a", "b"), {"name": "a"}),
        (lambda lq: lq.services.retry("a"), {"name": "a"}),
    ],
)
def test_what_must_not_be_doubled_has_a_key_of_its_own(call: Call, answer: Any) -> None:
    transport = Recorder(answer)
    lq = LambdaQueue(env=ENV, transport=transport)
    call(lq)
    call(lq)
    keys = [dict(request.headers)["Idempotency-Key"] for request in transport.sent]
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("call", "answer", "repeated"),
    [
        (lambda lq: lq.queue("/q").push({}), ITEM, True),
        (lambda lq: lq.queue("/q").pause(), {"name": "q"}, True),
        (lambda lq: lq.queue("/q").purge(), {"purged": 0}, True),
        (lambda lq: lq.queue("/q").configure(timeout=5), {"name": "q"}, True),
        (lambda lq: lq.schedules.pause("a"), ITEM, True),
        (lambda lq: lq.schedules.change("a", jitter=1), ITEM, True),
        (lambda lq: lq.get("a"), ITEM, True),
        (lambda lq: lq.cancel("a"), ITEM, True),
        (lambda lq: lq.cancel("a", missing_ok=True), ITEM, True),
        # A second change would be another version, a second token another token.
        (lambda lq: lq.change("a", priority=1), ITEM, False),
        (lambda lq: lq.administration.issue_token("a", ["push"]), {}, False),
        (lambda lq: lq.administration.rotate_secret(), {}, False),
    ],
)
def test_what_is_repeated_when_no_answer_comes(
    serve: Serve,
    client_of: Callable[[Stub], LambdaQueue],
    call: Call,
    answer: Any,
    repeated: bool,
) -> None:
    stub = serve(Told(drop=True), Told(200, answer))
    if repeated:
        call(client_of(stub))
        assert len(stub.asked) == 2
        first, second = ({**asked.headers, "path": asked.path} for asked in stub.asked)
        assert first == second
    else:
        with pytest.raises(Unreachable):
            call(client_of(stub))
        assert len(stub.asked) == 1


def test_retries_can_be_turned_off(serve: Serve) -> None:
    stub = serve(problem(503, "storage_unavailable"))
    with (
        LambdaQueue(TOKEN, api_url=stub.url, env={}, retries=0) as lq,
        pytest.raises(Exception, match="HTTP 503"),
    ):
        lq.get("a")
    assert len(stub.asked) == 1


def test_purge_and_replay_go_on_while_there_is_more(
    serve: Serve, client_of: Callable[[Stub], LambdaQueue]
) -> None:
    stub = serve(
        Told(200, {"purged": 100_000, "more": True}),
        Told(200, {"purged": 5, "more": False}),
        Told(200, {"replayed": 1_000, "more": True, "nextCursor": "c"}),
        Told(200, {"replayed": 7, "more": False}),
    )
    queue = client_of(stub).queue("q")
    assert queue.purge("PENDING") == 100_005
    assert queue.replay_all() == 1_007
    bodies = [json.loads(asked.body) for asked in stub.asked]
    assert bodies == [
        {"state": "PENDING"},
        {"state": "PENDING"},
        {"state": "FAILED"},
        {"state": "FAILED", "cursor": "c"},
    ]


def test_waiting_asks_again(serve: Serve, client_of: Callable[[Stub], LambdaQueue]) -> None:
    stub = serve(Told(200, ITEM), Told(200, {**ITEM, "state": "COMPLETED"}))
    assert client_of(stub).wait("a1", longest="45s").succeeded
    assert [asked.path.partition("?")[2] for asked in stub.asked] == ["wait=20", "wait=20"]


def test_threads_share_a_client(serve: Serve, client_of: Callable[[Stub], LambdaQueue]) -> None:
    stub = serve(Told(200, ITEM))
    queue = client_of(stub).queue("/q")
    threads = [
        threading.Thread(target=lambda: [queue.push({"n": n}) for n in range(20)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = {asked.headers["idempotency-key"] for asked in stub.asked}
    assert len(keys) == len(stub.asked) == 160
    # A connection for each thread.
    assert len({asked.client for asked in stub.asked}) <= 8


# Handlers


def test_a_handler_answers_what_is_signed() -> None:
    lq = LambdaQueue(env=ENV)
    queue = lq.queue("/welcome")
    seen: list[Any] = []

    @queue.handler(guard=MemoryGuard(), show_errors=False, max_body=5_000)
    def welcome(payload: Any, job: Job) -> None:
        seen.append((payload, job.id))

    endpoint = lq.handlers["/welcome"]
    assert endpoint is queue.endpoint
    assert (endpoint.handler, endpoint.show_errors, endpoint.max_body) == (welcome, False, 5_000)
    assert list(endpoint.urls()) == ["https://app.example.com/welcome"]
    now = replace(endpoint, clock=lambda: NOW)
    assert now.answer(_delivery(Secret.parse(SECRET))).status == 204
    assert now.answer(_delivery(Secret.generate())).status == 401
    assert seen == [({"n": 1}, "a1")]


def test_a_coroutine_handler_is_kept_as_it_is() -> None:
    queue = LambdaQueue(env=ENV).queue("/welcome")

    @queue.handler
    async def welcome(payload: Any, job: Job) -> Any:
        return payload

    assert asyncio.run(welcome(1, Job(id="j"))) == 1
    assert queue.endpoint.is_coroutine


def test_a_queue_with_a_secret_of_its_own() -> None:
    own, other = Secret.generate(), Secret.generate()
    queue = LambdaQueue(env=ENV).queue("/hook", secret=f"{own.reveal()} {other.reveal()}")
    queue.handler(lambda payload, job: None)
    assert queue.endpoint.secrets() == (own, other)
    bad = LambdaQueue(env=ENV).queue("/hook", secret="x")
    bad.handler(lambda payload, job: None)
    with pytest.raises(ConfigurationError, match="the secret of the queue hook: "):
        bad.endpoint.secrets()


def test_one_handler_for_each_queue_and_path() -> None:
    lq = LambdaQueue(env=ENV)
    queue = lq.queue("/a")
    with pytest.raises(ConfigurationError, match="the queue a has no handler"):
        _ = queue.endpoint
    queue.handler(lambda payload, job: None)
    with pytest.raises(ConfigurationError, match="the queue a has a handler already"):
        queue.handler(lambda payload, job: None)
    with pytest.raises(ConfigurationError, match="/a has a handler already"):
        lq.queue("b", target="/a").handler(lambda payload, job: None)
    # A function of a platform that has but one needs no path.
    alone = lq.queue("c")
    alone.handler(lambda payload, job: None)
    assert alone.path is None
    assert list(lq.handlers) == ["/a"]
    with pytest.raises(TypeError):
        lq.handlers["/x"] = alone.endpoint  # type: ignore[index]


def test_callbacks_go_to_our_lambdaqueue_only() -> None:
    lq = LambdaQueue(env=ENV, transport=Recorder())
    execution = lq.execution("http://127.0.0.1:8080/api/v1/callback/a1_token")
    assert (execution.name, execution.interval) == ("a1", 30)
    url = "http://127.0.0.1:8080/api/v1/callback/a1_token"
    assert lq.execution(url, heartbeat="5s").interval == 5
    with pytest.raises(ConfigurationError, match="set LQ_API_URL"):
        lq.execution("http://evil.example/api/v1/callback/a1_token")


@pytest.mark.parametrize(
    "call",
    [
        lambda lq: lq.queue("/q").get_by_key(".."),
        lambda lq: lq.get(""),
        lambda lq: lq.schedules.get(key="."),
        lambda lq: lq.queue("/q").push({}, delay="soon"),
        lambda lq: lq.queue("/q").push({}, key=" a"),
        lambda lq: lq.queue("/q").push_many([Push(float("nan"))]),
        lambda lq: lq.change("a"),
    ],
)
def test_what_can_not_be_meant_is_not_sent(call: Call) -> None:
    transport = Recorder()
    with pytest.raises(ValueError):  # noqa: PT011
        call(LambdaQueue(env=ENV, transport=transport))
    assert transport.sent == []


def test_what_is_shown() -> None:
    lq = LambdaQueue(TOKEN, SECRET, env={})
    assert repr(lq.queue("/a")) == "Queue('a')"
    assert repr(Push({"n": 1}, key="k")) == "Push({'n': 1}, **{'key': 'k'})"
    assert TOKEN not in repr(vars(lq))
    assert SECRET not in repr(vars(lq))
