"""Delivers the in-memory server's jobs: to endpoints of the client, or to whoever a test names."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import RLock
from urllib.parse import urlsplit

from lambdaqueue.job import State
from lambdaqueue.outcome import Answer, ErrorClass
from lambdaqueue.proofs import NONCE_BYTES, challenge, proven_by
from lambdaqueue.sdk.connection import Connection
from lambdaqueue.sdk.delivery import Delivery, Reply
from lambdaqueue.sdk.endpoint import Endpoint
from lambdaqueue.sdk.errors import LambdaQueueError
from lambdaqueue.signing import Secret
from lambdaqueue.targets import without_query
from lambdaqueue.testing.attempts import Sending
from lambdaqueue.testing.records import Record
from lambdaqueue.testing.world import World

__all__ = ["Answers", "Courier", "EndlessWork"]

MOST_ROUNDS = 100
"""How often, at one moment of the clock, the jobs that are due may bring new ones about that are
due as well."""

READ = 65_536
"""Bytes that are read of an answer's body."""

Answers = Callable[[Delivery], Reply] | int | str
"""Who answers for a target: a function, always with a status, or nobody (an error class)."""


class EndlessWork(LambdaQueueError):
    """Raised when jobs push jobs that are due at once, and there is no end of it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A request that is to be answered by an endpoint, or by what a test has named."""

    delivery: Delivery
    by: Endpoint | Callable[[Delivery], Reply]

    def answered(self) -> Reply:
        """Return the answer; a coroutine handler runs in a loop of its own."""
        if not isinstance(self.by, Endpoint):
            return self.by(self.delivery)
        if not self.by.is_coroutine or not _in_a_loop():
            return self.by.answer(self.delivery)
        # Another loop can only run in another thread.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self.by.answer, self.delivery).result()

    async def answered_async(self) -> Reply:
        """Return the answer; a coroutine handler runs in this loop."""
        if not isinstance(self.by, Endpoint):
            return self.by(self.delivery)
        return await self.by.answer_async(self.delivery)


Errands = Generator[Errand, Reply, None]
"""Yields what is to be answered, and is sent the answers."""


