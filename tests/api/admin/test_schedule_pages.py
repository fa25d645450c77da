"""Schedules, service jobs and executions."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from api.admin import services
from lambdaqueue import keys
from tests.api.admin.conftest import NASTY, Panel
from tests.api.admin.work import HOME
from tests.api.conftest import TARGET, Api, parts_of
from tests.api.service_calls import Crew, call_back, define, run

SCHEDULES = f"{HOME}/schedules"
SERVICES = f"{HOME}/services"
WANTED = {"queue": "mail", "schedule": "0 4 * * *", "target": TARGET, "payload": {"a": 1}}


def schedule(api: Api, key: str = "nightly", **more: Any) -> str:
    """Set a schedule; return the path of its page."""
    made = api("PUT", f"/schedules/byKey/{key}", json={**WANTED, **more})
    assert made.status_code == 201, made.text
    assert made.json is not None
    return f"{SCHEDULES}/{made.json['id']}"


class TestSchedules:
    def test_empty(self, viewer: Panel) -> None:
        page = viewer.get(SCHEDULES)
        assert page.shows("No schedule yet")
        assert page.shows("/api/v1/schedules/byKey/morning")

    def test_the_example_works(self, api: Api) -> None:
        example = {"queue": "hello", "schedule": "0 9 * * 1-5", "timezone": "Europe/Berlin"}
        schedule(api, "morning", **example)

    def test_list_and_page(self, viewer: Panel, api: Api) -> None:
        path = schedule(api, maxRuns=3, endsAt="2199-01-01T00:00:00Z")
        assert f"/admin{path}" in viewer.get(SCHEDULES).links
        page = viewer.get(path)
        assert page.text.count("T04:00:00.000Z</time> <") == 3, "no more than maxRuns"
        assert page.shows('"a": 1')
        assert not [form for form in page.forms if "/schedules/" in form]

    def test_its_queue_is_there_once_it_has_run(self, viewer: Panel, api: Api, app: Flask) -> None:
        schedule_id = schedule(api).rpartition("/")[2]
        assert f"/admin{HOME}/queues/mail" not in viewer.get(SCHEDULES).links
        parts_of(app).client.hset(keys.schedule("1", schedule_id), "last", 1)
        assert f"/admin{HOME}/queues/mail" in viewer.get(SCHEDULES).links

    def test_changes(self, panel: Panel, api: Api) -> None:
        path = schedule(api)
        assert panel.follow(panel.post(f"{path}/pause")).shows("None while it's paused.")
        panel.post(f"{path}/resume")
        done = panel.post(f"{path}/run")
        assert panel.follow(done).flash == "It has pushed this item."
        job = done.location.rpartition("/")[2]
        assert f"/admin{HOME}/items/{job}" in panel.get(path).links
        assert panel.get(f"{HOME}/items/{job}").shows("nightly")
        done = panel.post(f"{path}/remove")
        assert panel.follow(done).flash.startswith("Schedule nightly is removed")
        panel.get(path, 404)
        rows = parts_of(panel.app).administration.audit("1", 9, None).rows
        assert [each.action for each in rows][:3] == [
            "schedule.remove", "schedule.run", "schedule.resume",
        ]  # fmt: skip

    def test_refused(self, panel: Panel, viewer: Panel, api: Api) -> None:
        path = schedule(api)
        for action in ("pause", "resume", "run", "remove"):
            viewer.post(f"{path}/{action}", status=403)
            panel.post(f"{path}/{action}", {"csrf": "x"}, 403)
            panel.post(f"{SCHEDULES}/{'0' * 16}/{action}", status=404)
        panel.get(path)

    def test_preview(self, viewer: Panel) -> None:
        query = {"schedule": "0 9 * * 1-5", "tz": "Europe/Berlin"}
        page = viewer.get(SCHEDULES, query_string=query)
        assert page.text.count("<li><time") == page.text.count(" 09:00 CE") == 5, "CET or CEST"
        page = viewer.get(SCHEDULES, query_string={"schedule": "0 9 * * 1-5"})
        assert page.text.count("T09:00:00.000Z</time> <") == 5, "UTC is not said twice"
        page = viewer.get(SCHEDULES, query_string={"schedule": "every now and then"})
        assert 'id="issue-schedule"' in page.text
        page = viewer.get(SCHEDULES, query_string={"schedule": "@daily", "tz": "Mars/Base"})
        assert 'class="issue"' in page.text
        for text in NASTY:
            query = {"schedule": text, "tz": text}
            assert "<script>alert" not in viewer.get(SCHEDULES, query_string=query).text
        for cursor in ("x", "", "%3Cb%3E"):
            viewer.get(f"{SCHEDULES}?cursor={cursor}", 422)

    def test_nasty_keys(self, viewer: Panel, api: Api) -> None:
        for text in NASTY:
            plain = "".join(char for char in text if char.isprintable())
            body = {**WANTED, "payload": text, "contentType": "text/plain", "key": plain}
            made = api(
                "POST", "/schedules", json=body,
                headers={"Content-Type": "application/vnd.lambdaqueue.schedule+json"},
            )  # fmt: skip
            assert made.status_code == 201, made.text
            page = viewer.get(f"{SCHEDULES}/{made.json['id']}")  # type: ignore[index]
            assert page.shows(plain)
            assert "<script>alert" not in page.text
        assert "<script>alert" not in viewer.get(SCHEDULES).text


class TestServices:
    def test_empty(self, viewer: Panel) -> None:
        assert viewer.get(SERVICES).shows("/api/v1/services/billing/jobs/close-month")

    def test_pages(self, viewer: Panel, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "ROWS_OF_JOBS", 2)
        names = [f"billing/job{number}" for number in range(4)] + ["mail/job0"]
        for name in reversed(names):
            define(api, *name.split("/"))
        found, path = [], SERVICES
        while path:
            page = viewer.get(path)
            found += [link for link in page.links if link.startswith(f"/admin{SERVICES}/")]
            path = next((link for link in page.links if "cursor=" in link), "")
            path = path.removeprefix("/admin")
        assert found == [f"/admin{SERVICES}/{name}" for name in names]
        for cursor in ("x", "", "%3Cb%3E", "a/b/c", "a/%00"):
            viewer.get(f"{SERVICES}?cursor={cursor}", 422)

    def test_an_execution_from_run_to_repeat(self, panel: Panel, api: Api, app: Flask) -> None:
        define(api)
        job = f"{SERVICES}/billing/close-month"
        assert f"/admin{job}" in panel.get(SERVICES).links
        done = panel.post(f"{job}/run")
        name = done.location.rpartition("/")[2]
        assert panel.follow(done).shows("invoked")
        token = Crew(parts_of(app).client).start(name)
        assert call_back(api, token, status="processing", progress=42).status_code < 300
        assert panel.get(job).shows("running")
        (queue,) = (link for link in panel.get(job).links if "/queues/" in link)
        assert panel.get(queue.removeprefix("/admin")).shows("services.billing")
        for path in (SERVICES, job, f"{HOME}/executions/{name}"):
            assert '<progress value="42"' in panel.get(path).text
        ended = call_back(api, token, status="fail", error="<b>no</b>", summary="<i>s</i>")
        assert ended.status_code < 300, ended.text
        assert not panel.get(SERVICES).shows("Running now")
        page = panel.get(f"{HOME}/executions/{name}")
        assert page.shows("<b>no</b>")
        again = panel.post(f"{HOME}/executions/{name}/retry").location
        assert panel.get(f"{HOME}/executions/{name}").links.count(again) == 1
        second = again.rpartition("/")[2]
        done = panel.post(f"{HOME}/executions/{second}/cancel")
        assert panel.follow(done).flash == "The execution is cancelled."
        panel.post(f"{HOME}/executions/{second}/cancel", status=409)

    def test_try_out(self, panel: Panel, api: Api) -> None:
        define(api)
        assert panel.follow(panel.post(f"{SERVICES}/billing/close-month/test")).shows("test")

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("services/billing/absent", 404),
            ("services/A/b", 400),
            ("executions/x", 404),
            ("executions/%3Cscript%3E", 404),
        ],
    )
    def test_absent(self, panel: Panel, path: str, status: int) -> None:
        panel.get(f"{HOME}/{path}", status)

    def test_refused(self, panel: Panel, viewer: Panel, api: Api) -> None:
        define(api)
        name = run(api)
        for path in ("services/billing/close-month/run", f"executions/{name}/cancel"):
            viewer.post(f"{HOME}/{path}", status=403)
            panel.post(f"{HOME}/{path}", {"csrf": "x"}, 403)
        assert viewer.get(f"{SERVICES}/billing/close-month").shows(name)
