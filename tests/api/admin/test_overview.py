"""The overview: figures, charts, what comes next, alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis
from flask import Flask

from api.current import EXTENSION
from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from lambdaqueue.overview import Overviews, alarms_of_server
from lambdaqueue.survey import Server
from tests.api.admin.conftest import Panel
from tests.api.admin.work import HOME, attempt, item
from tests.api.conftest import TARGET, Api, parts_of

NIGHTLY = {"queue": "mail", "schedule": "0 4 * * *", "target": TARGET, "payload": {}}
QUIET = Server(1, 50, 100, 1_000, 0, "noeviction", 0)


def _remember(app: Flask, seconds: float) -> None:
    made = parts_of(app)
    app.extensions[EXTENSION] = replace(made, overviews=Overviews(made.client, seconds))


@pytest.fixture(autouse=True)
def _fresh(app: Flask) -> None:
    """What was pushed a moment ago is to be seen."""
    _remember(app, 0)


def test_an_empty_environment_says_what_to_do(viewer: Panel) -> None:
    page = viewer.get(f"{HOME}/overview")
    assert page.shows("Nothing was pushed yet")
    assert page.shows("curl -X POST http://127.0.0.1:8080/api/v1/queues/hello/items")
    assert "No schedule waits" in page.words


def test_figures_and_charts(viewer: Panel, api: Api, app: Flask) -> None:
    for _ in range(3):
        item(api, "mail")
    attempt(app, Kind.COMPLETED)
    item(api, "mail")
    attempt(app)
    item(api, "later", delay="60000")
    for span in ("hour", "day"):
        page = viewer.get(f"{HOME}/overview?span={span}")
        assert "Queues2" in page.words.replace(" ", "")
        assert "Waiting1" in page.words.replace(" ", "")
        assert {"/admin/e/default/queues/mail", "/admin/e/default/queues/later"} < set(page.links)
        assert page.text.count("<rect") == 4, "ended, failed, durations and lateness, one bar each"
        assert f"Ended in mail in the last {span}" in page.text


@pytest.mark.parametrize("query", ["?span=year", "?span=", "?span=%3Cscript%3E"])
def test_an_unknown_span_is_the_hour(viewer: Panel, query: str) -> None:
    assert viewer.get(f"{HOME}/overview{query}").status == 200


def test_schedules_due_next(viewer: Panel, api: Api) -> None:
    for key in ("nightly", "hourly"):
        assert api("PUT", f"/schedules/byKey/{key}", json=NIGHTLY).status_code == 201
    page = viewer.get(f"{HOME}/overview")
    assert page.shows("nightly")
    assert page.shows("hourly")
    assert page.shows("0 4 * * *")


def test_what_is_no_schedule_is_called_by_its_name(viewer: Panel, api: Api, app: Flask) -> None:
    job = {
        "async": True,
        "invocation_target": TARGET,
        "schedule": "rate(1 hour)",
        "ttl_seconds": 60,
    }
    assert api("PUT", "/services/shop/jobs/report", json=job).status_code == 200
    timer = {"delay": 60_000, "target": TARGET}
    assert api("PUT", "/timers/reminder", json=timer).status_code == 200
    page = viewer.get(f"{HOME}/overview")
    assert "/admin" + HOME + "/services/shop/report" in page.links
    assert "/admin" + HOME + "/queues/services.shop" not in page.links, "its first run makes it"
    item(api, "services.shop")
    found = Overviews(parts_of(app).client).of(keys.DEFAULT_ENVIRONMENT)
    assert found.queues_to_come == {"periodic"}
    assert "shop/report service job services.shop rate(1 hour) in" in page.words
    assert "reminder timer periodic once in" in page.words


def test_alarms_of_queues(viewer: Panel, panel: Panel, api: Api, app: Flask) -> None:
    item(api, "stopped")
    panel.post(f"{HOME}/queues/stopped/pause")
    item(api, "stranger")
    attempt(app, Kind.RETRY, "unverified: <b>no</b>")
    words = viewer.get(f"{HOME}/overview").words
    assert "stopped: paused" in words
    assert "stranger: endpoint unverified" in words
    assert "stranger unverified" in words  # in the table, too, where it isn't active


def test_many_alarms_of_a_kind_are_counted(panel: Panel, api: Api) -> None:
    for number in range(12):
        item(api, f"q{number}", delay="60000")
        panel.post(f"{HOME}/queues/q{number}/pause")
    page = panel.get(f"{HOME}/overview")
    assert page.words.count(": paused") == 8
    assert page.shows("paused – 4 more queues")


def test_nobody_works(viewer: Panel) -> None:
    words = viewer.get(f"{HOME}/overview").words
    assert "No worker runs" in words
    assert "No scheduler runs" in words


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (QUIET, []),
        (Server(0, 0, 100, 1_000, 0, "noeviction", 0), ["No worker"]),
        (Server(1, 50, None, 1_000, 0, "noeviction", 0), ["No scheduler"]),
        (Server(1, 50, 30_001, 1_000, 0, "noeviction", 0), ["No scheduler"]),
        (Server(1, 50, 100, 899, 1_000, "noeviction", 0), []),
        (Server(1, 50, 100, 900, 1_000, "noeviction", 0), ["nearly full: 90 %"]),
        (Server(1, 50, 100, 1_000, 0, "allkeys-lru", 3), ["allkeys-lru", "evicted 3 keys"]),
    ],
)
def test_alarms_of_the_server(server: Server, words: list[str]) -> None:
    alarms = list(alarms_of_server(server))
    assert len(alarms) == len(words)
    assert all(word in alarm.text for word, alarm in zip(words, alarms, strict=True))


def test_it_is_remembered_for_a_while(app: Flask, viewer: Panel, api: Api) -> None:
    _remember(app, 60)
    viewer.get(f"{HOME}/overview")
    item(api, "mail")
    assert viewer.get(f"{HOME}/overview").shows("Nothing was pushed yet")


def test_other_environments_are_not_seen(viewer: Panel, api: Api, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.zadd("lq:due_schedules", {f"other:{number}": number for number in range(300)})
        client.zadd("lq:other:queues", {"secret": 0})
    assert api("PUT", "/schedules/byKey/mine", json=NIGHTLY).status_code == 201
    page = viewer.get(f"{HOME}/overview")
    assert page.shows("mine")
    assert not page.shows("secret")
