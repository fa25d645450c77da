"""Schedules over HTTP: headers and JSON, keys in paths, pause, run, history, preview, faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
import redis
from flask import Flask
from werkzeug.test import TestResponse

from lambdaqueue import keys
from lambdaqueue.commands import Idempotency
from lambdaqueue.instants import iso
from lambdaqueue.schedule import Occurrence, Round
from lambdaqueue.schedules import ScheduleStore
from lambdaqueue.scheduling import Scheduling, minted_at
from tests.api.conftest import TARGET, Api, Tenant, codes, parts_of, paths

AS_JSON = "application/vnd.lambdaqueue.schedule+json"
WANTED: Mapping[str, Any] = {"queue": "mail", "schedule": "@daily", "target": TARGET}
HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json",
    "x-lq-queue": "mail",
    "x-lq-schedule": "@daily",
    "x-lq-target": TARGET,
}


def create(api: Api, payload: bytes = b"{}", /, **options: str | None) -> TestResponse:
    """POST a schedule; `options` are x-lq-* headers without the prefix, None leaves one out."""
    named = {f"x-lq-{name.replace('_', '-')}": value for name, value in options.items()}
    headers = {name: value for name, value in {**HEADERS, **named}.items() if value is not None}
    return api("POST", "/schedules", data=payload, headers=headers)


def create_json(api: Api, **more: Any) -> TestResponse:
    body = json.dumps({**WANTED, **more})
    return api("POST", "/schedules", data=body, headers={"Content-Type": AS_JSON})


def body_of(response: TestResponse, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert isinstance(response.json, dict)
    return response.json


def ms_of(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)


@pytest.fixture
def store(app: Flask) -> ScheduleStore:
    return ScheduleStore(parts_of(app).client)


def text(stored: bytes | str) -> str:
    return stored if isinstance(stored, str) else stored.decode()


def next_millisecond() -> None:
    """Wait for it; Redis is on this machine and has the same clock."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        pass


def fire(store: ScheduleStore, schedule_id: str, at: int) -> str:
    """Push one run as a scheduler does when the clock has reached it; return the job's id."""
    schedule = store.read("1", schedule_id)
    assert schedule is not None
    run = Round(schedule, (Occurrence(at, at),), schedule.next_run)
    ((job_id,),) = store.fire([run])
    return job_id


