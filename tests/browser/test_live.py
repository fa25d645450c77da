"""Parts of a page that are drawn anew leave alone what somebody does in them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import Route, StorageState, expect

from api.admin.streams import MOST_OF_SESSION
from tests.browser.conftest import Visit
from tests.browser.looks import faults_of
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.xdist_group("browser")

SELECTED = "getSelection().toString()"

SELECT = """(main, text) => getSelection().selectAllChildren(
  [...main.querySelectorAll('*')].find(each => each.textContent === text))"""


REFUSED = """
  window.asked = []; Math.random = () => 0;
  window.EventSource = class extends EventTarget {
    constructor() {
      super();
      asked.push(Date.now());
      setTimeout(() => this.dispatchEvent(new Event('full')));
    }
    close() {}
  };"""


def test_how_far_an_execution_has_come(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    stage.define("/progress", "progress")
    name = stage.run("progress")
    (token,) = stage.started(name)
    stage.api("POST", f"/callback/{token}", status="processing", progress=20)
    visitor.open(f"/executions/{name}")
    expect(page.get_by_role("progressbar", name="Progress")).to_have_js_property("value", 20)
    stage.api("POST", f"/callback/{token}", status="processing", progress=70)
    expect(page.get_by_role("progressbar", name="Progress")).to_have_js_property("value", 70)
    stage.api("POST", f"/callback/{token}", status="success", summary="all sent")
    expect(visitor.badge("success")).to_be_visible()
    visitor.sees("all sent")


def test_what_is_typed_beside_them_stays(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    stage.item("/live", "typing", delay=3_600_000, key="old")
    visitor.open("/queues/typing/items")
    visitor.field("Unique key").type("half a wo")
    stage.item("/live", "typing", delay=3_600_000, key="new")
    expect(page.get_by_role("link", name="new", exact=True)).to_be_visible()
    page.keyboard.type("rd")
    expect(visitor.field("Unique key")).to_have_value("half a word")


def test_what_is_selected_stays(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    item = stage.item("/live", "selecting", delay=3_600_000)
    visitor.open(f"/items/{item}")
    # In one go: the part may be drawn anew between two.
    page.get_by_role("main").evaluate(SELECT, "pending")
    stage.api("DELETE", f"/items/{item}")
    timeline = page.get_by_role("listitem").filter(has_text="Cancelled")
    expect(timeline).to_be_visible()
    assert page.evaluate(SELECTED) == "pending"
    page.get_by_role("heading", level=1).click()
    expect(visitor.badge("cancelled")).to_be_visible()


def test_what_is_asked_about_stays(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    item = stage.item("/hold/asked", "asking", delay=3_600_000)
    visitor.open(f"/items/{item}")
    button = page.get_by_role("main").get_by_role("button", name="Cancel", exact=True)
    button.press("Enter")
    stage.api("POST", f"/items/{item}/run")
    expect(visitor.badge("running")).to_be_visible()  # the page behind the question
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    button.press("Enter")
    visitor.agree()
    visitor.said("It runs; it won't be tried again.")
    stage.hook.gate("asked").set()


def test_who_tabs_through_them_keeps_the_place(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    stage.item("/live", "tabbing")
    visitor.open("/queues/tabbing")
    page.get_by_role("button", name="Pause").focus()
    stage.api("POST", "/queues/tabbing/pause")
    expect(page.get_by_role("button", name="Resume")).to_be_focused()


def test_who_was_refused_the_stream_asks_again(visitor: Visitor) -> None:
    """A browser gives up by itself at a proxy's 502; the page is live again all the same."""
    stage, page = visitor.stage, visitor.page
    item = stage.item("/live", "refused", delay=3_600_000)
    address = stage.url(f"/items/{item}")
    visitor.complaints.expected("502")

    def refuse(route: Route) -> None:
        if "text/event-stream" in route.request.headers["accept"]:
            route.fulfill(status=502)
        else:
            route.continue_()

    page.clock.install()
    page.route(address, refuse)
    with page.expect_response(lambda answer: answer.status == 502):
        visitor.open(f"/items/{item}")
    sign = page.locator("[data-stream]")
    expect(sign).to_have_text("connecting")
    page.unroute(address)
    page.clock.fast_forward(10_000)
    expect(sign).to_have_text("live")
    stage.api("DELETE", f"/items/{item}")
    expect(visitor.badge("cancelled")).to_be_visible()


def test_more_pages_than_a_session_may_watch(visit: Visit, signed_in: StorageState) -> None:
    """They can be read; one becomes live where another is closed. All connections are in use."""
    someone = visit()
    someone.sign_in()
    pages = [someone.page, *(someone.context.new_page() for _ in range(MOST_OF_SESSION))]
    for page in pages:
        page.clock.install()
        page.goto(someone.stage.url("/overview"))
    *watched, refused = (page.locator("[data-stream]") for page in pages)
    for sign in watched:
        expect(sign).to_have_text("live")
    expect(refused).to_have_text("not live: too many pages are open")
    expect(pages[-1].get_by_role("heading", name="Overview")).to_be_visible()
    pages[0].close()
    pages[-1].clock.fast_forward(10_000)
    expect(refused).to_have_text("live")


def test_who_is_refused_asks_less_and_less_often(visitor: Visitor) -> None:
    page = visitor.page
    page.clock.install()
    page.add_init_script(REFUSED)
    visitor.open()
    page.clock.run_for(600_000)
    asked = page.evaluate("asked")
    pauses = [round((after - before) / 1_000) for before, after in pairwise(asked)]
    assert pauses == [5, 10, 20, 40, 80, 120, 120, 120]


def test_a_server_that_stops_and_starts(visitor: Visitor) -> None:
    """What is read aloud is that it isn't live any more, and that it is again."""
    stage, page = visitor.stage, visitor.page
    sign, news = (
        page.locator("[data-stream]"),
        page.get_by_role("contentinfo").get_by_role("status"),
    )
    page.clock.install()
    visitor.open()
    expect(sign).to_have_text("live")
    expect(news).to_be_empty()
    visitor.complaints.expected("ERR_CONNECTION_REFUSED")
    stage.server.end()
    try:
        expect(sign).to_have_text("reconnecting")
        expect(news).to_be_empty()
        page.clock.fast_forward(10_000)
        expect(sign).to_have_text("not live: the server can't be reached")
        expect(news).to_have_text("This page is not live: the server can't be reached.")
        faults = list(faults_of(page))
    finally:
        stage.server = stage.web()
    expect(sign).to_have_text("live")
    expect(news).to_have_text("This page is live again.")
    assert not faults, "\n".join(faults)
