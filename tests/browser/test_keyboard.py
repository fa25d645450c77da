"""The panel without a mouse, without JavaScript, and while it's being drawn anew."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, StorageState, expect

from tests.browser.conftest import Visit
from tests.browser.stage import NAME, PASSWORD
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.xdist_group("browser")

OUTLINE = "() => getComputedStyle(document.activeElement).outlineStyle"


def tab_to(page: Page, role: str, name: str) -> None:
    """Press Tab until that has the focus; each stop on the way can be seen to have it."""
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(OUTLINE) != "none", page.evaluate("document.activeElement.outerHTML")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab doesn't reach {role} {name}")


def test_sign_in_and_pause_by_keys(visit: Visit, signed_in: StorageState) -> None:
    someone = visit()
    page, keys = someone.page, someone.page.keyboard
    someone.stage.item("/keys", "keys")
    someone.open("/queues/keys")
    tab_to(page, "textbox", "Name")
    keys.type(NAME)
    tab_to(page, "textbox", "Password")
    keys.type(PASSWORD)
    keys.press("Enter")
    someone.heading("keys")
    tab_to(page, "button", "Pause")
    keys.press("Enter")
    someone.said("Queue keys is paused")
    tab_to(page, "button", "Resume")
    keys.press("Space")
    someone.said("Queue keys goes on")


def test_the_skip_link(visitor: Visitor) -> None:
    visitor.open("/queues")
    page = visitor.page
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_a_question_by_keys(visitor: Visitor) -> None:
    item = visitor.stage.item("/keys", "asked", delay=3_600_000)
    visitor.open(f"/items/{item}")
    page = visitor.page
    button = page.get_by_role("main").get_by_role("button", name="Cancel", exact=True)
    dialog = page.get_by_role("dialog", name="Cancel this item? It's not tried again.")
    tab_to(page, "button", "Cancel")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    assert visitor.stage.state(item) == "PENDING"
    page.keyboard.press("Enter")
    tab_to(page, "button", "Yes, go on")
    page.keyboard.press("Enter")
    visitor.said("It's cancelled.")
    visitor.stage.until_state(item, "CANCELLED")


AGAIN = """() => {
    const buttons = [...document.querySelectorAll("main button")];
    const button = buttons.find((each) => each.innerText === "Cancel");
    button.click();
    document.querySelector("dialog.ask").close("");
    button.click();
}"""


def test_a_question_asked_again_at_once(visitor: Visitor) -> None:
    """The browser tells that the first was closed when the second is open."""
    item = visitor.stage.item("/keys", "hasty", delay=3_600_000)
    visitor.open(f"/items/{item}")
    visitor.page.evaluate(AGAIN)
    visitor.page.get_by_role("button", name="Yes, go on").click()
    visitor.said("It's cancelled.")


def test_search_by_keys(visitor: Visitor) -> None:
    visitor.stage.item("/keys", "sought", delay=3_600_000, key="needle")
    visitor.open("/queues")
    page = visitor.page
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("needle")
    page.keyboard.press("Enter")
    visitor.heading("needle")
