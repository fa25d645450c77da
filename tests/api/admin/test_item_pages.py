"""Items: their page while they live and afterwards, run now, cancel, edit, push again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.account import Role
from lambdaqueue.attempts import Kind
from lambdaqueue.instants import iso
from tests.api.admin.conftest import NASTY, Page, Panel
from tests.api.admin.work import HOME, attempt, ended, item
from tests.api.conftest import TARGET, Api, Tenant, parts_of
from tests.api.service_calls import Crew, define, run

OTHER = "http://127.0.0.1:9/other"


def page_of(item_id: str) -> str:
    return f"{HOME}/items/{item_id}"


def found(api: Api, item_id: str) -> dict[str, Any]:
    """Return an item as the API has it."""
    answer = api("GET", f"/items/{item_id}")
    assert answer.json is not None
    return dict(answer.json)


def audited(app: Flask) -> list[tuple[str, str, str]]:
    rows = parts_of(app).administration.audit(keys.DEFAULT_ENVIRONMENT, 100, None).rows
    return [(each.token, each.action, each.object) for each in rows]


class TestShow:
    def test_one_that_waits(self, viewer: Panel, api: Api) -> None:
        options = {"key": "order 7", "delay": "600000", "priority": "3", "flow_key": "customer"}
        job = item(api, payload=b'{"a":1.50}', headers='{"x-a":"b"}', **options)
        page = viewer.get(page_of(job))
        for text in ("order 7", job, "pending", '"a": 1.50', "x-a", TARGET, "customer"):
            assert page.shows(text), text
        assert page.shows("Due: attempt 1 of 6")
        assert not [form for form in page.forms if "/items/" in form], "a viewer changes nothing"

    @pytest.mark.parametrize(
        ("retry", "words"),
        [
            ('{"retries": 0}', "none"),
            ('{"delay": 1000, "jitter": 0}', "5, after 1 s, 3 s, 9 s, 27 s, 1 min"),
            (
                '{"type": "constant", "delay": 5000, "retries": 9, "jitter": 0.25}',
                "9, after 5 s, 5 s, 5 s, 5 s, 5 s, 5 s, …, up to 25% later by chance",
            ),
            (
                '{"type": "list", "delays": [500, 60000], "retries": 2}',
                "500 ms, 1 min",
            ),
        ],
    )
    def test_retries_in_words(self, viewer: Panel, api: Api, retry: str, words: str) -> None:
        assert viewer.get(page_of(item(api, retry=retry))).shows(words)

    def test_every_attempt(self, viewer: Panel, api: Api, app: Flask) -> None:
        job = item(api)
        attempt(app, Kind.RETRY, "http_503: busy")
        page = viewer.get(page_of(job))
        assert page.shows("Attempt 1: status 500, after 1.2 s")
        assert page.shows("http_503: busy")
        assert page.shows("Due: attempt 2 of 6")

    def test_one_that_runs(self, panel: Panel, api: Api, app: Flask) -> None:
        job = item(api)
        assert Crew(parts_of(app).client).take() == job
        page = panel.get(page_of(job))
        assert page.shows("Attempt 1 runs")
        assert not [form for form in page.forms if form.endswith("/run")]

    @pytest.mark.parametrize("path", ["items/{id}", "queues/mail/history/{entry}"])
    @pytest.mark.parametrize(
        ("kind", "state"), [(Kind.FAILED, "failed"), (Kind.COMPLETED, "completed")]
    )
    def test_one_that_has_ended(
        self, panel: Panel, api: Api, app: Flask, path: str, kind: Kind, state: str
    ) -> None:
        job, entry = ended(api, app, kind=kind, key="k")
        page = panel.get(f"{HOME}/{path.format(id=job, entry=entry)}")
        assert page.shows(state)
        assert page.shows("oh"), "the answer"
        again = [form for form in page.forms if form.endswith("/replay")]
        assert bool(again) is (state == "failed")

    @pytest.mark.parametrize("path", ["", "/edit"])
    @pytest.mark.parametrize("job", ["x", "0" * 14, "%3Cscript%3E", "0mwqskmdc00001"])
    def test_no_such_item(self, panel: Panel, path: str, job: str) -> None:
        panel.get(page_of(job) + path, 404)

    @pytest.mark.parametrize("entry", ["x", "c1-1", "f1-0", "%3Cscript%3E", "c0-0"])
    def test_no_such_entry(self, panel: Panel, entry: str) -> None:
        panel.get(f"{HOME}/queues/mail/history/{entry}", 404)
        panel.post(f"{HOME}/queues/mail/history/{entry}/replay", status=404)

    def test_items_of_others(self, panel: Panel, tenant: Callable[[str], Tenant]) -> None:
        job = item(tenant("other").api)
        panel.get(page_of(job), 404)
        for action in ("run", "cancel", "edit"):
            panel.post(f"{page_of(job)}/{action}", status=404)
        panel.get(f"/e/other/items/{job}")

    def test_confidential_headers(self, panel: Panel, viewer: Panel, api: Api) -> None:
        job = item(api, headers='{"authorization":"Bearer abc"}')
        assert panel.get(page_of(job)).shows("Bearer abc")
        page = viewer.get(page_of(job))
        assert page.shows("authorization")
        assert "Bearer abc" not in page.text

    def test_an_execution(self, panel: Panel, api: Api) -> None:
        define(api)
        name = run(api)
        page = panel.get(page_of(name))
        assert page.shows("billing/close-month")
        assert not [link for link in page.links if link.endswith("/edit")]
        panel.get(f"{page_of(name)}/edit", 409)


class TestNasty:
    """Whatever users and endpoints send is text; `Page` looks for markup on every page."""

    def shown(self, text: str) -> str:
        return "\\u202e" if text.startswith("\u202e") else text

    @pytest.mark.parametrize("text", NASTY)
    def test_of_users(self, panel: Panel, api: Api, text: str) -> None:
        plain = "".join(char for char in text if char.isprintable())
        body = {
            "payload": text,
            "contentType": "text/plain",
            "target": TARGET,
            "key": plain,
            "eventType": plain,
            "flowKey": plain,
            "delay": 60_000,
        }
        pushed = api.batch(body)
        assert pushed.status_code == 201, pushed.text
        job = pushed.json["items"][0]["id"]  # type: ignore[index]
        for path in (page_of(job), f"{page_of(job)}/edit"):
            page = panel.get(path)
            assert page.shows(plain)
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
        assert panel.get(page_of(job)).shows(self.shown(text))
        for path in ("queues/mail/items", "search"):
            assert plain in panel.get(f"{HOME}/{path}").words

    @pytest.mark.parametrize("text", NASTY)
    def test_of_endpoints(self, panel: Panel, api: Api, app: Flask, text: str) -> None:
        plain = "".join(char for char in text if char.isprintable())
        job = item(api)
        attempt(app, Kind.FAILED, f"http_500: {plain}", text.encode())
        page = panel.get(page_of(job))
        assert page.shows(plain)
        assert page.shows(self.shown(text))
        for path in ("queues", "queues/mail", "queues/mail/history", "overview", "search"):
            page = panel.get(f"{HOME}/{path}")
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text

    def test_bytes_that_are_no_text(self, panel: Panel, api: Api) -> None:
        job = item(api, payload=b"\x00\xff<b>", delay="60000")
        assert panel.get(page_of(job)).shows("00 ff 3c 62 3e")
        page = panel.get(f"{page_of(job)}/edit")
        assert "textarea" not in {tag for tag, _ in page.tags}
        panel.post(f"{page_of(job)}/edit", {**page.inputs, "payload": "x", "priority": "4"})
        spec = parts_of(panel.app).service.item("1", job).spec
        assert spec.payload == b"\x00\xff<b>", "only what the form shows is changed by it"


class TestActions:
    def test_run_now(self, panel: Panel, api: Api, app: Flask) -> None:
        job = item(api, delay="600000")
        before = found(api, job)["dueAt"]
        page = panel.get(page_of(job))
        assert f"/admin{page_of(job)}/run" in page.forms
        assert 'data-live="actions"' in page.text, "what can be done changes while it's looked at"
        assert panel.follow(panel.post(f"{page_of(job)}/run")).flash == "It's due now."
        assert found(api, job)["dueAt"] < before
        assert audited(app)[0] == ("jan", "item.run", f"mail {job}")

    def test_cancel(self, panel: Panel, api: Api, app: Flask) -> None:
        job = item(api, delay="600000")
        page = panel.follow(panel.post(f"{page_of(job)}/cancel"))
        assert page.flash == "It's cancelled."
        assert not page.shows("First due"), "it won't be due any more"
        assert page.text.count("cancelled: on request") == 1, "in the time line, not as an alarm"
        assert found(api, job)["state"] == "CANCELLED"
        assert audited(app)[0] == ("jan", "item.cancel", f"mail {job}")

    def test_cancel_one_that_runs(self, panel: Panel, api: Api, app: Flask) -> None:
        job = item(api)
        Crew(parts_of(app).client).take()
        page = panel.follow(panel.post(f"{page_of(job)}/cancel"))
        assert page.flash == "It runs; it won't be tried again."

    @pytest.mark.parametrize("action", ["run", "edit"])
    def test_too_late(self, panel: Panel, api: Api, app: Flask, action: str) -> None:
        job, _ = ended(api, app)
        panel.post(f"{page_of(job)}/{action}", status=409)

    def test_forms_are_refused(self, panel: Panel, viewer: Panel, api: Api, app: Flask) -> None:
        _job, entry = ended(api, app)
        waiting = item(api, delay="600000")
        paths = [f"{page_of(waiting)}/{action}" for action in ("run", "cancel", "edit")]
        paths += [
            f"{HOME}/queues/mail/history/{entry}/replay",
            f"{HOME}/queues/mail/history/replay",
        ]
        before = found(api, waiting)
        for path in paths:
            viewer.post(path, status=403)
            panel.post(path, {"csrf": "x"}, 403)
        assert found(api, waiting) == before
        assert api("GET", "/queues/mail").json["waiting"] == 1  # type: ignore[index]


class TestEdit:
    def form(self, panel: Panel, job: str) -> dict[str, str]:
        page = panel.get(f"{page_of(job)}/edit")
        return {name: page.inputs[name] for name in ("version", "due", "priority")}

    def send(self, panel: Panel, job: str, status: int = 303, **fields: str) -> Page:
        return panel.post(f"{page_of(job)}/edit", {**self.form(panel, job), **fields}, status)

    def test_what_is_changed(self, panel: Panel, api: Api, app: Flask) -> None:
        job = item(api, payload=b'{"a": 1}', delay="600000")
        due = iso(int(time.time()) * 1_000 + 86_400_000)
        done = self.send(panel, job, payload='{"a": 2}', priority="7", due=due)
        assert panel.follow(done).flash == "It's changed."
        now = found(api, job)
        assert (now["payload"], now["priority"], now["version"]) == ({"a": 2}, 7, 2)
        assert now["dueAt"] == due
        assert audited(app)[0] == ("jan", "item.change", f"mail {job}")

    @pytest.mark.parametrize(
        "payload",
        [b'{"a":  1.50}', b"two\r\nlines\rhere\n", b"\n leading", b"</textarea>&lt;", b""],
    )
    def test_what_comes_back_as_it_was_is_not_changed(
        self, panel: Panel, api: Api, app: Flask, payload: bytes
    ) -> None:
        pushed = api("POST", "/queues/mail/items", data=payload, headers={
            "Content-Type": "text/plain", "x-lq-target": TARGET, "x-lq-delay": "60000",
        })  # fmt: skip
        job = str(pushed.json["id"])  # type: ignore[index]
        shown = payload.decode().replace("\r\n", "\n").replace("\r", "\n")
        done = self.send(panel, job, payload=shown.replace("\n", "\r\n"))
        assert panel.follow(done).flash == "Nothing was changed."
        assert parts_of(app).service.item("1", job).spec.payload == payload

    @pytest.mark.parametrize(
        ("fields", "beside"),
        [
            ({"due": "soon"}, "due"),
            ({"due": "2199-01-01T00:00:00Z"}, "due"),
            ({"priority": "10"}, "priority"),
            ({"priority": "x"}, "priority"),
            ({"payload": '{"a":'}, "payload"),
            ({"payload": '{"a":1,"a":2}'}, "payload"),
            *[({"payload": text, "due": text}, "due") for text in NASTY],
        ],
    )
    def test_what_is_wrong_is_said_beside_it(
        self, panel: Panel, api: Api, fields: dict[str, str], beside: str
    ) -> None:
        job = item(api, delay="60000")
        before = found(api, job)
        page = self.send(panel, job, 422, **fields)
        assert f'id="issue-{beside}"' in page.text
        assert found(api, job) == before

    def test_it_was_changed_meanwhile(self, panel: Panel, api: Api) -> None:
        job = item(api, delay="60000")
        old = self.form(panel, job)
        api("PATCH", f"/items/{job}", json={"priority": 2})
        panel.post(f"{page_of(job)}/edit", {**old, "priority": "9"}, 409)
        assert found(api, job)["priority"] == 2


class TestReplay:
    def test_one(self, panel: Panel, api: Api, app: Flask) -> None:
        job, entry = ended(api, app)
        done = panel.post(f"{HOME}/queues/mail/history/{entry}/replay", {"target": OTHER})
        page = panel.follow(done)
        assert page.flash == "It's pushed again, as this item."
        new = found(api, done.location.rpartition("/")[2])
        assert (new["replayOf"], new["target"]["url"]) == (job, OTHER)
        assert f"/admin{page_of(job)}" in page.links

    @pytest.mark.parametrize("target", ["nonsense", "javascript:alert(1)", "http://10.0.0.1/"])
    def test_a_bad_target(self, panel: Panel, api: Api, app: Flask, target: str) -> None:
        _, entry = ended(api, app)
        path = f"{HOME}/queues/mail/history/{entry}/replay"
        assert panel.post(path, {"target": target}, 422).shows("target")

    def test_a_completed_one(self, panel: Panel, api: Api, app: Flask) -> None:
        _, entry = ended(api, app, kind=Kind.COMPLETED)
        panel.post(f"{HOME}/queues/mail/history/{entry}/replay", status=409)

    @pytest.mark.parametrize(
        ("fields", "count"),
        [
            ({"state": "FAILED"}, 3),
            ({"state": "FAILED", "key": "k1"}, 1),
            ({"state": "CANCELLED"}, 0),
            ({"state": "FAILED", "limit": "2"}, 2),
            ({"state": "FAILED", "until": "2020-01-01"}, 0),
            ({"state": "FAILED", "since": "2020-01-01 10:00", "rate_limit": "60"}, 3),
        ],
    )
    def test_by_filter(
        self, panel: Panel, api: Api, app: Flask, fields: dict[str, str], count: int
    ) -> None:
        for number in range(3):
            ended(api, app, key=f"k{number}")
        done = panel.post(f"{HOME}/queues/mail/history/replay", fields)
        assert panel.follow(done).flash.startswith(f"Jobs pushed again: {count}.")
        rows = api("GET", "/queues/mail/items").json["items"]  # type: ignore[index]
        assert len(rows) == count
        if "rate_limit" in fields:
            assert len({row["dueAt"] for row in rows}) == 3

    @pytest.mark.parametrize(
        "fields",
        [
            {"state": "COMPLETED"},
            {"since": "x"},
            {"limit": "0"},
            {"rate_limit": "a"},
            {"target": "x"},
        ],
    )
    def test_a_bad_filter(self, panel: Panel, api: Api, fields: dict[str, str]) -> None:
        item(api, delay="60000")
        panel.post(f"{HOME}/queues/mail/history/replay", {"state": "FAILED", **fields}, 422)


def test_a_role_in_one_environment(
    visitor: Callable[..., Panel], tenant: Callable[[str], Tenant], api: Api
) -> None:
    other = tenant("other")
    mine, theirs = item(other.api), item(api)
    panel = visitor({other.id: Role.ADMIN})
    panel.get(f"/e/other/items/{mine}")
    panel.get(page_of(theirs), 404)
    panel.get(f"/e/other/items/{theirs}", 404)
    panel.post(f"/e/other/items/{theirs}/cancel", status=404)
