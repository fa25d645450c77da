"""The panel in a browser that runs no JavaScript: everything reads, and everything works."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import StorageState, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.browser.world import PAGES, World
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def plain(visit: Visit, signed_in: StorageState) -> Visitor:
    """A tab without JavaScript."""
    return visit(storage_state=signed_in, java_script_enabled=False)


def test_every_page_reads(plain: Visitor, world: World) -> None:
    for name, sample in world.pages().items():
        plain.page.goto(f"{plain.stage.origin}/admin{sample.path}")
        expect(plain.page.get_by_role("heading", level=1)).to_be_visible()
        expect(plain.page.get_by_role("button", name="Copy")).to_have_count(0)
        text = plain.page.get_by_role("main").inner_text()
        assert len(text) > 40, name
    assert len(world.pages()) == len(PAGES)
    plain.complaints.expected("status of 404")


def test_pause_and_resume(plain: Visitor) -> None:
    stage = plain.stage
    stage.item("/plain", "plain")
    until(lambda: stage.came("/plain"), "the queue is at work")
    plain.open("/queues/plain")
    plain.press("Pause")
    plain.said("Queue plain is paused")
    stage.item("/plain", "plain")
    plain.press("Resume")
    plain.said("Queue plain goes on")
    until(lambda: len(stage.came("/plain")) == 2, "it's delivered")


def test_a_token(plain: Visitor) -> None:
    plain.open("/settings")
    form = plain.page.get_by_role("main").locator("form").filter(has_text="Good for days")
    form.get_by_label("Name", exact=True).fill("plain")
    plain.once_more(form)
    plain.press("Make it")
    expect(plain.page.get_by_role("status").get_by_role("code").first).to_have_text(
        re.compile(r"lqk_[\w-]{8}_[\w-]{43}")
    )
    plain.page.goto(plain.page.url)  # not a reload, which would ask whether to send the form anew
    plain.heading("Settings")
    expect(plain.page.get_by_role("heading", name="The new token")).to_have_count(0)
