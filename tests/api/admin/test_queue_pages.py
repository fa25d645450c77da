"""The list of queues, one queue, its settings: pages and forms."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from flask import Flask

from lambdaqueue.attempts import Kind
from tests.api.admin.conftest import NASTY, PASSWORD, Panel
from tests.api.admin.work import HOME, attempt, ended, item
from tests.api.conftest import TARGET, Api

MAIL = f"{HOME}/queues/mail"
SETTINGS = f"{HOME}/queue-settings/mail"


def settings_of(api: Api, queue: str = "mail") -> dict[str, Any]:
    found = api("GET", f"/queues/{queue}").json
    assert found is not None
    return dict(found)


def actions(panel: Panel) -> list[str]:
    """The audit's newest entries."""
    return [each.action for each in _audit(panel)]


def _audit(panel: Panel) -> Any:
    return panel.app.extensions["lambdaqueue"].administration.audit("1", 100, None).rows


def forget_proofs(redis_url: str) -> None:
    """Let it be long ago that anybody's password was given."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter("lq:session:*"):
            client.hset(key, "proved", 1)


class TestList:
    def test_empty(self, viewer: Panel) -> None:
        assert viewer.get(f"{HOME}/queues").shows("No queue yet")

    def test_rows(self, viewer: Panel, api: Api, app: Flask) -> None:
        ended(api, app)
        item(api, "a/b.c")
        page = viewer.get(f"{HOME}/queues")
        assert {MAIL, f"{HOME}/queues/a/b.c"} <= {
            link.removeprefix("/admin") for link in page.links
        }
        assert page.shows("http_500: no")

    def test_pages(self, viewer: Panel, redis_url: str) -> None:
        names = [f"q{number:03}" for number in range(205)]
        with redis.Redis.from_url(redis_url) as client:
            client.zadd("lq:1:queues", dict.fromkeys(names, 0))
            for name in names:
                client.hset(f"lq:1:queue:{name}", mapping={"created": 1})
        seen: list[str] = []
        path = f"{HOME}/queues"
        while path:
            page = viewer.get(path)
            seen += [link.rpartition("/")[2] for link in page.links if "/queues/q" in link]
            nexts = [link for link in page.links if "cursor=" in link]
            path = nexts[0].removeprefix("/admin") if nexts else ""
        assert seen == names
        assert viewer.get(f"{HOME}/queues?cursor=zzz").shows("No further queues")

    @pytest.mark.parametrize("cursor", ["", "..", "a//b", "%00", "x" * 200, "%3Cscript%3E"])
    def test_a_bad_cursor(self, viewer: Panel, cursor: str) -> None:
        viewer.get(f"{HOME}/queues?cursor={cursor}", 422)


class TestQueue:
    def test_figures(self, viewer: Panel, api: Api, app: Flask) -> None:
        ended(api, app)
        ended(api, app, kind=Kind.COMPLETED)
        item(api)
        page = viewer.get(MAIL)
        words = page.words.replace(" ", "")
        assert "Waiting1" in words
        assert "Completed,ever1" in words
        assert "Failed,ever1" in words
        assert page.shows("http_500 1")
        assert '-d \'{"hello": "world"}\'' in "".join(page.words)
        assert not [form for form in page.forms if "/queues/" in form], "a viewer"

    @pytest.mark.parametrize(
        ("path", "status"),
        [("absent", 404), ("a..b", 422), ("-", 422), ("%3Cscript%3E", 422), ("a/items/x", 404)],
    )
    def test_no_such_queue(self, viewer: Panel, path: str, status: int) -> None:
        viewer.get(f"{HOME}/queues/{path}", status)

    def test_endpoints_in_trouble(self, viewer: Panel, api: Api, app: Flask) -> None:
        api("PATCH", "/queues/mail", json={"breaker": {"ratio": 0.1, "window": 1_000}})
        for _ in range(30):
            item(api)
        attempt(app, Kind.RETRY)
        page = viewer.get(MAIL)
        assert page.shows("Endpoints in trouble")
        assert page.shows(TARGET)
        assert page.shows("open")

    def test_pause_and_resume(self, panel: Panel, api: Api) -> None:
        item(api)
        page = panel.follow(panel.post(f"{MAIL}/pause"))
        assert page.flash == "Queue mail is paused: what runs goes on."
        assert settings_of(api)["paused"]
        page = panel.follow(panel.post(f"{MAIL}/resume"))
        assert page.flash == "Queue mail goes on."
        assert not settings_of(api)["paused"]
        assert actions(panel)[:2] == ["queue.resume", "queue.pause"]
        assert _audit(panel)[0].token == "jan"

    @pytest.mark.parametrize("action", ["pause", "resume", "purge"])
    def test_no_queue_is_made_by_that(self, panel: Panel, action: str) -> None:
        panel.post(f"{HOME}/queues/absent/{action}", {"state": "all"}, 404)
        assert panel.get(f"{HOME}/queues").shows("No queue yet")

    def test_forms_are_refused(self, panel: Panel, viewer: Panel, api: Api) -> None:
        item(api)
        for path in (f"{MAIL}/pause", f"{MAIL}/purge", f"{HOME}/queue-drop/mail", SETTINGS):
            viewer.post(path, status=403)
            panel.post(path, {"csrf": "wrong"}, 403)
        assert settings_of(api)["waiting"] == 1
        assert not settings_of(api)["paused"]


class TestDeleting:
    @pytest.mark.parametrize(
        ("state", "message", "left"),
        [
            ("all", "2", {"waiting": 0}),
            ("PENDING", "2", {"waiting": 0}),
            ("RETRY", "0", {"waiting": 2}),
            ("FAILED", "1", {"waiting": 2}),
        ],
    )
    def test_purge(
        self, panel: Panel, api: Api, app: Flask, state: str, message: str, left: dict[str, int]
    ) -> None:
        ended(api, app)
        for _ in range(2):
            item(api, delay="60000")
        answer = panel.post(f"{MAIL}/purge", {"state": state})
        assert panel.follow(answer).flash == f"Deleted of queue mail: {message}."
        assert settings_of(api).items() >= left.items()

    @pytest.mark.parametrize("state", ["", "RUNNING", "x", *NASTY])
    def test_a_bad_state(self, panel: Panel, api: Api, state: str) -> None:
        item(api)
        panel.post(f"{MAIL}/purge", {"state": state}, 422)
        assert settings_of(api)["waiting"] == 1

    def test_the_password_is_asked_for(self, panel: Panel, api: Api, redis_url: str) -> None:
        item(api)
        forget_proofs(redis_url)
        assert "/admin/prove" in panel.post(f"{MAIL}/purge", {"state": "all"}).location
        page = panel.get(MAIL)
        assert 'type="password"' in page.text
        ids = [given["id"] for _, given in page.tags if "id" in given]
        assert len(ids) == len(set(ids))
        panel.post(f"{MAIL}/purge", {"state": "all", "password": "wrong password"}, 403)
        assert settings_of(api)["waiting"] == 1
        panel.post(f"{MAIL}/purge", {"state": "all", "password": PASSWORD})
        assert settings_of(api)["waiting"] == 0

    def test_forget(self, panel: Panel, api: Api, app: Flask) -> None:
        item(api)
        panel.post(f"{HOME}/queue-drop/mail", status=409)
        attempt(app)
        page = panel.follow(panel.post(f"{HOME}/queue-drop/mail"))
        assert page.flash == "Queue mail is forgotten."
        panel.get(MAIL, 404)


class TestSettings:
    FULL = {  # noqa: RUF012 - a table
        "target": TARGET,
        "timeout": "5000",
        "successStatus": "200-299,304",
        "retry.type": "list",
        "retry.delays": "1000, 2000",
        "retry.retries": "2",
        "retry.jitter": "0.5",
        "concurrency": "3",
        "rate.limit": "10",
        "rate.period": "1000",
        "ordered": "1",
        "flow.concurrency": "1",
        "flow.ordered": "1",
        "breaker.ratio": "0.5",
        "breaker.window": "60000",
        "onFailure.target": TARGET,
        "onFailure.queue": "alerts",
        "onFailure.format": "slack",
        "historyLimit": "5",
        "resultBytes": "0",
    }

    def test_all_of_them_there_and_back(self, panel: Panel, api: Api) -> None:
        item(api)
        answer = panel.post(SETTINGS, self.FULL)
        assert panel.follow(answer).flash == "The settings of queue mail are changed."
        found = settings_of(api)
        assert found["retry"]["delays"] == [1_000, 2_000]
        assert found["retry"]["jitter"] == 0.5
        assert found["rate"] == {"limit": 10, "period": 1_000}
        assert found["flow"] == {"concurrency": 1, "ordered": True}
        assert found["breaker"] == {"ratio": 0.5, "window": 60_000}
        assert found["onFailure"] == {"queue": "alerts", "target": TARGET, "format": "slack"}
        assert found["ordered"] is True
        assert found["historyLimit"] == 5
        assert (found["successStatus"], found["resultBytes"]) == ("200-299,304", 0)
        # What the page then shows, sent as it is, changes nothing.
        page = panel.get(SETTINGS)
        selected = {"retry.type": "list", "onFailure.format": "slack"}
        panel.post(SETTINGS, {**page.inputs, **selected})
        assert settings_of(api) == found
        # An empty form is back at the defaults.
        panel.post(SETTINGS)
        assert "retry" not in settings_of(api)
        assert settings_of(api)["historyLimit"] == 10_000

    @pytest.mark.parametrize("kept", ["historyLimit", "failedLimit", "historyDays"])
    def test_to_keep_less_is_to_delete(
        self, panel: Panel, api: Api, redis_url: str, kept: str
    ) -> None:
        item(api)
        forget_proofs(redis_url)
        panel.post(SETTINGS, {"timeout": "5000"})
        before = settings_of(api)
        page = panel.post(SETTINGS, {"timeout": "6000", kept: "5"}, 422)
        assert (page.inputs["timeout"], page.inputs["password"]) == ("6000", "")
        panel.post(SETTINGS, {kept: "5", "password": "wrong password"}, 403)
        assert settings_of(api) == before
        panel.post(SETTINGS, {kept: "5", "password": PASSWORD})
        assert settings_of(api)[kept] == 5
        forget_proofs(redis_url)
        panel.post(SETTINGS, {kept: "6"})
        assert settings_of(api)[kept] == 6

    @pytest.mark.parametrize(
        ("fields", "beside"),
        [
            ({"timeout": "soon"}, "timeout"),
            ({"timeout": "1"}, "timeout"),
            ({"target": "javascript:alert(1)"}, "target"),
            ({"retry.type": "list"}, "retry.delays"),
            ({"retry.delays": "1,x"}, "retry.delays"),
            ({"rate.limit": "5"}, "rate.period"),
            ({"breaker.ratio": "2", "breaker.window": "1000"}, "breaker.ratio"),
            ({"onSuccess.target": TARGET}, "onSuccess.queue"),
            ({"onSuccess.queue": "a..b", "onSuccess.target": TARGET}, "onSuccess.queue"),
            ({"historyDays": "31"}, "historyDays"),
            ({"successStatus": "600"}, "successStatus"),
            *[({"target": text}, "target") for text in NASTY],
        ],
    )
    def test_what_is_wrong_is_said_beside_it(
        self, panel: Panel, api: Api, fields: dict[str, str], beside: str
    ) -> None:
        item(api)
        before = settings_of(api)
        page = panel.post(SETTINGS, fields, 422)
        assert f'id="issue-{beside}"' in page.text
        for name, text in fields.items():
            if name in page.inputs:
                assert page.inputs[name] == text, "it can be corrected"
        assert settings_of(api) == before

    def test_a_viewer_reads_them(self, viewer: Panel, api: Api) -> None:
        item(api)
        api("PATCH", "/queues/mail", json={"concurrency": 7, "ordered": True})
        page = viewer.get(SETTINGS)
        assert "At once7" in page.words.replace(" 7", "7")
        assert "concurrency" not in page.inputs

    def test_no_queue_is_made_by_that(self, panel: Panel) -> None:
        panel.get(f"{HOME}/queue-settings/absent", 404)
        panel.post(f"{HOME}/queue-settings/absent", {"timeout": "5000"}, 404)
