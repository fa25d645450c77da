"""The first account by the link that the first start prints, and signing in and out."""

from __future__ import annotations

import pytest
from playwright.sync_api import StorageState, expect

from tests.browser.conftest import Visit
from tests.browser.stage import NAME, PanelStage
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.xdist_group("browser")


def test_the_first_link_is_of_no_use_again(
    stage: PanelStage, signed_in: StorageState, visit: Visit
) -> None:
    guest = visit()
    guest.complaints.expected("status of 404")
    guest.page.goto(stage.link)
    guest.sees("This link is used up or too old.")


def test_out_and_in_again(visit: Visit, signed_in: StorageState) -> None:
    someone = visit()
    someone.sign_in()
    someone.heading("Overview")
    cookies = {each["name"]: each for each in someone.context.cookies()}
    assert (cookies["lq"]["httpOnly"], cookies["lq"]["sameSite"]) == (True, "Lax")
    someone.press("Sign out")
    someone.sees("You are signed out.")
    someone.open("/queues")
    someone.heading("Sign in to LambdaQueue")
    someone.fill(Name=NAME, Password="wrong password")
    someone.complaints.expected("status of 403")
    someone.press("Sign in")
    someone.sees("The name or the password is wrong.")
    someone.fill(Password="correct horse battery")
    someone.press("Sign in")
    someone.heading("Queues")  # where the way to it began


def test_the_stream_ends_with_the_session(visit: Visit, signed_in: StorageState) -> None:
    someone: Visitor = visit()
    someone.sign_in()
    someone.heading("Overview")
    sign = someone.page.get_by_role("contentinfo").get_by_text("live", exact=True)
    expect(sign).to_be_visible()
    elsewhere = someone.context.new_page()
    elsewhere.goto(someone.stage.url("/queues"))
    elsewhere.get_by_role("button", name="Sign out").click()
    someone.heading("Sign in to LambdaQueue")
