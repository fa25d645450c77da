"""Single pushes: options in headers, and rows B33 to B59 of the fault table."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.api.conftest import TARGET, Api, codes, paths

DAY = 86_400_000


def moment(**ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


def utf8(text: str) -> str:
    """Return header text as WSGI carries UTF-8."""
    return text.encode().decode("latin-1")


def test_created(api: Api) -> None:
    response = api.push(payload=b'{"n": 1.0}', event_type="order.created", priority="3")
    assert response.status_code == 201
    item = response.json
    assert item is not None
    assert item.pop("id").isalnum()
    due = item.pop("dueAt")
    assert item.pop("created") == due
    assert abs(datetime.fromisoformat(due).timestamp() - time.time()) < 5
    assert due.endswith("Z")
    assert item == {
        "queue": "mail",
        "target": {"url": TARGET, "method": "POST"},
        "type": "HTTP",
        "state": "PENDING",
        "version": 1,
        "attempt": 0,
        "maxAttempts": 6,
        "priority": 3,
        "payload": {"n": 1.0},
        "payloadType": "application/json",
        "payloadEncoding": "json",
    }
    assert b'{"n": 1.0}' in response.data  # the bytes themselves


@pytest.mark.parametrize(
    ("content_type", "payload", "shown", "encoding"),
    [
        ("application/json", b"[1]", [1], "json"),
        ("application/problem+json; charset=utf-8", b"[1]", [1], "json"),
        ("application/json", b"{", "{", "text"),
        ("application/json", b'{"a":1,"a":2}', '{"a":1,"a":2}', "text"),
        ("text/plain", b"[1]", "[1]", "text"),
        ("text/html", b"<b>\x00</b>", "<b>\0</b>", "text"),
        ("application/octet-stream", b"\xff\x00", "/wA=", "base64"),
        ("application/json", b"\xff", "/w==", "base64"),
    ],
)
def test_any_bytes(
    api: Api, content_type: str, payload: bytes, shown: object, encoding: str
) -> None:
    response = api(
        "POST",
        "/queues/mail/items",
        data=payload,
        headers={"Content-Type": content_type, "x-lq-target": TARGET},
    )
    assert response.status_code == 201
    assert response.json is not None
    found = {name: response.json[name] for name in ("payload", "payloadType", "payloadEncoding")}
    assert found == {"payload": shown, "payloadType": content_type, "payloadEncoding": encoding}
    assert api("GET", f"/items/{response.json['id']}").json == response.json


def test_empty_payload(api: Api) -> None:
    response = api.push(payload=b"", method="GET")
    assert response.status_code == 201
    assert response.json is not None
    assert "payload" not in response.json
    assert response.json["target"]["method"] == "GET"


def test_payload_limit(api: Api) -> None:
    """B21, and B108: the limit counts bytes."""
    limit = api.app.config["MAX_PAYLOAD"]
    exact = ('"' + "\U0001f600" * ((limit - 2) // 4)).encode()
    exact += b"x" * (limit - 1 - len(exact)) + b'"'
    assert len(exact) == limit
    assert api.push(payload=exact).status_code == 201
    response = api.push(payload=exact + b" ")
    assert response.status_code == 413
    assert response.json is not None
    assert response.json["type"] == "payload_too_large"


@pytest.mark.parametrize("content_type", [None, "", "json", "text/", "a/b\x7f", "text/\u00e9"])
def test_content_type_needed(api: Api, content_type: str | None) -> None:
    headers = {"x-lq-target": TARGET}
    if content_type is not None:
        headers["Content-Type"] = content_type
    assert api("POST", "/queues/mail/items", data=b"x", headers=headers).status_code == 415


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a" * 128,
        "A-b_c.d/e",
        "0",
        "a/b/c",
        "itemsx",
        "x.items",
        "Items",
        "a/itemsx/b",
    ],
)
def test_queue_names(api: Api, name: str) -> None:
    for spelt in {quote(name), quote(name, safe="")}:
        response = api.push(spelt)
        assert response.status_code == 201
        assert response.json is not None
        assert response.json["queue"] == name
    assert api("GET", f"/queues/{quote(name, safe='')}").json == api("GET", f"/queues/{name}").json


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 129,
        "a:b",
        "x:intermediate",
        "a,b",
        "{t}",
        "}{",
        "{}",
        "a b",
        "a\tb",
        "a\nb",
        "a\n",
        "*",
        "?",
        "[a]",
        "../x",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        ".",
        "..",
        "a..b",
        "\u00e9",
        "\uff41",
        "a\u200f",
        "a\u200b",
        "__class__",
        "_x",
        "-x",
        "/",
        "items",
        "history",
        "a/items",
        "pause/a",
        "a/secret/b",
    ],
)
def test_bad_queue_names(api: Api, name: str) -> None:
    response = api.push(quote(name, safe=""))
    assert response.status_code == 422
    assert paths(response) == [["queue"]]
    assert api("GET", "/queues").json == {"queues": []}


def test_percent_encoded_dots(api: Api) -> None:
    assert api.push("%2e%2e").status_code == 422


def test_case_matters(api: Api) -> None:
    """B42."""
    api.push("A")
    api.push("a")
    names = [queue["name"] for queue in (api("GET", "/queues").json or {})["queues"]]
    assert names == ["A", "a"]


@pytest.mark.parametrize(
    "key",
    ["k", "k" * 255, "a:b", "{}", "\U0001f600", "\u00e9" * 255, "a/b", "%41", "a b", "byKey/"],
)
def test_keys(api: Api, key: str) -> None:
    """B47."""
    first = api.push(key=utf8(key), delay="60000")
    assert first.status_code == 201
    assert (first.json or {})["key"] == key
    found = api("GET", f"/queues/mail/items/byKey/{quote(key, safe='')}")
    assert found.json == first.json
    again = api.push(key=utf8(key), delay="60000", payload=b"2")
    assert again.status_code == 200
    assert (again.json or {})["version"] == 2
    assert (again.json or {})["id"] == (first.json or {})["id"]


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", utf8("a\u0085b"), "a\x7fb", "a\x00b"])
def test_bad_keys(api: Api, key: str) -> None:
    response = api.push(key=key)
    assert response.status_code == 422
    assert paths(response) == [["x-lq-key"]]


def test_header_not_utf8(api: Api) -> None:
    response = api.push(key="\xff")
    assert response.status_code == 400
    assert (response.json or {})["type"] == "bad_header"


def test_key_is_per_queue(api: Api) -> None:
    """B48."""
    ids = {(api.push(queue, key="k").json or {})["id"] for queue in ("a", "b")}
    assert len(ids) == 2


def test_keep(api: Api) -> None:
    first = api.push(key="k", delay="60000").json
    kept = api.push(key="k", delay="1", if_exists="keep", payload=b"9")
    assert kept.status_code == 200
    assert kept.json == first


GOOD_HEADERS = [
    {"delay": "0"},
    {"delay": str(2**31)},
    {"delay": str(366 * DAY)},
    {"delay": "007"},
    {"on": "1970-01-01T00:00:00Z"},
    {"on": "2020-02-29T12:00:00+02:00"},
    {"timeout": "1000"},
    {"timeout": "900000"},
    {"max_age": "1"},
    {"priority": "9"},
    {"method": "DELETE"},
    {"retry": "{}"},
    {"retry": '{"type":"list","delays":[1,2]}'},
    {"retry": '{"retries":50}'},
    {"headers": '{"x-a":"b"}'},
    {"event_type": utf8("\u00e9" * 128)},
    {"if_exists": "replace"},
]


@pytest.mark.parametrize("headers", GOOD_HEADERS, ids=str)
def test_good_headers(api: Api, headers: dict[str, str]) -> None:
    assert api.push(options=headers).status_code == 201


BAD_HEADERS = [
    *(
        {"delay": value}
        for value in ("-1", str(2**63), "1e308", "abc", "5.5", "", "+5", utf8("\xb2"))
    ),
    {"delay": str(366 * DAY + 1)},
    {"delay": "5,6"},
    {"delay": "1" * 5_000},
    *(
        {"on": value}
        for value in (
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00",
            "2026-01-01",
            "10000-01-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "now",
            "",
        )
    ),
    *({"retry": json.dumps({"retries": value})} for value in (-1, 51, 10**9)),
    *({"retry": json.dumps({"type": "list", "delays": [1] * n})} for n in (0, 51, 10_000)),
    {"retry": "[]"},
    {"retry": "{"},
    {"retry": '{"retries":1,"retries":2}'},
    {"retry": '{"retries":NaN}'},
    {"retry": '{"foo":1}'},
    *({"timeout": value} for value in ("0", "-1", str(10**9), "999", "1000.0")),
    *({"priority": value} for value in ("10", "-1", "")),
    *({"max_age": value} for value in ("0", "-1")),
    {"method": "get"},
    {"if_exists": "no"},
    {"event_type": "e" * 129},
    {"headers": '{"Host":"x"}'},
    {"headers": '{"x-lq-id":"x"}'},
    {"headers": '{"a":" b"}'},
    {"headers": '"x"'},
    {"headers": json.dumps({f"h{i}": "x" for i in range(500)})},
    {"headers": json.dumps({"h": "x" * 64_000})},
    {"target": "http://10.0.0.1/"},
    {"target": ""},
    {"flow_key": "x" * 256},
    {"async": "999"},
    {"nonsense": "x"},
]


@pytest.mark.parametrize("headers", BAD_HEADERS, ids=lambda each: str(each)[:50])
def test_bad_headers(api: Api, headers: dict[str, str]) -> None:
    response = api.push(options=headers)
    assert response.status_code == 422
    (name,) = headers
    assert {path[0] for path in paths(response)} == {f"x-lq-{name.replace('_', '-')}"}
    assert api("GET", "/queues").json == {"queues": []}


def test_the_farthest_instant(api: Api) -> None:
    """B55."""
    assert api.push(on=moment(days=365)).status_code == 201
    assert paths(api.push(on=moment(days=367))) == [["x-lq-on"]]


def test_delay_and_on(api: Api) -> None:
    """B56."""
    response = api.push(delay="1", on=moment(days=1))
    assert response.status_code == 422
    assert codes(response) == ["delay_and_on"]


def test_the_past_is_now(api: Api) -> None:
    """B52."""
    response = api.push(on="1970-01-01T00:00:00Z")
    assert response.status_code == 201
    assert (response.json or {})["state"] == "PENDING"


def test_all_issues_at_once(api: Api) -> None:
    response = api.push(timeout="1", priority="x", retry='{"retries":99}')
    assert sorted(map(tuple, paths(response))) == [
        ("x-lq-priority",),
        ("x-lq-retry", "retries"),
        ("x-lq-timeout",),
    ]


def test_no_target(api: Api) -> None:
    response = api("POST", "/queues/mail/items", data=b"1", headers={"Content-Type": "text/plain"})
    assert response.status_code == 422
    assert paths(response) == [["x-lq-target"]]
    assert paths(api.batch({"payload": 1})) == [["items", 0, "target"]]
    assert paths(api.batch({"payload": 1, "target": TARGET}, {"payload": 2})) == [
        ["items", 1, "target"]
    ]
    api("PATCH", "/queues/mail", json={"target": TARGET})
    response = api("POST", "/queues/mail/items", data=b"1", headers={"Content-Type": "text/plain"})
    assert response.status_code == 201


def test_traceparent_is_kept_when_valid(api: Api) -> None:
    headers = {"Content-Type": "text/plain", "x-lq-target": TARGET}
    for value in ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "junk", "00-" + "0" * 32):
        response = api(
            "POST", "/queues/mail/items", data=b"1", headers={**headers, "traceparent": value}
        )
        assert response.status_code == 201


class TestIdempotency:
    def test_replayed(self, api: Api) -> None:
        def push(payload: bytes, **headers: str) -> tuple[int, str | None, object]:
            response = api(
                "POST",
                "/queues/mail/items",
                data=payload,
                headers={
                    "Content-Type": "text/plain",
                    "x-lq-target": TARGET,
                    "Idempotency-Key": "once",
                    **headers,
                },
            )
            replayed = response.headers.get("Idempotency-Replayed")
            return response.status_code, replayed, (response.json or {}).get("id")

        first = push(b"1")
        assert first[:2] == (201, None)
        assert push(b"1") == (201, "true", first[2])
        assert push(b"1", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")[0] == 201
        assert push(b"2")[0] == 422
        assert push(b"1", **{"x-lq-delay": "5"})[0] == 422
        assert push(b"1", **{"Content-Type": "text/html"})[0] == 422
        assert len((api("GET", "/queues/mail/items").json or {})["items"]) == 1

    @pytest.mark.parametrize("key", ["", "k" * 256, "\xe9", "a\tb"])
    def test_bad_keys(self, api: Api, key: str) -> None:
        response = api(
            "POST",
            "/queues/mail/items",
            data=b"1",
            headers={
                "Content-Type": "text/plain",
                "x-lq-target": TARGET,
                "Idempotency-Key": key,
            },
        )
        assert response.status_code == 422
        assert paths(response) == [["Idempotency-Key"]]

    def test_batch_and_run(self, api: Api) -> None:
        headers = {"Idempotency-Key": "b"}
        body = {"items": [{"payload": 1, "target": TARGET, "delay": 60_000}]}
        first = api("POST", "/queues/mail/items/batch", json=body, headers=headers)
        again = api("POST", "/queues/mail/items/batch", json=body, headers=headers)
        assert first.status_code == again.status_code == 201
        assert again.headers["Idempotency-Replayed"] == "true"
        ids = [[item["id"] for item in (each.json or {})["items"]] for each in (first, again)]
        assert ids[0] == ids[1]

        path, headers = f"/items/{ids[0][0]}/run", {"Idempotency-Key": "r"}
        assert api("POST", path, headers=headers).status_code == 200
        assert api("POST", path, headers=headers).headers["Idempotency-Replayed"] == "true"