class TestSetting:
    def test_by_headers(self, api: Api) -> None:
        response = create(
            api,
            b'{"n": 1.0}',
            schedule="0 9 * * 1-5",
            tz="Europe/Warsaw",
            key="report/daily",
            method="PUT",
            headers='{"X-A": "b"}',
            retry='{"type": "constant", "delay": 1000, "retries": 2}',
            timeout="5000",
            max_age="60000",
            priority="7",
            event_type="report.due",
            starts_at="2030-01-01T00:00:00+01:00",
            ends_at="2031-01-01T00:00:00Z",
            max_runs="10",
            jitter="2000",
            misfire="all",
            overlap="skip",
        )
        made = body_of(response, 201)
        assert made.pop("id").isalnum()
        assert abs(ms_of(made.pop("created")) - time.time() * 1_000) < 5_000
        assert made == {
            "key": "report/daily",
            "paused": False,
            "schedule": "0 9 * * 1-5",
            "timezone": "Europe/Warsaw",
            "nextRun": "2030-01-01T08:00:00.000Z",
            "queue": "mail",
            "target": {"url": TARGET, "method": "PUT"},
            "type": "HTTP",
            "payload": {"n": 1.0},
            "payloadType": "application/json",
            "payloadEncoding": "json",
            "retry": {"type": "constant", "delay": 1000, "retries": 2, "jitter": 0.1},
            "timeout": 5_000,
            "maxAge": 60_000,
            "priority": 7,
            "eventType": "report.due",
            "startsAt": "2029-12-31T23:00:00.000Z",
            "endsAt": "2031-01-01T00:00:00.000Z",
            "maxRuns": 10,
            "jitter": 2_000,
            "misfire": "all",
            "overlap": "skip",
        }
        assert b'{"n": 1.0}' in response.data  # the bytes themselves

    def test_the_same_as_json(self, api: Api) -> None:
        options: dict[str, Any] = {
            "timezone": "Asia/Tokyo",
            "key": "k",
            "payload": {"b": 1, "a": 2**60},
            "contentType": "application/ld+json",
            "method": "PATCH",
            "headers": {"X-A": "b"},
            "retry": {"retries": 1},
            "timeout": 5_000,
            "maxAge": 60_000,
            "priority": 9,
            "eventType": "e",
            "startsAt": "2030-01-01T00:00:00Z",
            "endsAt": "2031-01-01T00:00:00Z",
            "maxRuns": 3,
            "jitter": 5,
            "misfire": "skip",
            "overlap": "skip",
        }
        made = body_of(create_json(api, **options), 201)
        assert made["nextRun"] == "2030-01-01T15:00:00.000Z"
        assert made["target"] == {"url": TARGET, "method": "PATCH"}
        assert made["payloadType"] == "application/ld+json"
        shown = options.keys() - {
            "contentType", "method", "startsAt", "endsAt", "retry", "headers",
        }  # fmt: skip
        assert "headers" not in made
        assert {name: made[name] for name in shown} == {name: options[name] for name in shown}
        put = {name: value for name, value in options.items() if name != "key"}
        again = api("PUT", "/schedules/byKey/k", json={**WANTED, **put})
        assert body_of(again) == made

    @pytest.mark.parametrize(
        ("more", "payload", "payload_type", "encoding"),
        [
            ({"payload": [1]}, [1], "application/json", "json"),
            ({"payload": "a", "contentType": "text/plain"}, "a", "text/plain", "text"),
            (
                {"payload": "/wA=", "payloadEncoding": "base64"},
                "/wA=",
                "application/octet-stream",
                "base64",
            ),
            ({}, None, "application/json", None),
        ],
    )
    def test_payloads(
        self, api: Api, more: dict[str, Any], payload: Any, payload_type: str, encoding: str | None
    ) -> None:
        made = body_of(create_json(api, **more), 201)
        found = made.get("payload"), made["payloadType"], made.get("payloadEncoding")
        assert found == (payload, payload_type, encoding)

    def test_setting_it_again_changes_nothing(self, api: Api, store: ScheduleStore) -> None:
        """As an application does at every start."""
        options = {"schedule": "every(90s)", "key": "k", "jitter": "10"}
        made = body_of(create(api, **options), 201)
        job_id = fire(store, made["id"], ms_of(made["nextRun"]))
        before = store.read("1", made["id"])
        for response in (
            create(api, **options),
            create_json(api, schedule="every(90s)", key="k", jitter=10, payload={}),
            api("PUT", "/schedules/byKey/k", json={**WANTED, "schedule": "every(90s)",
                                                   "jitter": 10, "payload": {}}),
        ):  # fmt: skip
            again = body_of(response)
            assert {**again, "lastRun": None} == {**made, "lastRun": None}
        assert store.read("1", made["id"]) == before
        entries = body_of(api("GET", "/schedules/byKey/k/history"))["entries"]
        assert [entry["id"] for entry in entries] == [job_id]

    @pytest.mark.parametrize(
        ("changes", "moves"),
        [
            ({"payload": {"v": 2}}, False),
            ({"jitter": 100, "overlap": "skip"}, False),
            ({"target": f"{TARGET}/2"}, False),
            ({"schedule": "every(2d)"}, True),
            ({"timezone": "Asia/Tokyo"}, True),
            ({"startsAt": "2040-01-01T00:00:00Z"}, True),
        ],
        ids=str,
    )
    def test_only_the_timetable_moves_the_phase(
        self, api: Api, changes: dict[str, Any], moves: bool
    ) -> None:
        made = body_of(create_json(api, schedule="every(1d)", key="k"), 201)
        next_millisecond()  # so that a phase that begins anew can be told from the old one
        changed = body_of(create_json(api, **{"schedule": "every(1d)", "key": "k", **changes}))
        assert changed["id"] == made["id"]
        assert (changed["nextRun"] != made["nextRun"]) is moves

    def test_the_queues_target_will_do(self, api: Api) -> None:
        api("PUT", "/queues/mail", json={"target": TARGET})
        made = body_of(create(api, target=None), 201)
        assert made["target"] == {"method": "POST"}
        job = body_of(api("POST", f"/schedules/{made['id']}/run"), 201)
        assert job["target"]["url"] == TARGET


