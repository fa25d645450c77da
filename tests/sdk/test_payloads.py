"""Payloads as bytes and content type, and the same in JSON."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue.media_types import is_json
from lambdaqueue.sdk.payloads import encoded, in_json

LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("payload", "kind", "body", "sent_as"),
    [
        ({"b": 1, "a": "é"}, None, '{"b":1,"a":"é"}'.encode(), "application/json"),
        ("text", None, b'"text"', "application/json"),
        (None, None, b"null", "application/json"),
        (10**30, None, b"1000000000000000000000000000000", "application/json"),
        ({"a": 1}, "application/cloudevents+json", b'{"a":1}', "application/cloudevents+json"),
        ("x", "application/json", b'"x"', "application/json"),
        ("é", "text/plain", "é".encode(), "text/plain; charset=utf-8"),
        ("é", "text/csv; charset=UTF-8", "é".encode(), "text/csv; charset=UTF-8"),
        ("<a/>", "application/xml", b"<a/>", "application/xml"),
        (b"\x00\xff", None, b"\x00\xff", "application/octet-stream"),
        (b"{", "application/json", b"{", "application/json"),
        (bytearray(b"ab"), "image/x", b"ab", "image/x"),
        (memoryview(b"ab"), None, b"ab", "application/octet-stream"),
        (b"", None, b"", "application/octet-stream"),
    ],
)
def test_bodies(payload: Any, kind: str | None, body: bytes, sent_as: str) -> None:
    assert encoded(payload, kind) == (body, sent_as)


@pytest.mark.parametrize(
    ("payload", "kind", "fields"),
    [
        ({"a": 1}, None, {"payload": {"a": 1}}),
        (None, None, {"payload": None}),
        ("x", None, {"payload": "x"}),
        ("é", "text/plain", {"payload": "é", "contentType": "text/plain; charset=utf-8"}),
        ({}, "application/a+json", {"payload": {}, "contentType": "application/a+json"}),
        (b"\x00\xff", None, {"payload": "AP8=", "payloadEncoding": "base64"}),
        (
            b"ab",
            "image/x",
            {"payload": "YWI=", "payloadEncoding": "base64", "contentType": "image/x"},
        ),
    ],
)
def test_fields(payload: Any, kind: str | None, fields: dict[str, Any]) -> None:
    assert in_json(payload, kind) == fields


@pytest.mark.parametrize(
    ("payload", "kind", "error"),
    [
        (float("nan"), None, ValueError),
        ({"a": [float("inf")]}, None, ValueError),
        ("\ud800", None, ValueError),
        (LOOP, None, ValueError),
        ({1, 2}, None, TypeError),
        (object(), None, TypeError),
        ({"a": 1}, "text/plain", TypeError),
        (7, "image/x", TypeError),
    ],
)
def test_what_can_not_be_sent(payload: Any, kind: str | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        encoded(payload, kind)
    with pytest.raises(error):
        in_json(payload, kind)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/jsonl", False),
        ("text/plain; a=+json", False),
    ],
)
def test_what_is_json(kind: str, told: bool) -> None:
    assert is_json(kind) is told
