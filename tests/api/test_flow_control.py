"""What a queue's owner may set about limits, what follows an end, flow keys, and purging."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from lambdaqueue.administration import Administration
from lambdaqueue.attempts import Kind
from lambdaqueue.identity import Scope
from lambdaqueue.instants import parse_instant
from tests.api.conftest import TARGET, Api, Tenant, codes, paths, token_for
from tests.api.service_calls import Crew

DAY = 86_400_000
RATE = {"limit": 5, "period": 1_000}
FOLLOW = {"queue": "after", "target": TARGET}


def queue_of(api: Api, name: str = "mail") -> dict[str, Any]:
    found = api("GET", f"/queues/{name}").json
    assert found is not None
    return dict(found)


def fail(api: Api, crew: Crew, kind: Kind, **more: Any) -> None:
    """Push an item, and let its attempt end."""
    head = {"Content-Type": "text/plain", "x-lq-target": TARGET}
    assert api("POST", "/queues/mail/items", data=b"1", headers=head).status_code == 201
    crew.take()
    assert crew.answer(kind, **more)


class TestSettings:
    @pytest.mark.parametrize(
        ("field", "value", "shown"),
        [
            ("concurrency", 1, 1),
            ("concurrency", 100_000, 100_000),
            ("rate", RATE, RATE),
            ("rate", {**RATE, "burst": 3}, {**RATE, "burst": 3}),
            ("flow", {"concurrency": 2}, {"concurrency": 2}),
            ("flow", {"rate": RATE, "ordered": False}, {"rate": RATE}),
            ("flow", {"ordered": True}, {"ordered": True}),
            ("flow", {}, {}),
            ("ordered", True, True),
            ("breaker", {"ratio": 0.5, "window": 60_000}, {"ratio": 0.5, "window": 60_000}),
            ("breaker", {"ratio": 1, "window": 1_000}, {"ratio": 1, "window": 1_000}),
            ("onSuccess", FOLLOW, {**FOLLOW, "format": "json"}),
            ("onFailure", {**FOLLOW, "format": "slack"}, {**FOLLOW, "format": "slack"}),
        ],
    )
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_what_is_set_is_shown(
        self, api: Api, method: str, field: str, value: Any, shown: Any
    ) -> None:
        answer = api(method, "/queues/mail", json={field: value})
        assert answer.status_code == 200
        assert answer.json is not None
        assert answer.json[field] == shown
        assert queue_of(api)[field] == shown

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("concurrency", 5),
            ("rate", RATE),
            ("flow", {"concurrency": 1}),
            ("ordered", True),
            ("breaker", {"ratio": 0.5, "window": 60_000}),
            ("onSuccess", FOLLOW),
            ("onFailure", FOLLOW),
        ],
    )
    def test_null_takes_it_away(self, api: Api, field: str, value: Any) -> None:
        api("PUT", "/queues/mail", json={})
        default = queue_of(api)
        api("PATCH", "/queues/mail", json={field: value, "timeout": 5_000})
        api("PATCH", "/queues/mail", json={"historyDays": 5})
        assert field in queue_of(api)
        api("PATCH", "/queues/mail", json={field: None})
        assert queue_of(api) == {**default, "timeout": 5_000, "historyDays": 5}
        api("PATCH", "/queues/mail", json={field: value})
        api("PUT", "/queues/mail", json={})
        assert queue_of(api) == default

    def test_the_defaults(self, api: Api) -> None:
        shown = api("PUT", "/queues/mail", json={}).json
        assert shown is not None
        assert shown["ordered"] is False
        absent = {"concurrency", "rate", "flow", "breaker", "breakerState", "restsUntil",
                  "onSuccess", "onFailure"}  # fmt: skip
        assert not absent & shown.keys()

    @pytest.mark.parametrize(
        ("field", "value", "path", "code"),
        [
            ("concurrency", 0, [], "out_of_range"),
            ("concurrency", 100_001, [], "out_of_range"),
            ("concurrency", True, [], "not_integer"),
            ("concurrency", "5", [], "not_integer"),
            ("concurrency", 5.0, [], "not_integer"),
            ("rate", 5, [], "not_object"),
            ("rate", [], [], "not_object"),
            ("rate", {"limit": 5}, ["period"], "required"),
            ("rate", {**RATE, "limit": 0}, ["limit"], "out_of_range"),
            ("rate", {**RATE, "limit": True}, ["limit"], "not_integer"),
            ("rate", {**RATE, "period": DAY + 1}, ["period"], "out_of_range"),
            ("rate", {**RATE, "burst": None}, ["burst"], "not_integer"),
            ("rate", {**RATE, "brust": 1}, ["brust"], "unknown_field"),
            ("flow", {"concurrency": 0}, ["concurrency"], "out_of_range"),
            ("flow", {"rate": {"limit": 1}}, ["rate", "period"], "required"),
            ("flow", {"rate": None}, ["rate"], "not_object"),
            ("flow", {"ordered": 1}, ["ordered"], "not_boolean"),
            ("flow", {"priority": 1}, ["priority"], "unknown_field"),
            ("flow", True, [], "not_object"),
            ("ordered", 1, [], "not_boolean"),
            ("ordered", "true", [], "not_boolean"),
            ("breaker", {}, ["ratio"], "required"),
            ("breaker", {"ratio": 2, "window": 1_000}, ["ratio"], "out_of_range"),
            ("breaker", {"ratio": True, "window": 1_000}, ["ratio"], "out_of_range"),
            ("breaker", {"ratio": 1, "window": 0.5}, ["window"], "not_integer"),
            ("breaker", {"ratio": 1, "window": 1_000, "x": 1}, ["x"], "unknown_field"),
            ("onSuccess", "after", [], "not_object"),
            ("onSuccess", {"queue": "after"}, ["target"], "required"),
            ("onSuccess", {"target": TARGET}, ["queue"], "required"),
            ("onFailure", {**FOLLOW, "queue": "a:b"}, ["queue"], "bad_queue_name"),
            ("onFailure", {**FOLLOW, "target": "http://10.0.0.1/"}, ["target"], None),
            ("onFailure", {**FOLLOW, "target": None}, ["target"], "null"),
            ("onFailure", {**FOLLOW, "format": "xml"}, ["format"], "not_a_choice"),
            ("onFailure", {**FOLLOW, "key": "k"}, ["key"], "unknown_field"),
        ],
    )
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_broken_rules(
        self, api: Api, method: str, field: str, value: Any, path: list[str], code: str | None
    ) -> None:
        answer = api(method, "/queues/mail", json={field: value})
        assert answer.status_code == 422
        assert [field, *path] in paths(answer)
        if code is not None:
            assert code in codes(answer)
        assert api("GET", "/queues/mail").status_code == 404, "nothing is stored"

    def test_all_rules_are_told_at_once(self, api: Api) -> None:
        answer = api(
            "PUT",
            "/queues/mail",
            json={"rate": {"limit": 0}, "flow": {"x": 1}, "breaker": {"ratio": 0}, "ordered": 0},
        )
        assert sorted(map(str, paths(answer))) == sorted(
            map(
                str,
                [["rate", "period"], ["rate", "limit"], ["flow", "x"], ["breaker", "ratio"],
                 ["breaker", "window"], ["ordered"]],
            )
        )  # fmt: skip


class TestWhatAQueueShows:
    def test_its_breaker(self, api: Api, redis_url: str) -> None:
        api("PUT", "/queues/mail", json={"breaker": {"ratio": 0.5, "window": 60_000}})
        assert queue_of(api)["breakerState"] == "closed"
        assert queue_of(api)["endpoints"] == []
        with redis.Redis.from_url(redis_url) as client:
            for _ in range(10):
                fail(api, Crew(client), Kind.FAILED, error="http_500: no")
        shown = queue_of(api)
        assert shown["breakerState"] == "open"
        (endpoint,) = shown["endpoints"]
        until = parse_instant(endpoint.pop("restsUntil"))
        assert 0 < until - time.time() * 1_000 <= 10_000
        assert endpoint == {"url": TARGET, "state": "open", "opened": 1, "aside": 0}
        listed = api("GET", "/queues").json
        assert listed is not None
        assert listed["queues"][0]["breakerState"] == "open"

    def test_that_its_endpoint_wants_to_be_left_alone(self, api: Api, redis_url: str) -> None:
        with redis.Redis.from_url(redis_url) as client:
            fail(api, Crew(client), Kind.RETRY, delay=90_000, error="http_429: no", asked=90_000)
        (endpoint,) = queue_of(api)["endpoints"]
        until = parse_instant(endpoint.pop("restsUntil"))
        assert 50_000 < until - time.time() * 1_000 <= 60_000
        assert endpoint == {"url": TARGET, "state": "resting", "opened": 0, "aside": 0}
        assert "breakerState" not in queue_of(api)


class TestFlowKey:
    @pytest.mark.parametrize("key", ["a", "k" * 255, "é\U0001f600", "a:b {c}*", " "])
    def test_in_a_batch_and_a_change(self, api: Api, key: str) -> None:
        (item,) = (api.batch({"payload": 1, "target": TARGET, "flowKey": key}).json or {})["items"]
        assert item["flowKey"] == key
        assert (api("GET", f"/items/{item['id']}").json or {})["flowKey"] == key
        changed = api("PATCH", f"/items/{item['id']}", json={"payload": 2}).json or {}
        assert (changed["flowKey"], changed["payload"]) == (key, 2)
        changed = api("PATCH", f"/items/{item['id']}", json={"flowKey": "other"}).json or {}
        assert changed["flowKey"] == "other"

    def test_in_a_header(self, api: Api) -> None:
        answer = api.push(flow_key="customer 7").json or {}
        assert answer["flowKey"] == "customer 7"
        assert "flowKey" not in (api.push().json or {})

    def test_a_push_with_the_same_key_replaces_it(self, api: Api) -> None:
        first = api.push(key="k", delay="60000", flow_key="a").json or {}
        second = api.push(key="k", delay="60000", flow_key="b").json or {}
        assert (second["id"], second["version"], second["flowKey"]) == (first["id"], 2, "b")
        third = api.push(key="k", delay="60000").json or {}
        assert "flowKey" not in third

    @pytest.mark.parametrize(
        ("key", "code"),
        [
            ("", "bad_length"),
            ("k" * 256, "bad_length"),
            ("a\u0000b", "control_character"),
            ("a\nb", "control_character"),
            (5, "not_text"),
            (None, "null"),
            (["a"], "not_text"),
        ],
    )
    def test_broken_rules(self, api: Api, key: Any, code: str) -> None:
        answer = api.batch(
            {"payload": 1, "target": TARGET}, {"payload": 1, "target": TARGET, "flowKey": key}
        )
        assert answer.status_code == 422
        assert (paths(answer), codes(answer)) == ([["items", 1, "flowKey"]], [code])
        item = api.push(delay="60000").json or {}
        answer = api("PATCH", f"/items/{item['id']}", json={"flowKey": key})
        assert (answer.status_code, paths(answer)) == (422, [["flowKey"]])
        assert len((api("GET", "/queues/mail/items").json or {})["items"]) == 1

    def test_a_header_that_is_too_long(self, api: Api) -> None:
        answer = api.push(flow_key="k" * 256)
        assert (answer.status_code, paths(answer)) == (422, [["x-lq-flow-key"]])

    def test_of_a_schedule(self, api: Api) -> None:
        wanted = {"queue": "mail", "schedule": "@daily", "target": TARGET, "flowKey": "a"}
        made = api("PUT", "/schedules/byKey/s", json=wanted).json or {}
        assert made["flowKey"] == "a"
        run = api("POST", "/schedules/byKey/s/run").json or {}
        assert run["flowKey"] == "a"
        changed = api("PATCH", "/schedules/byKey/s", json={"flowKey": "b"}).json or {}
        assert changed["flowKey"] == "b"
        changed = api("PATCH", "/schedules/byKey/s", json={"flowKey": None}).json or {}
        assert "flowKey" not in changed
        assert "flowKey" not in (api("POST", "/schedules/byKey/s/run").json or {})
        assert api("PATCH", "/schedules/byKey/s", json={"flowKey": ""}).status_code == 422

    def test_a_lane_is_listed_like_the_rest(self, api: Api) -> None:
        api("PUT", "/queues/mail", json={"flow": {"concurrency": 1}})
        ids = [(api.push(flow_key="a").json or {})["id"] for _ in range(5)]
        ids.append((api.push(flow_key="b", delay="60000").json or {})["id"])
        found: list[str] = []
        cursor = ""
        while True:
            page = api("GET", f"/queues/mail/items?limit=2{cursor}").json or {}
            found += [item["id"] for item in page["items"]]
            if "nextCursor" not in page:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert sorted(found) == sorted(ids)
        pending = api("GET", "/queues/mail/items?state=PENDING").json or {}
        assert len(pending["items"]) == 6
        assert queue_of(api)["waiting"] == 6


class TestPurge:
    @pytest.mark.parametrize("request_", [{}, {"json": {}}], ids=["no body", "an empty one"])
    def test_all_that_waits(self, api: Api, request_: dict[str, Any]) -> None:
        for _ in range(3):
            api.push()
        api.push(key="k", delay="60000")
        answer = api("POST", "/queues/mail/purge", **request_)
        assert (answer.status_code, answer.json) == (200, {"purged": 4, "more": False})
        assert queue_of(api)["waiting"] == 0
        assert api("GET", "/queues/mail/items").json == {"items": []}
        assert api("GET", "/queues/mail/items/byKey/k").status_code == 404
        assert api("GET", "/queues/mail/history").json == {"entries": []}
        assert api.push(key="k").status_code == 201

    @pytest.mark.parametrize(
        ("state", "purged", "left"),
        [("PENDING", 2, 1), ("RETRY", 0, 3), ("CANCELLED", 1, 2), ("FAILED", 0, 3),
         ("COMPLETED", 0, 3)],
    )  # fmt: skip
    def test_by_state(self, api: Api, state: str, purged: int, left: int) -> None:
        api.push()
        api.push(delay="60000")
        cancelled = (api.push().json or {})["id"]
        api("DELETE", f"/items/{cancelled}")
        answer = api("POST", "/queues/mail/purge", json={"state": state})
        assert answer.json == {"purged": purged, "more": False}
        items = (api("GET", "/queues/mail/items").json or {})["items"]
        entries = (api("GET", "/queues/mail/history").json or {})["entries"]
        assert len(items) + len(entries) == left

    @pytest.mark.parametrize(
        ("value", "path", "code"),
        [
            ({"state": "RUNNING"}, ["state"], "not_a_choice"),
            ({"state": "pending"}, ["state"], "not_a_choice"),
            ({"state": ["PENDING"]}, ["state"], "not_a_choice"),
            ({"all": True}, ["all"], "unknown_field"),
        ],
    )
    def test_broken_rules(self, api: Api, value: Any, path: list[str], code: str) -> None:
        api.push()
        answer = api("POST", "/queues/mail/purge", json=value)
        assert (answer.status_code, paths(answer), codes(answer)) == (422, [path], [code])
        assert queue_of(api)["waiting"] == 1

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [
            (b"{", "application/json", 400),
            (b"[]", "application/json", 422),
            (b'{"state":"PENDING"}', "text/plain", 415),
        ],
    )
    def test_a_body_that_is_none(self, api: Api, body: bytes, kind: str, status: int) -> None:
        api.push()
        answer = api("POST", "/queues/mail/purge", data=body, headers={"Content-Type": kind})
        assert answer.status_code == status
        assert queue_of(api)["waiting"] == 1

    @pytest.mark.parametrize(
        ("scope", "status"), [(Scope.PUSH, 403), (Scope.READ, 403), (Scope.MANAGE, 200)]
    )
    def test_who_may(
        self, api: Api, administration: Administration, scope: Scope, status: int
    ) -> None:
        api.push()
        other = Api(api.app, token_for(administration, "1", {scope}))
        assert other("POST", "/queues/mail/purge").status_code == status
        assert queue_of(api)["waiting"] == (0 if status == 200 else 1)

    def test_somebody_elses_queue(self, api: Api, tenant: Callable[[str], Tenant]) -> None:
        api.push()
        other = tenant("other").api
        assert other("POST", "/queues/mail/purge").status_code == 404
        other.push()
        assert other("POST", "/queues/mail/purge").json == {"purged": 1, "more": False}
        assert queue_of(api)["waiting"] == 1

    def test_a_queue_that_is_not_there(self, api: Api) -> None:
        assert api("POST", "/queues/none/purge").status_code == 404
        assert api("POST", "/queues/a:b/purge").status_code == 422

    def test_the_audit_tells(self, api: Api) -> None:
        api.push("a/b")
        api("POST", "/queues/a%2Fb/purge", json={"state": "PENDING"})
        (newest, *_) = (api("GET", "/audit").json or {})["entries"]
        assert (newest["action"], newest["object"]) == ("queue.purge", "a/b PENDING")
