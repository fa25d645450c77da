"""Async items: pushed like any other, and ended by a callback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from lambdaqueue.attempts import Kind
from lambdaqueue.execution import Terms
from lambdaqueue.spec import Spec
from tests.api.conftest import TARGET, Api, codes, parts_of, paths
from tests.api.service_calls import ENV, Crew, body_of, call_back

SCHEDULE = {"queue": "mail", "schedule": "@daily", "target": TARGET}
AS_HEADERS = {"x-lq-queue": "mail", "x-lq-schedule": "@daily", "x-lq-target": TARGET}
AT_ONCE = '{"type": "constant", "delay": 0, "retries": 3, "jitter": 0}'
TIMES = [
    # async, heartbeat, what is stored
    (1_000, None, Terms(1_000, 30_000)),
    (31_622_400_000, 5_000, Terms(31_622_400_000, 5_000)),
    (60_000, 3_600_000, Terms(60_000, 3_600_000)),
]
REFUSED = [
    ({"async": 999}, "async", "out_of_range"),
    ({"async": 31_622_400_001}, "async", "out_of_range"),
    ({"async": "1m"}, "async", "not_integer"),
    ({"async": ""}, "async", "not_integer"),
    ({"async": -5}, "async", None),
    ({"async": 60_000, "heartbeat": 4_999}, "heartbeat", "out_of_range"),
    ({"async": 60_000, "heartbeat": 3_600_001}, "heartbeat", "out_of_range"),
    ({"async": 60_000, "heartbeat": "30s"}, "heartbeat", "not_integer"),
    ({"heartbeat": 30_000}, "heartbeat", "alone"),
]
REFUSED_IN_JSON = [
    *REFUSED,
    ({"async": True}, "async", "not_integer"),
    ({"async": "60000"}, "async", "not_integer"),
    ({"async": 60_000.0}, "async", "not_integer"),
    ({"async": 60_000, "heartbeat": 5e3}, "heartbeat", "not_integer"),
]


@pytest.fixture
def crew(app: Flask) -> Crew:
    return Crew(parts_of(app).client)


def given(ttl: int, heartbeat: int | None) -> dict[str, int]:
    return {"async": ttl} if heartbeat is None else {"async": ttl, "heartbeat": heartbeat}


def headers(fields: dict[str, Any]) -> dict[str, str]:
    return {f"x-lq-{name}": str(value) for name, value in fields.items()}


def agreed(shown: dict[str, Any]) -> Terms | None:
    """Return the terms that an answer shows."""
    return Terms(shown["async"], shown["heartbeat"]) if "async" in shown else None


def spec_of(app: Flask, item_id: str) -> Spec:
    return parts_of(app).service.item(ENV, item_id).spec


@pytest.mark.parametrize(("ttl", "heartbeat", "terms"), TIMES)
class TestTerms:
    """Wherever a delivery is described."""

    def test_push(
        self, api: Api, app: Flask, ttl: int, heartbeat: int | None, terms: Terms
    ) -> None:
        options = {name: str(value) for name, value in given(ttl, heartbeat).items()}
        made = body_of(api.push(options=options), 201)
        assert agreed(made) == spec_of(app, made["id"]).terms == terms
        assert agreed(body_of(api("GET", f"/items/{made['id']}"))) == terms

    def test_batch(
        self, api: Api, app: Flask, ttl: int, heartbeat: int | None, terms: Terms
    ) -> None:
        plain = {"payload": 1, "target": TARGET}
        made = api.batch(plain, {**plain, **given(ttl, heartbeat)}, plain)
        items = body_of(made, 201)["items"]
        assert [agreed(item) for item in items] == [None, terms, None]
        assert [spec_of(app, item["id"]).terms for item in items] == [None, terms, None]

    def test_patch(
        self, api: Api, app: Flask, ttl: int, heartbeat: int | None, terms: Terms
    ) -> None:
        for options in ({}, {"async": "5000", "heartbeat": "7000"}):
            made = body_of(api.push(options=options), 201)
            changed = body_of(api("PATCH", f"/items/{made['id']}", json=given(ttl, heartbeat)))
            assert agreed(changed) == spec_of(app, made["id"]).terms == terms
            again = body_of(api("PATCH", f"/items/{made['id']}", json={"priority": 5}))
            assert agreed(again) == terms

    def test_schedules(
        self, api: Api, app: Flask, ttl: int, heartbeat: int | None, terms: Terms
    ) -> None:
        times = given(ttl, heartbeat)
        by_headers = api(
            "POST",
            "/schedules",
            data=b"1",
            headers={"Content-Type": "text/plain", **AS_HEADERS, **headers(times)},
        )
        by_json = api("PUT", "/schedules/byKey/k", json={**SCHEDULE, **times})
        for made in (body_of(by_headers, 201), body_of(by_json, 201)):
            path = f"/schedules/{made['id']}"
            assert agreed(made) == agreed(body_of(api("GET", path))) == terms
            pushed = body_of(api("POST", f"{path}/run"), 201)
            assert agreed(pushed) == spec_of(app, pushed["id"]).terms == terms
            assert agreed(body_of(api("PATCH", path, json={"async": None}))) is None
            assert agreed(body_of(api("PATCH", path, json=times))) == terms
            assert agreed(body_of(api("PATCH", path, json={"jitter": 1}))) == terms
            pushed = body_of(api("POST", f"{path}/run"), 201)
            assert agreed(pushed) == terms


class TestRefused:
    @pytest.mark.parametrize(("fields", "path", "code"), REFUSED, ids=str)
    def test_in_headers(
        self, api: Api, fields: dict[str, Any], path: str, code: str | None
    ) -> None:
        as_schedule = {"Content-Type": "text/plain", **AS_HEADERS, **headers(fields)}
        for refused in (
            api.push(options={name: str(value) for name, value in fields.items()}),
            api("POST", "/schedules", data=b"1", headers=as_schedule),
        ):
            assert refused.status_code == 422
            assert paths(refused) == [[f"x-lq-{path}"]]
            assert code is None or codes(refused) == [code]

    @pytest.mark.parametrize(("fields", "path", "code"), REFUSED_IN_JSON, ids=str)
    def test_in_json(self, api: Api, fields: dict[str, Any], path: str, code: str | None) -> None:
        item = body_of(api.push(options={"async": "60000"}), 201)
        body_of(api("PUT", "/schedules/byKey/k", json=SCHEDULE), 201)
        for refused, prefix in (
            (api.batch({"payload": 1, "target": TARGET, **fields}), ["items", 0]),
            (api("PATCH", f"/items/{item['id']}", json=fields), []),
            (api("PUT", "/schedules/byKey/other", json={**SCHEDULE, **fields}), []),
            (api("PATCH", "/schedules/byKey/k", json=fields), []),
        ):
            assert refused.status_code == 422
            assert paths(refused) == [[*prefix, path]]
            assert code is None or codes(refused) == [code]

    @pytest.mark.parametrize("fields", [{"async": None}, {"async": 5_000, "heartbeat": None}])
    def test_null_means_something_in_a_patch_of_a_schedule_only(
        self, api: Api, fields: dict[str, Any]
    ) -> None:
        item = body_of(api.push(), 201)
        body_of(api("PUT", "/schedules/byKey/k", json=SCHEDULE), 201)
        assert api("PATCH", f"/items/{item['id']}", json=fields).status_code == 422
        assert api.batch({"payload": 1, "target": TARGET, **fields}).status_code == 422
        assert api("PUT", "/schedules/byKey/k", json={**SCHEDULE, **fields}).status_code == 422
        assert api("PATCH", "/schedules/byKey/k", json=fields).status_code == 200

    def test_a_heartbeat_of_what_is_not_async(self, api: Api) -> None:
        body_of(api("PUT", "/schedules/byKey/k", json=SCHEDULE), 201)
        fields = {"async": None, "heartbeat": 5_000}
        refused = api("PATCH", "/schedules/byKey/k", json=fields)
        assert (paths(refused), codes(refused)) == ([["heartbeat"]], ["alone"])

    def test_idempotency(self, api: Api) -> None:
        """The terms are a part of the request."""
        named = {"Content-Type": "text/plain", "x-lq-target": TARGET, "Idempotency-Key": "k"}
        for ttl, expected in (("5000", 201), ("5000", 201), ("6000", 422)):
            asked = {**named, "x-lq-async": ttl}
            answer = api("POST", "/queues/mail/items", data=b"1", headers=asked)
            assert answer.status_code == expected


class TestItsLife:
    @pytest.fixture
    def item(self, api: Api) -> str:
        pushed = api.push(options={"async": "60000", "retry": AT_ONCE}, payload=b'{"n":1}')
        return str(body_of(pushed, 201)["id"])

    def shown(self, api: Api, item: str) -> dict[str, Any]:
        return dict(body_of(api("GET", f"/items/{item}")))

    def test_a_success(self, api: Api, crew: Crew, item: str) -> None:
        assert {"startedAt", "progress", "callback"}.isdisjoint(self.shown(api, item))
        token = crew.start(item)
        running = self.shown(api, item)
        assert running["state"] == "RUNNING"
        assert "startedAt" in running
        assert {"progress", "callback"}.isdisjoint(running)
        assert call_back(api, token, status="processing", progress=40.5).status_code == 204
        assert self.shown(api, item)["progress"] == 40.5
        (listed,) = body_of(api("GET", "/queues/mail/items?state=RUNNING"))["items"]
        assert listed["progress"] == 40.5
        said = {"summary": "two\nlines", "state": {"a": [1, None]}, "correlation_id": "c"}
        assert body_of(call_back(api, token, status="success", **said)) == {"status": "success"}
        ended = self.shown(api, item)
        assert ended["state"] == "COMPLETED"
        assert ended["startedAt"] == running["startedAt"] <= ended["endedAt"]
        assert ended["callback"] == {
            "status": "success",
            "summary": "two\nlines",
            "state": {"a": [1, None]},
            "correlationId": "c",
        }
        assert agreed(ended) == Terms(60_000)
        (entry,) = body_of(api("GET", "/queues/mail/history"))["entries"]
        assert entry == ended

    def test_a_failure_is_a_failed_attempt(self, api: Api, crew: Crew, item: str) -> None:
        for number in range(1, 5):
            token = crew.start(item)
            shown = self.shown(api, item)
            assert (shown["state"], shown["attempt"]) == ("RUNNING", number)
            assert "progress" not in shown
            call_back(api, token, status="processing", progress=number)
            fail = {"status": "fail", "error": {"message": f"no {number}"}}
            for _ in range(2):
                assert body_of(call_back(api, token, **fail)) == {"status": "fail"}
            assert call_back(api, token, status="success").status_code == 410
        ended = self.shown(api, item)
        assert (ended["state"], ended["error"]) == ("FAILED", "fail: no 4")
        assert ended["callback"] == {"status": "fail", "error": {"message": "no 4"}}
        assert [each["error"] for each in ended["attempts"]] == [
            f"fail: no {number}" for number in range(1, 5)
        ]
        assert body_of(api("GET", f"/executions/{item}"))["result"] == {
            "status": "fail",
            "summary": None,
            "state": None,
            "error": {"message": "no 4"},
            "correlation_id": None,
        }

    def test_a_start_that_failed(self, api: Api, crew: Crew, item: str) -> None:
        crew.invoke(item)
        assert crew.answer(Kind.FAILED, error="http_410: gone")
        ended = self.shown(api, item)
        assert (ended["state"], ended["error"]) == ("FAILED", "http_410: gone")
        assert {"startedAt", "callback"}.isdisjoint(ended)

    def test_a_state_is_kept_exactly(self, api: Api, crew: Crew, item: str) -> None:
        body = b'{"status":"success","state":{"b":12345678901234567890,"a":1.5,"e":"\xe2\x82\xac"}}'
        token, kind = crew.start(item), {"Content-Type": "application/json"}
        answer = api.raw("POST", f"/api/v1/callback/{token}", data=body, headers=kind)
        assert answer.status_code == 200
        expected = body[body.index(b'"state"') :]
        assert expected.decode() in api("GET", f"/items/{item}").text
        assert json.loads(api("GET", f"/executions/{item}").data)["result"]["state"]["a"] == 1.5
