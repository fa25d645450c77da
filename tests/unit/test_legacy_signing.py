from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lambdaqueue.legacy_signing import HEADER, TOLERANCE, proves_v1, sign_v1
from lambdaqueue.proofs import Proof, answer_challenge, challenge, proven_by
from lambdaqueue.signing import InvalidSignature, Secret, sign, verify
from tests.unit.test_forgery import flipped

TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = Secret.parse(TEXT)
OTHER = Secret(b"o" * 32)
TIME = 1_614_265_330_000
BODY = b'{"test": 2432232314}'
DIGEST = "69c8385712ec22edadde4a2e301e9bceefa5fc37ae91d72ce60d1951d31833fd"
KNOWN = f"v=1,t={TIME},s={DIGEST}"
EMPTY = f"v=1,t={TIME},s=9cac6c2c62ce568d4b5ca5df4f1cd53c9b544bc5418322fab3f4a5d1c4217780"


@pytest.mark.parametrize(("body", "value"), [(BODY, KNOWN), (b"", EMPTY)])
def test_the_known_answers(body: bytes, value: str) -> None:
    assert sign_v1(SECRET, body, TIME) == value
    assert proves_v1(SECRET, value, body, TIME)
    assert HEADER == "x-lq-signature"


@given(st.binary(min_size=24, max_size=64), st.binary(), st.integers(0, 10**15 - 1))
def test_as_an_endpoint_written_from_the_contract_does_it(
    key: bytes, body: bytes, time: int
) -> None:
    secret = Secret(key)
    keyed = hmac.new(secret.reveal().encode("utf-8"), body, hashlib.sha256)
    keyed.update(str(time).encode("ascii"))
    value = f"v=1,t={time},s={keyed.hexdigest()}"
    assert sign_v1(secret, body, time) == value
    assert proves_v1(secret, value, body, time)


@pytest.mark.parametrize(
    ("skew", "proves"),
    [
        (0, True),
        (119_999, True),
        (120_000, True),
        (120_001, False),
        (-120_000, True),
        (-120_001, False),
    ],
)
def test_the_time_may_be_off_by_two_minutes(skew: int, proves: bool) -> None:
    assert proves_v1(SECRET, KNOWN, BODY, TIME + skew) is proves


@pytest.mark.parametrize("length", range(len(KNOWN)))
def test_a_truncated_value(length: int) -> None:
    assert not proves_v1(SECRET, KNOWN[:length], BODY, TIME)
    assert not proves_v1(SECRET, KNOWN[length + 1 :], BODY, TIME)


def test_every_bit_counts() -> None:
    assert not any(proves_v1(SECRET, forgery, BODY, TIME) for forgery in flipped(KNOWN))


@pytest.mark.parametrize(
    "value",
    [
        "",
        KNOWN + "\n",
        KNOWN + ",",
        KNOWN + " ",
        " " + KNOWN,
        f"{KNOWN}, {KNOWN}",
        f"{KNOWN} {KNOWN}",
        KNOWN.replace(",", ", "),
        KNOWN.replace(DIGEST, DIGEST.upper()),
        KNOWN.replace(DIGEST, DIGEST[:-2]),
        KNOWN.replace(DIGEST, DIGEST + "00"),
        KNOWN.replace("v=1", "v=0"),
        KNOWN.replace("v=1", "v=1a"),
        KNOWN.replace("v=1,", ""),
        f"t={TIME},v=1,s={DIGEST}",
        f"v=1,t=+{TIME},s={DIGEST}",
        f"v=1,t=-{TIME},s={DIGEST}",
        f"v=1,t={TIME}.0,s={DIGEST}",
        f"v=1,t=1_614265330000,s={DIGEST}",
        f"v=1,t={'9' * 5_000},s={DIGEST}",
        f"v=1,t=nan,s={DIGEST}",
        f"v=1,t=\u0661{str(TIME)[1:]},s={DIGEST}",
        f"v=1,t={TIME},s=\u00e9{DIGEST[1:]}",
        f"v=1,t={TIME},s=\ud800{DIGEST[1:]}",
    ],
)
def test_values_of_another_form(value: str) -> None:
    assert not proves_v1(SECRET, value, BODY, TIME)


@pytest.mark.parametrize("body", [b"", BODY + b"\n", b"\xef\xbb\xbf" + BODY, BODY[:-1]])
def test_another_body(body: bytes) -> None:
    assert not proves_v1(SECRET, KNOWN, body, TIME)


