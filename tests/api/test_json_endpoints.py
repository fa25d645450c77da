"""Bad JSON and bad bodies at the endpoints that take JSON: rows B01 to B32."""

from __future__ import annotations

import json

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import TARGET, Api, codes, paths

BATCH = "/queues/mail/items/batch"

ENDPOINTS = [
    ("POST", BATCH),
    ("PATCH", "/items/01h0000000abcdefgh"),
    ("PATCH", "/queues/mail/items/byKey/k"),
    ("PUT", "/queues/mail"),
    ("PATCH", "/queues/mail"),
    ("POST", "/tokens"),
    ("PATCH", "/environment"),
    ("POST", "/secret/rotate"),
]


def send(api: Api, body: bytes, content_type: str = "application/json") -> TestResponse:
    return api("POST", BATCH, data=body, headers={"Content-Type": content_type})


def payload(text: bytes) -> bytes:
    return b'{"items":[{"target":"%b","payload":%b}]}' % (TARGET.encode(), text)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"hello", 400, "bad_json"),
        (b'{"a":1,"a":1}', 400, "duplicate_key"),
        (b'{"a":NaN}', 400, "bad_json"),
        (b"null", 422, "not_object"),
        (b"[]", 422, "not_object"),
        (b"true", 422, "not_object"),
        (b"[" * 500 + b"]" * 500, 422, "too_deep"),
        (b'{"nobody_knows_this":1}', 422, "unknown_field"),
        (b'{"__proto__":1}', 422, "unknown_field"),
    ],
)
def test_every_json_endpoint(
    api: Api, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    response = api(method, path, data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.json is not None
    if status == 400:
        assert response.json["type"] == code
    else:
        assert response.json["type"] == "VALIDATION_ERROR"
        assert code in codes(response)
    assert response.json["message"] == response.json["detail"]
    assert api("GET", "/queues").json == {"queues": []}


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (b"1e999", 422, "number_range"),
        (b"1" * 4_300, 422, "number_range"),
        (b"1" * 4_301, 400, "bad_json"),
        (rb'"\ud800"', 422, "bad_unicode"),
        (rb'{"\udfff":1}', 422, "bad_unicode"),
        (rb'{"a\u0000b":1}', 422, "bad_name"),
        (b'"\xff"', 400, "bad_json"),
        (b'"\x01"', 400, "bad_json"),
        (b"[" * 1_000 + b"]" * 1_000, 422, "too_deep"),
        (json.dumps({str(i): 0 for i in range(1_001)}).encode(), 422, "too_many_keys"),
    ],
)
def test_inside_a_payload(api: Api, text: bytes, status: int, code: str) -> None:
    response = send(api, payload(text))
    assert response.status_code == status
    assert response.json is not None
    assert code in ([response.json["type"]] if status == 400 else codes(response))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"9007199254740993", b"9007199254740993"),
        (b'{"b": 1, "a": [1.5, null]}', b'{"b":1,"a":[1.5,null]}'),
        (rb'"a\u0000b"', rb'"a\u0000b"'),
        (b'{"__proto__":{"x":1}}', b'{"__proto__":{"x":1}}'),
        ('"\u20ac"'.encode(), '"\u20ac"'.encode()),
        (b"null", b"null"),
    ],
)
def test_payload_kept(api: Api, text: bytes, kept: bytes) -> None:
    response = send(api, payload(text))
    assert response.status_code == 201
    assert b'"payload":' + kept + b"}" in response.data


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/vnd.api+json", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("json", 415),
        ("", 415),
    ],
)
def test_content_types(api: Api, content_type: str, status: int) -> None:
    """B25."""
    assert send(api, payload(b"1"), content_type).status_code == status


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity", "gzip, gzip"])
def test_content_encoding(api: Api, encoding: str) -> None:
    """B24."""
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    for path in (BATCH, "/queues/mail/items"):
        response = api("POST", path, data=b"\x1f\x8b", headers=headers)
        assert response.status_code == 415


def test_batch_too_large(api: Api) -> None:
    """B21."""
    response = send(api, b" " * (api.app.config["MAX_BATCH"] + 1))
    assert response.status_code == 413


WHOLE = ("delay", "timeout", "maxAge", "priority")


@pytest.mark.parametrize("field", WHOLE)
@pytest.mark.parametrize("value", [True, False, "5", "5000", 5.0, 5000.5, None, [5], {}, -1, 2**63])
def test_whole_numbers(api: Api, field: str, value: object) -> None:
    """B30 to B32."""
    response = api.batch({"payload": 1, "target": TARGET, field: value})
    assert response.status_code == 422
    assert paths(response) == [["items", 0, field]]


@pytest.mark.parametrize("retry", [True, "x", [], None, {"retries": 5.0}, {"retries": True}])
def test_retry_types(api: Api, retry: object) -> None:
    response = api.batch({"payload": 1, "target": TARGET, "retry": retry})
    assert response.status_code == 422
    assert paths(response)[0][:3] == ["items", 0, "retry"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("contentType", "json"),
        ("contentType", "text/plain\n"),
        ("contentType", "text/\u00e9"),
        ("contentType", "text/" + "x" * 300),
        ("contentType", 5),
        ("key", ""),
        ("key", "k" * 256),
        ("key", "a\x00b"),
        ("key", "a\rb"),
        ("key", "a\u0085b"),
        ("key", 5),
        ("ifExists", "Keep"),
        ("method", "get"),
        ("method", "TRACE"),
        ("eventType", "e" * 129),
        ("eventType", "a\nb"),
        ("target", "ftp://127.0.0.1/"),
        ("target", 5),
        ("headers", []),
        ("headers", {"Host": "x"}),
        ("headers", {"a": 5}),
        ("headers", {"a": "b\r\nc: d"}),
        ("headers", {"a": "\u00e9"}),
        ("headers", {f"h{i}": "x" for i in range(500)}),
        ("on", 5),
        ("on", "tomorrow"),
        ("payloadEncoding", "hex"),
        ("flowKey", ""),
        ("flowKey", "x" * 256),
        ("id", "mine"),
    ],
)
def test_batch_fields(api: Api, field: str, value: object) -> None:
    response = api.batch({"payload": "", "target": TARGET, field: value})
    assert response.status_code == 422
    assert paths(response)[0] == ["items", 0, field]
