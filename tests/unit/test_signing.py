"""Signing and verifying deliveries, and secrets. Forgeries have a file of their own."""

from __future__ import annotations

import base64
import time
import traceback
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from lambdaqueue.errors import ConfigurationError, LambdaQueueError
from lambdaqueue.signing import InvalidSignature, Secret, sign, verify

TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = Secret.parse(TEXT)
OTHER = Secret(b"o" * 32)
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIME = 1_614_265_330
BODY = b'{"test": 2432232314}'
KNOWN = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def signed(
    signature: str = KNOWN, message_id: str = ID, timestamp: str = str(TIME)
) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }


def test_the_known_answer() -> None:
    assert sign([SECRET], ID, TIME, BODY) == KNOWN
    verify([SECRET], signed(), BODY, TIME)


def test_a_rotation_signs_with_both_newest_first() -> None:
    both = sign([OTHER, SECRET], ID, TIME, BODY)
    assert both == f"{sign([OTHER], ID, TIME, BODY)} {KNOWN}"
    verify([SECRET], signed(both), BODY, TIME)
    verify([OTHER], signed(both), BODY, TIME)
    verify([OTHER, SECRET], signed(), BODY, TIME)


def test_nothing_is_signed_without_a_secret() -> None:
    with pytest.raises(ValueError, match="without a secret"):
        sign([], ID, TIME, BODY)


@given(st.binary(min_size=24, max_size=64), st.text())
def test_the_reference_library_accepts_ours(key: bytes, body: str) -> None:
    now = int(time.time())
    secret = Secret(key)
    headers = signed(sign([OTHER, secret], ID, now, body.encode()), timestamp=str(now))
    Webhook(secret.reveal()).verify(body, headers, json_parse=False)


def test_the_reference_library_rejects_what_is_not_ours() -> None:
    now = int(time.time())
    headers = signed(sign([OTHER], ID, now, BODY), timestamp=str(now))
    with pytest.raises(WebhookVerificationError):
        Webhook(TEXT).verify(BODY, headers)


@given(st.binary(min_size=24, max_size=64), st.text())
def test_we_accept_the_reference_library(key: bytes, body: str) -> None:
    secret = Secret(key)
    theirs = Webhook(secret.reveal()).sign(ID, datetime.fromtimestamp(TIME, UTC), body)
    verify([secret], signed(theirs), body.encode(), TIME)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(name: str) -> None:
    headers = signed()
    del headers[name]
    with pytest.raises(InvalidSignature, match=f"{name} is missing"):
        verify([SECRET], headers, BODY, TIME)


def test_header_names_in_any_case() -> None:
    verify([SECRET], {name.title(): value for name, value in signed().items()}, BODY, TIME)


def test_the_tolerance_can_be_set() -> None:
    verify([SECRET], signed(), BODY, TIME + 900, tolerance=900)
    with pytest.raises(InvalidSignature, match="too far"):
        verify([SECRET], signed(), BODY, TIME + 2, tolerance=1)


def test_bytes_that_are_no_text_are_signed_as_they_are() -> None:
    body = b"\xff\x00\xfe"
    verify([SECRET], signed(sign([SECRET], ID, TIME, body)), body, TIME)


@given(st.text(), st.text(), st.text(), st.floats())
def test_verify_raises_nothing_else(i: str, t: str, s: str, now: float) -> None:
    with pytest.raises(InvalidSignature):
        verify([SECRET], signed(s, i, t), BODY, now)


@st.composite
def _mutations(draw: st.DrawFn, value: str) -> str:
    """Change `value` at one place: a character more, less, another, or two in turn."""
    at = draw(st.integers(0, len(value)))
    new = draw(st.characters(codec="latin-1") | st.sampled_from("0123456789.,=+/_ vV"))
    return draw(
        st.sampled_from(
            [
                value[:at] + new + value[at:],
                value[:at] + value[at + 1 :],
                value[:at] + new + value[at + 1 :],
                value[:at] + value[at + 1 : at + 2] + value[at : at + 1] + value[at + 2 :],
                value[:at],
                value[at:],
            ]
        )
    )


@given(
    st.data(),
    st.binary(min_size=24, max_size=64),
    st.from_regex(r"[A-Za-z0-9_]{1,40}", fullmatch=True),
    st.integers(0, 10**11),
    st.binary(max_size=60),
)
def test_any_single_change_is_noticed(
    data: st.DataObject, key: bytes, message_id: str, time: int, body: bytes
) -> None:
    secret = Secret(key)
    genuine = [
        message_id,
        str(time),
        body.decode("latin-1"),
        sign([secret], message_id, time, body),
    ]
    changed = data.draw(st.integers(0, 3))
    forged = list(genuine)
    forged[changed] = data.draw(_mutations(genuine[changed]))
    # A list may hold empty entries beside the right one.
    assume([*forged[:3], forged[3].strip(" ")] != genuine)
    forged_id, forged_time, forged_body, signature = forged
    headers = signed(signature, forged_id, forged_time)
    with pytest.raises(InvalidSignature):
        verify([secret], headers, forged_body.encode("latin-1"), time)


def b64(count: int) -> str:
    return base64.b64encode(b"k" * count).decode()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "begins with whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        (" " + TEXT, "begins with whsec_"),
        (TEXT + "\n", "padded base64"),
        (TEXT + " ", "padded base64"),
        ("whsec_MfKQ9r8GKYqrTwjU PD8ILPZIo2LaLaSw", "padded base64"),
        ("whsec_MfKQ9r8GKYqrTwjU-_8ILPZIo2LaLaSw", "padded base64"),
        ("whsec_" + b64(25).rstrip("="), "padded base64"),
        ("whsec_" + b64(25)[:-3] + "x==", "unused bits"),
        ("whsec_\u00e9" + b64(24), "padded base64"),
        ("whsec_\ud800", "padded base64"),
        ("whsec_", "24 to 64 bytes"),
        ("whsec_" + b64(23), "24 to 64 bytes"),
        ("whsec_" + b64(65), "24 to 64 bytes"),
    ],
)
def test_secrets_that_are_refused(text: str, rule: str) -> None:
    with pytest.raises(ConfigurationError, match=rule) as caught:
        Secret.parse(text)
    told = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__cause__)
    assert len(text) < 8 or text.removeprefix("whsec_").strip() not in told
    assert isinstance(caught.value, LambdaQueueError)


@given(st.binary(min_size=24, max_size=64))
def test_text_and_secret_say_the_same(key: bytes) -> None:
    assert Secret.parse(Secret(key).reveal()).key == key


def test_a_secret_does_not_show_itself() -> None:
    shown = f"{SECRET} {SECRET!r} {[SECRET]} {SECRET!s}" + "%s" % SECRET  # noqa: UP031
    assert shown.count("Secret(…)") == 5
    assert "MfKQ" not in shown
    assert SECRET.reveal() == TEXT


def test_generated_secrets_are_good_and_differ() -> None:
    made = {Secret.generate().reveal() for _ in range(100)}
    assert len(made) == 100
    assert all(len(Secret.parse(text).key) == 32 for text in made)
