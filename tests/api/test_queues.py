"""Queues and history."""

from __future__ import annotations

import dataclasses
import time

import pytest
import redis

from api import create_app
from lambdaqueue import keys
from lambdaqueue.config import Settings
from tests.api.conftest import TARGET, Api, codes, paths

DEFAULTS = {
    "successStatus": "200-299",
    "historyLimit": 10_000,
    "failedLimit": 10_000,
    "historyDays": 30,
    "resultBytes": 4_096,
    "validation": "required",
}


NOTHING = {"completed": 0, "failed": 0, "cancelled": 0, "byClass": {}}


def test_queue(api: Api) -> None:
    assert api("GET", "/queues/mail").status_code == 404
    api.push(delay="60000")
    assert api("GET", "/queues/mail").json == {
        "name": "mail",
        "paused": False,
        "waiting": 1,
        "running": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
        "ordered": False,
        "today": NOTHING,
        "lastHour": NOTHING,
        "endpoints": [],
        **DEFAULTS,
    }


def test_list(api: Api) -> None:
    for name in ("b", "a/x", "c"):
        api.push(name)
    first = api("GET", "/queues?limit=2").json
    assert first is not None
    assert [queue["name"] for queue in first["queues"]] == ["a/x", "b"]
    rest = api("GET", f"/queues/?limit=2&cursor={first['nextCursor']}").json
    assert rest is not None
    assert [queue["name"] for queue in rest["queues"]] == ["c"]
    assert "nextCursor" not in rest


def test_settings(api: Api) -> None:
    settings = {
        "target": TARGET,
        "retry": {"type": "constant", "delay": 500, "retries": 2},
        "timeout": 5_000,
        "successStatus": "200-399",
        "historyLimit": 5,
        "failedLimit": 0,
        "historyDays": 1,
        "resultBytes": 65_536,
    }
    made = api("PUT", "/queues/a/b", json=settings)
    assert made.status_code == 200
    assert made.json is not None
    policy = {"type": "constant", "delay": 500, "retries": 2, "jitter": 0.1}
    assert (settings | {"retry": policy}).items() <= made.json.items()
    changed = api("PATCH", "/queues/a%2Fb", json={"timeout": None, "historyLimit": 6}).json
    assert changed is not None
    assert "timeout" not in changed
    assert changed["historyLimit"] == 6
    assert changed["target"] == TARGET
    replaced = api("PUT", "/queues/a/b", json={}).json
    assert replaced is not None
    assert DEFAULTS.items() <= replaced.items()
    assert not {"target", "retry", "timeout"} & replaced.keys()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target", "http://10.1.1.1/"),
        ("target", 1),
        ("retry", []),
        ("retry", {"type": "never"}),
        ("timeout", 999),
        ("timeout", True),
        ("successStatus", "299-200"),
        ("successStatus", 200),
        ("historyLimit", -1),
        ("failedLimit", 10**9),
        ("historyDays", 0),
        ("historyDays", 31),
        ("resultBytes", 65_537),
        ("resultBytes", 5.0),
        ("concurrency", 0),
        ("concurrent", 5),
        ("paused", True),
        ("name", "x"),
    ],
)
def test_bad_settings(api: Api, field: str, value: object) -> None:
    for method in ("PUT", "PATCH"):
        response = api(method, "/queues/mail", json={field: value})
        assert response.status_code == 422
        assert paths(response)[0][0] == field


class TestValidation:
    @pytest.fixture
    def lenient(self, settings: Settings) -> Api:
        """An app whose operator allows targets that prove nothing."""
        return Api(create_app(dataclasses.replace(settings, allow_unvalidated=True)))

    def test_allowed(self, lenient: Api) -> None:
        made = lenient("PUT", "/queues/mail", json={"validation": "none"}).json or {}
        assert made["validation"] == "none"
        assert (lenient("GET", "/queues/mail").json or {})["validation"] == "none"
        kept = lenient("PATCH", "/queues/mail", json={"timeout": 5_000}).json or {}
        assert kept["validation"] == "none"
        for method, body in (("PATCH", {"validation": None}), ("PUT", {"timeout": 5_000})):
            lenient("PUT", "/queues/mail", json={"validation": "none"})
            back = lenient(method, "/queues/mail", json=body).json or {}
            assert back["validation"] == "required"

    def test_not_allowed(self, api: Api) -> None:
        for method in ("PUT", "PATCH"):
            response = api(method, "/queues/mail", json={"validation": "none"})
            assert response.status_code == 422
            assert (paths(response), codes(response)) == ([["validation"]], ["not_allowed_here"])
            assert "LQ_ALLOW_UNVALIDATED" in response.text
            assert api("GET", "/queues/mail").status_code == 404
        assert api("PUT", "/queues/mail", json={"validation": "required"}).status_code == 200

    @pytest.mark.parametrize("value", ["None", "", "off", True, 0, [], {}])
    def test_bad(self, lenient: Api, value: object) -> None:
        response = lenient("PUT", "/queues/mail", json={"validation": value})
        assert response.status_code == 422
        assert (paths(response), codes(response)) == ([["validation"]], ["not_a_choice"])


