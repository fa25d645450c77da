"""Items after the push: batch, read, list, change, cancel, run."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api.conftest import TARGET, Api, codes, paths


def test_batch(api: Api) -> None:
    response = api.batch(
        {"payload": {"b": 1, "a": 2**60}, "target": TARGET, "key": "k"},
        {"payload": "hi", "contentType": "text/plain", "target": TARGET, "method": "PUT"},
        {"payload": "/wA=", "payloadEncoding": "base64", "target": TARGET},
        {"payload": "hi", "target": TARGET, "delay": 60_000, "priority": 9},
        {"payload": None, "target": TARGET},
        {
            "payload": "aGk=",
            "payloadEncoding": "base64",
            "contentType": "text/plain",
            "target": TARGET,
        },
    )
    assert response.status_code == 201
    assert response.json is not None
    shown = [
        (item.get("payload"), item["payloadType"], item["payloadEncoding"])
        for item in response.json["items"]
    ]
    assert shown == [
        ({"b": 1, "a": 2**60}, "application/json", "json"),
        ("hi", "text/plain", "text"),
        ("/wA=", "application/octet-stream", "base64"),
        ("hi", "application/json", "json"),
        (None, "application/json", "json"),
        ("hi", "text/plain", "text"),
    ]
    assert response.json["items"][0]["key"] == "k"
    assert response.json["items"][1]["target"]["method"] == "PUT"
    assert response.json["items"][3]["priority"] == 9


def test_batch_is_all_or_nothing(api: Api) -> None:
    """B109."""
    items: list[object] = [{"payload": n, "target": TARGET} for n in range(1_000)]
    items[617] = {"payload": 617, "target": TARGET, "delay": -1}
    response = api.batch(*items)
    assert response.status_code == 422
    assert paths(response) == [["items", 617, "delay"]]
    assert api("GET", "/queues").json == {"queues": []}
    assert api.batch(*items[:617]).status_code == 201


def test_batch_of_a_thousand(api: Api) -> None:
    response = api.batch(*({"payload": n, "target": TARGET} for n in range(1_000)))
    assert response.status_code == 201
    assert [item["payload"] for item in (response.json or {})["items"]] == list(range(1_000))


@pytest.mark.parametrize(
    "items", [[], None, {}, "x", [{"payload": 1}] * 1_001], ids=lambda each: str(each)[:20]
)
def test_batch_sizes(api: Api, items: object) -> None:
    response = api("POST", "/queues/mail/items/batch", json={"items": items})
    assert response.status_code == 422
    assert paths(response) == [["items"]]


@pytest.mark.parametrize(
    ("item", "path", "code"),
    [
        (5, [], "not_object"),
        ({"target": TARGET}, ["payload"], "required"),
        ({"payload": {}, "contentType": "text/plain"}, ["payload"], "not_text"),
        ({"payload": "a", "payloadEncoding": "base64"}, ["payload"], "not_base64"),
        ({"payload": "YQ", "payloadEncoding": "base64"}, ["payload"], "not_base64"),
        ({"payload": "YR==", "payloadEncoding": "base64"}, ["payload"], "not_base64"),
        ({"payload": "YQ==\n", "payloadEncoding": "base64"}, ["payload"], "not_base64"),
        ({"payload": "_w==", "payloadEncoding": "base64"}, ["payload"], "not_base64"),
        ({"payload": "\u00e9", "payloadEncoding": "base64"}, ["payload"], "not_base64"),
        ({"payload": 5, "payloadEncoding": "base64"}, ["payload"], "not_base64"),
        ({"payload": "x" * 262_143}, ["payload"], "too_large"),
        ({"payload": 1, "delay": 1, "on": "2026-01-01T00:00:00Z"}, ["on"], "delay_and_on"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_bad_batch_items(api: Api, item: object, path: list[str], code: str) -> None:
    response = api.batch({"payload": 1, "target": TARGET}, item)
    assert response.status_code == 422
    assert paths(response) == [["items", 1, *path]]
    assert codes(response) == [code]


def test_batch_key_twice(api: Api) -> None:
    one = {"payload": 1, "target": TARGET, "key": "k"}
    response = api.batch(one, {**one, "key": "other"}, one)
    assert response.status_code == 422
    assert paths(response) == [["items", 2, "key"]]


def test_one_and_true_are_told_apart(api: Api) -> None:
    """Equal in Python: the check of one must not stand for the other."""
    response = api.batch(
        {"payload": 1, "target": TARGET, "priority": 1},
        {"payload": 1, "target": TARGET, "priority": True},
        {"payload": 1, "target": TARGET, "priority": 1.0},
    )
    assert paths(response) == [["items", 1, "priority"], ["items", 2, "priority"]]


def test_list(api: Api) -> None:
    for number in range(5):
        api.push(payload=b"%d" % number, delay=str(60_000 + number))
    seen: list[int] = []
    cursor = ""
    while True:
        page = api("GET", f"/queues/mail/items?limit=2{cursor}").json
        assert page is not None
        seen += [item["payload"] for item in page["items"]]
        assert len(page["items"]) <= 2
        if "nextCursor" not in page:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == [0, 1, 2, 3, 4]
    assert len((api("GET", "/queues/mail/items?state=PENDING").json or {})["items"]) == 5
    assert (api("GET", "/queues/mail/items?state=RUNNING").json or {})["items"] == []


@pytest.mark.parametrize("path", ["/queues/mail/items", "/queues/mail/history", "/queues"])
@pytest.mark.parametrize(
    "query",
    [
        *(
            f"limit={value}"
            for value in ("-1", "0", "1000000000", "abc", "1001", "", "1.0", "%D9%A1")
        ),
        *(f"cursor={value}" for value in ("%2B", "-", "$", ">", "", "%00", "x" * 2_000, "%C3%A9")),
        "limit=1&limit=2",
    ],
)
def test_bad_pages(api: Api, path: str, query: str) -> None:
    """B93."""
    response = api("GET", f"{path}?{query}")
    assert response.status_code == 422
    assert paths(response) == [[query.partition("=")[0]]]


@pytest.mark.parametrize("state", ["COMPLETED", "pending", "", "x"])
def test_bad_states(api: Api, state: str) -> None:
    assert api("GET", f"/queues/mail/items?state={state}").status_code == 422


def test_change(api: Api) -> None:
    made = api.push(delay="60000", key="k").json
    assert made is not None
    changed = api(
        "PATCH",
        f"/items/{made['id']}",
        json={"payload": "text", "contentType": "text/plain", "delay": 90_000, "priority": 2},
    )
    assert changed.status_code == 200
    item = changed.json
    assert item is not None
    assert (item["id"], item["version"], item["key"]) == (made["id"], 2, "k")
    assert (item["payload"], item["payloadType"], item["priority"]) == ("text", "text/plain", 2)
    assert item["dueAt"] > made["dueAt"]
    again = api("PATCH", "/queues/mail/items/byKey/k", json={"method": "PUT"}).json
    assert again is not None
    assert (again["payload"], again["target"]["method"]) == ("text", "PUT")
    assert again["dueAt"] == item["dueAt"]


def test_changed_payload_is_json_unless_said_otherwise(api: Api) -> None:
    api.batch(
        {"payload": "a", "contentType": "text/plain", "target": TARGET, "key": "k", "delay": 60_000}
    )
    path = "/queues/mail/items/byKey/k"
    bytes_only = {"payload": "aGk=", "payloadEncoding": "base64"}
    assert (api("PATCH", path, json=bytes_only).json or {})["payloadType"] == "text/plain"
    changed = api("PATCH", path, json={"payload": {"a": 1}}).json
    assert changed is not None
    assert (changed["payload"], changed["payloadType"]) == ({"a": 1}, "application/json")


@pytest.mark.parametrize(
    "change",
    [
        {"key": "x"},
        {"ifExists": "keep"},
        {"delay": None},
        {"payloadEncoding": "base64"},
        {"delay": 1, "on": "2026-01-01T00:00:00Z"},
        {"retry": {"retries": 51}},
        {"target": "http://example.com/"},
    ],
    ids=str,
)
def test_bad_changes(api: Api, change: dict[str, object]) -> None:
    made = api.push(delay="60000").json
    assert made is not None
    assert api("PATCH", f"/items/{made['id']}", json=change).status_code == 422
    assert api("GET", f"/items/{made['id']}").json == made


def test_cancel(api: Api) -> None:
    made = api.push(delay="60000", key="a/b").json
    assert made is not None
    gone = api("DELETE", "/queues/mail/items/byKey/a/b")
    assert gone.status_code == 200
    assert (gone.json or {})["state"] == "CANCELLED"
    for method in ("DELETE", "PATCH"):
        assert api(method, f"/items/{made['id']}", json={}).status_code == 404
        assert api(method, "/queues/mail/items/byKey/a/b", json={}).status_code == 404
    for path in (f"/items/{made['id']}", "/queues/mail/items/byKey/a/b"):
        ended = api("GET", path).json
        assert ended is not None
        assert (ended["id"], ended["state"]) == (made["id"], "CANCELLED")
    assert api("POST", f"/items/{made['id']}/run").status_code == 409


@pytest.mark.parametrize("key", ["/lead", "a//b", "trail/", "../x", "a b", "?"])
def test_any_key_can_be_reached(api: Api, key: str) -> None:
    made = api.push(delay="60000", key=key).json
    assert made is not None
    path = f"/queues/mail/items/byKey/{quote(key, safe='')}"
    assert (api("GET", path).json or {})["id"] == made["id"]
    assert api("DELETE", path).status_code == 200


def test_history_keeps_the_url_of_its_time(api: Api) -> None:
    api("PATCH", "/queues/mail", json={"target": TARGET})
    made = api("POST", "/queues/mail/items", data=b"1", headers={"Content-Type": "text/plain"}).json
    assert made is not None
    api("DELETE", f"/items/{made['id']}")
    api("PATCH", "/queues/mail", json={"target": None})
    entry = api("GET", f"/items/{made['id']}").json
    assert entry is not None
    assert entry["target"] == {"url": TARGET, "method": "POST"}


def test_run_now(api: Api) -> None:
    made = api.push(delay="60000").json
    assert made is not None
    run = api("POST", f"/items/{made['id']}/run")
    assert run.status_code == 200
    assert (run.json or {})["dueAt"] < made["dueAt"]
    assert (run.json or {})["version"] == 1


@pytest.mark.parametrize(
    "item_id",
    ["x", "..%2f", "%00", "*", "x" * 10_000, "%ff", "a%2Fb", "%0d%0a", "01h0000000abcdefgh"],
)
def test_no_such_item(api: Api, item_id: str) -> None:
    """B94."""
    for method in ("GET", "DELETE"):
        assert api(method, f"/items/{item_id}").status_code == 404
    assert api("PATCH", f"/items/{item_id}", json={"priority": 1}).status_code == 404
    assert api("POST", f"/items/{item_id}/run").status_code in (404, 405)


@pytest.mark.parametrize("key", ["x", "%00", "x" * 10_000, "%ff", "*", "a/b"])
def test_no_such_key(api: Api, key: str) -> None:
    assert api("GET", f"/queues/mail/items/byKey/{key}").status_code == 404
    assert api("DELETE", f"/queues/mail/items/byKey/{key}").status_code == 404
