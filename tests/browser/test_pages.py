"""Every page, in front of objects full of markup: nothing runs, everything can be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from lambdaqueue.account import EVERYWHERE, Role
from tests.browser.conftest import Visit, visiting
from tests.browser.looks import faults_of
from tests.browser.stage import PanelStage
from tests.browser.visitor import Visitor
from tests.browser.world import COLLEAGUE, EVIL, PAGES, QUEUE, SHORT, World
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("browser")

ADDRESSES = {
    "/e/default/overview?span={}": 200,
    "/e/default/queues?cursor={}": 422,
    "/e/default/queues/{}": 422,
    f"/e/default/queues/{QUEUE}/items?key={{}}": 200,
    f"/e/default/queues/{QUEUE}/history?since={{}}": 422,
    "/e/default/search?queue={}": 422,
    "/e/default/search?state={}": 422,
    "/e/default/audit?cursor={}": 422,
    "/e/default/items/{}": 404,
    "/e/{}/overview": 404,
    "/sign-in?next={}&out={}": 200,
}
"""Where markup may stand in an address, and what is answered."""

NO_EVENTS = "window.EventSource = class extends EventTarget { close() {} }"

EMPTY = ("overview", "queues", "schedules", "services", "search", "settings")
"""Pages that say something else where there is nothing yet."""

FOR_VIEWERS = {
    "E/queues/<queue:queue>": 200,
    "E/queues/<queue:queue>/history": 200,
    "E/queue-settings/<queue:queue>": 200,
    "E/items/<item_id>": 200,
    "E/schedules/<schedule_id>": 200,
    "E/services/<service>/<job>": 200,
    "E/settings": 200,
    "/account": 200,
    "E/audit": 403,
}
"""Routes whose pages are others for who may only look, and what they are answered with."""

MARKUP = """() => [...document.querySelectorAll('*')].flatMap(element => [
  ...(element.matches('[src=x], svg[onload], style, script:not([src^="/admin/static/"])')
    ? [element.outerHTML.slice(0, 200)] : []),
  ...[...element.attributes].filter(each => each.name.startsWith('on') || each.name === 'style'
    || (['href', 'src', 'action', 'formaction'].includes(each.name)
        && new URL(each.value, location).origin !== location.origin)
  ).map(each => `${element.tagName} ${each.name}=${each.value}`),
])"""
"""What a page has that can only be of somebody else's making."""


@pytest.fixture(scope="module")
def unguarded(stage: PanelStage, browser: Browser, signed_in: StorageState) -> Iterator[Visitor]:
    """A tab in a browser that ignores the CSP, and calls itself by markup."""
    with visiting(
        stage, browser, storage_state=signed_in, bypass_csp=True, user_agent=SHORT
    ) as visitor:
        visitor.context.add_init_script("window.xss = () => console.error('xss ran')")
        yield visitor


@pytest.fixture(scope="module")
def reader(stage: PanelStage, browser: Browser, signed_in: StorageState) -> Iterator[Visitor]:
    """A tab for all pages, which hold still: axe can't look at what is drawn anew meanwhile."""
    with visiting(stage, browser, storage_state=signed_in) as visitor:
        visitor.context.add_init_script(NO_EVENTS)
        yield visitor


@pytest.fixture(scope="module")
def viewer(stage: PanelStage, browser: Browser, world: World) -> Iterator[Visitor]:
    """The same for an account that may only look."""
    stage.account("eva", {EVERYWHERE: Role.VIEWER})
    with visiting(stage, browser) as visitor:
        visitor.context.add_init_script(NO_EVENTS)
        visitor.sign_in("eva")
        visitor.heading("Overview")
        yield visitor


def load(visitor: Visitor, path: str, status: int = 200) -> None:
    """Load a page below /admin."""
    if status != 200:
        visitor.complaints.expected(f"status of {status}")
    answer = visitor.page.goto(f"{visitor.stage.origin}/admin{path}")
    assert answer is not None
    assert answer.status == status


def missing(page: Page, texts: Sequence[str]) -> list[str]:
    """Return those of `texts` that neither the page's text has nor one of its fields."""
    values = [each.input_value() for each in page.locator("input, textarea").all()]
    found = [" ".join(each.split()) for each in (page.locator("main").inner_text(), *values)]
    return [each for each in texts if not any(each in text for text in found)]


def test_every_page_has_a_sample(world: World) -> None:
    assert sorted(world.pages()) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_what_others_sent_is_text(name: str, unguarded: Visitor, world: World) -> None:
    """Also where the browser would run it: escaping alone must hold, without the CSP."""
    sample = world.pages()[name]
    load(unguarded, sample.path, sample.status)
    page = unguarded.page
    assert page.evaluate(MARKUP) == []
    until(lambda: missing(page, sample.shows) == [], f"on the page: {sample.shows}")
    assert page.evaluate(MARKUP) == []
    unguarded.complaints.check()