def test_another_secret() -> None:
    assert not proves_v1(OTHER, KNOWN, BODY, TIME)


# The weakness, and why v1 is sent to those only who speak nothing better.
@pytest.mark.parametrize("count", [1, 2])
def test_digits_can_move_between_body_and_time(count: int) -> None:
    body = b'{"amount": 17'
    value = sign_v1(SECRET, body, TIME)
    moved = body[-count:].decode() + str(TIME)
    forged = value.replace(str(TIME), moved)
    # Nobody made this signature, yet it is right; it waits for its time only.
    assert proves_v1(SECRET, forged, body[:-count], int(moved))
    assert not proves_v1(SECRET, forged, body[:-count], TIME)


def test_digits_cannot_move_under_standard_webhooks() -> None:
    body, time = b'{"amount": 17', TIME // 1_000
    signature = sign([SECRET], "msg_1", time, body)
    moved = f"7{time}"
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": moved,
        "webhook-signature": signature,
    }
    with pytest.raises(InvalidSignature, match="no signature matches"):
        verify([SECRET], headers, body[:-1], int(moved))


# Zeros would move without even changing the time, so a time has none in front.
@pytest.mark.parametrize("zeros", [1, 2, 3])
def test_zeros_cannot_move(zeros: int) -> None:
    body = b"1000"
    forged = sign_v1(SECRET, body, TIME).replace("t=", "t=" + "0" * zeros)
    assert hmac.digest(TEXT.encode(), body + str(TIME).encode(), "sha256").hex() in forged
    assert not proves_v1(SECRET, forged, body[:-zeros], TIME)


def test_a_delivery_without_a_body_is_signed_like_a_proof() -> None:
    # So whoever sees one can prove with it for as long as it is fresh.
    assert proves_v1(SECRET, sign_v1(SECRET, b"", TIME), b"", TIME + TOLERANCE)


# As the proof in a validation's answer.
URL = "https://example.com/hook"


@pytest.mark.parametrize(
    ("value", "skew_ms", "v1"),
    [
        (EMPTY, 0, True),
        (EMPTY, 120_000, True),
        (EMPTY, -120_000, True),
        (EMPTY, 120_001, None),
        (EMPTY, -120_001, None),
        (EMPTY[:-1], 0, None),
        (f"{EMPTY}, {EMPTY}", 0, None),
        (sign_v1(SECRET, b"x", TIME), 0, None),
        (sign_v1(OTHER, b"", TIME), 0, None),
    ],
)
def test_a_v1_signature_over_nothing_proves(value: str, skew_ms: int, v1: bool | None) -> None:
    headers = challenge([SECRET], URL, "nonce", TIME // 1_000)
    proof = proven_by([SECRET], headers, {"x-lq-signature": value}, TIME + skew_ms)
    assert proof == (None if v1 is None else Proof(SECRET, v1))


def test_a_v1_proof_is_bound_to_neither_nonce_nor_url() -> None:
    # The weakness that the module's docstring tells.
    headers = challenge([SECRET], "https://evil.example/", "another", TIME // 1_000)
    assert proven_by([SECRET], headers, {"x-lq-signature": EMPTY}, TIME) is not None


def test_where_both_ways_prove_v1_is_taken_with_its_secret() -> None:
    headers = challenge([OTHER, SECRET], URL, "nonce", TIME // 1_000)
    answer = {
        "x-lq-validation": answer_challenge([OTHER], dict(headers), TIME / 1_000),
        "x-lq-signature": EMPTY,
    }
    assert proven_by([OTHER, SECRET], headers, answer, TIME) == Proof(SECRET, v1=True)
    answer["x-lq-signature"] += "0"
    assert proven_by([OTHER, SECRET], headers, answer, TIME) == Proof(OTHER, v1=False)


@given(st.data(), st.binary(max_size=40), st.integers(10**12, 10**14 - 1))
def test_other_changes_are_noticed(data: st.DataObject, body: bytes, time: int) -> None:
    value = sign_v1(SECRET, body, time)
    at = data.draw(st.integers(0, len(value) - 1))
    forged = value[:at] + data.draw(st.characters(codec="latin-1")) + value[at + 1 :]
    assume(forged != value)
    assert not proves_v1(SECRET, forged, body, time)


@given(st.text(), st.binary(), st.integers())
def test_nothing_is_raised(value: str, body: bytes, now: int) -> None:
    assert not proves_v1(SECRET, value, body, now)