BAD_EXPRESSIONS = [
    "0 0 31 2 *",  # B60
    "* * * * * *",  # B61
    "0 0 1 1 * 0 1970",  # B62
    "0 0 1 1 * 0 2099",
    "R R * * *",  # B63
    "H H * * *",  # B64
    "@reboot",  # B65
    "@midnight",
    *(f"{minute} * * * *" for minute in ("*/0", "61", "-1", "1e1", "9" * 20)),  # B66
    "*/61 * * * *",  # B67
    "5-1 * * * *",
    "0 0 1-31/40 * *",
    ",".join(["1"] * 5_000) + " * * * *",  # B68
    "* * * * *\n",  # B69
    "\t* * * * *",
    "* * *\t* *",
    "\u0661 * * * *",
    "* * * * *\0",
    " * * * * *",
    "",
    "rate(0 minutes)",
    "rate(1 minutes)",
    "rate(2 minute)",
    "every(0s)",
    "every(1w)",
    "at(2001-01-01T00:00:00)",
    "at(2030-02-30T00:00:00)",
    "cron(0 9 * * MON-FRI *)",
    "cron(0 9 1 1 ? 2001)",
]
BAD_ZONES = ("Mars/Phobos", "../../etc/passwd", "UTC\0", "Factory", "localtime", "", "utc")


