"""Links and buttons of schedules, service jobs and settings that would lead nowhere."""

from __future__ import annotations

import pytest
from flask import Flask

from api.admin import services, settings
from lambdaqueue import finding
from tests.api.admin.conftest import NASTY, Page, Panel
from tests.api.admin.work import HOME
from tests.api.conftest import TARGET, Api, parts_of
from tests.api.service_calls import Crew, call_back, define, run

JOB = f"{HOME}/services/billing/close-month"
SETTINGS = f"{HOME}/settings"


def dead_links(panel: Panel, page: Page) -> list[str]:
    """Return the page's links to pages that aren't there."""
    links = [each.removeprefix("/admin") for each in page.links if each.startswith("/admin")]
    return [each for each in links if panel.get(each, None).status not in (200, 303)]


def test_a_schedule_that_has_not_run(panel: Panel, api: Api) -> None:
    body = {"queue": "mail", "schedule": "@daily", "target": TARGET}
    made = api("PUT", "/schedules/byKey/nightly", json=body).json
    assert made is not None
    page = panel.get(f"{HOME}/schedules/{made['id']}")
    assert page.shows("its first run makes it")
    assert not dead_links(panel, page)
    assert not dead_links(panel, panel.get(f"{HOME}/schedules"))


def test_an_execution_whose_job_is_gone(panel: Panel, api: Api) -> None:
    define(api)
    path = f"{HOME}/executions/{run(api)}"
    assert not dead_links(panel, panel.get(path))
    assert api("DELETE", "/services/billing/jobs/close-month").status_code < 300
    page = panel.get(path)
    assert page.shows("is defined no more")
    assert not dead_links(panel, page)


def test_a_test_is_not_repeated(panel: Panel, api: Api) -> None:
    define(api)
    path = panel.post(f"{JOB}/test").location.removeprefix("/admin")
    panel.post(f"{path}/cancel")
    assert not [form for form in panel.get(path).forms if form.endswith("/retry")]


def test_what_a_service_left_is_json(panel: Panel, api: Api, app: Flask) -> None:
    define(api)
    crew = Crew(parts_of(app).client)
    for text in NASTY:
        for said, shown in (
            ({"status": "success", "state": {"none": None, "x": text}}, '"none": null'),
            ({"status": "fail", "error": {"message": text, "yes": True}}, '"yes": true'),
        ):
            name = run(api)
            assert call_back(api, crew.start(name), **said).status_code < 300
            page = panel.get(f"{HOME}/executions/{name}")
            assert page.shows(shown)
            assert "<script>alert" not in page.text
            assert "\u202e" not in page.text


def test_a_cut_list_says_so(panel: Panel, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "LOOKED_AT", 2)
    define(api)
    define(api, "billing", "other")
    run(api, "billing", "other")
    assert not panel.get(JOB).shows("there may be more")
    run(api, "billing", "other")
    assert panel.get(JOB).shows("there may be more")


def test_a_list_cut_by_its_size_says_so(
    panel: Panel, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "PAGE_BYTES", 0)
    define(api, payload="large")
    run(api)
    run(api)
    assert panel.get(JOB).shows("there may be more")


class TestPagesOfForms:
    def test_the_next_page(self, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "ROWS", 1)
        page = panel.post(f"{SETTINGS}/tokens", {"name": "x", "scope": ["push"]}, 200)
        (link,) = [each for each in page.links if "cursor=" in each]
        panel.get(link.removeprefix("/admin"))

    @pytest.mark.parametrize("form", ["tokens", "secret", "secret/rotate"])
    def test_a_bad_cursor_hides_nothing(self, panel: Panel, form: str) -> None:
        fields = {"name": "x", "scope": ["push"]} if form == "tokens" else {}
        page = panel.post(f"{SETTINGS}/{form}?cursor=bad", fields, 200)
        assert ("lqk_" if form == "tokens" else "whsec_") in page.text
        panel.get(f"{SETTINGS}?cursor=bad", 422)
