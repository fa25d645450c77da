"""Validation, both sides, against the words of the contract (faults B74 to B76)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.legacy_signing import sign_v1
from lambdaqueue.proofs import (
    MAX_AGE,
    OtherUrl,
    Proof,
    answer_challenge,
    challenge,
    proven_by,
)
from lambdaqueue.signing import InvalidSignature, Secret, sign, verify
from tests.unit.test_forgery import flipped

TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = Secret.parse(TEXT)
OTHER = Secret(b"o" * 32)
URL = "https://example.com/hooks/a%20b"
NONCE = "0323456789abcdef0323456789abcdef"
NOW = 1_614_265_330
NOW_MS = NOW * 1_000

Headers = list[tuple[str, str]]


def made(text: str, side: str, message_id: str, timestamp: object) -> str:
    """Make a proof as section 4 of the contract says it, with nothing of ours."""
    secret_bytes = base64.b64decode(text.removeprefix("whsec_"))
    label = b"lambdaqueue endpoint validation" + side.encode()
    key = hmac.new(secret_bytes, label, hashlib.sha256).digest()
    keyed = hmac.new(key, f"{message_id}.{timestamp}".encode(), hashlib.sha256)
    return "v1," + base64.b64encode(keyed.digest()).decode()


def asked(secrets: list[Secret] | None = None, **change: str) -> dict[str, str]:
    headers = dict(challenge(secrets or [SECRET], URL, NONCE, NOW))
    return headers | {name.replace("_", "-"): value for name, value in change.items()}


def answered(value: str, challenged: Headers | None = None) -> Proof | None:
    """Tell what an `x-lq-validation` in the answer proves."""
    headers = challenged or challenge([SECRET], URL, NONCE, NOW)
    return proven_by([SECRET], headers, {"x-lq-validation": value}, NOW_MS)


def refused(headers: dict[str, str], now: float = NOW) -> str:
    with pytest.raises(InvalidSignature) as caught:
        answer_challenge([SECRET], headers, now)
    return str(caught.value)


ANSWER = answer_challenge([SECRET], asked(), NOW)
REQUEST = asked()["x-lq-validation"]
ID = asked()["webhook-id"]


@given(st.binary(min_size=24, max_size=64), st.integers(0, 10**11), st.text(max_size=20))
def test_as_an_implementation_from_the_contract_does_it(key: bytes, now: int, path: str) -> None:
    secret = Secret(key)
    url = f"https://example.com/{path.partition('?')[0]}"
    url_hash = hashlib.sha256(url.encode()).hexdigest()[:32]
    message_id = f"val_{NONCE}_{url_hash}"
    headers = challenge([secret], f"{url}?query=1", NONCE, now)
    assert headers == [
        ("webhook-id", message_id),
        ("webhook-timestamp", str(now)),
        ("x-lq-validation", made(secret.reveal(), " request", message_id, now)),
    ]
    answer = made(secret.reveal(), "", message_id, now)
    assert answer_challenge([secret], dict(headers), now, url) == answer
    proof = proven_by([secret], headers, {"x-lq-validation": answer}, now * 1_000)
    assert proof == Proof(secret, v1=False)


def test_nothing_is_asked_without_a_secret_or_with_a_strange_nonce() -> None:
    with pytest.raises(ValueError, match="without a secret"):
        challenge([], URL, NONCE, NOW)
    for nonce in ("", "a.b", "a b", "é", "x" * 65):
        with pytest.raises(ValueError, match="nonce"):
            challenge([SECRET], URL, nonce, NOW)


def test_a_proof_does_not_show_its_secret() -> None:
    assert repr(Proof(SECRET, v1=True)) == "Proof(secret=Secret(…), v1=True)"


# While rotating, LambdaQueue knows [new, old]; the endpoint one of them, or both.
@pytest.mark.parametrize(
    ("theirs", "proven"),
    [([OTHER], OTHER), ([SECRET], SECRET), ([OTHER, SECRET], OTHER), ([SECRET, OTHER], SECRET)],
)
def test_while_rotating_either_secret_proves(theirs: list[Secret], proven: Secret) -> None:
    ours = [OTHER, SECRET]
    headers = challenge(ours, URL, NONCE, NOW)
    newest, oldest = dict(headers)["x-lq-validation"].split(" ")
    assert oldest == REQUEST
    assert newest == made(OTHER.reveal(), " request", ID, NOW)
    answer = answer_challenge(theirs, dict(headers), NOW, URL)
    assert proven_by(ours, headers, {"x-lq-validation": answer}, NOW_MS) == Proof(proven, v1=False)


def test_the_endpoint_answers_with_the_secret_it_was_asked_with() -> None:
    # It may know the new secret before LambdaQueue asks with it.
    assert answer_challenge([OTHER, SECRET], asked(), NOW) == ANSWER


# The endpoint's side.
@pytest.mark.parametrize("skew", [0, 299, MAX_AGE, -299, -MAX_AGE])
def test_a_request_is_answered_for_five_minutes(skew: int) -> None:
    # Repeated within this time it gets the same answer, of use for this request only.
    assert answer_challenge([SECRET], asked(), NOW + skew) == ANSWER


@pytest.mark.parametrize("skew", [300.5, 301, -301, float("nan"), float("inf")])
def test_and_no_longer(skew: float) -> None:
    assert "too far" in refused(asked(), NOW + skew)


HASH = ID[-32:]


WRONG_IDS = ["", "msg_1", ID + "\n", " " + ID, f"{ID}, {ID}", ID.replace("val", "VAL")]
WRONG_NONCES = ["", "a.b", "a b", "x" * 65, "é", "\ud800"]
WRONG_HASHES = [HASH[:-1], HASH + "0", HASH[:-1] + "g", HASH.upper(), "\u0661" + HASH[1:], ""]
WRONG_IDS += [f"val_{nonce}_{HASH}" for nonce in WRONG_NONCES]
WRONG_IDS += [f"val_{NONCE}_{url_hash}" for url_hash in WRONG_HASHES]


@pytest.mark.parametrize("message_id", WRONG_IDS)
def test_ids_that_are_not_answered(message_id: str) -> None:
    # Even when somebody with the secret made the proof.
    content = message_id.encode("utf-8", "surrogatepass") + f".{NOW}".encode()
    key = hmac.digest(SECRET.key, b"lambdaqueue endpoint validation request", "sha256")
    proof = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    headers = asked(webhook_id=message_id, x_lq_validation=f"v1,{proof}")
    assert refused(headers) == "webhook-id is not the id of a validation"


@pytest.mark.parametrize(
    "timestamp", ["", "now", "1e9", f"{NOW}.0", f" {NOW}", f"+{NOW}", "\u0661"]
)
def test_times_that_are_not_answered(timestamp: str) -> None:
    assert "not whole seconds" in refused(asked(webhook_timestamp=timestamp))


def wrong(right: str, side: str, of_the_other_side: str) -> dict[str, str]:
    """Return values that are no proof of this side, by what is wrong with them."""
    assert {"+", "/"} & set(right)  # else its URL-safe spelling is the same
    digest = base64.b64decode(right[3:])
    return {
        "none": "",
        "no base64": "v1,",
        "another version": "v0" + right[2:],
        "v1a": "v1a" + right[2:],
        "truncated": right[:-1],
        "unpadded": right.rstrip("="),
        "trailing comma": right + ",",
        "hex": "v1," + digest.hex(),
        "url-safe": "v1," + base64.urlsafe_b64encode(digest).decode(),
        "not ASCII": "é" + right,
        "surrogate": "\ud800",
        "sent twice": f"{right}, {right}",
        "sixth of six": " ".join([*["v1,x"] * 5, right]),
        "a thousand": " ".join([right] * 1_000),
        "the other side's": of_the_other_side,
        "another id's": made(TEXT, side, ID.replace("val_0", "val_1"), NOW),
        "another time's": made(TEXT, side, ID, NOW + 1),
        "another secret's": made(OTHER.reveal(), side, ID, NOW),
        "a delivery's": sign([SECRET], ID, NOW, b""),
        "a v1 signature": sign_v1(SECRET, b"", NOW_MS),
    }


WRONG_REQUESTS = wrong(REQUEST, " request", ANSWER)
WRONG_ANSWERS = wrong(ANSWER, "", REQUEST)


@pytest.mark.parametrize("what", WRONG_REQUESTS)
def test_requests_without_a_right_proof_are_not_answered(what: str) -> None:
    assert "x-lq-validation" in refused(asked(x_lq_validation=WRONG_REQUESTS[what]))


def test_each_header_is_needed() -> None:
    for name in asked():
        headers = asked()
        del headers[name]
        assert name in refused(headers)


def test_header_names_in_any_case_and_entries_in_any_place() -> None:
    headers = {name.title(): value for name, value in asked().items()}
    assert answer_challenge([SECRET], headers, NOW) == ANSWER
    for value in (f"v1,x {REQUEST}", f"{REQUEST} junk", f"a b c d {REQUEST}"):
        assert answer_challenge([SECRET], asked(x_lq_validation=value), NOW) == ANSWER


def test_an_endpoint_without_the_secret_answers_nobody() -> None:
    for secrets in ([], [OTHER]):
        with pytest.raises(InvalidSignature, match="no proof"):
            answer_challenge(secrets, asked(), NOW)


@pytest.mark.parametrize(
    ("own", "answers"),
    [
        (None, True),
        (URL, True),
        (f"{URL}?any=query", True),
        ([URL], True),
        (["http://localhost/", URL], True),
        ({"http://localhost/", f"{URL}?x"}, True),
        ([], False),
        ("", False),
        (f"{URL}/", False),
        (URL.upper(), False),
        (URL.replace("%20", " "), False),
        (URL.replace("https", "http"), False),
        ("https://other.example/hooks/a%20b", False),
        ("https://exämple.com/\ud800", False),
        (list(URL), False),
    ],
)
def test_an_endpoint_that_knows_its_url_vouches_for_no_other(
    own: str | list[str] | set[str] | None, answers: bool
) -> None:
    if answers:
        assert answer_challenge([SECRET], asked(), NOW, own) == ANSWER
    else:
        with pytest.raises(OtherUrl):
            answer_challenge([SECRET], asked(), NOW, own)


# LambdaQueue's side.
@pytest.mark.parametrize("what", WRONG_ANSWERS)
def test_answers_that_prove_nothing(what: str) -> None:
    assert answered(WRONG_ANSWERS[what]) is None


def test_an_answer_without_either_header_proves_nothing() -> None:
    headers = challenge([SECRET], URL, NONCE, NOW)
    assert proven_by([SECRET], headers, {"content-length": "0"}, NOW_MS) is None
    assert proven_by([], headers, {"x-lq-validation": ANSWER}, NOW_MS) is None


@pytest.mark.parametrize(
    "value", [ANSWER, f"junk {ANSWER}", f"{ANSWER} junk", f"a b c d {ANSWER}", f"{ANSWER} {ANSWER}"]
)
def test_the_right_answer_may_stand_beside_others(value: str) -> None:
    assert answered(value) == Proof(SECRET, v1=False)


def test_every_bit_of_both_proofs_counts() -> None:
    for forgery in flipped(ANSWER):
        assert answered(forgery) is None
    for forgery in flipped(REQUEST):
        refused(asked(x_lq_validation=forgery))


@pytest.mark.parametrize(
    "again",
    [
        lambda: challenge([SECRET], URL, NONCE[::-1], NOW),
        lambda: challenge([SECRET], URL, NONCE, NOW + 1),
        lambda: challenge([SECRET], f"{URL}/other", NONCE, NOW),
        lambda: challenge([OTHER], URL, NONCE, NOW),
    ],
)
def test_an_answer_is_of_use_for_one_challenge_only(again: Callable[[], Headers]) -> None:
    headers = again()
    secrets = [OTHER] if headers[:2] == challenge([SECRET], URL, NONCE, NOW)[:2] else [SECRET]
    assert proven_by(secrets, headers, {"x-lq-validation": ANSWER}, NOW_MS) is None


def test_a_delivery_is_no_proof_and_a_proof_no_delivery() -> None:
    for proof in (REQUEST, ANSWER):
        headers = {"webhook-id": ID, "webhook-timestamp": str(NOW), "webhook-signature": proof}
        for body in (b"", f"{ID}.{NOW}".encode()):
            with pytest.raises(InvalidSignature):
                verify([SECRET], headers, body, NOW)


@given(st.text(), st.text(), st.text(), st.floats())
def test_no_answer_and_no_other_error(i: str, t: str, proof: str, now: float) -> None:
    headers = {"webhook-id": i, "webhook-timestamp": t, "x-lq-validation": proof}
    with pytest.raises(InvalidSignature):
        answer_challenge([SECRET], headers, now)
    assert answered(proof) is None