class TestRefusing:
    @pytest.mark.parametrize("expression", BAD_EXPRESSIONS, ids=lambda text: ascii(text)[:24])
    def test_bad_expressions(self, api: Api, expression: str) -> None:
        """B60 to B69."""
        response = create_json(api, schedule=expression)
        assert (response.status_code, paths(response)) == (422, [["schedule"]])
        query = {"schedule": expression}
        if not expression.startswith(("at(", "cron(0 9 1 1")):  # those ran once
            assert api("GET", "/schedules/preview", query_string=query).status_code == 422
        if expression.isascii() and expression.isprintable():
            assert paths(create(api, schedule=expression)) == [["x-lq-schedule"]]
        assert body_of(api("GET", "/schedules")) == {"schedules": []}

    def test_both_days(self, api: Api) -> None:
        """B70: day of month or day of week, whichever comes."""
        query = {"schedule": "0 0 29 2 1", "from": "2026-02-20T00:00:00Z", "count": "3"}
        found = body_of(api("GET", "/schedules/preview", query_string=query))
        assert found["next"] == [
            "2026-02-23T00:00:00.000Z",
            "2027-02-01T00:00:00.000Z",
            "2027-02-08T00:00:00.000Z",
        ]

    @pytest.mark.parametrize("zone", BAD_ZONES, ids=ascii)
    def test_bad_zones(self, api: Api, zone: str) -> None:
        """B71."""
        response = create_json(api, timezone=zone)
        assert (response.status_code, paths(response)) == (422, [["timezone"]])
        query = {"schedule": "@daily", "tz": zone}
        assert api("GET", "/schedules/preview", query_string=query).status_code == 422
        if zone.isprintable():
            assert paths(create(api, tz=zone)) == [["x-lq-tz"]]

    @pytest.mark.parametrize(
        ("options", "path", "code"),
        [
            ({"queue": None}, "x-lq-queue", "required"),
            ({"queue": "items"}, "x-lq-queue", "bad_queue_name"),
            ({"schedule": None}, "x-lq-schedule", "required"),
            ({"target": None}, "x-lq-target", "required"),
            ({"delay": "1"}, "x-lq-delay", "unknown_header"),
            ({"on": "2030-01-01T00:00:00Z"}, "x-lq-on", "unknown_header"),
            ({"if_exists": "keep"}, "x-lq-if-exists", "unknown_header"),
            ({"flow_key": "a" * 256}, "x-lq-flow-key", "bad_length"),
            ({"key": ""}, "x-lq-key", "bad_length"),
            ({"key": "k" * 256}, "x-lq-key", "bad_length"),
            *(
                ({"key": f"a/{action}"}, "x-lq-key", "reserved")
                for action in ("pause", "resume", "run", "history")
            ),
            ({"starts_at": "2030-01-01T00:00:00"}, "x-lq-starts-at", "not_instant"),
            ({"ends_at": "tomorrow"}, "x-lq-ends-at", "not_instant"),
            ({"ends_at": "2001-01-01T00:00:00Z"}, "x-lq-schedule", "no_run"),
            ({"max_runs": "0"}, "x-lq-max-runs", "out_of_range"),
            ({"max_runs": "1.5"}, "x-lq-max-runs", "not_integer"),
            ({"jitter": "-1"}, "x-lq-jitter", "not_integer"),
            ({"jitter": "86400001"}, "x-lq-jitter", "out_of_range"),
            ({"misfire": "twice"}, "x-lq-misfire", "not_a_choice"),
            ({"overlap": "never"}, "x-lq-overlap", "not_a_choice"),
            ({"target": "http://example.org/"}, "x-lq-target", None),
            ({"retry": "{"}, "x-lq-retry", "bad_json"),
        ],
        ids=str,
    )
    def test_bad_headers(
        self, api: Api, options: dict[str, str | None], path: str, code: str | None
    ) -> None:
        response = create(api, **options)
        assert response.status_code == 422
        assert [found[0] for found in paths(response)] == [path]
        assert code is None or codes(response) == [code]
        assert body_of(api("GET", "/schedules")) == {"schedules": []}

    @pytest.mark.parametrize(
        ("more", "path", "code"),
        [
            ({"delay": 1}, ["delay"], "unknown_field"),
            ({"maxRuns": True}, ["maxRuns"], "not_integer"),
            ({"endsAt": 5}, ["endsAt"], "not_instant"),
            ({"queue": 5}, ["queue"], "not_text"),
            ({"schedule": None}, ["schedule"], "null"),
            ({"payload": 1, "contentType": "text/plain"}, ["payload"], "not_text"),
            ({"payload": "é", "payloadEncoding": "base64"}, ["payload"], "not_base64"),
            ({"payloadEncoding": "base64"}, ["payloadEncoding"], "alone"),
            ({"payload": "x" * 262_144}, ["payload"], "too_large"),
        ],
        ids=lambda each: str(each)[:40],
    )
    def test_bad_json(self, api: Api, more: dict[str, Any], path: list[str], code: str) -> None:
        response = create_json(api, **more)
        assert (response.status_code, paths(response), codes(response)) == (422, [path], [code])

    def test_a_key_that_the_path_has_already(self, api: Api) -> None:
        response = api("PUT", "/schedules/byKey/a", json={**WANTED, "key": "b"})
        assert (response.status_code, paths(response)) == (422, [["key"]])
        response = api("PUT", "/schedules/byKey/a", json={**WANTED, "key": "a"})
        assert response.status_code == 201

    def test_no_content_type(self, api: Api) -> None:
        headers = {name: value for name, value in HEADERS.items() if name != "Content-Type"}
        assert api("POST", "/schedules", data=b"1", headers=headers).status_code == 415


