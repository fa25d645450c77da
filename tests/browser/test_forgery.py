"""Forms that others send with one's own browser, and pages that show ours in a frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor
from tests.workers.hook import Hook, Reply
from tests.workers.stage import ACTOR

pytestmark = pytest.mark.xdist_group("browser")

QUEUE = "vault"

FORMS = {
    "pause": f"/queues/{QUEUE}/pause",
    "purge": f"/queues/{QUEUE}/purge",
    "forget": f"/queue-drop/{QUEUE}",
    "rotate": "/settings/secret/rotate",
    "token": "/settings/tokens",
}

FETCH = """url => fetch(url, {
  method: 'POST', mode: 'no-cors', credentials: 'include',
  body: new URLSearchParams({hours: '0', state: 'all'}),
}).then(() => 'answered', () => 'kept back')"""


# In one go: between two the form may be drawn anew.
FORGE = """(main, token) => {
  const form = main.querySelector('form[action$="/pause"]');
  form.elements.csrf.value = token;
  form.requestSubmit();
}"""


@pytest.fixture
def tempted(visitor: Visitor) -> Visitor:
    """Somebody who is signed in and has given the password just now, with a queue to lose."""
    visitor.stage.item("/hold/vault", QUEUE, delay=3_600_000, key="treasure")
    visitor.open(f"/queues/{QUEUE}")
    visitor.heading(QUEUE)
    return visitor


def everything(visitor: Visitor) -> Any:
    """Return all that the forms could change."""
    stage = visitor.stage
    administration = stage.administration
    secret = administration.secret(ACTOR).secret.reveal()
    tokens = administration.tokens(ACTOR.environment, 100, None)
    names = sorted(token.name for token in tokens.rows)
    items = stage.api("GET", f"/queues/{QUEUE}/items").json()
    return stage.api("GET", f"/queues/{QUEUE}").json(), items, secret, names


@pytest.fixture
def elsewhere() -> Iterator[Hook]:
    """A server of somebody else."""
    server = Hook()
    yield server
    server.stop()


def lured(visitor: Visitor, elsewhere: Hook, html: str, host: str = "127.0.0.1") -> Page:
    """Load a page of somebody else."""
    elsewhere.replies["/"] = Reply(200, html.encode(), "text/html")
    address = elsewhere.url().replace("127.0.0.1", host)
    visitor.complaints.expected(f"elsewhere: {address}")
    visitor.page.goto(address)
    return visitor.page


# Another port of the same address is the same site to a browser: it sends the cookie along.
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_form_on_another_page(tempted: Visitor, elsewhere: Hook, host: str) -> None:
    before = everything(tempted)
    tempted.complaints.expected("status of 403")
    for name, path in FORMS.items():
        form = f'<form method="post" action="{tempted.stage.url(path)}"><button>{name}</button>'
        form += '<input type="hidden" name="state" value="all">'
        page = lured(tempted, elsewhere, form, host)
        page.get_by_role("button", name=name).click()
        expect(page.get_by_text("This form was not sent from here.")).to_be_visible()
    assert everything(tempted) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_script_on_another_page(tempted: Visitor, elsewhere: Hook, host: str) -> None:
    before = everything(tempted)
    page = lured(tempted, elsewhere, "<p>hello", host)
    tempted.complaints.expected("ERR_BLOCKED_BY_RESPONSE")  # by Cross-Origin-Resource-Policy
    for path in FORMS.values():
        assert page.evaluate(FETCH, tempted.stage.url(path)) == "kept back"
    assert everything(tempted) == before


@pytest.mark.parametrize("token", ["", "A" * 43])
def test_our_own_form_with_another_token(tempted: Visitor, token: str) -> None:
    before = everything(tempted)
    tempted.complaints.expected("status of 403")
    tempted.page.get_by_role("main").evaluate(FORGE, token)
    tempted.sees("This form is too old or not one of ours.")
    assert everything(tempted) == before


def test_a_frame_around_it(tempted: Visitor, elsewhere: Hook) -> None:
    tempted.complaints.expected("frame-ancestors|ERR_BLOCKED_BY_RESPONSE")
    frame = f'<iframe src="{tempted.stage.url("/queues")}"></iframe>'
    page = lured(tempted, elsewhere, frame)
    (framed,) = page.main_frame.child_frames
    expect(framed.get_by_role("heading", name="Queues")).to_have_count(0)
    assert framed.url.startswith("chrome-error:")
