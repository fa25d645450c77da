"""Validation of a target before its first delivery: what is asked, and what proves.

A HEAD request asks the endpoint whether it knows the environment's secret. Both sides prove that
they do, by HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}`, with a key derived from the
secret for that side alone: a request is no answer, an answer no request, and no delivery's
signature is either, because what a delivery signs has dots and the derivations have none.

`webhook-id` is `val_<nonce>_<hash of the URL>`. So an answer holds for this request and this URL,
and an endpoint that knows its own URL can't be made to vouch for another's. One that doesn't know
it answers whoever passes LambdaQueue's request on within 5 minutes: that is why it should.

The second way to prove, for endpoints built with the published JavaScript SDK, is a v1 signature
over the empty body (`legacy_signing`). It can't be bound to nonce or URL. Whoever may push to the
environment can forward the request to such an endpoint, and its answer makes his own URL a
validated target; and a v1 signature of any delivery without a body proves again for 120 s.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lambdaqueue.legacy_signing import HEADER as V1_HEADER
from lambdaqueue.legacy_signing import proves_v1
from lambdaqueue.signing import InvalidSignature, Secret, entries, fresh_timestamp, signature
from lambdaqueue.targets import without_query

__all__ = [
    "MAX_AGE",
    "NONCE_BYTES",
    "VALIDATION_HEADER",
    "OtherUrl",
    "Proof",
    "answer_challenge",
    "challenge",
    "proven_by",
]

VALIDATION_HEADER = "x-lq-validation"

NONCE_BYTES = 16
"""Random bytes that the nonce of a challenge is made of, written in hex by the caller."""

MAX_AGE = 300
"""Seconds by which the time of a challenge may differ from the endpoint's, either way."""

REQUEST = b"lambdaqueue endpoint validation request"
ANSWER = b"lambdaqueue endpoint validation"

URL_DIGITS = 32
ID = re.compile(rf"val_[A-Za-z0-9_]{{1,64}}_([0-9a-f]{{{URL_DIGITS}}})")


class OtherUrl(InvalidSignature):
    """Raised when a validation is genuine, but for another URL than the endpoint's own."""


@dataclass(frozen=True, slots=True)
class Proof:
    """That an endpoint knows `secret`; `v1` says that it speaks the v1 signature."""

    secret: Secret
    v1: bool


def challenge(secrets: Sequence[Secret], url: str, nonce: str, now_s: int) -> list[tuple[str, str]]:
    """Return the headers of the HEAD request that validates `url` at `now_s` (Unix s).

    `nonce` is made anew for each request, of `[A-Za-z0-9_]`. There is one proof for each secret,
    newest first: while one is being rotated, the endpoint may know either.

    Raises:
        ValueError: there is no secret, or the nonce isn't of this form.
    """
    if not secrets:
        raise ValueError("nothing can be proven without a secret")
    message_id = f"val_{nonce}_{_url_hash(url)}"
    if ID.fullmatch(message_id) is None:
        raise ValueError("a nonce is 1 to 64 letters, digits and underscores")
    content = _content(message_id, str(now_s))
    proofs = [_proof(secret, REQUEST, content).decode() for secret in secrets]
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", str(now_s)),
        (VALIDATION_HEADER, " ".join(proofs)),
    ]


def proven_by(
    secrets: Sequence[Secret],
    challenge_headers: Sequence[tuple[str, str]],
    answer_headers: Mapping[str, str],
    now_ms: int,
) -> Proof | None:
    """Return what the endpoint's answer to a `challenge` proves; None when it proves nothing.

    The names in `answer_headers` are lower-case; a header that was sent twice is joined by ", ",
    and proves nothing. Where both ways prove, v1 is taken: its secret is then the one that signs
    deliveries by v1. The answer's status is the caller's affair.
    """
    v1 = answer_headers.get(V1_HEADER, "")
    for secret in secrets:
        if proves_v1(secret, v1, b"", now_ms):
            return Proof(secret, v1=True)
    asked = dict(challenge_headers)
    content = _content(asked["webhook-id"], asked["webhook-timestamp"])
    try:
        received = _received(answer_headers)
    except InvalidSignature:
        return None
    for secret in secrets:
        expected = _proof(secret, ANSWER, content)
        if any(hmac.compare_digest(expected, entry) for entry in received):
            return Proof(secret, v1=False)
    return None


def answer_challenge(
    secrets: Sequence[Secret],
    headers: Mapping[str, str],
    now_s: float,
    url: str | Collection[str] | None = None,
) -> str:
    """Return the value of `x-lq-validation` that answers a HEAD request, for the endpoint's side.

    It's made with the secret that proved the request. `now_s` is Unix seconds. `url` is the
    endpoint's own URL, or several spellings of it; a query doesn't count. Without it anybody who
    is sent a genuine request can have this endpoint vouch for him, see above. Header names may be
    in any case.

    Raises:
        OtherUrl: the request is genuine, but for none of these URLs.
        InvalidSignature: naming another rule that the request breaks.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    message_id = lower.get("webhook-id", "")
    asked = ID.fullmatch(message_id)
    if asked is None:
        raise InvalidSignature("webhook-id is not the id of a validation")
    timestamp = fresh_timestamp(lower.get("webhook-timestamp", ""), now_s, MAX_AGE)
    content = _content(message_id, timestamp)
    secret = _asked_with(secrets, content, _received(lower))
    if url is not None and not _is_one_of(asked[1], [url] if isinstance(url, str) else url):
        raise OtherUrl("the validation is for another URL")
    return _proof(secret, ANSWER, content).decode()


def _asked_with(secrets: Sequence[Secret], content: bytes, received: Sequence[bytes]) -> Secret:
    """Return the secret with which a challenge was made."""
    for secret in secrets:
        expected = _proof(secret, REQUEST, content)
        if any(hmac.compare_digest(expected, entry) for entry in received):
            return secret
    raise InvalidSignature(f"no proof in {VALIDATION_HEADER} matches")


def _is_one_of(url_hash: str, urls: Collection[str]) -> bool:
    received = url_hash.encode()
    return any(hmac.compare_digest(_url_hash(url).encode(), received) for url in urls)


def _received(headers: Mapping[str, str]) -> list[bytes]:
    value = headers.get(VALIDATION_HEADER, "")
    if ", " in value:
        raise InvalidSignature(f"{VALIDATION_HEADER} was sent more than once")
    return entries(VALIDATION_HEADER, value)


def _proof(secret: Secret, side: bytes, content: bytes) -> bytes:
    return signature(hmac.digest(secret.key, side, "sha256"), content)


def _content(message_id: str, timestamp: str) -> bytes:
    return f"{message_id}.{timestamp}".encode()


def _url_hash(url: str) -> str:
    # A lone surrogate, which no target's URL has, must not be an error here.
    hashed = without_query(url).encode("utf-8", "surrogatepass")
    return hashlib.sha256(hashed).hexdigest()[:URL_DIGITS]
