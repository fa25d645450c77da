"""Signed requests for an application's own handlers, to be sent by its framework's test client."""

from __future__ import annotations

import secrets as randomness
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lambdaqueue.claims import Claim
from lambdaqueue.envelope import headers_for
from lambdaqueue.proofs import NONCE_BYTES, challenge
from lambdaqueue.queue_settings import DEFAULT_TIMEOUT
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.sdk.payloads import encoded
from lambdaqueue.sdk.queue import Queue
from lambdaqueue.sdk.settings import parse_secrets
from lambdaqueue.signing import Secret
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import SUCCESS
from lambdaqueue.testing.records import ENVIRONMENT, Mint

__all__ = ["SignedRequest", "signed_request", "validation_request"]

MINT = Mint()


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as LambdaQueue would send it: give its headers and body to a test client."""

    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def signed_request(
    queue_or_secret: Queue | str,
    payload: Any = None,
    *,
    content_type: str | None = None,
    method: str = "POST",
    key: str | None = None,
    attempt: int = 1,
    max_attempts: int = 6,
    event_type: str | None = None,
    headers: Mapping[str, str] | None = None,
    at: float | None = None,
) -> SignedRequest:
    """Return a delivery of `payload`, signed with the secret of a queue, or with one as text.

    `payload` is encoded as by a push. `at` (Unix seconds, default now) is when it's signed: an
    endpoint refuses what is 5 minutes old.

    Raises:
        ConfigurationError: there is no secret, or the text is none.
        TypeError, ValueError: the payload can't be sent.
    """
    ms = int((time.time() if at is None else at) * 1_000)
    body, kind = encoded(payload, content_type)
    claim = _claim(
        Spec(body, kind, method=method, event_type=event_type, headers=headers or {}),
        queue="test" if isinstance(queue_or_secret, str) else queue_or_secret.name,
        now=ms,
        attempts=(attempt, max_attempts),
    )
    sent = headers_for(replace(claim, key=key), [_secret(queue_or_secret)], ms)
    return SignedRequest(method, dict(sent), body)


def validation_request(
    queue_or_secret: Queue | str, url: str, *, at: float | None = None
) -> SignedRequest:
    """Return the HEAD request by which LambdaQueue validates the endpoint at `url`.

    `at` is as for `signed_request`, as are the errors.
    """
    now = int(time.time() if at is None else at)
    nonce = randomness.token_hex(NONCE_BYTES)
    return SignedRequest("HEAD", dict(challenge([_secret(queue_or_secret)], url, nonce, now)))


def _claim(spec: Spec, *, queue: str, now: int, attempts: tuple[int, int]) -> Claim:
    """Return the attempt that a worker would have claimed at `now` (Unix ms)."""
    attempt, most = attempts
    return Claim(
        id=MINT.job_id(now),
        token="",
        environment=ENVIRONMENT,
        queue=queue,
        version=1,
        attempt=attempt,
        failures=attempt - 1,
        started_at=now,
        first_due_at=now,
        spec=spec,
        target=None,
        policy=RetryPolicy(retries=max(attempt, most) - 1),
        timeout=DEFAULT_TIMEOUT,
        success=SUCCESS,
        result_bytes=0,
    )


def _secret(queue_or_secret: Queue | str) -> Secret:
    if isinstance(queue_or_secret, str):
        return parse_secrets(queue_or_secret, "the secret")[0]
    return queue_or_secret.endpoint.secrets()[0]
