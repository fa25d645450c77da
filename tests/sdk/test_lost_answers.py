"""The answer to a call is lost on its way back, and what was asked is done once all the same.

The real API on a real Redis; only the network is bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.errors import NotFound, Unreachable
from lambdaqueue.sdk.queue import Queue
from lambdaqueue.sdk.requests_transport import RequestsTransport
from lambdaqueue.sdk.transport import Request, Response
from tests.sdk.conftest import TOKEN

HERE = "http://127.0.0.1:9"


@dataclass
class BadNetwork:
    """Sends everything, and loses the next `losses` answers."""

    losses: int = 0
    sent: list[Request] = field(default_factory=list)
    inner: RequestsTransport = field(default_factory=RequestsTransport)

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        response = self.inner.send(request)
        if self.losses:
            self.losses -= 1
            raise Unreachable("the answer was lost")
        return response

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def network() -> BadNetwork:
    return BadNetwork()


@pytest.fixture
def queue(server_url: str, network: BadNetwork) -> Iterator[Queue]:
    with LambdaQueue(TOKEN, api_url=server_url, base_url=HERE, env={}, transport=network) as lq:
        yield lq.queue("/mail")


def _push(queue: Queue) -> object:
    return queue.push({"n": 1}, delay=60)


def _push_with_a_key(queue: Queue) -> object:
    item = queue.push({"n": 1}, key="k", delay=60)
    # Not replaced by its own repeat.
    assert item.version == 1
    return item


def _push_many(queue: Queue) -> object:
    (item,) = queue.push_many([{"n": 1}])
    return item


@pytest.mark.parametrize("push", [_push, _push_with_a_key, _push_many])
@pytest.mark.parametrize("losses", [1, 2])
def test_a_push_is_one_job(
    queue: Queue, network: BadNetwork, push: Callable[[Queue], object], losses: int
) -> None:
    network.losses = losses
    item = push(queue)
    assert len(network.sent) == losses + 1
    assert list(queue.items()) == [item]


def test_without_repeats_it_would_not_be_known(server_url: str, network: BadNetwork) -> None:
    network.losses = 1
    with LambdaQueue(TOKEN, api_url=server_url, env={}, transport=network, retries=0) as lq:
        queue = lq.queue("mail", target=f"{HERE}/mail")
        with pytest.raises(Unreachable):
            _push(queue)
        assert len(list(queue.items())) == 1


def test_a_schedule_is_one(
    server_url: str, network: BadNetwork, queue: Queue, lq: LambdaQueue
) -> None:
    network.losses = 1
    made = queue.schedule({}, "@daily")
    network.losses = 1
    keyed = queue.schedule({}, "@daily", key="k")
    assert [each.id for each in lq.schedules] == [made.id, keyed.id]


def test_a_run_of_a_schedule_is_one(network: BadNetwork, queue: Queue, server_url: str) -> None:
    made = queue.schedule({}, "@daily", key="k")
    network.losses = 1
    with LambdaQueue(TOKEN, api_url=server_url, env={}, transport=network) as lq:
        item = lq.schedules.run(made.id)
    assert list(queue.items()) == [item]


def test_a_replay_is_one(network: BadNetwork, queue: Queue) -> None:
    entry = queue.get(queue.cancel(queue.push({}, delay=60).id).id).entry
    assert entry is not None
    network.losses = 1
    again = queue.replay(entry.entry_id)
    assert list(queue.items()) == [again]
    queue.purge()
    network.losses = 1
    assert queue.replay_all("CANCELLED") == 1
    assert len(list(queue.items())) == 1


def test_settings_and_pauses_may_come_twice(network: BadNetwork, queue: Queue) -> None:
    network.losses = 1
    assert queue.configure(timeout="5s").settings["timeout"] == 5_000
    network.losses = 1
    assert queue.pause().paused


def test_what_is_deleted_twice_is_deleted(
    network: BadNetwork, queue: Queue, lq: LambdaQueue
) -> None:
    item = queue.push({"n": 1}, key="k", delay=60)
    network.losses = 2
    assert queue.cancel(key="k").state == "CANCELLED"
    assert queue.cancel(queue.push({}, key="k", delay=60).id).id != item.id
    network.losses = 1
    with pytest.raises(NotFound):
        queue.cancel("0mwq83nuu00001")
    network.losses = 1
    queue.delete()
    assert list(lq.queues()) == []
