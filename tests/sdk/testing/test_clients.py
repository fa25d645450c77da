"""Behind which client the in-memory LambdaQueue stands, and what it refuses."""

from __future__ import annotations

import threading

import pytest

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.errors import (
    ConfigurationError,
    InvalidRequest,
    NotFound,
    Unauthorized,
)
from lambdaqueue.testing import API_URL, MemoryLambdaQueue, NotInMemory, in_memory
from tests.sdk.testing.application import START, App


@pytest.fixture
def lq() -> MemoryLambdaQueue:
    return MemoryLambdaQueue(start=START)


@pytest.fixture
def app(lq: MemoryLambdaQueue) -> App:
    return App(lq)


def test_an_application_keeps_its_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LQ_TOKEN", raising=False)
    lq = LambdaQueue(env={})
    app = App(lq)
    with in_memory(lq, start=START) as memory:
        app.queue.push(1)
        memory.assert_pushed("welcome", payload=1)
        assert len(memory.run_due()) == 1
    with in_memory(lq) as memory:
        memory.assert_not_pushed()
        with pytest.raises(NotFound):
            app.queue.info()
    with pytest.raises(ConfigurationError, match="LQ_TOKEN"):
        app.queue.info()


def test_its_own_url_stays() -> None:
    lq = LambdaQueue(env={"LQ_BASE_URL": "http://localhost:5000"})
    with in_memory(lq):
        item = lq.queue("/a").push(1)
        assert item.target is not None
        assert item.target.url == "http://localhost:5000/a"


def test_what_a_real_one_refuses_is_refused(lq: MemoryLambdaQueue, app: App) -> None:
    with pytest.raises(InvalidRequest, match="x-lq-priority"):
        app.queue.push(1, priority=10)
    with pytest.raises(InvalidRequest, match="target"):
        lq.queue("no-target").push(1)
    other = LambdaQueue(token="other", api_url=API_URL, env={}, transport=lq._connection.transport)
    with pytest.raises(Unauthorized):
        other.queue("/a").info()


@pytest.mark.parametrize("path", ["/tokens", "/audit", "/environment", "/jobs", "/executions"])
def test_what_only_a_real_one_has(lq: MemoryLambdaQueue, path: str) -> None:
    with pytest.raises(NotInMemory, match="real LambdaQueue"):
        lq._connection.api.get(path)


def test_nobody_waits_in_vain(lq: MemoryLambdaQueue, app: App) -> None:
    item = app.queue.push(1, delay="1h")
    with pytest.raises(NotInMemory, match=r"clock\.advance"):
        app.queue.wait(item.id)
    lq.clock.advance("1h")
    assert app.queue.wait(item.id).state == "COMPLETED"


def test_threads_may_push(lq: MemoryLambdaQueue, app: App) -> None:
    def push() -> None:
        for number in range(25):
            app.queue.push(number)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [item.id for item in lq.run_due()]
    assert len(set(ids)) == len(app.seen) == 100