def test_what_stands_in_an_address_is_text(unguarded: Visitor, world: World) -> None:
    for address, status in ADDRESSES.items():
        load(unguarded, address.replace("{}", quote(EVIL, safe="")), status)
        assert unguarded.page.evaluate(MARKUP) == [], address
        unguarded.complaints.check()


def test_what_comes_while_a_page_is_open_is_text(unguarded: Visitor, world: World) -> None:
    load(unguarded, world.pages()["GET E/queues/<queue:queue>/items"].path)
    world.push(key=f"new {EVIL}", delay=3_600_000)
    unguarded.sees(f"new {EVIL[:40]}")
    assert unguarded.page.evaluate(MARKUP) == []
    unguarded.complaints.check()


def test_what_is_asked_about_is_text(unguarded: Visitor, world: World) -> None:
    load(unguarded, world.pages()["GET E/settings"].path)
    page = unguarded.page
    page.get_by_role("row", name=SHORT).get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Revoke the token {SHORT}?")
    assert page.evaluate(MARKUP) == []
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("row", name=SHORT)).to_be_visible()
    unguarded.complaints.check()


def test_what_a_form_brings_back_is_text(unguarded: Visitor, world: World) -> None:
    page, complaints = unguarded.page, unguarded.complaints
    load(unguarded, world.pages()["GET E/queue-settings/<queue:queue>"].path)
    unguarded.field("Success").fill(EVIL)
    complaints.expected("status of 422")
    unguarded.press("Save")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed: see successStatus")
    expect(unguarded.field("Success")).to_have_value(EVIL)
    assert page.evaluate(MARKUP) == []
    complaints.check()


def test_who_cannot_sign_in_is_text(visit: Visit, signed_in: StorageState) -> None:
    someone = visit(bypass_csp=True)
    someone.page.goto(f"{someone.stage.origin}/admin/sign-in?next=javascript:xss()")
    someone.fill(Name=EVIL[:64], Password=EVIL[:64])
    someone.complaints.expected("status of 403")
    someone.press("Sign in")
    expect(someone.field("Name")).to_have_value(EVIL[:64])
    assert someone.page.evaluate(MARKUP) == []


@pytest.mark.parametrize("name", [*PAGES, *(f"empty {each}" for each in EMPTY)])
def test_it_fits_and_everybody_can_read_it(name: str, reader: Visitor, world: World) -> None:
    page = reader.page
    if name.startswith("empty "):
        load(reader, f"/e/{name.replace(' ', '/')}")
    else:
        load(reader, world.pages()[name].path, world.pages()[name].status)
    faults = list(faults_of(page))
    assert not faults, "\n".join(faults)
    reader.complaints.check()


@pytest.mark.parametrize("route", FOR_VIEWERS)
def test_so_can_who_may_only_look(route: str, viewer: Visitor, world: World) -> None:
    load(viewer, world.pages()[f"GET {route}"].path, FOR_VIEWERS[route])
    main = viewer.page.get_by_role("main")
    own = ["Change the password", "Sign out everywhere"] if route == "/account" else []
    assert main.locator("form[method=post] button").all_inner_texts() == own
    faults = list(faults_of(viewer.page))
    assert not faults, "\n".join(faults)
    viewer.complaints.check()


def test_an_execution_that_runs(reader: Visitor, viewer: Visitor, world: World) -> None:
    for visitor in (reader, viewer):
        load(visitor, f"/e/default/executions/{world.going_on}")
        progress = visitor.page.get_by_role("progressbar", name="Progress")
        expect(progress).to_have_js_property("value", 40)
        faults = list(faults_of(visitor.page))
        assert not faults, "\n".join(faults)
        visitor.complaints.check()


def test_who_may_look_nowhere(visit: Visit, world: World) -> None:
    someone = visit()
    someone.sign_in(COLLEAGUE)
    someone.sees("Your account has no role in any environment")
    faults = list(faults_of(someone.page))
    assert not faults, "\n".join(faults)


def test_so_do_pages_that_forms_lead_to(visitor: Visitor, world: World) -> None:
    """A new token and a question about it, a form with issues, a menu that is open."""
    page = visitor.page
    visitor.open("/settings")
    form = page.get_by_role("main").locator("form").filter(has_text="Good for days")
    form.get_by_label("Name", exact=True).fill("readable")
    visitor.once_more(form)
    visitor.press("Make it")
    row = page.get_by_role("row", name="readable")
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    faults = [f"token: {each}" for each in faults_of(page)]
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_text("Environment default", exact=True).click()
    expect(page.get_by_role("link", name="All environments")).to_be_visible()
    # Alone: what an open menu covers can't be pressed, and needn't.
    faults += [f"menu: {each}" for each in faults_of(page, "details.switch")]
    load(visitor, world.pages()["GET E/queue-settings/<queue:queue>"].path)
    visitor.field("Success").fill("soon")
    visitor.complaints.expected("status of 422")
    visitor.press("Save")
    expect(page.get_by_role("alert")).to_be_visible()
    faults += [f"issues: {each}" for each in faults_of(page)]
    assert not faults, "\n".join(faults)