class Courier:
    """Delivers what is due, one job after the other. `lock` is held while the world changes."""

    def __init__(self, world: World, lock: RLock, connection: Connection) -> None:
        self._world = world
        self._lock = lock
        self._connection = connection
        self._named: dict[str, Answers] = {}
        self._validated: set[tuple[str, int]] = set()

    def answer(self, url: str, by: Answers) -> None:
        """Let `by` answer for `url`, whatever its query."""
        self._named[without_query(url)] = by

    def run(self, queue: str | None = None) -> list[str]:
        """Deliver what is due until nothing is; returns the ids, in order."""
        done: list[str] = []
        errands = self._errands(queue, done)
        reply: Reply | None = None
        while (errand := _next(errands, reply)) is not None:
            reply = errand.answered()
        return done

    async def run_async(self, queue: str | None = None) -> list[str]:
        """The same in an event loop."""
        done: list[str] = []
        errands = self._errands(queue, done)
        reply: Reply | None = None
        while (errand := _next(errands, reply)) is not None:
            reply = await errand.answered_async()
        return done

    def upcoming(self) -> int | None:
        """Return when there is something to do next, in Unix ms."""
        with self._lock:
            times = [self._world.upcoming()]
            times += [each.due for each in self._world.jobs.records.values() if self._waits(each)]
        return min((at for at in times if at is not None), default=None)

    def _waits(self, record: Record) -> bool:
        paused = self._world.jobs.queues.made(record.queue).paused
        return record.state is not State.RUNNING and not paused and self._takes(record)

    def _errands(self, queue: str | None, done: list[str]) -> Errands:
        for _ in range(MOST_ROUNDS):
            due = self._due(queue)
            if not due:
                return
            for record_id in due:
                sending = self._begin(record_id, done)
                if sending is not None:
                    answer = yield from self._attempt(sending)
                    with self._lock:
                        self._world.attempts.settle(sending.claim, answer)
        raise EndlessWork(
            f"jobs push jobs that are due at once, {MOST_ROUNDS} times and no end, "
            f"like {done[-1]} at {self._world.clock.now}"
        )

    def _due(self, queue: str | None) -> list[str]:
        with self._lock:
            self._world.fire()
            return [each.id for each in self._world.jobs.due(queue) if self._takes(each)]

    def _begin(self, record_id: str, done: list[str]) -> Sending | None:
        """Begin a job's attempt; None where it isn't due any more, or too old for one.

        The deliveries before it may have changed, cancelled or paused it.
        """
        with self._lock:
            record = self._world.jobs.records.get(record_id)
            if record is None or not self._world.jobs.is_due(record):
                return None
            done.append(record_id)
            return self._world.attempts.begin(record)

    def _takes(self, record: Record) -> bool:
        """Tell whether anybody is here who takes it; one without a target fails by itself."""
        target = self._world.jobs.target(record)
        return target is None or self._who(target) is not None

    def _who(self, target: str) -> Endpoint | Answers | None:
        url = without_query(target)
        if url in self._named:
            return self._named[url]
        for base in self._connection.settings.base_urls():
            path = url.removeprefix(base)
            if path != url and (endpoint := self._connection.endpoints.get(path or "/")):
                return endpoint
        return None

    def _attempt(self, sending: Sending) -> Generator[Errand, Reply, Answer]:
        target = sending.claim.target
        if target is None:
            return Answer(failure=ErrorClass.NO_TARGET)
        by = self._who(target)
        if isinstance(by, str):
            return Answer(failure=by)
        if isinstance(by, int):
            return _read(sending, Reply(by))
        if by is None:
            return Answer(failure=ErrorClass.CONNECT)
        secret, now = self._world.secret, time.time()
        if isinstance(by, Endpoint):
            secret, now = by.secrets()[0], by.clock()
            if not (yield from self._validated_by(by, target, secret, now)):
                return Answer(failure=ErrorClass.UNVERIFIED)
        delivery = _delivery(sending, secret, now)
        return _read(sending, (yield Errand(delivery, by)))

    def _validated_by(
        self, endpoint: Endpoint, target: str, secret: Secret, now: float
    ) -> Generator[Errand, Reply, bool]:
        """Let the endpoint prove, before its first delivery, that it knows the secret."""
        if (target, id(endpoint)) in self._validated:
            return True
        asked = challenge([secret], target, secrets.token_hex(NONCE_BYTES), int(now))
        reply = yield Errand(Delivery.of("HEAD", asked, b""), endpoint)
        answered = {name.lower(): value for name, value in reply.headers}
        proof = proven_by([secret], asked, answered, int(now * 1_000))
        if proof is None or not 200 <= reply.status <= 299:
            return False
        self._validated.add((target, id(endpoint)))
        return True


def _delivery(sending: Sending, secret: Secret, now: float) -> Delivery:
    """Return the request, signed by the endpoint's own clock, which is all that it trusts."""
    headers = [
        *sending.headers(secret, int(now * 1_000)),
        ("Host", urlsplit(sending.claim.target or "").netloc),
        ("Accept-Encoding", "identity"),
    ]
    return Delivery.of(sending.claim.spec.method, headers, sending.claim.spec.payload)


def _read(sending: Sending, reply: Reply) -> Answer:
    body, most = reply.body[:READ], sending.claim.result_bytes
    return Answer(
        status=reply.status,
        headers={name.lower(): value for name, value in reply.headers},
        body=body[:most],
        truncated=len(body) > most,
    )


def _next(errands: Errands, reply: Reply | None) -> Errand | None:
    """Return the next errand after the answer to the one before; None where there is none."""
    try:
        return next(errands) if reply is None else errands.send(reply)
    except StopIteration:
        return None


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