class TestReadingAndChanging:
    @pytest.mark.parametrize("key", ["a", "a/b", "a//b/", "pause", "run/x", "é %?#", "history"])
    def test_keys_in_paths(self, api: Api, key: str) -> None:
        path = f"/schedules/byKey/{quote(key, safe='')}"
        made = body_of(api("PUT", path, json=WANTED), 201)
        assert made["key"] == key
        assert body_of(api("GET", path)) == made
        assert body_of(api("PATCH", path, json={"jitter": 5}))["jitter"] == 5
        assert body_of(api("POST", f"{path}/pause"))["paused"] is True
        assert body_of(api("POST", f"{path}/resume"))["paused"] is False
        job = body_of(api("POST", f"{path}/run"), 201)
        entries = body_of(api("GET", f"{path}/history"))["entries"]
        assert [entry["id"] for entry in entries] == [job["id"]]
        assert body_of(api("DELETE", path))["id"] == made["id"]
        assert api("GET", path).status_code == 404

    def test_change(self, api: Api) -> None:
        made = body_of(create_json(api, schedule="every(1d)", payload={"v": 1}, maxRuns=5), 201)
        path = f"/schedules/{made['id']}"
        changes = {
            "payload": "text",
            "contentType": "text/plain",
            "queue": "other",
            "maxRuns": None,
            "timeout": 9_000,
            "priority": 3,
            "misfire": "skip",
        }
        changed = body_of(api("PATCH", path, json=changes))
        expected = {
            **made,
            "payload": "text",
            "payloadType": "text/plain",
            "payloadEncoding": "text",
            "queue": "other",
            "timeout": 9_000,
            "priority": 3,
            "misfire": "skip",
        }
        del expected["maxRuns"]
        assert changed == expected
        assert body_of(api("PATCH", path, json={"timeout": None})).get("timeout") is None

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"key": "k"}, ["key"]),
            ({"target": None}, ["target"]),
            ({"schedule": "0 0 31 2 *"}, ["schedule"]),
            ({"timezone": "Mars/Phobos"}, ["timezone"]),
            ({"schedule": None}, ["schedule"]),
            ({"endsAt": "2001-01-01T00:00:00Z", "schedule": "@hourly"}, ["schedule"]),
        ],
        ids=str,
    )
    def test_bad_changes(self, api: Api, change: dict[str, Any], path: list[str]) -> None:
        made = body_of(create(api), 201)
        response = api("PATCH", f"/schedules/{made['id']}", json=change)
        assert (response.status_code, paths(response)) == (422, [path])
        assert body_of(api("GET", f"/schedules/{made['id']}")) == made

    @pytest.mark.parametrize("name", ["nobody", "byKey/nobody", "0" * 16, "%C3%A9"])
    def test_absent(self, api: Api, name: str) -> None:
        for method, rest in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/run"),
            ("GET", "/history"),
        ):
            assert api(method, f"/schedules/{name}{rest}", json={}).status_code == 404, (
                method,
                rest,
            )

    def test_anothers_is_absent(self, api: Api, tenant: Callable[[str], Tenant]) -> None:
        made = body_of(create(api, key="k"), 201)
        other = tenant("other").api
        for name in (made["id"], "byKey/k"):
            assert other("GET", f"/schedules/{name}").status_code == 404
            assert other("POST", f"/schedules/{name}/run").status_code == 404
            assert other("DELETE", f"/schedules/{name}").status_code == 404
        assert body_of(other("GET", "/schedules")) == {"schedules": []}
        assert body_of(create(other, key="k"), 201)["id"] != made["id"]

    def test_list(self, api: Api) -> None:
        made = []
        for _ in range(5):
            made.append(body_of(create(api), 201)["id"])
            next_millisecond()  # ids sort by the millisecond of their making
        seen: list[str] = []
        cursor = ""
        while True:
            page = body_of(api("GET", f"/schedules?limit=2{cursor}"))
            seen += [schedule["id"] for schedule in page["schedules"]]
            if "nextCursor" not in page:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert seen == made

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=1001", "cursor=x", "cursor=%00", "limit=1&limit=2"]
    )
    def test_bad_queries(self, api: Api, query: str) -> None:
        made = body_of(create(api), 201)
        for path in ("/schedules", f"/schedules/{made['id']}/history"):
            assert api("GET", f"{path}?{query}").status_code == 422, path


