"""How an attempt ended, and what follows from it: the one place that looks at statuses.

Pure: the time and the chance are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lambdaqueue.claims import Claim
from lambdaqueue.retry import retry_after

__all__ = [
    "MAX_ERROR",
    "Answer",
    "Delivered",
    "ErrorClass",
    "Failed",
    "Retry",
    "asked_to_rest",
    "explain",
    "http_class",
    "judge",
    "presentable",
]

MAX_ERROR = 200
"""Characters of an error: it is stored with every attempt and shown in lists."""


MAX_DETAIL = 2_000
"""Characters of a transport's explanation that are looked at."""


class ErrorClass(StrEnum):
    """The first word of every error; with a status it is `http_class(status)` instead."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    BLOCKED_ADDRESS = "blocked_address"
    UNVERIFIED = "unverified"
    BAD_RESPONSE = "bad_response"
    LOST = "lost"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    FAIL = "fail"
    HEARTBEAT_MISSED = "heartbeat_missed"
    CALLBACK_TIMEOUT = "callback_timeout"
    EXCLUSIVE_LOCK = "exclusive_lock"
    NO_TARGET = "no_target"


def http_class(status: int) -> str:
    """Return the error class of an answer with `status`, like `http_500`."""
    return f"http_{status}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt brought: an answer, or the reason why there is none.

    `failure` is None when the answer came whole and in time; otherwise it is an error class,
    and whatever was read before counts for nothing. Header names are lower-case, `duration` is
    milliseconds. `detail` explains the failure. `not_before` (Unix ms) is when another attempt
    makes sense at the earliest: a refused validation is remembered until then.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    failure: str | None = None
    detail: str = ""
    duration: int = 0
    not_before: int | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The endpoint took it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at `at` (Unix ms); `error` is why this attempt failed."""

    at: int
    error: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No further attempt; `error` is why.

    `cause` is what this attempt itself died of, where that is something else.
    """

    error: str
    cause: str = ""


GONE = 410
PAUSING = frozenset({429, 503})
"""The statuses that may say with `Retry-After` when to come back."""

FINAL_FAILURES = frozenset({ErrorClass.NO_TARGET, ErrorClass.CANCELLED})
"""Failures that another attempt can't cure, or that an operator wanted."""

EXPLANATIONS: Mapping[str, str] = {
    ErrorClass.DNS: "the host name could not be resolved",
    ErrorClass.CONNECT: "no connection to the endpoint",
    ErrorClass.TLS: "no trustworthy TLS connection to the endpoint",
    ErrorClass.BLOCKED_ADDRESS: "the host has an address that may not be called",
    ErrorClass.UNVERIFIED: "the endpoint did not prove that it knows the secret",
    ErrorClass.BAD_RESPONSE: "the answer is not complete, well-formed HTTP",
    ErrorClass.NO_TARGET: "neither the item nor its queue has a target",
    ErrorClass.CANCELLED: "the attempt was stopped by an operator",
}
"""What to say of a failure that came without a detail."""

# Queries and userinfo of URLs, tokens, signature and callback secrets: others may quote them.
CONFIDENTIAL = re.compile(
    r"(?<=://)[^\s/?#]*@|(?<=\S)\?\S+|\b(?:whsec|lqk)_\S+|\b[0-9a-z]{14,29}_[A-Za-z0-9_-]{43}"
)


def judge(claim: Claim, answer: Answer, now: int, chance: float) -> Delivered | Retry | Failed:
    """Decide what becomes of a job after an attempt.

    `now` is Unix ms, `chance` in [0, 1) picks the retry's jitter.
    """
    if answer.failure is None and answer.status is not None and answer.status in claim.success:
        return Delivered()
    error = _error(claim, answer)
    if _is_final(answer) or claim.failures >= claim.policy.retries:
        return Failed(error)
    at = _next_attempt(claim, answer, now, chance)
    if claim.expires_at is not None and at > claim.expires_at:
        expired = explain(ErrorClass.EXPIRED, f"no time is left for a retry after {error}")
        return Failed(expired, cause=error)
    return Retry(at, error)


def asked_to_rest(answer: Answer, now: int) -> int | None:
    """Return the ms for which an endpoint wants to be left alone, None without a wish."""
    if answer.failure is not None or answer.status not in PAUSING:
        return None
    return retry_after(answer.headers.get("retry-after"), now)


def _is_final(answer: Answer) -> bool:
    if answer.failure is not None:
        return answer.failure in FINAL_FAILURES
    return answer.status == GONE or _asks_for_no_retry(answer)


def _asks_for_no_retry(answer: Answer) -> bool:
    return answer.headers.get("x-lq-retry", "").strip().lower() == "never"


def _next_attempt(claim: Claim, answer: Answer, now: int, chance: float) -> int:
    delay = claim.policy.delay_after(claim.failures + 1, chance)
    if answer.failure is None and answer.status in PAUSING:
        delay = max(delay, retry_after(answer.headers.get("retry-after"), now) or 0)
    return max(now + delay, answer.not_before or 0)


def _error(claim: Claim, answer: Answer) -> str:
    if answer.failure is not None:
        text = presentable(answer.detail) or _explanation(claim, answer.failure)
        return explain(answer.failure, text)
    if answer.status is None:
        return explain(ErrorClass.BAD_RESPONSE, EXPLANATIONS[ErrorClass.BAD_RESPONSE])
    text = f"the endpoint answered {answer.status}"
    if 300 <= answer.status <= 399:
        text += "; redirects are not followed"
    if _asks_for_no_retry(answer):
        text += " and asked for no retry"
    return explain(http_class(answer.status), text)


def _explanation(claim: Claim, failure: str) -> str:
    if failure == ErrorClass.TIMEOUT:
        return f"no complete answer within {claim.timeout} ms"
    return EXPLANATIONS.get(failure, "the attempt failed")


def explain(error_class: str, text: str) -> str:
    """Return an error as it's stored and shown: its class, then why, cut where it's long."""
    error = f"{error_class}: {text}"
    return error if len(error) <= MAX_ERROR else error[: MAX_ERROR - 1] + "…"


def presentable(detail: str) -> str:
    """Blank what is confidential or can't be printed in a text that others wrote."""
    printable = "".join(c if c.isprintable() else " " for c in detail[:MAX_DETAIL])
    return " ".join(CONFIDENTIAL.sub("[hidden]", printable).split())
