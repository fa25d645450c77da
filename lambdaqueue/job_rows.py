"""Jobs as the scripts take them, and as they give them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lambdaqueue import ids
from lambdaqueue.commands import Push, Pushed
from lambdaqueue.job import Job, Place, State
from lambdaqueue.queue_settings import Policies

__all__ = ["job_of", "order_of", "pushed_of", "when_of"]


def order_of(push: Push) -> tuple[Any, ...]:
    """Return what `push.lua` takes for a job."""
    spec = push.spec
    return (
        push.key or "",
        push.if_exists,
        when_of(push.delay, push.on),
        push.priority,
        spec.max_age or "",
        "target" if spec.target else "",
        spec.pack(),
        spec.flow,
    )


def when_of(delay: int | None, on: int | None) -> str:
    """Return when a job is due, as scripts take it: in `delay` ms, at `on` (Unix ms), or ""."""
    if delay is not None:
        return f"+{delay}"
    return "" if on is None else str(on)


def pushed_of(
    queue: str, push: Push, row: Sequence[bytes], policies: Policies, *, replayed: bool
) -> Pushed:
    """Read what `push.lua` has answered for a job."""
    place = Place(row[0].decode())
    if place in (Place.KEPT, Place.PENDING):
        return Pushed(job_of(row), place, replayed)
    fields = dict(zip(row[4::2], row[5::2], strict=True))
    job_id, due = row[1].decode(), int(fields[b"due"])
    job = Job(
        id=job_id,
        queue=queue,
        state=State.PENDING,
        version=int(fields[b"version"]),
        due_at=due,
        created_at=ids.created_at(job_id),
        spec=push.spec,
        first_due_at=due,
        priority=push.priority,
        key=push.key,
        max_attempts=1 + policies.retry(push.spec.retry).retries,
        target=push.spec.target or policies.settings.target,
    )
    return Pushed(job, place, replayed)


def job_of(row: Sequence[bytes]) -> Job:
    """Read a row of `describing.lua`."""
    policies = Policies.unpack(row[2], row[3])
    return Job.from_fields(row[1].decode(), dict(zip(row[4::2], row[5::2], strict=True)), policies)
