"""Which endpoint a request is for."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue import ConfigurationError, LambdaQueue
from lambdaqueue.integrations.routes import (
    Refused,
    Routes,
    declared_length,
    without_prefix,
)
from lambdaqueue.sdk.delivery import Job
from tests.sdk.integrations.deliveries import Taken


@pytest.fixture
def lq() -> LambdaQueue:
    """A client that knows nothing of where it is."""
    return LambdaQueue(env={})


def handle(payload: Any, job: Job) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("path", "prefix", "inner"),
    [
        ("/a", "", "/a"),
        ("/app/a", "/app", "/a"),
        ("/app/", "/app", "/"),
        ("/app", "/app", "/"),
        ("/apple", "/app", None),
        ("/a", "/app", None),
        ("/app/app/a", "/app", "/app/a"),
    ],
)
def test_a_prefix_ends_where_a_part_does(path: str, prefix: str, inner: str | None) -> None:
    assert without_prefix(path, prefix) == inner


@pytest.mark.parametrize("prefix", ["/shop", "shop", "/shop/"])
def test_a_prefix_is_taken_off(prefix: str) -> None:
    taken = Taken()
    taken.add("/welcome")
    routes = Routes(taken, prefix)
    assert routes.find("/shop/welcome") is taken.handlers["/welcome"]
    assert routes.find("/welcome") is None
    assert routes.find("/x", "/shop/welcome/") is taken.handlers["/welcome"]
    assert routes.paths() == {"/shop/welcome"}


def test_the_exact_path_comes_first() -> None:
    taken = Taken()
    taken.add("/a")
    taken.add("/a/")
    routes = Routes(taken)
    assert routes.find("/a") is taken.handlers["/a"]
    assert routes.find("/a/") is taken.handlers["/a/"]


def test_all_queues_of_a_client(lq: LambdaQueue) -> None:
    first, second, third = lq.queue("/first"), lq.queue("/second"), lq.queue("third")
    for queue in (first, second, third):
        queue.handler(handle)
    routes = Routes(lq)
    assert routes.find("/first") is first.endpoint
    assert routes.find("/second") is second.endpoint
    assert routes.paths() == {"/first", "/second"}


def test_a_handler_without_a_path_is_told_of(
    lq: LambdaQueue, caplog: pytest.LogCaptureFixture
) -> None:
    alone, later = lq.queue("alone"), lq.queue("later")
    alone.handler(handle)
    assert Routes(alone, alone=True).find("/anything") is alone.endpoint
    assert caplog.messages == []
    routes = Routes(lq)
    (told,) = caplog.messages
    assert "the queue alone gets no delivery" in told
    assert 'say lq.queue("/alone"), or' in told
    later.handler(handle)
    for _ in range(2):
        assert routes.find("/later") is None
    assert len(caplog.messages) == 2
    assert "the queue later gets no delivery" in caplog.messages[1]


def test_one_queue(lq: LambdaQueue) -> None:
    first, second = lq.queue("/first"), lq.queue("/second")
    routes = Routes(first)
    assert routes.find("/first") is None
    assert routes.paths() == set()
    first.handler(handle)
    second.handler(handle)
    assert routes.find("/first") is first.endpoint
    assert routes.find("/second") is None
    assert routes.paths() == {"/first"}


def test_the_path_of_a_target(lq: LambdaQueue) -> None:
    queue = lq.queue("mail", target="https://app.example.com/hooks/m%C3%A4il?a=1")
    queue.handler(handle)
    assert Routes(lq).find("/hooks/mäil") is queue.endpoint
    assert Routes(lq).paths() == {"/hooks/mäil"}


def test_one_without_a_path_must_be_alone(lq: LambdaQueue) -> None:
    queue = lq.queue("mail")
    with pytest.raises(ConfigurationError, match=r'lq\.queue\("/mail"\)'):
        Routes(queue)
    routes = Routes(queue, alone=True)
    assert routes.find("/") is None
    queue.handler(handle)
    assert routes.find("/") is routes.find("/anything") is queue.endpoint


@pytest.mark.parametrize(
    ("value", "length"), [(None, None), ("", None), ("0", 0), ("10", 10), ("007", 7)]
)
def test_a_length_is_read(value: str | None, length: int | None) -> None:
    assert declared_length(value, 10) == length


@pytest.mark.parametrize("value", ["-1", "+1", "1,1", "1.0", " 1", "٣", "1_0", "x", "9" * 20])
def test_a_wrong_length_is_refused(value: str) -> None:
    with pytest.raises(Refused) as refused:
        declared_length(value, 10)
    assert refused.value.reply.status == 400


@pytest.mark.parametrize("value", ["11", "9" * 19])
def test_a_length_over_the_limit_is_refused(value: str) -> None:
    with pytest.raises(Refused) as refused:
        declared_length(value, 10)
    assert refused.value.reply.status == 413
