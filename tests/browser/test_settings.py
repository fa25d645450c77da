"""Tokens and the signature secret, as somebody makes and uses them."""

from __future__ import annotations

import re
import shlex
import time

import pytest
import requests
from playwright.sync_api import Locator, StorageState, expect
from standardwebhooks import Webhook, WebhookVerificationError

from lambdaqueue.signing import Secret
from lambdaqueue.signing_in import SigningIn
from tests.browser.conftest import Visit
from tests.browser.stage import PASSWORD, PanelStage
from tests.browser.visitor import Visitor
from tests.browser.world import World
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("browser")


def push_with(token: str, stage: PanelStage) -> int:
    """Push by HTTP as whoever has the token does; return the status."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "text/plain",
        "x-lq-target": stage.hook.url("/tokens"),
    }
    url = f"{stage.origin}/api/v1/queues/tokens/items"
    return requests.post(url, b"x", headers=headers, timeout=20).status_code


def fresh(visitor: Visitor) -> Locator:
    """Return what the page shows this once."""
    return visitor.page.get_by_role("main").get_by_role("status")


def secrets(visitor: Visitor) -> list[str]:
    """Return the secrets that the page shows."""
    codes = fresh(visitor).get_by_role("code")
    expect(codes.first).to_be_visible()
    return codes.all_inner_texts()


def test_a_token_from_its_making_to_its_end(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    visitor.open("/settings")
    form = page.get_by_role("main").locator("form").filter(has_text="Good for days")
    form.get_by_label("Name", exact=True).fill("build server")
    visitor.once_more(form)
    visitor.press("Make it")
    token = fresh(visitor).get_by_role("code").first.inner_text()
    row = page.get_by_role("row", name="build server")
    expect(row).to_contain_text("never")
    assert push_with(token, stage) == 201
    page.reload()
    visitor.heading("Settings")
    expect(page.get_by_text(token)).to_have_count(0)
    expect(row.get_by_role("cell").nth(2)).to_have_text(re.compile("now|ago"))
    row.get_by_role("button", name="Revoke").click()
    visitor.agree()
    visitor.said("The token is of no use any more.")
    expect(row).to_have_count(0)
    until(lambda: push_with(token, stage) == 401, "it's refused")  # within a second


def verifies(secret: str, stage: PanelStage, path: str) -> bool:
    """Tell whether Standard Webhooks' own library verifies the delivery to `path`."""
    (delivery,) = stage.came(path)
    try:
        Webhook(secret).verify(delivery.body, dict(delivery.headers))
    except WebhookVerificationError:
        return False
    return True


def test_the_secret_is_rotated(visitor: Visitor) -> None:
    stage, page = visitor.stage, visitor.page
    visitor.open("/settings")
    visitor.once_more(page.get_by_role("main").locator("form").filter(has_text="Show it"))
    visitor.press("Show it")
    (old,) = secrets(visitor)
    deliver(stage, "/before")
    visitor.once_more(page.get_by_role("main").locator("form").filter(has_text="a week more"))
    visitor.press("Rotate")
    visitor.agree()
    expect(page.get_by_text("The one before counts until")).to_be_visible()
    new, previous = secrets(visitor)
    assert previous == old != new
    stage.hook.secrets.append(Secret.parse(new))
    deliver(stage, "/after")
    assert [verifies(secret, stage, "/before") for secret in (old, new)] == [True, False]
    assert [verifies(secret, stage, "/after") for secret in (old, new)] == [True, True]
    visitor.open("/settings")
    for secret in (old, new):
        expect(page.get_by_text(secret)).to_have_count(0)


def deliver(stage: PanelStage, path: str) -> None:
    """Push an item and wait until it came."""
    stage.item(path, "secrets")
    until(lambda: stage.came(path), f"{path} was called")


def test_without_the_password_no_secret_is_shown(visit: Visit, signed_in: StorageState) -> None:
    """Whoever finds a browser open doesn't find the secrets."""
    visitor = visit()
    visitor.sign_in()
    visitor.heading("Overview")
    let_the_password_age(visitor)
    visitor.open("/settings")
    form = visitor.page.get_by_role("main").locator("form").filter(has_text="Show it")
    password = form.get_by_label("Your password, once more")
    visitor.complaints.expected("status of 403")
    password.fill("wrong password")
    visitor.press("Show it")
    visitor.sees("That is not your password. Nothing was changed.")
    visitor.page.go_back()
    password.fill(PASSWORD)
    visitor.press("Show it")
    assert len(secrets(visitor)[0]) > 30


def let_the_password_age(visitor: Visitor) -> None:
    """Let it be ten minutes ago that the visitor gave the password."""
    (cookie,) = (each["value"] for each in visitor.context.cookies() if each["name"] == "lq")
    then = SigningIn(visitor.stage.client, now=int(time.time() * 1_000) - 600_000)
    session = then.session(cookie, touch=False)
    assert session is not None
    assert then.prove(session, PASSWORD, "127.0.0.1")


def test_what_can_be_copied_is_what_is_shown(visitor: Visitor, world: World) -> None:
    """The command of an empty page: pasted into a shell it pushes to this server."""
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{visitor.stage.origin}/admin/e/empty/queues")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    words = shlex.split(copied)
    assert words[:4] == ["curl", "-X", "POST", f"{visitor.stage.origin}/api/v1/queues/hello/items"]
    assert words[-2:] == ["-d", '{"hello": "world"}']
