"""The service job: a webhook by the clock whose service works on and calls back.

It's stored as a schedule of the collection `services`, which fires it like any other. Pure.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, replace

from lambdaqueue.errors import InvalidRequest, UnreadableRequest
from lambdaqueue.execution import DEFAULT_HEARTBEAT, ServiceRun, Terms
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.schedule import Recurrence, Schedule, check_has_runs, first_run
from lambdaqueue.spec import Spec
from lambdaqueue.timetable import Timetable

__all__ = ["LEAST_TTL", "MAX_NAME", "ServiceJob", "check_name", "check_schedule", "queue_of"]

NAME = re.compile(r"[a-z0-9-]+")
MAX_NAME = 100
"""Characters of a name: with that of its service it must fit into a queue's and a key."""

LEAST_TTL = 60
"""Seconds that an execution may take at the least, whatever was asked for."""

GUIDS = uuid.UUID("5b0f3f0e-1f6b-5d2c-9d5e-6a1f3c0b7a41")
"""The namespace of our guids (RFC 9562, version 5)."""


@dataclass(frozen=True, slots=True)
class ServiceJob:
    """A service job as its owner defined it. Times are seconds, as its API has them."""

    service: str
    job: str
    target: str
    schedule: str
    ttl: int
    heartbeat: int = DEFAULT_HEARTBEAT // 1_000
    enabled: bool = True
    exclusive: bool = False
    payload: str | None = None
    retry: RetryPolicy | None = None

    @property
    def id(self) -> str:
        """What names it among the schedules of an environment; names have no slash."""
        return f"{self.service}/{self.job}"

    @property
    def spec(self) -> Spec:
        """What is delivered for one execution."""
        return Spec(
            payload=(self.payload or "").encode(),
            target=self.target,
            retry=self.retry,
            schedule_id=self.id,
            terms=Terms(self.ttl * 1_000, self.heartbeat * 1_000),
            service=ServiceRun(self.service, self.job, self.schedule),
        )

    @property
    def test_spec(self) -> Spec:
        """What is delivered to try its endpoint out: marked, and not tried again."""
        spec = self.spec
        assert spec.service is not None
        once = RetryPolicy("constant", retries=0)
        return replace(spec, service=replace(spec.service, test=True), retry=once)

    def scheduled(self, environment: str, known: Schedule | None, now: int) -> Schedule:
        """Return the schedule that it's stored as, made of the `known` one. `now` is Unix ms.

        Only another expression, or being enabled again, moves the next run.

        Raises:
            InvalidRequest: it has no run in the future.
        """
        recurrence = Recurrence(self.schedule)
        moved = known is None or known.recurrence != recurrence
        anchor = now if known is None or moved else known.anchor
        if moved:
            check_has_runs(recurrence, anchor, now)
        base = known or Schedule(
            id=self.id,
            environment=environment,
            queue=queue_of(self.service),
            spec=self.spec,
            recurrence=recurrence,
            created=now,
            anchor=anchor,
            key=self.guid(environment),
        )
        next_run = base.next_run if not moved and self.enabled and not base.paused else None
        return replace(
            base,
            spec=self.spec,
            recurrence=recurrence,
            anchor=anchor,
            paused=not self.enabled,
            exclusive=self.exclusive,
            notes=json.dumps(self.payload),
            next_run=next_run or (first_run(recurrence, anchor, now) if self.enabled else None),
        )

    def guid(self, environment: str) -> str:
        """Return the id that others know it by: of the same names always the same."""
        return str(uuid.uuid5(GUIDS, f"{environment}/{self.id}"))

    @classmethod
    def of(cls, stored: Schedule) -> ServiceJob:
        """Read it back from the schedule that it's stored as."""
        spec = stored.spec
        assert spec.service is not None
        assert spec.terms is not None
        assert spec.target is not None
        return cls(
            service=spec.service.service,
            job=spec.service.job,
            target=spec.target,
            schedule=stored.recurrence.expression,
            ttl=spec.terms.ttl // 1_000,
            heartbeat=spec.terms.heartbeat // 1_000,
            enabled=not stored.paused,
            exclusive=stored.exclusive,
            payload=json.loads(stored.notes),
            retry=spec.retry,
        )


def queue_of(service: str) -> str:
    """Return the queue that a service's executions stand in."""
    return f"services.{service}"


def check_name(name: str) -> str:
    """Return `name` unchanged if a service or a job may have it.

    Raises:
        UnreadableRequest
    """
    if not NAME.fullmatch(name):
        raise UnreadableRequest(
            "invalid_name", 'Invalid service or job name. Must match "^[a-z0-9-]+$"'
        )
    if len(name) > MAX_NAME:
        raise UnreadableRequest(
            "invalid_name", f"Invalid service or job name. Must have at most {MAX_NAME} characters"
        )
    return name


def check_schedule(expression: str) -> str:
    """Return `expression` unchanged if a service job may run by it: `rate(…)` or `cron(…)`.

    Raises:
        UnreadableRequest
    """
    try:
        if not expression.startswith(("rate(", "cron(")):
            raise InvalidRequest.of("schedule", "invalid_schedule", "is of another kind")
        Timetable.parse(expression, "UTC")
    except InvalidRequest as error:
        raise UnreadableRequest(
            "invalid_schedule", "Schedule is not a valid schedule expression"
        ) from error
    return expression
