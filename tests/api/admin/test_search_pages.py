"""Lists of items and of history, and the search over all queues: filters, pages, bad input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from api.admin import looking_for, queue_lists
from lambdaqueue import finding, history
from lambdaqueue.attempts import Kind
from tests.api.admin.conftest import NASTY, Panel
from tests.api.admin.work import HOME, attempt, ended, item
from tests.api.conftest import Api, Tenant

ITEMS = f"{HOME}/queues/mail/items"
HISTORY = f"{HOME}/queues/mail/history"
SEARCH = f"{HOME}/search"


def listed(viewer: Panel, path: str) -> list[str]:
    """Return the keys of all rows, page by page."""
    found: list[str] = []
    for _ in range(40):
        page = viewer.get(path)
        rows = page.text.partition("<tbody>")[2].partition("</tbody>")[0]
        found += [part.partition("</a>")[0].rpartition(">")[2] for part in rows.split("<tr>")[1:]]
        nexts = [link for link in page.links if "cursor=" in link]
        if not nexts:
            return found
        path = nexts[0].removeprefix("/admin")
    raise AssertionError("it never ends")


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("queue_lists", "search"):
        monkeypatch.setattr(f"api.admin.{module}.ROWS", 2)
    for bounded in (finding, history):
        monkeypatch.setattr(bounded, "MOST_LOOKED_AT", 3)


@pytest.fixture
def world(api: Api, app: Flask) -> None:
    """Five items that wait, one that retries, four that ended, and another queue."""
    ended(api, app, key="good", kind=Kind.COMPLETED)
    for number in range(3):
        ended(api, app, key=f"bad{number}")
    item(api, key="again")
    attempt(app, Kind.RETRY)
    for number in range(5):
        item(api, key=f"late{number}", delay=str(60_000 + number))
    ended(api, app, queue="other", key="bad0")


@pytest.mark.usefixtures("world", "short_pages")
def test_pages_and_filters(viewer: Panel) -> None:
    late, bad = [f"late{number}" for number in range(5)], ["bad2", "bad1", "bad0"]
    table = {
        ITEMS: sorted([*late, "again"]),
        f"{ITEMS}?state=RETRY": ["again"],
        f"{ITEMS}?state=PENDING": late,
        f"{ITEMS}?state=running": [],
        f"{ITEMS}?key=late4": ["late4"],
        f"{ITEMS}?since=2199-01-01": [],
        f"{ITEMS}?until=2020-01-01": [],
        HISTORY: [*bad, "good"],
        f"{HISTORY}?state=FAILED": bad,
        f"{HISTORY}?state=COMPLETED": ["good"],
        f"{HISTORY}?state=CANCELLED": [],
        f"{HISTORY}?key=bad0": ["bad0"],
        f"{HISTORY}?key=good&state=FAILED": [],
        f"{HISTORY}?since=2020-01-01T10:00&until=2199-01-01T00:00Z": [*bad, "good"],
        f"{HISTORY}?until=2020-01-01+12:00": [],
        f"{SEARCH}?queue=mail&state=FAILED": bad,
        f"{SEARCH}?state=FAILED": [*bad, "bad0"],
        f"{SEARCH}?key=bad0": ["bad0", "bad0"],
        f"{SEARCH}?state=PENDING": late,
        f"{SEARCH}?queue=absent": [],
    }
    for path, keys in table.items():
        found = listed(viewer, path)
        assert (sorted(found) if path == ITEMS else found) == keys, path
    assert sorted(listed(viewer, SEARCH)) == sorted([*late, "again", *bad, "good", "bad0"])


@pytest.mark.usefixtures("world", "short_pages")
def test_every_further_page_leads_to_the_first(viewer: Panel) -> None:
    first = f"{HISTORY}?state=FAILED"
    page = viewer.get(first)
    assert not page.shows("First page")
    for _ in range(2):
        (further,) = [link for link in page.links if "cursor=" in link]
        page = viewer.get(further.removeprefix("/admin"))
        assert page.shows("First page")
        assert f"/admin{first}" in page.links
        if not page.shows("Next page"):
            return
    raise AssertionError("there is a last page")


@pytest.mark.usefixtures("world")
def test_a_list_says_whether_it_is_empty_or_sieved(viewer: Panel, api: Api) -> None:
    assert api("PUT", "/queues/idle", json={}).status_code == 200
    table = {
        f"{ITEMS}?since=2199-01-01": "No such item",
        f"{ITEMS}?until=2020-01-01": "No such item",
        f"{ITEMS}?key=absent": "No such item",
        f"{HISTORY}?since=2199-01-01": "No such entry",
        f"{HISTORY}?state=CANCELLED": "No such entry",
        f"{HOME}/queues/idle/items": "Nothing waits or runs here",
        f"{HOME}/queues/idle/history": "Nothing has ended here",
    }
    for path, said in table.items():
        assert viewer.get(path).shows(said), path


@pytest.mark.usefixtures("world")
def test_a_page_of_history_tells_how_far_it_looked(
    viewer: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "One page looks through 2 entries at most"
    for module in (history, queue_lists):
        monkeypatch.setattr(module, "MOST_LOOKED_AT", 2)
    page = viewer.get(f"{HISTORY}?key=good")
    assert page.shows(told)
    assert page.shows("Nothing among those looked through so far")
    (following,) = [link for link in page.links if "cursor=" in link]
    assert not viewer.get(following.removeprefix("/admin")).shows(told)
    assert listed(viewer, f"{HISTORY}?key=good") == ["good"]


@pytest.mark.usefixtures("world")
def test_a_search_may_stop_at_each_queue(viewer: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "LONGEST", 0)
    assert sorted(listed(viewer, f"{SEARCH}?state=FAILED")) == ["bad0", "bad0", "bad1", "bad2"]


@pytest.mark.usefixtures("world")
def test_what_a_word_names(viewer: Panel, api: Api) -> None:
    job = item(api, "mail", key="only one")
    table = {
        job: f"/items/{job}",
        "only one": f"/items/{job}",
        "other": "/queues/other",
    }
    for word, target in table.items():
        assert viewer.get(f"{SEARCH}?q={word}", 303).location == f"/admin{HOME}{target}"
    page = viewer.get(f"{SEARCH}?q=bad0")
    assert page.words.count("bad0 ") >= 2, "the newest of each queue"
    item(api, "mailing")
    page = viewer.get(f"{SEARCH}?q=mai")
    assert {f"/admin{HOME}/queues/mail", f"/admin{HOME}/queues/mailing"} < set(page.links)
    assert viewer.get(f"{SEARCH}?q=nothing").shows("Nothing is called so")


def test_a_key_that_waits_again(viewer: Panel, api: Api, app: Flask) -> None:
    ended(api, app, key="k")
    job = item(api, key="k")
    assert viewer.get(f"{SEARCH}?q=k", 303).location.endswith(f"/items/{job}")


def test_nothing_of_others(viewer: Panel, api: Api, tenant: Callable[[str], Tenant]) -> None:
    job = item(tenant("else").api, "theirs", key="theirs")
    for word in (job, "theirs"):
        assert viewer.get(f"{SEARCH}?q={word}").shows("Nothing is called so")
    assert viewer.get(SEARCH).shows("Nothing found")


def test_bad_input(viewer: Panel, api: Api) -> None:
    item(api, delay="60000")
    for path in (ITEMS, HISTORY, SEARCH):
        for query in (
            "state=x", "since=x", "since=2026-02-30", "until=99999999999999999999", "cursor=x",
            "until=253402300800000",  # the year 10000
            "key=%00", f"key={'x' * 256}", "cursor=%20", "cursor=mail+i+zzz+", "cursor=..+i",
        ):  # fmt: skip
            viewer.get(f"{path}?{query}", 422)
        page = viewer.get(f"{path}?since=yesterday", 422)
        assert page.shows("must be a time like 2026-03-01 12:00")
        assert f"/admin{path}" in page.links, "from which one can look anew"
        assert not page.shows("Nothing was changed")
        viewer.get(f"{path}?state=&key=&since=&until=")
        viewer.get(f"{path}?until=253402300799999")
    viewer.get(f"{ITEMS}?state=FAILED", 422)
    viewer.get(f"{HISTORY}?state=RETRY", 422)
    viewer.get(f"{SEARCH}?queue=a..b", 422)
    for path in (f"{HOME}/queues/absent/items", f"{HOME}/queues/absent/history"):
        viewer.get(path, 404)


def test_nasty_words(viewer: Panel, api: Api) -> None:
    item(api, delay="60000")
    for text in NASTY:
        page = viewer.get(SEARCH, query_string={"q": text})
        assert page.inputs["q"]
        for path in (SEARCH, ITEMS, HISTORY):
            page = viewer.get(path, None, query_string={"key": text})
            assert page.status in (200, 422)
            assert "<script>alert" not in page.text


def test_empty_lists_say_what_to_do(viewer: Panel, api: Api) -> None:
    api("PUT", "/queues/mail", json={"timeout": 5_000})
    page = viewer.get(ITEMS)
    assert page.shows("Nothing waits or runs here")
    assert page.shows("curl -X POST")
    assert viewer.get(HISTORY).shows("Nothing has ended here")


def test_instants_without_a_zone_are_in_utc() -> None:
    table = {
        "2026-03-01": "2026-03-01T00:00Z",
        "2026-03-01 12:00": "2026-03-01T12:00Z",
        "2026-03-01T12:00:05+02:00": "2026-03-01T12:00:05+02:00",
        "2026-03-01T12:00-02:00": "2026-03-01T12:00-02:00",
        "2026-03-01T12:00Z": "2026-03-01T12:00Z",
        "1700000000000": "1700000000000",
        "x": "xZ",
    }
    assert {given: looking_for.in_utc(given) for given in table} == table
