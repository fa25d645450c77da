"""What the in-memory server consists of: jobs, attempts, schedules, and answers given before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lambdaqueue.commands import Push, Pushed
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import Place
from lambdaqueue.reading.option_headers import check_idempotency_key
from lambdaqueue.sdk.transport import Response
from lambdaqueue.signing import Secret
from lambdaqueue.testing.attempts import Attempts
from lambdaqueue.testing.calls import Call
from lambdaqueue.testing.clock import Clock
from lambdaqueue.testing.jobs import Jobs
from lambdaqueue.testing.kinds import OneTimers, ServiceSchedules
from lambdaqueue.testing.orders import Orders
from lambdaqueue.testing.schedules import Schedules

__all__ = ["Ordered", "World"]

REMEMBERED = 86_400_000
"""ms for which an Idempotency-Key is known."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A push that a client has ordered, and what became of it. `at` is Unix ms."""

    push: Push
    pushed: Pushed
    at: int


@dataclass(slots=True)
class World:
    """All that one in-memory LambdaQueue is. `ordered` are the pushes of clients, in order."""

    clock: Clock
    secret: Secret
    api_url: str
    jobs: Jobs = field(init=False)
    attempts: Attempts = field(init=False)
    since: int = field(init=False)
    schedules: Schedules = field(init=False)
    periodic: Schedules = field(init=False)
    timers: OneTimers = field(init=False)
    services: ServiceSchedules = field(init=False)
    orders: Orders = field(init=False)
    ordered: list[Ordered] = field(default_factory=list)
    _answers: dict[str, tuple[int, str, Response]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.now)
        self.attempts = Attempts(self.jobs, self.api_url)
        self.since = self.now()
        self.schedules, self.periodic = Schedules(self.jobs), Schedules(self.jobs)
        self.timers, self.services = OneTimers(self.jobs), ServiceSchedules(self.jobs)
        self.orders = Orders(self.now)

    def now(self) -> int:
        """Return the present in Unix ms."""
        return self.clock.ms

    def fire(self) -> None:
        """Push what schedules have due by now, and end what is overdue."""
        for kind in self._kinds():
            kind.fire()
        self.attempts.end_overdue()

    def upcoming(self) -> int | None:
        """Return when `fire` has something to do next, in Unix ms."""
        runs = [kind.next_run() for kind in self._kinds()]
        deadlines = [record.deadline for record in self.jobs.records.values()]
        return min((at for at in (*runs, *deadlines) if at is not None), default=None)

    def _kinds(self) -> tuple[Schedules, ...]:
        return self.schedules, self.periodic, self.timers, self.services

    def push(self, queue: str, pushes: list[Push]) -> list[Pushed]:
        """Store what a client has ordered; raises as `Jobs.push`."""
        pushed = self.jobs.push(queue, pushes)
        for push, stored in zip(pushes, pushed, strict=True):
            if stored.place is not Place.KEPT:
                self.ordered.append(Ordered(push, stored, self.now()))
        return pushed

    def once(self, call: Call, carry_out: Callable[[], Response]) -> Response:
        """Carry a request out, or give the first answer to its Idempotency-Key again.

        Raises:
            InvalidRequest: the key was used for another request, or can be none.
        """
        key = call.headers.get("idempotency-key")
        if key is None:
            return carry_out()
        known = self._answers.get(check_idempotency_key(key))
        if known is None or known[0] + REMEMBERED <= self.now():
            answered = carry_out()
            self._answers[key] = self.now(), call.fingerprint, answered
            return answered
        _, fingerprint, first = known
        if fingerprint != call.fingerprint:
            rule = "was used for another request"
            raise InvalidRequest.of("Idempotency-Key", "idempotency_mismatch", rule)
        headers = {**first.headers, "idempotency-replayed": "true"}
        return Response(first.status, headers, first.body)
