"""The webhook of a service job: the body that its service gets."""

from __future__ import annotations

import json

from lambdaqueue.claims import Claim
from lambdaqueue.instants import iso

__all__ = ["callback_url", "webhook_body"]


def callback_url(public_url: str, token: str) -> str:
    """Return where a callback is posted."""
    return f"{public_url}/api/v1/callback/{token}"


def webhook_body(claim: Claim, url: str, last_success: bytes, now: int) -> bytes:
    """Return the body for one attempt to start an execution at `now` (Unix ms).

    `url` takes its callbacks, `last_success` is JSON: what the last successful run has left.
    """
    run, terms = claim.spec.service, claim.spec.terms
    assert run is not None
    assert terms is not None
    latency, ttl = max(0, now - claim.event_ms), terms.ttl // 1_000
    payload = claim.spec.payload
    body = {
        "callback_url": url,
        "execution_name": claim.id,
        "heartbeat_interval_seconds": terms.heartbeat // 1_000,
        "invocation_latency_ms": latency,
        "invocation_latency_pct": round(latency / (ttl * 10), 1),
        "job_name": run.job,
        "last_successful_execution": json.loads(last_success) if last_success else {},
        "payload": payload.decode() if payload else None,
        "schedule": run.schedule,
        "scheduled_time": iso(claim.event_ms),
        "scheduled_time_ms": claim.event_ms,
        "service_name": run.service,
        "ttl_seconds": ttl,
    }
    if run.test:
        body["test"] = True
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
