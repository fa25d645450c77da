"""Service jobs over HTTP: define, look, delete, run, try out, search."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from lambdaqueue.schedules import ScheduleStore
from tests.api.conftest import TARGET, Api, Tenant, codes, parts_of, paths
from tests.api.service_calls import ENV, JOB, body_of, define, definition, run

BAD_NAME = 'Invalid service or job name. Must match "^[a-z0-9-]+$"'
BAD_SEARCH = "Missing or invalid service_name"
BAD_SCHEDULE = "Schedule is not a valid schedule expression"


def put(api: Api, **more: Any) -> TestResponse:
    return api("PUT", JOB, json=definition(**more))


def found(api: Api, method: str = "GET", **request: Any) -> list[str]:
    """Return the names of the jobs that a search finds."""
    answer = body_of(api(method, "/jobs", **request))
    assert answer.keys() == {"results"}
    return [f"{row['service_name']}/{row['job_name']}" for row in answer["results"]]


class TestDefinition:
    def test_with_defaults(self, api: Api) -> None:
        made = define(api)
        assert uuid.UUID(made["guid"]).version == 5
        assert made == {
            "async": True,
            "enabled": True,
            "exclusive": False,
            "guid": made["guid"],
            "heartbeat_interval_seconds": 30,
            "invocation_target": TARGET,
            "invocation_type": "http",
            "job_name": "close-month",
            "payload": None,
            "schedule": "rate(5 minutes)",
            "service_name": "billing",
            "ttl_seconds": 600,
        }
        for path in (JOB, f"{JOB}/"):
            assert body_of(api("GET", path)) == made

    def test_with_everything(self, api: Api) -> None:
        retry = {"type": "constant", "delay": 1_000, "retries": 2, "jitter": 0}
        asked = definition(
            enabled=False,
            exclusive=True,
            invocation_type="http",
            schedule="cron(0 9 ? * MON-FRI *)",
            ttl_seconds=31_622_400,
            payload='{"n": 1.0}\n\t€',
            heartbeat_interval_seconds=3_600,
            retry=retry,
        )
        made = body_of(api("PUT", JOB, json=asked))
        assert {name: made[name] for name in asked} == asked
        assert body_of(api("GET", JOB)) == made

    def test_again(self, api: Api) -> None:
        first = define(api, payload="x", retry={"retries": 1}, exclusive=True)
        assert body_of(put(api, payload="x", retry={"retries": 1}, exclusive=True)) == first
        # It's a whole definition: what is left out has its default again.
        assert "retry" not in define(api)
        second = define(api, payload=None, retry=None)
        assert (second["payload"], second["exclusive"]) == (None, False)
        assert second["guid"] == first["guid"]
        assert body_of(api("GET", JOB)) == second

    @pytest.mark.parametrize(
        ("asked", "shown"), [(0, 60), (1, 60), (59, 60), (60, 60), (61, 61), (31_622_400,) * 2]
    )
    def test_ttl(self, api: Api, asked: int, shown: int) -> None:
        assert define(api, ttl_seconds=asked)["ttl_seconds"] == shown

    def test_guids(self, api: Api, tenant: Callable[[str], Tenant]) -> None:
        names = [("a", "b"), ("b", "a"), ("a-b", "c"), ("a", "b-c"), ("ab", "c"), ("a", "bc")]
        made = [define(api, *name)["guid"] for name in names]
        made += [define(tenant("other").api, *names[0])["guid"]]
        assert len(set(made)) == len(made)
        assert api("DELETE", "/services/a/jobs/b").status_code == 204
        assert define(api, "a", "b")["guid"] == made[0]

    def test_disabled_and_enabled_again(self, api: Api, app: Flask) -> None:
        store = ScheduleStore(parts_of(app).client, collection="services")
        for enabled in (True, False, True):
            define(api, enabled=enabled)
            stored = store.read(ENV, "billing/close-month")
            assert stored is not None
            assert (stored.next_run is not None) is enabled

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            *(
                (field, ..., "required")
                for field in ("async", "invocation_target", "schedule", "ttl_seconds")
            ),
            ("async", False, "not_true"),
            ("async", "true", "not_boolean"),
            ("async", 1, "not_boolean"),
            ("async", None, "null"),
            ("enabled", 0, "not_boolean"),
            ("enabled", None, "null"),
            ("exclusive", "no", "not_boolean"),
            ("invocation_type", "lambda", "not_a_choice"),
            ("invocation_type", "HTTP", "not_a_choice"),
            ("invocation_type", 5, "not_a_choice"),
            ("invocation_target", None, "null"),
            ("invocation_target", 5, "not_text"),
            ("invocation_target", "", None),
            ("invocation_target", "ftp://127.0.0.1/", None),
            ("invocation_target", "https://10.0.0.1/", None),
            ("invocation_target", "https://user@example.org/", None),
            ("schedule", None, "null"),
            ("schedule", "cron(0 0 1 1 ? 2020)", "no_run"),
            ("ttl_seconds", -1, "out_of_range"),
            ("ttl_seconds", 31_622_401, "out_of_range"),
            ("ttl_seconds", 60.0, "not_integer"),
            ("ttl_seconds", "60", "not_integer"),
            ("ttl_seconds", True, "not_integer"),
            ("ttl_seconds", None, "null"),
            ("payload", {"a": 1}, "not_text"),
            ("payload", 5, "not_text"),
            ("payload", "é" * 131_073, "too_large"),
            ("heartbeat_interval_seconds", 4, "out_of_range"),
            ("heartbeat_interval_seconds", 3_601, "out_of_range"),
            ("heartbeat_interval_seconds", "30", "not_integer"),
            ("retry", "never", "not_object"),
            ("guid", "5b0f3f0e-1f6b-5d2c-9d5e-6a1f3c0b7a41", "unknown_field"),
            ("ttlSeconds", 60, "unknown_field"),
            ("target", TARGET, "unknown_field"),
        ],
        ids=lambda each: str(each)[:40],
    )
    def test_what_is_refused(self, api: Api, field: str, value: Any, code: str | None) -> None:
        refused = put(api, **{field: value})
        assert refused.status_code == 422
        assert paths(refused) == [[field]]
        assert code is None or codes(refused) == [code]
        assert api("GET", JOB).status_code == 404

    def test_a_broken_retry_policy(self, api: Api) -> None:
        refused = put(api, retry={"retries": 51, "delays": [1, -1]}, ttl_seconds=-1)
        assert refused.status_code == 422
        assert paths(refused) == [
            ["ttl_seconds"],
            ["retry", "retries"],
            ["retry", "delays", 1],
        ]

    @pytest.mark.parametrize(
        "schedule",
        [
            "",
            "* * * * *",
            "C=* * * * *",
            "@daily",
            "every(10s)",
            "every(5m)",
            "at(2099-01-01T00:00:00)",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(60 seconds)",
            "rate(1.5 hours)",
            "Rate(5 minutes)",
            "rate (5 minutes)",
            " rate(5 minutes)",
            "rate(5 minutes) ",
            "rate(5 minutes)\n",
            "rate(99999999999 days)",
            "cron(* * * * *)",
            "cron(0 9 * * * *)",
            "cron(61 9 * * ? *)",
            "cron(0 0 31 2 ? *)",
            "cron(" + "0" * 200 + " 9 ? * * *)",
            "rate(5 minutes",
            5,
            True,
            ["rate(5 minutes)"],
            {},
        ],
        ids=str,
    )
    def test_schedules(self, api: Api, schedule: object) -> None:
        refused = body_of(put(api, schedule=schedule), 400)
        assert (refused["message"], refused["type"]) == (BAD_SCHEDULE, "invalid_schedule")
        assert api("GET", JOB).status_code == 404

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"", "application/json", 400),
            (b"{", "application/json", 400),
            (b'{"async": true, "async": true}', "application/json", 400),
            (b"[]", "application/json", 422),
            (b"null", "application/json", 422),
            (b"{}", "text/plain", 415),
            (b"{}", "", 415),
        ],
    )
    def test_bodies(self, api: Api, body: bytes, content_type: str, status: int) -> None:
        headers = {"Content-Type": content_type}
        assert api("PUT", JOB, data=body, headers=headers).status_code == status

    def test_delete(self, api: Api) -> None:
        define(api)
        dropped = api("DELETE", JOB)
        assert (dropped.status_code, dropped.data) == (204, b"")
        for method in ("DELETE", "GET"):
            assert api(method, JOB).status_code == 404
        for action in ("run", "test"):
            assert api("POST", f"{JOB}/{action}").status_code == 404

    def test_list(self, api: Api) -> None:
        assert body_of(api("GET", "/services/billing/jobs")) == []
        made = [define(api, job=name) for name in ("b", "a", "a-b", "a0")]
        define(api, service="billing-2")
        define(api, service="b")
        in_order = [made[1], made[2], made[3], made[0]]
        for path in ("/services/billing/jobs", "/services/billing/jobs/"):
            assert body_of(api("GET", path)) == in_order


class TestNames:
    """Judged before all else: the body is not looked at."""

    @pytest.mark.parametrize(
        "name",
        ["", "A", "a_b", "a.b", "a%20b", "a%0A", "%00", "é", "a%2Fb", "..", "..%2f", "a:b", "*"],
    )
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PUT", "/services/{}/jobs/ok"),
            ("PUT", "/services/ok/jobs/{}"),
            ("DELETE", "/services/{}/jobs/ok"),
            ("DELETE", "/services/ok/jobs/{}"),
            ("GET", "/services/{}/jobs/ok"),
            ("GET", "/services/{}/jobs"),
            ("GET", "/services/{}/executions"),
            ("POST", "/services/{}/executions"),
            ("GET", "/services/{}/jobs/ok/executions"),
            ("POST", "/services/ok/jobs/{}/executions"),
            ("POST", "/services/{}/jobs/ok/run"),
            ("POST", "/services/ok/jobs/{}/run"),
            ("POST", "/services/ok/jobs/{}/test"),
        ],
    )
    def test_bad(self, api: Api, method: str, path: str, name: str) -> None:
        refused = api(method, path.format(name), data=b"{", headers={"Content-Type": "x"})
        answer = body_of(refused, 400)
        assert (answer["message"], answer["type"]) == (BAD_NAME, "invalid_name")

    @pytest.mark.parametrize("name", ["a", "0", "-", "--", "a-b-9", "jobs", "x" * 100])
    def test_good(self, api: Api, name: str) -> None:
        define(api, name, name)
        assert body_of(api("GET", f"/services/{name}/jobs/{name}"))["job_name"] == name
        assert run(api, name, name)
        assert body_of(api("GET", f"/services/{name}/jobs/{name}/executions"))["count"] == 1

    def test_too_long(self, api: Api) -> None:
        for path in (f"/services/{'x' * 101}/jobs/a", f"/services/a/jobs/{'x' * 101}"):
            assert "100 characters" in body_of(api("GET", path), 400)["message"]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("PATCH", JOB, 405),
            ("POST", JOB, 405),
            ("GET", f"{JOB}/run", 405),
            ("PUT", "/services/billing/jobs", 405),
            ("GET", "/services", 404),
            ("GET", "/services/billing", 404),
            ("GET", "/services/billing/nothing", 404),
        ],
    )
    def test_other_paths(self, api: Api, method: str, path: str, status: int) -> None:
        assert api(method, path).status_code == status


class TestRuns:
    def test_run(self, api: Api) -> None:
        define(api)
        first, second = run(api), run(api)
        assert first < second
        listed = body_of(api("GET", f"{JOB}/executions"))["results"]
        assert [row["name"] for row in listed] == [first, second]

    def test_a_disabled_one(self, api: Api) -> None:
        define(api, enabled=False)
        assert api("POST", f"{JOB}/run").status_code == 409
        assert body_of(api("GET", "/executions"))["count"] == 0

    def test_an_exclusive_one(self, api: Api) -> None:
        define(api, exclusive=True)
        first, second = run(api), run(api)
        refused = body_of(api("GET", f"/executions/{second}"))
        assert refused["status"] == refused["result"]["status"] == "fail"
        assert refused["result"]["error"].startswith("exclusive_lock: ")
        assert refused["attempts"] == []
        assert body_of(api("GET", f"/executions/{first}"))["result"] is None
        assert api("POST", f"/executions/{first}/cancel").status_code == 200
        assert body_of(api("GET", f"/executions/{run(api)}"))["result"] is None

    def test_a_test(self, api: Api) -> None:
        define(api, enabled=False, retry={"retries": 5})
        name = body_of(api("POST", f"{JOB}/test"), 202)["name"]
        shown = body_of(api("GET", f"/executions/{name}"))
        assert (shown["test"], shown["service_name"], shown["max_attempts"]) == (True, "billing", 1)
        assert body_of(api("GET", "/executions"))["results"] == []
        assert api("POST", f"/executions/{name}/cancel").status_code == 200

    @pytest.mark.parametrize("action", ["run", "test"])
    def test_idempotency(self, api: Api, action: str) -> None:
        define(api)
        define(api, job="other")
        key = {"Idempotency-Key": "k"}
        first = api("POST", f"{JOB}/{action}", headers=key)
        name = body_of(first, 202)["name"]
        again = api("POST", f"{JOB}/{action}", headers=key)
        assert (again.status_code, again.data) == (202, first.data)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        other = api("POST", f"/services/billing/jobs/other/{action}", headers=key)
        assert codes(other) == ["idempotency_mismatch"]
        assert body_of(api("POST", f"{JOB}/{action}"), 202)["name"] != name

    def test_a_refusal_is_not_remembered(self, api: Api) -> None:
        key = {"Idempotency-Key": "k"}
        assert api("POST", f"{JOB}/run", headers=key).status_code == 404
        define(api, enabled=False)
        assert api("POST", f"{JOB}/run", headers=key).status_code == 409
        define(api)
        assert api("POST", f"{JOB}/run", headers=key).status_code == 202


class TestSearch:
    @pytest.fixture(autouse=True)
    def jobs(self, api: Api) -> None:
        for name in (("a", "x"), ("a", "y"), ("b", "x"), ("b", "z"), ("a-b", "x")):
            define(api, *name)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", "a-b/x a/x a/y b/x b/z"),
            ("service_name=a", "a/x a/y"),
            ("service_name=b&service_name=a", "a/x a/y b/x b/z"),
            ("service_name=a&service_name=a", "a/x a/y"),
            ("service_name=a&job_name=y", "a/y"),
            ("service_name=a&job_name=y&service_name=b&job_name=x", "a/y b/x"),
            ("service_name=a&job_name=z&service_name=b&job_name=z", "b/z"),
            ("service_name=nobody", ""),
            ("service_name=nobody&job_name=x", ""),
            ("job_guid=nothing", ""),
            ("something=else", "a-b/x a/x a/y b/x b/z"),
        ],
    )
    def test_by_names(self, api: Api, query: str, names: str) -> None:
        for method in ("GET", "POST"):
            assert found(api, method, query_string=query) == names.split()

    def test_by_guids(self, api: Api) -> None:
        guids = [define(api, *name)["guid"] for name in (("a", "x"), ("b", "z"))]
        assert found(api, query_string={"job_guid": guids[0]}) == ["a/x"]
        assert found(api, query_string={"job_guid": guids}) == ["a/x", "b/z"]
        assert found(api, query_string={"job_guid": guids, "service_name": "b"}) == ["b/z"]
        assert found(api, "POST", json={"job_guid": guids[1]}) == ["b/z"]
        assert found(api, "POST", json={"job_guid": [*guids, "x"]}) == ["a/x", "b/z"]

    @pytest.mark.parametrize(
        ("query", "body", "names"),
        [
            ("", {}, "a-b/x a/x a/y b/x b/z"),
            ("", {"service_name": "a"}, "a/x a/y"),
            ("", {"service_name": ["a"], "job_name": "x"}, "a/x"),
            ("", {"service_name": ["a", "b"], "job_name": ["x", "z"]}, "a/x b/z"),
            ("service_name=a", {}, "a/x a/y"),
            ("service_name=a", {"service_name": "b"}, "b/x b/z"),
            ("service_name=a&job_name=x", {"service_name": "b"}, "b/x"),
            ("service_name=b", {"job_name": "x"}, "b/x"),
            ("service_name=A&service_name=b", {"service_name": "b"}, "b/x b/z"),
            ("service_name=a", {"service_name": None}, "a/x a/y"),
        ],
    )
    def test_the_body_wins(self, api: Api, query: str, body: Any, names: str) -> None:
        assert found(api, "POST", query_string=query, json=body) == names.split()

    @pytest.mark.parametrize("path", ["/jobs", "/executions"])
    @pytest.mark.parametrize(
        "body",
        [
            {"job_name": "x"},
            {"job_name": ["x", "y"]},
            {"service_name": ["a", "b"], "job_name": "x"},
            {"service_name": "a", "job_name": ["x", "y"]},
            {"service_name": ["a", "b"], "job_name": ["x", "y", "z"]},
            {"service_name": "a", "job_name": []},
            {"service_name": []},
            {"service_name": [], "job_name": []},
            {"service_name": ""},
            {"service_name": "A"},
            {"service_name": "a/x"},
            {"service_name": "a", "job_name": "X"},
            {"service_name": ["a", None]},
            {"service_name": 5},
            {"service_name": {"a": 1}},
            {"service_name": [["a"]]},
            {"service_name": "x" * 101},
        ],
        ids=str,
    )
    def test_names_that_do_not_fit(self, api: Api, path: str, body: dict[str, Any]) -> None:
        refused = [api("POST", path, json=body)]
        if all(type(each) is str for each in body.values()):
            refused.append(api("GET", path, query_string=body))
        for each in refused:
            answer = body_of(each, 400)
            assert (answer["message"], answer["type"]) == (BAD_SEARCH, "invalid_service_name")

    @pytest.mark.parametrize(
        ("body", "status", "path"),
        [
            ({"job_guid": 5}, 422, "job_guid"),
            ({"job_guid": []}, 422, "job_guid"),
            ({"job_guid": ["x", None]}, 422, "job_guid"),
            ({"job_guid": ["x"] * 101}, 422, "job_guid"),
            ({"service_name": ["a"] * 101}, 422, "service_name"),
            ({"since": 0}, 422, "since"),
            ({"guid": "x"}, 422, "guid"),
        ],
        ids=lambda each: str(each)[:40],
    )
    def test_other_bad_fields(self, api: Api, body: Any, status: int, path: str) -> None:
        refused = api("POST", "/jobs", json=body)
        assert refused.status_code == status
        assert paths(refused) == [[path]]

    @pytest.mark.parametrize(
        ("data", "content_type", "status"),
        [
            (b"{", "application/json", 400),
            (b"", "application/json", 400),
            (b"[]", "application/json", 422),
            (b"service_name=a", "application/x-www-form-urlencoded", 415),
        ],
    )
    def test_bodies(self, api: Api, data: bytes, content_type: str, status: int) -> None:
        headers = {"Content-Type": content_type}
        for path in ("/jobs", "/executions"):
            assert api("POST", path, data=data, headers=headers).status_code == status

    def test_a_row_is_what_a_get_answers(self, api: Api) -> None:
        text = api("GET", "/jobs", query_string="service_name=a&job_name=x").text
        assert json.loads(text)["results"] == [body_of(api("GET", "/services/a/jobs/x"))]
