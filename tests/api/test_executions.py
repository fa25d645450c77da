"""Executions over HTTP: search and paging, the full picture of one, cancel, retry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from lambdaqueue import strict_json
from lambdaqueue.attempt_log import Attempt, extend_log
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Page
from lambdaqueue.executing import Execution
from lambdaqueue.execution import Final, ServiceRun, Terms
from lambdaqueue.instants import iso
from lambdaqueue.job import Job, State
from lambdaqueue.rendering import service_render
from lambdaqueue.spec import Spec
from tests.api.conftest import TARGET, Api, Tenant, codes, parts_of, paths
from tests.api.service_calls import JOB, Crew, body_of, call_back, define, run

NOON = 1_772_366_400_000
NEVER = "0mwqjg1qk00001"
ROW = ["name", "event", "result", "updated_at", "inserted_at"]


@pytest.fixture
def crew(app: Flask) -> Crew:
    return Crew(parts_of(app).client)


def names(api: Api, path: str = "/executions", method: str = "GET", **request: Any) -> list[str]:
    """Return the names of the executions on the one page that a search finds."""
    answer = body_of(api(method, path, **request))
    assert answer["paging"] == {}
    assert answer["count"] == len(answer["results"])
    return [row["name"] for row in answer["results"]]


def pages(api: Api, **query: Any) -> list[list[str]]:
    """Return the names on all pages."""
    found: list[list[str]] = []
    more: dict[str, str] = {}
    while True:
        answer = body_of(api("GET", "/executions", query_string={**query, **more}))
        assert answer["count"] == len(answer["results"])
        found.append([row["name"] for row in answer["results"]])
        if not answer["paging"]:
            return found
        more = answer["paging"]


class TestSearch:
    def test_nothing(self, api: Api) -> None:
        empty = {"count": 0, "since": 0, "paging": {}, "results": []}
        for path in ("/executions", "/services/a/executions", "/services/a/jobs/b/executions"):
            for method in ("GET", "POST"):
                for slash in ("", "/"):
                    assert body_of(api(method, path + slash)) == empty

    @pytest.fixture
    def made(self, api: Api) -> dict[str, str]:
        jobs = [("a", "x"), ("b", "x"), ("a", "y"), ("a-b", "x"), ("a", "z")]
        for each in jobs:
            define(api, *each)
        return {"/".join(each): run(api, *each) for each in jobs}

    @pytest.mark.parametrize(
        ("path", "query", "wanted"),
        [
            ("/executions", "", "a/x b/x a/y a-b/x a/z"),
            ("/executions", "service_name=a", "a/x a/y a/z"),
            ("/executions", "service_name=a&service_name=b", "a/x b/x a/y a/z"),
            ("/executions", "service_name=a&service_name=a", "a/x a/y a/z"),
            ("/executions", "service_name=a&job_name=y", "a/y"),
            ("/executions", "service_name=b&job_name=x&service_name=a&job_name=z", "b/x a/z"),
            ("/executions", "service_name=nobody", ""),
            ("/services/a/executions", "", "a/x a/y a/z"),
            ("/services/a/executions", "job_name=z", "a/z"),
            ("/services/a/executions", "job_name=z&job_name=x", "a/x a/z"),
            ("/services/a/executions", "service_name=a&job_name=x&job_name=z", "a/x a/z"),
            ("/services/a/executions", "service_name=a", "a/x a/y a/z"),
            ("/services/a/jobs/y/executions", "", "a/y"),
            ("/services/a/jobs/y/executions", "service_name=a&job_name=y", "a/y"),
            ("/services/nobody/executions", "", ""),
            ("/services/a/jobs/nobody/executions", "", ""),
        ],
    )
    def test_scopes(
        self, api: Api, made: dict[str, str], path: str, query: str, wanted: str
    ) -> None:
        expected = [made[name] for name in wanted.split()]
        for method in ("GET", "POST"):
            assert names(api, path, method, query_string=query) == expected

    @pytest.mark.parametrize(
        ("path", "query", "body", "wanted"),
        [
            ("/executions", "service_name=a", {"service_name": "b"}, "b/x"),
            ("/executions", "service_name=a", {"job_name": "z"}, "a/z"),
            (
                "/executions",
                "since=9999999999999&service_name=b",
                {"since": 0, "service_name": ["a", "a-b"], "job_name": ["y", "x"]},
                "a/y a-b/x",
            ),
            ("/executions", "since=junk", {"since": 0, "more": None, "service_name": "b"}, "b/x"),
            ("/services/a/executions", "job_name=z", {"job_name": ["y"]}, "a/y"),
        ],
    )
    def test_the_body_wins(
        self, api: Api, made: dict[str, str], path: str, query: str, body: Any, wanted: str
    ) -> None:
        expected = [made[name] for name in wanted.split()]
        assert names(api, path, "POST", query_string=query, json=body) == expected

    @pytest.mark.parametrize(
        ("path", "query"),
        [
            ("/services/a/executions", {"service_name": "b"}),
            ("/services/a/executions", {"service_name": ["a", "b"]}),
            ("/services/a/executions", {"job_name": "X"}),
            ("/services/a/jobs/y/executions", {"service_name": "b"}),
            ("/services/a/jobs/y/executions", {"job_name": "z"}),
            ("/services/a/jobs/y/executions", {"job_name": ["y", "z"]}),
        ],
    )
    def test_another_name_than_in_the_path(self, api: Api, path: str, query: Any) -> None:
        for refused in (api("GET", path, query_string=query), api("POST", path, json=query)):
            assert body_of(refused, 400)["message"] == "Missing or invalid service_name"

    @pytest.mark.parametrize(
        ("field", "in_query", "in_body", "code"),
        [
            ("since", "-1", -1, None),
            ("since", "1.5", 1.5, "not_integer"),
            ("since", "abc", "5", "not_integer"),
            ("since", "", True, "not_integer"),
            ("since", "253402300800000", 253_402_300_800_000, "out_of_range"),
            ("since", "9" * 30, 10**30, None),
            ("more", "", "", "invalid_cursor"),
            ("more", "+", 5, "invalid_cursor"),
            ("more", "0-0", ["a"], "invalid_cursor"),
            ("more", NEVER.upper(), NEVER + "\n", "invalid_cursor"),
            ("more", "x" * 1_000, NEVER[:13], "invalid_cursor"),
        ],
    )
    def test_bad_bounds(
        self, api: Api, field: str, in_query: str, in_body: object, code: str | None
    ) -> None:
        """B93."""
        for refused in (
            api("GET", "/executions", query_string={field: in_query}),
            api("POST", "/executions", json={field: in_body}),
        ):
            assert refused.status_code == 422
            assert paths(refused) == [[field]]
            assert code is None or codes(refused) == [code]

    @pytest.mark.parametrize(
        ("query", "code"), [("since=1&since=2", "duplicate"), (f"more={NEVER}&more=x", "duplicate")]
    )
    def test_twice(self, api: Api, query: str, code: str) -> None:
        assert codes(api("GET", "/executions", query_string=query)) == [code]

    def test_unknown_fields(self, api: Api) -> None:
        assert codes(api("POST", "/executions", json={"limit": 5})) == ["unknown_field"]
        assert api("GET", "/executions?limit=5").status_code == 200

    def test_since(self, api: Api) -> None:
        define(api)
        made = [run(api) for _ in range(3)]
        rows = body_of(api("GET", "/executions"))["results"]
        at = rows[1]["event"]["time_ms"]
        assert iso(at) == rows[1]["inserted_at"] == rows[1]["event"]["time"]
        for since in (at, at + 1, at + 86_400_000, 253_402_300_799_999):
            expected = [row["name"] for row in rows if row["event"]["time_ms"] >= since]
            answer = body_of(api("POST", "/executions", json={"since": since}))
            assert answer["since"] == since
            assert [row["name"] for row in answer["results"]] == expected
            assert names(api, query_string={"since": since}) == expected
        assert names(api, query_string="since=0") == made

    def test_pages(self, api: Api) -> None:
        """Oldest first, at most 100, and stable while executions end and new ones come."""
        define(api)
        made = [run(api) for _ in range(100)]
        assert pages(api) == [made]
        made += [run(api) for _ in range(101)]
        first = body_of(api("GET", "/executions"))
        assert first["paging"] == {"more": made[99]}
        assert api("POST", f"/executions/{made[99]}/cancel").status_code == 200
        assert api("POST", f"/executions/{made[150]}/cancel").status_code == 200
        last = run(api)
        assert pages(api) == [made[:100], made[100:200], [made[200], last]]
        rest = body_of(api("POST", "/executions", json=first["paging"]))
        assert [row["name"] for row in rest["results"]] == made[100:200]
        inside = names(api, f"{JOB}/executions", query_string={"more": made[199]})
        assert inside == [made[200], last]
        assert names(api, query_string={"more": last}) == []

    def test_of_others(self, api: Api, tenant: Callable[[str], Tenant]) -> None:
        define(api)
        name, other = run(api), tenant("other").api
        for query in ("", "service_name=billing", "since=1", f"more={NEVER}"):
            assert names(other, query_string=query) == []
        for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")):
            assert other(method, f"/executions/{name}{path}").status_code == 404
        assert names(api) == [name]

    def test_rows(self, api: Api, crew: Crew) -> None:
        define(api)
        name = run(api)
        (row,) = body_of(api("GET", f"{JOB}/executions"))["results"]
        assert list(row) == ROW
        assert row["result"] is None
        assert row["event"]["id"] == f"billing/close-month_{row['event']['time_ms']}"
        call_back(api, crew.start(name), status="success", state=[1])
        (row,) = body_of(api("GET", f"{JOB}/executions"))["results"]
        assert row["result"] == {
            "status": "success",
            "summary": None,
            "state": [1],
            "error": None,
            "correlation_id": None,
        }
        assert row["updated_at"] >= row["inserted_at"]


class TestOne:
    def test_before_it_begins(self, api: Api) -> None:
        define(api, ttl_seconds=90, heartbeat_interval_seconds=5, retry={"retries": 2})
        name = run(api)
        shown = body_of(api("GET", f"/executions/{name}"))
        (row,) = body_of(api("GET", "/executions"))["results"]
        assert shown == {
            **row,
            "service_name": "billing",
            "job_name": "close-month",
            "queue": "services.billing",
            "schedule": "rate(5 minutes)",
            "test": False,
            "status": "invoked",
            "progress": None,
            "attempt": 0,
            "max_attempts": 3,
            "ttl_seconds": 90,
            "heartbeat_interval_seconds": 5,
            "started_at": None,
            "last_heartbeat_at": None,
            "ended_at": None,
            "error": None,
            "retry_of": None,
            "retried_by": None,
            "attempts": [],
        }

    def test_its_life(self, api: Api, crew: Crew) -> None:
        define(api, retry={"type": "constant", "delay": 0, "retries": 2, "jitter": 0})
        name = run(api)
        crew.invoke(name)
        log = extend_log(b"", Attempt(1, NOON, 5, 500, "http_500: no"))
        assert crew.answer(Kind.RETRY, error="http_500: no", log=log)
        token = crew.start(name)
        running = body_of(api("GET", f"/executions/{name}"))
        assert (running["status"], running["attempt"], running["ended_at"]) == ("running", 2, None)
        assert running["started_at"] == running["updated_at"]
        call_back(api, token, status="fail", error={"message": "no", "at": 7}, summary="it broke")
        ended = body_of(api("GET", f"/executions/{name}"))
        assert ended["status"] == ended["result"]["status"] == "fail"
        assert ended["result"]["error"] == {"message": "no", "at": 7}
        assert ended["error"] == "fail: no"
        assert ended["started_at"] == running["started_at"]
        assert ended["updated_at"] == ended["ended_at"] >= ended["started_at"]
        assert [(each["attempt"], each["error"]) for each in ended["attempts"]] == [
            (1, "http_500: no"),
            (2, "fail: no"),
        ]
        assert ended["attempts"][0] == {
            "attempt": 1,
            "started_at": iso(NOON),
            "duration_ms": 5,
            "status": 500,
            "error": "http_500: no",
        }

    def test_an_async_item_is_one(self, api: Api) -> None:
        item = body_of(api.push(options={"async": "1500"}), 201)
        shown = body_of(api("GET", f"/executions/{item['id']}"))
        assert (shown["service_name"], shown["job_name"], shown["queue"]) == (None, None, "mail")
        assert (shown["ttl_seconds"], shown["heartbeat_interval_seconds"]) == (1.5, 30)
        assert shown["event"] == {
            "id": None,
            "time": item["dueAt"],
            "time_ms": shown["event"]["time_ms"],
        }
        assert body_of(api("GET", "/executions"))["results"] == []
        assert api("POST", f"/executions/{item['id']}/retry").status_code == 404
        assert api("POST", f"/executions/{item['id']}/cancel").status_code == 200
        assert body_of(api("GET", f"/items/{item['id']}"))["state"] == "CANCELLED"

    def test_it_can_not_be_changed_as_an_item(self, api: Api, crew: Crew) -> None:
        define(api, payload="mine")
        name = run(api)
        for _ in range(2):
            for change in ({"payload": "x"}, {"async": 5_000}, {"target": TARGET + "/other"}):
                assert api("PATCH", f"/items/{name}", json=change).status_code == 409
            item = body_of(api("GET", f"/items/{name}"))
            assert (item["payload"], item["async"], item["version"]) == ("mine", 600_000, 1)
            if item["state"] == "PENDING":
                crew.start(name)

    @pytest.mark.parametrize(
        "name",
        [NEVER, "x", "..%2f", "%00", "*", "x" * 10_000, "a%20b", NEVER + "%0a", NEVER.upper()],
    )
    def test_absent(self, api: Api, name: str) -> None:
        """B94."""
        item = body_of(api.push(), 201)["id"]
        for one in (name, item):
            for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")):
                assert api(method, f"/executions/{one}{path}").status_code == 404


class TestCancel:
    @pytest.mark.parametrize("running", [False, True])
    def test_it_ends(self, api: Api, crew: Crew, running: bool) -> None:
        define(api, exclusive=True)
        name = run(api)
        if running:
            crew.start(name)
        cancelled = body_of(api("POST", f"/executions/{name}/cancel"))
        assert cancelled["status"] == cancelled["result"]["status"] == "cancelled"
        assert cancelled["result"]["error"].startswith("cancelled")
        assert cancelled["ended_at"] is not None
        assert (cancelled["started_at"] is not None) is running
        assert body_of(api("GET", f"/executions/{name}")) == cancelled
        assert api("POST", f"/executions/{name}/cancel").status_code == 409
        # Its lock is free.
        assert body_of(api("GET", f"/executions/{run(api)}"))["result"] is None


class TestRetry:
    def test_they_know_of_each_other(self, api: Api) -> None:
        define(api)
        name = run(api)
        assert api("POST", f"/executions/{name}/retry").status_code == 409
        api("POST", f"/executions/{name}/cancel")
        define(api, ttl_seconds=120)
        second = body_of(api("POST", f"/executions/{name}/retry"), 202)["name"]
        assert second > name
        new, old = (body_of(api("GET", f"/executions/{each}")) for each in (second, name))
        assert (new["retry_of"], new["retried_by"]) == (name, None)
        assert (old["retry_of"], old["retried_by"]) == (None, second)
        assert new["event"] == old["event"]
        assert (old["ttl_seconds"], new["ttl_seconds"]) == (600, 120)
        assert names(api) == [name, second]

    def test_idempotency(self, api: Api) -> None:
        define(api)
        name, key = run(api), {"Idempotency-Key": "k"}
        assert api("POST", f"/executions/{name}/retry", headers=key).status_code == 409
        api("POST", f"/executions/{name}/cancel")
        first = api("POST", f"/executions/{name}/retry", headers=key)
        again = api("POST", f"/executions/{name}/retry", headers=key)
        assert (first.status_code, again.status_code, again.data) == (202, 202, first.data)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert len(names(api)) == 2

    def test_of_a_deleted_job(self, api: Api) -> None:
        define(api)
        name = run(api)
        api("POST", f"/executions/{name}/cancel")
        api("DELETE", JOB)
        assert api("POST", f"/executions/{name}/retry").status_code == 404
        assert body_of(api("GET", f"/executions/{name}"))["status"] == "cancelled"


JOB_VALUE = Job(
    id="0mwqjg1qk00001",
    queue="services.a",
    state=State.RUNNING,
    version=1,
    due_at=NOON,
    created_at=NOON,
    spec=Spec(target=TARGET, terms=Terms(60_000), service=ServiceRun("a", "b", "rate(1 day)")),
    first_due_at=NOON,
    attempt=1,
    occurrence=f"a/b_{NOON}",
)


class TestShapes:
    """What a job becomes in an answer, without a server."""

    @pytest.mark.parametrize(
        ("state", "error", "final", "result"),
        [
            (State.PENDING, None, None, None),
            (State.RUNNING, None, None, None),
            (State.RETRY, "http_500: no", None, None),
            (State.COMPLETED, None, Final("success", state=0), ("success", None, 0, None, None)),
            (
                State.COMPLETED,
                None,
                Final("success", "s", {}, None, "c"),
                ("success", "s", {}, None, "c"),
            ),
            (
                State.FAILED,
                "fail: no",
                Final("fail", error={"message": "no"}),
                ("fail", None, None, {"message": "no"}, None),
            ),
            (State.FAILED, "fail: s", Final("fail", "s"), ("fail", "s", None, None, None)),
            (
                State.FAILED,
                "http_500: no",
                None,
                ("fail", None, None, "http_500: no", None),
            ),
            (
                State.FAILED,
                "exclusive_lock: x",
                None,
                ("fail", None, None, "exclusive_lock: x", None),
            ),
            (
                State.FAILED,
                "heartbeat_missed: x",
                None,
                ("timeout", None, None, "heartbeat_missed: x", None),
            ),
            (
                State.FAILED,
                "callback_timeout: x",
                None,
                ("timeout", None, None, "callback_timeout: x", None),
            ),
            (
                State.CANCELLED,
                "cancelled: x",
                None,
                ("cancelled", None, None, "cancelled: x", None),
            ),
        ],
        ids=lambda each: str(each)[:30],
    )
    def test_results(
        self, state: State, error: str | None, final: Final | None, result: tuple[Any, ...] | None
    ) -> None:
        job = replace(JOB_VALUE, state=state, error=error, final=final, ended_at=NOON)
        page: Any = strict_json.parse(service_render.executions(Page((job,)), 5))
        fields = ("status", "summary", "state", "error", "correlation_id")
        expected = None if result is None else dict(zip(fields, result, strict=True))
        assert page["results"][0]["result"] == expected
        shown: Any = strict_json.parse(service_render.execution(Execution(job)))
        assert shown["result"] == expected

    @pytest.mark.parametrize(
        ("more", "updated"),
        [
            ({}, 0),
            ({"attempts": (Attempt(1, NOON + 1, 4), Attempt(2, NOON + 7, 2))}, 9),
            ({"attempts": (Attempt(1, NOON + 1, 4),), "awaiting_since": NOON + 3}, 5),
            ({"attempts": (Attempt(1, NOON + 1, 4),), "awaiting_since": NOON + 6}, 6),
            ({"awaiting_since": NOON + 6, "heard_at": NOON + 8}, 8),
            ({"awaiting_since": NOON + 6, "heard_at": NOON + 8, "ended_at": NOON + 7}, 7),
        ],
    )
    def test_updated_at(self, more: dict[str, Any], updated: int) -> None:
        job = replace(JOB_VALUE, **more)
        page: Any = strict_json.parse(service_render.executions(Page((job,)), 0))
        assert page["results"][0]["updated_at"] == iso(NOON + updated)
        assert page["results"][0]["inserted_at"] == iso(NOON)

    @pytest.mark.parametrize(("cursor", "paging"), [(None, {}), (NEVER, {"more": NEVER})])
    def test_paging(self, cursor: str | None, paging: dict[str, str]) -> None:
        page: Any = strict_json.parse(service_render.executions(Page((), cursor), 5))
        assert page == {"count": 0, "since": 5, "paging": paging, "results": []}
