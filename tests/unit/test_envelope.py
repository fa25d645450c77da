from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue import __version__
from lambdaqueue.claims import Claim
from lambdaqueue.envelope import MAX_HEADERS, MAX_HEADERS_BYTES, check_extra_headers, headers_for
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret, verify
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import SUCCESS

TIME = 1_614_265_330
SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
SPEC = Spec(payload=b'{"hello": "world"}', target="http://127.0.0.1:9000/")
CLAIM = Claim(
    id="a1",
    token="w.1.1",
    environment="default",
    queue="mail/out",
    version=3,
    attempt=4,
    failures=2,
    started_at=TIME * 1_000,
    first_due_at=TIME * 1_000 + 7,
    spec=SPEC,
    target=SPEC.target,
    policy=RetryPolicy(retries=5),
    timeout=30_000,
    success=SUCCESS,
    result_bytes=4_096,
)
NOT_TEXT: tuple[object, ...] = (1, None, True, ["a"], {}, 10**5_000)


def sent(secrets: tuple[Secret, ...] = (SECRET,), **changes: Any) -> dict[str, str]:
    headers = headers_for(replace(CLAIM, **changes), secrets, TIME * 1_000 + 789)
    assert len({name.lower() for name, _ in headers}) == len(headers)
    return dict(headers)


def test_the_headers_of_a_plain_item() -> None:
    headers = sent()
    verify([SECRET], headers, SPEC.payload, TIME)
    del headers["webhook-signature"]
    assert headers == {
        "Content-Type": "application/json",
        "User-Agent": f"LambdaQueue/{__version__}",
        # RFC 9530, appendix D: printf '{"hello": "world"}' | openssl dgst -sha256 -binary | base64
        "Content-Digest": "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        "webhook-id": "a1_3",
        "webhook-timestamp": "1614265330",
        "x-lq-id": "a1",
        "x-lq-queue": "mail/out",
        "x-lq-attempt": "4",
        "x-lq-max-attempts": "7",  # 1 + 5 retries + 1 that was lost (4 begun, 2 failed, this one)
        "x-lq-scheduled-for": "2021-02-25T15:02:10.007Z",
    }


def test_what_an_item_may_bring() -> None:
    spec = replace(
        SPEC,
        content_type="text/plain; charset=utf-8",
        event_type="user.created",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        headers={"Authorization": "Bearer x", "X-Tenant": "7"},
    )
    headers = sent(spec=spec, key="user:1")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["x-lq-key"] == "user:1"
    assert headers["x-lq-event-type"] == "user.created"
    assert headers["traceparent"] == spec.traceparent
    assert headers["Authorization"] == "Bearer x"
    assert headers["X-Tenant"] == "7"


def test_during_a_rotation_both_secrets_sign() -> None:
    other = Secret.generate()
    headers = sent((other, SECRET))
    assert headers["webhook-signature"].count("v1,") == 2
    verify([other], headers, SPEC.payload, TIME)
    verify([SECRET], headers, SPEC.payload, TIME)


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("plain", "plain"),
        ("a b/c?d#e+f", "a b/c?d#e+f"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("caf\u00e9 au lait", "caf%C3%A9 au lait"),
        ("\U0001f600", "%F0%9F%98%80"),
        ("a\r\nX: y", "a%0D%0AX: y"),
        ("\x7f\t", "%7F%09"),
        (" a b ", "%20a%20b%20"),
        (" ", "%20"),
        ("~!\"'", "~!\"'"),
    ],
)
def test_percent_encoding(value: str, header: str) -> None:
    headers = sent(key=value, spec=replace(SPEC, event_type=value))
    assert headers["x-lq-key"] == headers["x-lq-event-type"] == header


@given(st.text(min_size=1))
def test_a_receiver_can_get_any_key_back(key: str) -> None:
    header = sent(key=key)["x-lq-key"]
    assert header.isascii()
    assert header.isprintable()
    assert header == header.strip()
    assert unquote(header) == key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer a.b-c=="},
        {"X-Empty": "", "x!#$%&'*+-.^_`|~9": "~"},
        {"Accept": "*/*", "Cookie": "a=b; c=d", "Host-Name": "x", "Te-st": "x", "Proxy": "x"},
        {f"x-{n}": "v" for n in range(MAX_HEADERS)},
        {"x": "v" * (MAX_HEADERS_BYTES - 1)},
    ],
)
def test_extra_headers_that_are_accepted(headers: dict[str, str]) -> None:
    check_extra_headers(headers)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        *(
            ({name: "x"}, "reserved")
            for name in (
                "x-lq-id",
                "X-LQ-Anything",
                "webhook-id",
                "Webhook-Signature",
                "Content-Type",
                "content-length",
                "content-digest",
                "Content-Encoding",
                "User-Agent",
                "traceparent",
                "Host",
                "HOST",
                "Transfer-Encoding",
                "Connection",
                "Keep-Alive",
                "Upgrade",
                "TE",
                "Trailer",
                "Expect",
                "Accept-Encoding",
                "Proxy-Authorization",
                "proxy-connection",
            )
        ),
        *(
            ({name: "x"}, "invalid_name")
            for name in (
                "",
                " ",
                "a b",
                "a:",
                ":authority",
                "a\n",
                "a\r\nb",
                "\u00e9",
                "a\x00",
                "()",
            )
        ),
        *(
            ({"x-a": value}, "invalid_value")
            for value in (
                "a\r\nX: y",
                "a\nb",
                " a",
                "a ",
                "\ta",
                "a\tb",
                "\u00e9",
                "a\x00b",
                "\x7f",
            )
        ),
        *(({"x-a": value}, "invalid_value") for value in NOT_TEXT),
        ({"X-A": "1", "x-a": "2"}, "duplicate"),
        ({f"x-{n}": "v" for n in range(MAX_HEADERS + 1)}, "too_many"),
        ({f"x-{n}": "v" for n in range(500)}, "too_many"),
        ({"x": "v" * MAX_HEADERS_BYTES}, "too_long"),
        ({f"x-{n}": "v" * 1_310 for n in range(50)}, "too_long"),
    ],
)
def test_extra_headers_that_are_refused(headers: Mapping[str, object], code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_extra_headers(headers)
    assert [(i.path, i.code) for i in caught.value.issues] == [(("headers",), code)]


def test_every_broken_rule_is_told_on_one_line() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_extra_headers({"Host": "a\n", "b\r\n" + "c" * 500: "x", "\ud800": "\ud800"})
    codes = [i.code for i in caught.value.issues]
    assert codes == ["reserved", "invalid_value", "invalid_name", "invalid_name", "invalid_value"]
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_what_is_accepted_can_be_sent(headers: dict[str, str]) -> None:
    try:
        check_extra_headers(headers)
    except InvalidRequest:
        return
    for name, value in headers.items():
        assert f"{name}{value}".isascii()
        assert f"{name}{value}".isprintable()
        assert value == value.strip()
