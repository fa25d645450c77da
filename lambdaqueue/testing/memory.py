"""The in-memory LambdaQueue as a test holds it: its time, its deliveries, what was pushed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Unpack

from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.connection import Connection, Taken
from lambdaqueue.sdk.durations import Duration
from lambdaqueue.sdk.errors import NotFound
from lambdaqueue.sdk.models import Item
from lambdaqueue.sdk.queue import Queue
from lambdaqueue.sdk.settings import Settings
from lambdaqueue.signing import Secret
from lambdaqueue.testing.clock import Clock
from lambdaqueue.testing.courier import Answers, Courier
from lambdaqueue.testing.pushed import Expected, Pushed, differences, listed
from lambdaqueue.testing.server import MemoryServer
from lambdaqueue.testing.world import World

__all__ = ["API_URL", "BASE_URL", "TOKEN", "Memory", "MemoryLambdaQueue", "in_memory"]

TOKEN = "lqk_inmemory_" + "0" * 43
API_URL = "https://lambdaqueue.example"
BASE_URL = "https://app.example"


class Memory:
    """An in-memory LambdaQueue behind a client: no network, no threads, no waiting.

    `clock` stands still until a test moves it. What is due is delivered by `run_due`, and on the
    way when the clock is advanced: to the handlers of the client's queues, by signed requests
    through their endpoints, so that a handler runs as it would in earnest. Jobs for other targets
    wait, unless `answer` says who takes them.
    """

    def __init__(self, connection: Connection, secret: Secret, start: datetime | None) -> None:
        self.clock = Clock(start)
        self._world = World(self.clock, secret, API_URL)
        self._server = MemoryServer(self._world, TOKEN)
        self._connection = connection
        self._courier = Courier(self._world, self._server.lock, connection)
        self.clock.drive(self._courier.upcoming, self._courier.run)

    # Time and deliveries

    def run_due(self, queue: Queue | str | None = None) -> list[Item]:
        """Deliver what is due now, of all queues or of one, until nothing is.

        Returns what was delivered, in that order, each as it is in the end; what history doesn't
        keep is left out.

        Raises:
            EndlessWork: jobs push jobs that are due at once, again and again.
        """
        return self._delivered(self._courier.run(_name(queue)))

    async def run_due_async(self, queue: Queue | str | None = None) -> list[Item]:
        """The same in an event loop: coroutine handlers run in it, functions in threads."""
        return self._delivered(await self._courier.run_async(_name(queue)))

    async def advance_async(self, by: Duration) -> None:
        """Let time pass as `clock.advance` does, with deliveries as by `run_due_async`."""
        await self._courier.run_async()
        for _ in self.clock.stops(self.clock.after(by)):
            await self._courier.run_async()

    def answer(self, url: str, by: Answers) -> None:
        """Say who answers deliveries to `url`, whatever its query, before any handler does.

        `by` is a function from `Delivery` to `Reply`, or the status of every answer, or "connect",
        "timeout" or another class of error where none comes. Nothing is proven beforehand.
        """
        self._courier.answer(url, by)

    # What was pushed

    def pushed(self, queue: Queue | str | None = None) -> list[Pushed]:
        """Return what clients have pushed, to all queues or to one, in order.

        Neither jobs of schedules and timers are among it, nor what `if_exists="keep"` left out.
        """
        name = _name(queue)
        orders = (Pushed.of(each) for each in self._world.ordered)
        return [each for each in orders if name in (None, each.queue)]

    def assert_pushed(
        self,
        queue: Queue | str | None = None,
        *,
        times: int | None = None,
        **expected: Unpack[Expected],
    ) -> Pushed:
        """Assert that something like this was pushed, at least once or exactly `times`.

        Returns the newest of these.

        Raises:
            AssertionError: it wasn't; the message lists what was.
            ValueError: `times` is less than 1: that's `assert_not_pushed`.
        """
        if times is not None and times < 1:
            raise ValueError("times counts from 1; for none there is assert_not_pushed")
        pushes = self.pushed(queue)
        like_this = [each for each in pushes if not differences(each, **expected)]
        if like_this and times in (None, len(like_this)):
            return like_this[-1]
        said = ", ".join(f"{name}={value!r}" for name, value in expected.items()) or "anything"
        often = "" if times is None else f" {times} times"
        name = _name(queue)
        where = "" if name is None else f" to {name}"
        raise AssertionError(
            f"expected {said} to be pushed{where}{often}, found it {len(like_this)} times; "
            + listed(name, pushes)
        )

    def assert_not_pushed(
        self, queue: Queue | str | None = None, **expected: Unpack[Expected]
    ) -> None:
        """Assert that nothing like this was pushed.

        Raises:
            AssertionError: it was; the message lists it.
        """
        like_this = [each for each in self.pushed(queue) if not differences(each, **expected)]
        if like_this:
            name = _name(queue)
            raise AssertionError(f"expected no such push; {listed(name, like_this)}")

    def forget_pushed(self) -> None:
        """Forget what was pushed so far; the jobs stay."""
        self._world.ordered.clear()

    def take(self, base_url: str) -> Taken:
        """Put this LambdaQueue behind the client, in place of its settings and its network.

        Returns what was there before, for `give_back`.
        """
        secret = self._world.secret.reveal()
        settings = Settings({}, TOKEN, secret, API_URL, base_url)
        return self._connection.exchange(settings, self._server)

    def give_back(self, taken: Taken) -> None:
        """Undo `take`."""
        self._connection.exchange(*taken)

    def _delivered(self, ids: Iterable[str]) -> list[Item]:
        items: list[Item] = []
        for item_id in dict.fromkeys(ids):
            try:
                items.append(Item.read(self._connection.api.get(f"/items/{item_id}")))
            except NotFound:  # Its queue keeps no history.
                continue
        return items


class MemoryLambdaQueue(LambdaQueue, Memory):
    """A client with a LambdaQueue of its own in memory: all of `LambdaQueue` and of `Memory`.

    `secret` signs its deliveries, `base_url` is where its handlers seem to be, and `start` when
    the clock begins, else at the present.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        base_url: str = BASE_URL,
        start: datetime | None = None,
    ) -> None:
        LambdaQueue.__init__(self, env={})
        known = Secret.generate() if secret is None else Secret.parse(secret)
        Memory.__init__(self, self._connection, known, start)
        self.take(base_url)


@contextmanager
def in_memory(
    client: LambdaQueue,
    *,
    secret: str | None = None,
    base_url: str | None = None,
    start: datetime | None = None,
) -> Iterator[Memory]:
    """Let an application's own client, with its queues and handlers, use memory in a block.

    `base_url` is where its handlers seem to be: left out, what the client knows of that.
    """
    known = Secret.generate() if secret is None else Secret.parse(secret)
    memory = Memory(client._connection, known, start)
    own = next(iter(client._connection.settings.base_urls()), BASE_URL)
    taken = memory.take(base_url or own)
    try:
        yield memory
    finally:
        memory.give_back(taken)


def _name(queue: Queue | str | None) -> str | None:
    """Return the name of a queue, which may be given as its path as well."""
    if queue is None:
        return None
    return queue.removeprefix("/") if isinstance(queue, str) else queue.name
