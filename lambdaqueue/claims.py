"""Claims as `claim.lua` hands them out: rows of fields, and what all jobs of a queue share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.job import Claim, Seals
from lambdaqueue.messages import SUCCESS as MESSAGE_SUCCESS
from lambdaqueue.queue_settings import DEFAULT_TIMEOUT, Policies
from lambdaqueue.retry import DEFAULT_POLICY
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import SUCCESS

__all__ = ["Shared", "read_claims", "read_shared"]

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
        try:
            claims.append(_claim(row, now, shared))
        except UNREADABLE as error:
            unreadable.append((_skeleton(row, now), repr(error)))
    return tuple(claims), tuple(unreadable)


def _skeleton(row: Sequence[bytes], now: int) -> Claim:
    """Return as much of a claim as it takes to give it back."""
    fields = dict(zip(row[::2], row[1::2], strict=True))
    environment, _, queue = fields[b"queue"].decode().partition(":")
    return Claim(
        id=fields[b"id"].decode(),
        token=fields[b"token"].decode(),
        environment=environment,
        queue=queue,
        version=int(fields[b"version"]),
        attempt=int(fields[b"attempt"]),
        failures=int(fields.get(b"failures", 0)),
        started_at=now,
        first_due_at=int(fields[b"first"]),
        spec=Spec(),
        target=None,
        policy=DEFAULT_POLICY,
        timeout=DEFAULT_TIMEOUT,
        success=SUCCESS,
        result_bytes=0,
        attempts_log=fields.get(b"log", b""),
    )


def _claim(row: Sequence[bytes], now: int, shared: Shared) -> Claim:
    fields = dict(zip(row[::2], row[1::2], strict=True))
    ref = fields[b"queue"]
    environment, _, queue = ref.decode().partition(":")
    found = shared[ref]
    if isinstance(found, Exception):
        raise found
    policy, seals = found
    spec = Spec.unpack(fields[b"spec"])
    settings = policy.settings
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
        policy=policy.retry(spec.retry),
        timeout=spec.timeout or settings.timeout or DEFAULT_TIMEOUT,
        success=settings.success_status if spec.message is None else MESSAGE_SUCCESS,
        result_bytes=settings.result_bytes,
        key=fields[b"key"].decode() if b"key" in fields else None,
        expires_at=int(fields[b"expires"]) if b"expires" in fields else None,
        attempts_log=fields.get(b"log", b""),
        # Whoever gets a plain message need not prove anything, if the operator allows that.
        seals=seals if spec.message is None else replace(seals, unvalidated=True),
        occurrence=fields[b"occurrence"].decode() if b"occurrence" in fields else None,
    )