class TestRunning:
    def test_a_run_by_hand(self, api: Api) -> None:
        made = body_of(create(api, b'{"n": 1}', key="k", priority="4", event_type="e"), 201)
        job = body_of(api("POST", f"/schedules/{made['id']}/run"), 201)
        assert job["scheduleId"] == made["id"]
        schedule_id, _, at = job["occurrence"].partition("_")
        assert schedule_id == made["id"]
        assert 0 <= ms_of(job["dueAt"]) - int(at) < 1_000
        assert (job["queue"], job["payload"], job["priority"]) == ("mail", {"n": 1}, 4)
        assert body_of(api("GET", f"/items/{job['id']}")) == job
        shown = body_of(api("GET", f"/schedules/{made['id']}"))
        assert shown["nextRun"] == made["nextRun"]
        assert shown["lastRun"] == iso(int(at))
        api("DELETE", f"/items/{job['id']}")
        ended = body_of(api("GET", f"/items/{job['id']}"))
        assert (ended["scheduleId"], ended["occurrence"]) == (made["id"], job["occurrence"])

    def test_no_overlap(self, api: Api) -> None:
        made = body_of(create(api, overlap="skip"), 201)
        job = body_of(api("POST", f"/schedules/{made['id']}/run"), 201)
        assert api("POST", f"/schedules/{made['id']}/run").status_code == 409
        api("DELETE", f"/items/{job['id']}")
        assert api("POST", f"/schedules/{made['id']}/run").status_code == 201

    def test_pause_and_resume(self, api: Api) -> None:
        made = body_of(create(api, schedule="every(1d)"), 201)
        path = f"/schedules/{made['id']}"
        paused = body_of(api("POST", f"{path}/pause"))
        assert paused["paused"] is True
        assert "nextRun" not in paused
        assert body_of(api("POST", f"{path}/pause")) == paused
        assert "nextRun" not in body_of(api("PATCH", path, json={"schedule": "every(2d)"}))
        assert body_of(api("PATCH", path, json={"schedule": "every(1d)"}))["paused"] is True
        assert body_of(api("POST", f"{path}/run"), 201)["state"] == "PENDING"
        resumed = body_of(api("POST", f"{path}/resume"))
        assert resumed["paused"] is False
        assert ms_of(resumed["nextRun"]) > time.time() * 1_000

    def test_history(self, api: Api, store: ScheduleStore) -> None:
        """Newest first; what waits is there beside what has ended."""
        made = body_of(create(api, schedule="every(1d)"), 201)
        first = ms_of(made["nextRun"])
        jobs = [fire(store, made["id"], first + number * 1_000) for number in range(5)]
        api("DELETE", f"/items/{jobs[2]}")
        path = f"/schedules/{made['id']}/history"
        one = body_of(api("GET", f"{path}?limit=3"))
        two = body_of(api("GET", f"{path}?limit=3&cursor={one['nextCursor']}"))
        assert "nextCursor" not in two
        entries = one["entries"] + two["entries"]
        assert [entry["id"] for entry in entries] == jobs[::-1]
        assert [entry["state"] for entry in entries] == [
            "PENDING", "PENDING", "CANCELLED", "PENDING", "PENDING",
        ]  # fmt: skip
        assert "endedAt" in entries[2]

    def test_a_history_of_large_payloads(self, api: Api, store: ScheduleStore) -> None:
        made = body_of(create(api, b"x" * 262_144, schedule="every(1d)"), 201)
        first = ms_of(made["nextRun"])
        jobs = [fire(store, made["id"], first + number) for number in range(20)]
        path = f"/schedules/{made['id']}/history"
        one = body_of(api("GET", path))
        assert len(one["entries"]) < 20
        two = body_of(api("GET", f"{path}?cursor={one['nextCursor']}"))
        assert [entry["id"] for entry in one["entries"] + two["entries"]] == jobs[::-1]


