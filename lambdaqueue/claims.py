"""Claims: jobs that a worker may attempt, and how they are read from what `claim.lua` hands out.

Those are rows of fields, and what all jobs of a queue share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lambdaqueue import ids
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.messages import SUCCESS as MESSAGE_SUCCESS
from lambdaqueue.queue_settings import DEFAULT_TIMEOUT, Policies
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import StatusRange

__all__ = ["Claim", "Seals", "Shared", "read_claims", "read_shared"]


@dataclass(frozen=True, slots=True)
class Seals:
    """The secrets that may sign a job's attempts, sealed as they are stored.

    `environment` holds the newest first, `own` is the queue's, b"" where it has none yet.
    `unvalidated`: the queue's targets need not prove anything, so its own secret signs.
    """

    environment: tuple[bytes, ...] = ()
    own: bytes = b""
    unvalidated: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker may attempt now, with all that sending and judging it needs.

    `attempt` counts from 1 and includes this one; `failures` counts the earlier attempts that
    used up a retry (not those that were lost or handed back); of a message both include the
    attempts that others made. Times are Unix ms, `timeout` ms.
    """

    id: str
    token: str
    environment: str
    queue: str
    version: int
    attempt: int
    failures: int
    started_at: int
    first_due_at: int
    spec: Spec
    target: str | None
    policy: RetryPolicy
    timeout: int
    success: StatusRange
    result_bytes: int
    key: str | None = None
    expires_at: int | None = None
    attempts_log: bytes = b""
    seals: Seals = Seals()
    occurrence: str | None = None

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same on every attempt of this version."""
        return f"{self.id}_{self.version}"

    @property
    def event_ms(self) -> int:
        """Unix ms of the occurrence that it was pushed for; else when it was first due."""
        return ids.event_ms(self.occurrence, self.first_due_at)

    @property
    def max_attempts(self) -> int:
        """How many attempts there may be in all; a lost one raises it by one."""
        return self.policy.retries + self.attempt - self.failures


UNREADABLE = (InvalidRequest, KeyError, TypeError, ValueError)
"""What reading something raises that another version has written."""

Shared = Mapping[bytes, tuple[Policies, Seals] | Exception]
"""By queue ref what holds for all jobs of a queue, or why that can't be read."""


def read_shared(queues: Sequence[bytes], environments: Sequence[bytes]) -> Shared:
    """Read what `claim.lua` tells once of each queue and environment."""
    retries: dict[bytes, bytes] = {}
    secrets: dict[bytes, tuple[bytes, ...]] = {}
    for at in range(0, len(environments), 4):
        environment, retry, *sealed = environments[at : at + 4]
        retries[environment] = retry
        secrets[environment] = tuple(filter(None, sealed))
    shared: dict[bytes, tuple[Policies, Seals] | Exception] = {}
    for ref, settings, own in zip(queues[::3], queues[1::3], queues[2::3], strict=True):
        environment = ref.partition(b":")[0]
        try:
            policies = Policies.unpack(settings, retries[environment])
        except UNREADABLE as error:
            shared[ref] = error
            continue
        unvalidated = policies.settings.validation == "none"
        shared[ref] = policies, Seals(secrets[environment], own, unvalidated)
    return shared


def read_claims(
    rows: Sequence[Sequence[bytes]], now: int, shared: Shared
) -> tuple[tuple[Claim, ...], tuple[tuple[Claim, str], ...]]:
    """Read each row by itself: one that can't be read must not keep the others.

    Returns the claims, and what can't be read with the reason: of these only what identifies them.
    """
    claims, unreadable = list[Claim](), list[tuple[Claim, str]]()
    for row in rows:
        fields = dict(zip(row[::2], row[1::2], strict=True))
        try:
            claims.append(_claim(fields, now, *_read(fields, shared)))
        except UNREADABLE as error:
            unreadable.append((_claim(fields, now, *NOTHING), repr(error)))
    return tuple(claims), tuple(unreadable)


Read = tuple[Spec, Policies, Seals]

NOTHING: Read = (Spec(), Policies(), Seals())
"""Stands for what can't be read: a claim still says which job it is, and can be given back."""


def _read(fields: Mapping[bytes, bytes], shared: Shared) -> Read:
    found = shared[fields[b"queue"]]
    if isinstance(found, Exception):
        raise found
    policies, seals = found
    spec = Spec.unpack(fields[b"spec"])
    if spec.message is not None:
        # Whoever gets a plain message need not prove anything, if the operator allows that.
        seals = replace(seals, unvalidated=True)
    return spec, policies, seals


def _claim(
    fields: Mapping[bytes, bytes], now: int, spec: Spec, policies: Policies, seals: Seals
) -> Claim:
    environment, _, queue = fields[b"queue"].decode().partition(":")
    settings = policies.settings
    return Claim(
        id=fields[b"id"].decode(),
        token=fields[b"token"].decode(),
        environment=environment,
        queue=queue,
        version=int(fields[b"version"]),
        attempt=int(fields[b"attempt"]) + spec.skipped,
        failures=int(fields.get(b"failures", 0)) + spec.skipped,
        started_at=now,
        first_due_at=int(fields[b"first"]),
        spec=spec,
        target=spec.target or settings.target,
        policy=policies.retry(spec.retry),
        timeout=spec.timeout or settings.timeout or DEFAULT_TIMEOUT,
        success=settings.success_status if spec.message is None else MESSAGE_SUCCESS,
        result_bytes=settings.result_bytes,
        key=fields[b"key"].decode() if b"key" in fields else None,
        expires_at=int(fields[b"expires"]) if b"expires" in fields else None,
        attempts_log=fields.get(b"log", b""),
        seals=seals,
        occurrence=fields[b"occurrence"].decode() if b"occurrence" in fields else None,
    )
