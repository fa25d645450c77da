"""The headers of a delivery: what the target learns beside the body, and what users may add."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from lambdaqueue import __version__
from lambdaqueue.claims import Claim
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.instants import iso
from lambdaqueue.legacy_signing import HEADER as V1_HEADER
from lambdaqueue.legacy_signing import sign_v1
from lambdaqueue.messages import as_message
from lambdaqueue.signing import Secret, sign

__all__ = [
    "MAX_HEADERS",
    "MAX_HEADERS_BYTES",
    "USER_AGENT",
    "callback_headers",
    "check_extra_headers",
    "headers_for",
]

MAX_HEADERS = 50
MAX_HEADERS_BYTES = 8_192
"""Names and values of an item's extra headers together."""

RESERVED_PREFIXES = ("x-lq-", "webhook-", "content-", "proxy-")
RESERVED_NAMES = frozenset(
    {
        "accept-encoding",
        "connection",
        "expect",
        "host",
        "keep-alive",
        "te",
        "traceparent",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Headers that the delivery sets itself, or that would change how the request is framed."""

USER_AGENT = ("User-Agent", f"LambdaQueue/{__version__}")

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
PRINTABLE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
PLAIN = re.compile(r"[!-$&-~](?:[ -$&-~]*[!-$&-~])?")
UNESCAPED = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


def headers_for(
    claim: Claim, secrets: Sequence[Secret], now: int, v1: Secret | None = None
) -> list[tuple[str, str]]:
    """Return every header of this attempt that is ours to set, signed at `now` (Unix ms).

    `v1` is the secret that an endpoint of the published JavaScript SDK has proven.
    """
    headers = _plain_headers(claim, secrets, now, v1)
    spec = claim.spec
    if spec.message is None:
        return headers
    event_type = None if spec.event_type is None else _escaped(spec.event_type)
    return as_message(headers, spec.message, claim.attempt, event_type)


def _plain_headers(
    claim: Claim, secrets: Sequence[Secret], now: int, v1: Secret | None
) -> list[tuple[str, str]]:
    spec, now_s = claim.spec, now // 1_000
    message_id = claim.message_id
    headers = [
        ("Content-Type", spec.content_type),
        USER_AGENT,
        ("Content-Digest", _digest(spec.payload)),
        ("webhook-id", message_id),
        ("webhook-timestamp", str(now_s)),
        ("webhook-signature", sign(secrets, message_id, now_s, spec.payload)),
        ("x-lq-id", claim.id),
        ("x-lq-queue", claim.queue),
        ("x-lq-attempt", str(claim.attempt)),
        ("x-lq-max-attempts", str(claim.max_attempts)),
        ("x-lq-scheduled-for", iso(claim.first_due_at)),
    ]
    if claim.key is not None:
        headers.append(("x-lq-key", _escaped(claim.key)))
    if spec.schedule_id is not None:
        headers.append(("x-lq-schedule", _escaped(spec.schedule_key or spec.schedule_id)))
    if spec.event_type is not None:
        headers.append(("x-lq-event-type", _escaped(spec.event_type)))
    if spec.traceparent is not None:
        headers.append(("traceparent", spec.traceparent))
    if v1 is not None:
        headers.append((V1_HEADER, sign_v1(v1, spec.payload, now)))
    if spec.headers:
        headers.extend(spec.headers.items())
    return headers


def callback_headers(claim: Claim, url: str) -> list[tuple[str, str]]:
    """Return what an endpoint is told that is to call back at `url`."""
    terms = claim.spec.terms
    assert terms is not None
    return [
        ("x-lq-callback-url", url),
        ("x-lq-async", str(terms.ttl)),
        ("x-lq-heartbeat", str(terms.heartbeat)),
    ]


def check_extra_headers(headers: Mapping[str, object]) -> None:
    """Check the headers that a user wants to add to a delivery.

    Raises:
        InvalidRequest: for the field `headers`, with an issue for every broken rule.
    """
    if len(headers) > MAX_HEADERS:
        raise InvalidRequest.of("headers", "too_many", f"must be at most {MAX_HEADERS}")
    issues = list(_broken_rules(headers))
    if issues:
        raise InvalidRequest(issues)


def _digest(body: bytes) -> str:
    """The value of Content-Digest (RFC 9530)."""
    digest = binascii.b2a_base64(hashlib.sha256(body).digest(), newline=False)
    return f"sha-256=:{digest.decode()}:"


def _escaped(value: str) -> str:
    """Percent-encode as UTF-8 what a header can't carry, and `%`.

    Spaces stay unless the value begins or ends with one: there HTTP would drop them.
    """
    if PLAIN.fullmatch(value):
        return value
    return quote(value, safe=UNESCAPED + " " if value == value.strip(" ") else UNESCAPED)


def _broken_rules(headers: Mapping[str, object]) -> Iterator[Issue]:
    seen: set[str] = set()
    size = 0
    for name, value in headers.items():
        lower = name.lower()
        yield from _broken_name(name, lower, seen)
        if not isinstance(value, str) or PRINTABLE.fullmatch(value) is None:
            rule = "must be text of printable ASCII without outer spaces"
            yield _issue("invalid_value", name, rule)
        seen.add(lower)
        size += len(name) + (len(value) if isinstance(value, str) else 0)
    if size > MAX_HEADERS_BYTES:
        rule = f"must have at most {MAX_HEADERS_BYTES} bytes in all"
        yield Issue(("headers",), "too_long", rule)


def _broken_name(name: str, lower: str, seen: set[str]) -> Iterator[Issue]:
    if TOKEN.fullmatch(name) is None:
        yield _issue("invalid_name", name, "is no header name")
    elif lower in RESERVED_NAMES or lower.startswith(RESERVED_PREFIXES):
        yield _issue("reserved", name, "is set by LambdaQueue or the connection")
    elif lower in seen:
        yield _issue("duplicate", name, "is there twice, in another case")


def _issue(code: str, name: str, rule: str) -> Issue:
    # The name comes from outside: escaped and cut, it can't break a log line or fill it.
    return Issue(("headers",), code, f"{name[:64]!a} {rule}")
