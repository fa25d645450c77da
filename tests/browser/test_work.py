"""Items and queues on the real processes: seen live, pushed again, paused and resumed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.waiting import until
from tests.workers.hook import Reply

pytestmark = pytest.mark.xdist_group("browser")

LATER = {"type": "constant", "delay": 600_000, "retries": 1, "jitter": 0}
NEVER = {"type": "constant", "delay": 1, "retries": 0, "jitter": 0}


def test_an_item_fails_and_succeeds_while_it_is_looked_at(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    stage.hook.replies["/printer"] = Reply(500)
    item = stage.item("/printer", "live", delay=600_000, retry=LATER)
    visitor.open(f"/items/{item}")
    expect(visitor.badge("pending")).to_be_visible()
    navigations: list[str] = []
    page.on("framenavigated", lambda frame: navigations.append(frame.url))
    stage.api("POST", f"/items/{item}/run")
    expect(visitor.badge("retry")).to_be_visible()
    visitor.sees("http_500: the endpoint answered 500")
    stage.hook.replies["/printer"] = Reply(200, b"printed")
    stage.api("POST", f"/items/{item}/run")
    expect(visitor.badge("completed")).to_be_visible()
    visitor.sees("printed")
    assert navigations == []
    visitor.open("/queues/live/history")
    page.get_by_role("link", name=item).click()
    attempts = page.get_by_role("listitem").filter(has_text="Attempt")
    expect(attempts.filter(has_text="500")).to_have_count(1)
    expect(attempts.filter(has_text="200")).to_have_count(1)
    visitor.sees("printed")


def test_a_failed_item_is_pushed_again_from_history(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    stage.hook.replies["/again"] = Reply(503, b"closed")
    item = stage.item("/again", "again", retry=NEVER)
    stage.until_state(item, "FAILED")
    visitor.open("/queues/again/history")
    page.get_by_role("link", name=item).click()
    expect(visitor.badge("failed")).to_be_visible()
    visitor.sees("closed")
    stage.hook.replies["/again"] = Reply(200, b"open")
    visitor.press("Push again")
    visitor.said("pushed")
    until(lambda: len(stage.came("/again")) == 2, "it's delivered again")
    first, second = stage.came("/again")
    assert first.body == second.body
    expect(visitor.badge("completed")).to_be_visible()
    page.get_by_role("link", name=item).click()  # what it repeats
    expect(visitor.badge("failed")).to_be_visible()


def test_a_paused_queue_waits(visitor: Visitor) -> None:
    stage = visitor.stage
    stage.item("/first", "halt")
    until(lambda: stage.came("/first"), "the queue is at work")
    visitor.open("/queues/halt")
    visitor.press("Pause")
    visitor.said("paused")
    expect(visitor.badge("paused")).to_be_visible()
    item = stage.item("/halt", "halt")
    # A queue beside it goes on, and what is pushed there later comes: so this would have come too.
    stage.item("/beside", "beside")
    until(lambda: stage.came("/beside"), "the other queue is at work")
    assert (stage.came("/halt"), stage.state(item)) == ([], "PENDING")
    visitor.press("Resume")
    until(lambda: stage.came("/halt"), "it's delivered")
    stage.until_state(item, "COMPLETED")