def test_last_error(api: Api, redis_url: str) -> None:
    api("PUT", "/queues/mail", json={})
    assert "lastError" not in (api("GET", "/queues/mail").json or {})
    with redis.Redis.from_url(redis_url) as client:
        stored = "1700000000250 unverified: the answer has no proof"
        client.hset(keys.queue(keys.DEFAULT_ENVIRONMENT, "mail"), "error", stored)
    shown = {"error": "unverified: the answer has no proof", "at": "2023-11-14T22:13:20.250Z"}
    assert (api("GET", "/queues/mail").json or {})["lastError"] == shown
    (listed,) = (api("GET", "/queues").json or {})["queues"]
    assert listed["lastError"] == shown


def test_pause_and_resume(api: Api) -> None:
    api.push()
    assert (api("POST", "/queues/mail/pause").json or {})["paused"] is True
    assert (api("GET", "/queues/mail").json or {})["paused"] is True
    assert (api("POST", "/queues/mail/resume").json or {})["paused"] is False


def test_drop(api: Api) -> None:
    made = api.push(delay="60000").json or {}
    assert api("DELETE", "/queues/mail").status_code == 409
    api("DELETE", f"/items/{made['id']}")
    assert api("DELETE", "/queues/mail").status_code == 204
    assert api("GET", "/queues/mail").status_code == 404
    assert api("DELETE", "/queues/mail").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/queues/{}"),
        ("PUT", "/queues/{}"),
        ("DELETE", "/queues/{}"),
        ("GET", "/queues/{}/items"),
        ("GET", "/queues/{}/history"),
        ("POST", "/queues/{}/pause"),
        ("GET", "/queues/{}/items/byKey/k"),
        ("POST", "/queues/{}/items/batch"),
    ],
)
def test_bad_names_everywhere(api: Api, method: str, path: str) -> None:
    response = api(method, path.format("a:b"), json={})
    assert response.status_code == 422
    assert paths(response) == [["queue"]]


def test_history(api: Api) -> None:
    begun = int(time.time() * 1_000)
    for number in range(3):
        api.push(payload=b"%d" % number, delay="60000", key=f"k{number}")
        api("DELETE", f"/queues/mail/items/byKey/k{number}")
    page = api("GET", "/queues/mail/history?limit=2").json
    assert page is not None
    assert [entry["key"] for entry in page["entries"]] == ["k2", "k1"]
    newest = page["entries"][0]
    assert newest["state"] == "CANCELLED"
    assert newest["payload"] == 2
    assert newest["attempts"] == []
    assert newest["entry"]
    assert newest["endedAt"].endswith("Z")
    rest = api("GET", f"/queues/mail/history?limit=2&cursor={page['nextCursor']}").json
    assert rest is not None
    assert [entry["key"] for entry in rest["entries"]] == ["k0"]
    for query, count in (
        ("state=CANCELLED", 3),
        ("state=COMPLETED", 0),
        ("key=k1", 1),
        (f"since={begun}", 3),
        (f"until={begun - 1_000}", 0),
        ("since=2020-01-01T00:00:00Z", 3),
        ("until=2020-01-01T00:00:00%2B01:00", 0),
    ):
        found = api("GET", f"/queues/mail/history?{query}").json
        assert found is not None
        assert len(found["entries"]) == count, query


@pytest.mark.parametrize(
    "query", ["state=PENDING", "state=x", "since=x", "until=2020-01-01", "key=", "since=-5"]
)
def test_bad_filters(api: Api, query: str) -> None:
    response = api("GET", f"/queues/mail/history?{query}")
    assert response.status_code == 422
    assert paths(response) == [[query.partition("=")[0]]]