class TestRepeating:
    """Idempotency-Key."""

    @pytest.mark.parametrize("key", [None, "k"])
    def test_the_first_answer_again(self, api: Api, key: str | None) -> None:
        headers = {**HEADERS, "Idempotency-Key": "i", **({"x-lq-key": key} if key else {})}
        first = api("POST", "/schedules", data=b"1", headers=headers)
        made = body_of(first, 201)
        body_of(api("PATCH", f"/schedules/{made['id']}", json={"jitter": 5}))
        again = api("POST", "/schedules", data=b"1", headers=headers)
        assert (again.status_code, again.data) == (201, first.data)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        (only,) = body_of(api("GET", "/schedules"))["schedules"]
        assert only["jitter"] == 5
        other = api("POST", "/schedules", data=b"2", headers=headers)
        assert codes(other) == ["idempotency_mismatch"]

    def test_of_a_put_and_of_a_run(self, api: Api) -> None:
        keyed = {"Idempotency-Key": "i"}
        first = api("PUT", "/schedules/byKey/k", json=WANTED, headers=keyed)
        again = api("PUT", "/schedules/byKey/k", json=WANTED, headers=keyed)
        assert (again.status_code, again.data) == (201, first.data)
        run = {"headers": {"Idempotency-Key": "r"}}
        one = body_of(api("POST", "/schedules/byKey/k/run", **run), 201)
        assert body_of(api("POST", "/schedules/byKey/k/run", **run), 201) == one
        assert len(body_of(api("GET", "/schedules/byKey/k/history"))["entries"]) == 1
        assert codes(api("POST", "/schedules/byKey/k/run", headers=keyed)) == [
            "idempotency_mismatch"
        ]

    def test_under_the_key_of_a_push(self, api: Api) -> None:
        """And the other way round."""
        pushed = {"Content-Type": "text/plain", "x-lq-target": TARGET, "Idempotency-Key": "p"}
        for first, second in (("/queues/mail/items", "/schedules"),
                              ("/schedules", "/queues/mail/items")):  # fmt: skip
            sent = {path: HEADERS if path == "/schedules" else pushed for path in (first, second)}
            key = {"Idempotency-Key": f"key of {first}"}
            assert api("POST", first, data=b"1", headers={**sent[first], **key}).status_code == 201
            refused = api("POST", second, data=b"1", headers={**sent[second], **key})
            assert codes(refused) == ["idempotency_mismatch"]

    def test_a_refused_request_is_not_remembered(self, api: Api) -> None:
        keyed = {**HEADERS, "Idempotency-Key": "i", "x-lq-schedule": "at(2001-01-01T00:00:00)"}
        assert api("POST", "/schedules", data=b"1", headers=keyed).status_code == 422
        keyed["x-lq-schedule"] = "@daily"
        assert api("POST", "/schedules", data=b"1", headers=keyed).status_code == 201

    @pytest.mark.parametrize("key", [None, "k"])
    def test_two_at_once_make_one(self, app: Flask, api: Api, key: str | None) -> None:
        headers = {**HEADERS, "Idempotency-Key": "i", **({"x-lq-key": key} if key else {})}

        def ask(_: int) -> TestResponse:
            return Api(app)("POST", "/schedules", data=b"1", headers=headers)

        with ThreadPoolExecutor(4) as pool:
            statuses = {response.status_code for response in pool.map(ask, range(12))}
        assert statuses <= {201, 409}
        assert len(body_of(api("GET", "/schedules"))["schedules"]) == 1

    def test_a_try_that_died_is_gone_on_with(self, app: Flask, api: Api) -> None:
        """Nothing is made twice, wherever the process died before it could remember its answer."""
        parts = parts_of(app)
        made_at = int(time.time() * 1_000) - 60_000
        old_id = Scheduling(parts.client, made_at).mint()
        headers = {**HEADERS, "Idempotency-Key": "i"}
        body_of(api("POST", "/schedules", data=b"1", headers=headers), 201)
        with parts.client.pipeline() as pipe:
            name = keys.idempotent("1", "i")
            pipe.hdel(name, "status", "body")
            pipe.execute()
        stored = parts.client.hget(name, "fingerprint")
        assert stored is not None
        only = body_of(api("GET", "/schedules"))["schedules"][0]
        young = api("POST", "/schedules", data=b"1", headers=headers)
        assert young.status_code == 409  # it may still be in work
        # Ten seconds later; the id carries the time.
        parts.client.delete(name)
        known = parts.first_answers.begin("1", Idempotency("i", text(stored)), old_id)
        assert minted_at(known.id) == made_at
        after_reservation = body_of(api("POST", "/schedules", data=b"1", headers=headers), 201)
        assert after_reservation["id"] == old_id != only["id"]
        parts.client.hdel(name, "status", "body")
        after_the_making = body_of(api("POST", "/schedules", data=b"1", headers=headers), 201)
        assert after_the_making == after_reservation
        assert len(body_of(api("GET", "/schedules"))["schedules"]) == 2

    def test_so_is_a_run(self, app: Flask, api: Api) -> None:
        parts = parts_of(app)
        made = body_of(create(api), 201)
        path, headers = f"/schedules/{made['id']}/run", {"Idempotency-Key": "i"}
        old_id = Scheduling(parts.client, int(time.time() * 1_000) - 60_000).mint()
        one = body_of(api("POST", path, headers=headers), 201)
        name = keys.idempotent("1", "i")
        fingerprint = parts.client.hget(name, "fingerprint")
        assert fingerprint is not None
        parts.client.delete(name)
        parts.first_answers.begin("1", Idempotency("i", text(fingerprint)), old_id)
        two = body_of(api("POST", path, headers=headers), 201)
        assert two["occurrence"] == f"{made['id']}_{minted_at(old_id)}"
        parts.client.hdel(name, "status", "body")
        assert body_of(api("POST", path, headers=headers), 201)["id"] == two["id"] != one["id"]


