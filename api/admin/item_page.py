"""The page of one job, whether it's unfinished or an entry of history."""

from __future__ import annotations

import re
from typing import Any

from flask import render_template

from api.admin import session, texts
from api.admin.timeline import timeline
from api.admin.views import duration
from lambdaqueue.account import Role
from lambdaqueue.job import Job, State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import FollowUp

__all__ = ["is_text", "render_job"]

MOST_PAUSES = 6
"""Pauses of a retry policy that are listed."""

WITHHELD = "(shown to admins)"
NOT_TYPED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Characters that no form can bring back."""


def render_job(job: Job) -> str:
    """Return the page of `job`."""
    spec, result = job.spec, job.result
    return render_template(
        "admin/item.html",
        job=job,
        events=timeline(job),
        payload=texts.shown(spec.payload, spec.content_type),
        answer=texts.shown(result.body, result.content_type or "") if result else None,
        headers=_headers(job),
        more=_more(job),
        may=_allowed(job),
    )


def is_text(payload: bytes, limit: int = texts.MOST_SHOWN) -> bool:
    """Tell whether a form can show a payload and bring it back."""
    try:
        return len(payload) <= limit and NOT_TYPED.search(payload.decode()) is None
    except UnicodeDecodeError:
        return False


def _allowed(job: Job) -> frozenset[str]:
    """Return what the visitor can do with a job."""
    if not session.allows(Role.ADMIN):
        return frozenset()
    if job.entry is not None:
        again = job.state is not State.COMPLETED and job.spec.service is None
        return frozenset({"replay"}) if again else frozenset()
    waits = job.state is not State.RUNNING
    own = job.spec.service is None
    actions = {"cancel": True, "run": waits, "edit": own}
    return frozenset(action for action, can in actions.items() if can)


def _headers(job: Job) -> list[tuple[str, str]]:
    # As with the API: they may hold what whoever reads must not know.
    shown = session.allows(Role.ADMIN)
    return [
        (name, value if shown else WITHHELD) for name, value in sorted(job.spec.headers.items())
    ]


def _more(job: Job) -> list[tuple[str, str]]:
    """Return what is not on every job: names for people, and texts."""
    spec = job.spec
    rows: list[tuple[str, Any]] = [
        ("Event type", spec.event_type),
        ("Flow key", spec.flow_key),
        ("Occurrence", job.occurrence),
        ("Message", spec.message and spec.message.name),
        ("Service job", spec.service and f"{spec.service.service}/{spec.service.job}"),
        ("Retries", spec.retry and _retries(spec.retry)),
        ("On success", _follow(spec.on_success)),
        ("On failure", _follow(spec.on_failure)),
        ("Trace", spec.traceparent),
    ]
    return [(name, str(value)) for name, value in rows if value is not None]


def _retries(policy: RetryPolicy) -> str:
    """Say how often it's tried again, and after which pauses."""
    if policy.retries == 0:
        return "none"
    shown = [
        duration(policy.delay_after(number, 0))
        for number in range(1, min(policy.retries, MOST_PAUSES) + 1)
    ]
    more = ", …" if policy.retries > MOST_PAUSES else ""
    chance = f", up to {policy.jitter:.0%} later by chance" if policy.jitter else ""
    return f"{policy.retries}, after {', '.join(shown)}{more}{chance}"


def _follow(wanted: FollowUp | str | None) -> str | None:
    if isinstance(wanted, FollowUp):
        return f"{wanted.format} to {wanted.target} by queue {wanted.queue}"
    return wanted