class TestPreview:
    @pytest.mark.parametrize(
        ("query", "runs"),
        [
            (
                "schedule=0%209%20*%20*%201-5&tz=Europe/Warsaw&from=2026-03-27T09:00:00Z&count=2",
                ["2026-03-30T07:00:00.000Z", "2026-03-31T07:00:00.000Z"],
            ),
            (
                "schedule=every(10s)&from=1772366400000&count=2",
                ["2026-03-01T12:00:10.000Z", "2026-03-01T12:00:20.000Z"],
            ),
            ("schedule=at(2026-03-01T12:00:00)&from=2026-03-01T12:00:00Z", []),
            (
                "schedule=at(2026-03-01T12:00:00)&from=2026-03-01T11:59:59.999Z",
                ["2026-03-01T12:00:00.000Z"],
            ),
            ("schedule=@yearly&from=9997-06-01T00:00:00Z", ["9998-01-01T00:00:00.000Z"]),
            ("schedule=@daily&from=999999999999999999", []),
        ],
    )
    def test_runs(self, api: Api, query: str, runs: list[str]) -> None:
        assert body_of(api("GET", f"/schedules/preview?{query}")) == {"next": runs}

    def test_defaults(self, api: Api) -> None:
        runs = body_of(api("GET", "/schedules/preview?schedule=@hourly"))["next"]
        now = int(time.time() * 1_000)
        assert len(runs) == 5
        assert 0 < ms_of(runs[0]) - now <= 3_600_000
        assert [iso(ms_of(run)) for run in runs] == runs
        every = body_of(api("GET", "/schedules/preview?schedule=every(1s)&count=100"))["next"]
        assert len(every) == 100

    @pytest.mark.parametrize(
        ("query", "path"),
        [
            ("", "schedule"),
            ("schedule=@daily&count=0", "count"),
            ("schedule=@daily&count=101", "count"),
            ("schedule=@daily&count=x", "count"),
            ("schedule=@daily&from=now", "from"),
            ("schedule=@daily&from=", "from"),
            ("schedule=@daily&tz=Factory", "timezone"),
            ("schedule=@daily&schedule=@hourly", "schedule"),
        ],
    )
    def test_bad_queries(self, api: Api, query: str, path: str) -> None:
        response = api("GET", f"/schedules/preview?{query}")
        assert (response.status_code, paths(response)) == (422, [[path]])


def test_nothing_of_a_schedule_is_left(api: Api, redis_url: str) -> None:
    """But for the jobs that it pushed."""
    made = body_of(create(api, key="k"), 201)
    body_of(api("POST", f"/schedules/{made['id']}/run"), 201)
    body_of(api("DELETE", "/schedules/byKey/k"))
    with redis.Redis.from_url(redis_url) as client:
        left = [key for key in client.scan_iter("*") if b"schedule" in key]
        assert left == []
