"""Every page and form: who reaches it, and that nobody else's page can send its forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import pytest
import redis
from flask import Flask, url_for

from api.admin import guard
from api.admin.headers import is_panel
from lambdaqueue import keys
from lambdaqueue.account import EVERYWHERE, Role, digest
from lambdaqueue.administration import Administration
from tests.api.admin.conftest import ORIGIN, PASSWORD, Panel
from tests.api.admin.routes import BACK, OPEN, PAGES_AND_FORMS, ROUTES

ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")

FIELDS = {"new": "another password", "repeated": "another password"}

Visitor = Callable[[Mapping[str, Role]], Panel]


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield name and endpoint of the panel's routes."""
    for rule in app.url_map.iter_rules():
        if is_panel(rule.rule):
            path = rule.rule.removeprefix("/admin").replace("/e/<environment>", "E")
            for method in (rule.methods or set()) - {"HEAD"}:
                yield f"{method} {path}", rule.endpoint


def request_of(name: str) -> tuple[str, str]:
    """Return method and path of a route in the environment `default`, with samples in it."""
    method, _, path = name.partition(" ")
    path = path.replace("E", "/e/default", 1) if path.startswith("E") else path
    return method, ARGUMENT.sub("x", path)


def status_of(panel: Panel, name: str) -> int:
    """Send a route's request as its own page would; return the status of the answer."""
    method, path = request_of(name)
    page = panel.get(path, None) if method == "GET" else panel.post(path, {}, None)
    return page.status


def test_every_route_is_in_the_table(app: Flask) -> None:
    assert {name for name, _ in routes(app)} == ROUTES.keys() | OPEN


def test_every_view_says_what_the_table_says(app: Flask) -> None:
    for name, endpoint in routes(app):
        if endpoint == "admin.static":
            continue
        access = guard.access_of(app.view_functions[endpoint])
        if name in OPEN:
            assert access == guard.Access(signed_in=False), name
        else:
            assert access == guard.Access(True, ROUTES[name].role, ROUTES[name].recent), name


def test_every_form_s_address_is_one_of_a_page() -> None:
    """Or leads to one: what a form was answered may be loaded anew."""
    names = [*PAGES_AND_FORMS, *OPEN]
    pages, forms = ({n.partition(" ")[2] for n in names if n[:3] == m} for m in ("GET", "POS"))
    assert forms - pages == BACK.keys()
    assert set(BACK.values()) <= pages


# One test for all routes, not one each: the world that it needs costs more than the requests.


def test_nobody_watches_without_a_session(guest: Panel) -> None:
    """The browser is told to load the page, which leads to the sign-in."""
    for name in ROUTES:
        method, path = request_of(name)
        page = guest.open(method, path, headers={"Origin": ORIGIN, "Accept": "text/event-stream"})
        if method == "GET":
            assert (page.status, page.text) == (200, "event: over\ndata: \n\n"), name
        else:
            assert page.status == 303, name


def test_nobody_gets_in_without_a_session(guest: Panel) -> None:
    for name in ROUTES:
        method, path = request_of(name)
        for headers in ({}, {"Cookie": f"lq={'A' * 43}"}):
            page = guest.open(method, path, headers={"Origin": ORIGIN, **headers})
            assert page.status == 303, name
            assert page.location.startswith("/admin/sign-in?next=/admin"), name
        if method == "POST":
            assert guest.open(method, path).status == 403, name  # no Origin


def test_a_form_s_address_leads_to_its_page(panel: Panel, viewer: Panel) -> None:
    for address, wanted in BACK.items():
        _, path = request_of(f"GET {address}")
        _, target = request_of(f"GET {wanted}")
        for each in (panel, viewer):
            assert each.get(f"{path}?x=1", 303).location == f"/admin{target}", address


def test_roles(panel: Panel, viewer: Panel, visitor: Visitor) -> None:
    stranger = visitor({"0ther1d0": Role.ADMIN})
    for name, route in ROUTES.items():
        if route.role is None:
            continue
        assert (status_of(viewer, name) == 403) is (route.role is Role.ADMIN), name
        assert status_of(panel, name) != 403, name
        assert status_of(stranger, name) == (404 if " E" in name else 403), name


def test_forms_of_others(panel: Panel, redis_url: str) -> None:
    """B98: without a token, with another session's, from another site: 403, and nothing happens."""
    foreign = Panel(panel.app)
    foreign.sign_in("jan")
    assert foreign.csrf != panel.csrf
    before = state(redis_url)
    for name in ROUTES:
        method, path = request_of(name)
        for fields, headers in wrong_forms(panel.csrf, foreign.csrf) if method == "POST" else ():
            page = panel.open("POST", path, data=fields, headers=headers)
            assert page.status == 403, (name, fields, headers)
    assert state(redis_url) == before


def wrong_forms(token: str, foreign: str) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    good = {"Origin": ORIGIN}
    yield {}, good
    yield {"csrf": ""}, good
    yield {"csrf": foreign}, good
    yield {"csrf": token[:-1]}, good
    yield {"csrf": token + "A"}, good
    yield {"csrf": "é"}, good
    right = {"csrf": token}
    yield right, {}
    for origin in ("null", "https://evil.example", "http://localhost.evil.example", ""):
        yield right, {"Origin": origin}
    for origin in ("http://localhost:81", "http://evil@localhost", "ftp://localhost", "http://["):
        yield right, {"Origin": origin}
    for site in ("cross-site", "same-site", "none"):
        yield right, {**good, "Sec-Fetch-Site": site}
        yield right, {"Sec-Fetch-Site": site}
    yield right, {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ORIGIN},
        {"Origin": "http://127.0.0.1:8080"},  # LQ_PUBLIC_URL
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://localhost"},  # TLS ended at a proxy
    ],
)
def test_forms_of_ours(panel: Panel, headers: Mapping[str, str]) -> None:
    page = panel.open("POST", "/sign-out", data={"csrf": panel.csrf}, headers=headers)
    assert page.status == 303


def test_the_token_may_come_as_a_header(panel: Panel) -> None:
    headers = {"Origin": ORIGIN, "x-csrf": panel.csrf}
    assert panel.open("POST", "/sign-out", headers=headers).status == 303


def test_the_form_for_signing_in_is_guarded_too(guest: Panel) -> None:
    """Else somebody could sign a visitor in to his own account."""
    guest.as_("jan", {EVERYWHERE: Role.ADMIN})
    token = guest.get("/sign-in").inputs["csrf"]
    fields = {"name": "jan", "password": PASSWORD}
    for given in ({}, {"csrf": "x"}, {"csrf": Panel(guest.app).get("/sign-in").inputs["csrf"]}):
        page = guest.open("POST", "/sign-in", data={**fields, **given}, headers={"Origin": ORIGIN})
        assert page.status == 403
        assert page.shows("Load its page anew")
    guest.csrf = token
    assert guest.post("/sign-in", fields).location == "/admin"


def test_no_link_changes_anything(panel: Panel, redis_url: str) -> None:
    before = state(redis_url)
    for name in ROUTES:
        method, path = request_of(name)
        if method == "GET":
            panel.get(path, None)
    assert state(redis_url) == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD"])
@pytest.mark.parametrize("path", ["/account", "/sign-in", "/sign-out", "/nowhere", "/e/default"])
def test_other_methods(panel: Panel, method: str, path: str) -> None:
    page = panel.open(method, path, headers={"Origin": ORIGIN, "x-csrf": panel.csrf})
    allowed = method == "HEAD" and path != "/nowhere"
    assert page.status in ((200, 303) if allowed else (404, 405))


def test_another_host(panel: Panel) -> None:
    """B97 holds here too."""
    for path in ("/account", "/sign-in", "/static/panel.css", "/nowhere"):
        page = panel.open("GET", path, headers={"Host": "evil.example"})
        assert page.status == 400
        assert "evil" not in page.text


class TestThePasswordOnceMore:
    @pytest.fixture
    def stale(self, panel: Panel, redis_url: str) -> Panel:
        found = panel.client.get_cookie("lq")
        assert found is not None
        with redis.Redis.from_url(redis_url) as client:
            client.hincrby(keys.session(digest(found.value)), "proved", -guard.RECENT)
        return panel

    def test_it_s_asked_for_on_the_form(self, stale: Panel) -> None:
        assert stale.get("/account").shows("Your password, once more")
        page = stale.post("/account/password", {**FIELDS, "password": "wrong password"}, 403)
        assert page.shows("Nothing was changed")
        page = stale.post("/account/password", {**FIELDS, "password": PASSWORD})
        assert page.location == "/admin/account?changed=1"

    def test_or_on_a_page_of_its_own(self, stale: Panel) -> None:
        page = stale.open(
            "POST",
            "/account/password",
            data={**FIELDS, "csrf": stale.csrf},
            headers={"Origin": ORIGIN, "Referer": f"{ORIGIN}/admin/account?x=1"},
        )
        assert page.location == "/admin/prove?next=/admin/account?x%3D1"
        shown = stale.follow(page)
        assert shown.inputs["next"] == "/admin/account?x=1"
        fields = {"next": shown.inputs["next"], "password": PASSWORD}
        assert stale.post("/prove", fields).location == "/admin/account?x=1"
        assert not stale.get("/account").shows("Your password, once more")
        assert stale.post("/account/password", FIELDS).status == 303

    def test_a_referrer_that_is_no_address(self, stale: Panel) -> None:
        page = stale.open(
            "POST",
            "/account/password",
            data={**FIELDS, "csrf": stale.csrf},
            headers={"Origin": ORIGIN, "Referer": "http://[/admin/account"},
        )
        assert page.location == "/admin/prove?next=/admin"

    def test_wrong_ones_are_told_to_the_operator(
        self, stale: Panel, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(7):
            stale.post("/account/password", {**FIELDS, "password": "wrong one"}, None)
        told = [line.partition("proof_refused ")[2] for line in caplog.text.splitlines()]
        who = "client=127.0.0.1 account=jan reason="
        wanted = [f'{who}"wrong password"'] * 6 + [f'{who}"too many attempts"']
        assert [line for line in told if line] == wanted
        assert "wrong one" not in caplog.text

    def test_a_wrong_one_is_no_dead_end(self, stale: Panel) -> None:
        forms = stale.get("/prove?next=/admin/account").forms
        (action,) = (each for each in forms if "/prove" in each)
        fields = {"password": "wrong one", "next": "/admin/account"}
        page = stale.post(action.removeprefix("/admin"), fields, 403)
        assert page.shows("is not your password")
        assert page.inputs["next"] == "/admin/account"
        assert stale.get(action.removeprefix("/admin")).inputs["next"] == "/admin/account"
        page = stale.post("/account/password", {**FIELDS, "password": "wrong one"}, 403)
        assert "/admin/account/password" in page.links
        assert stale.get("/account/password", 303).location == "/admin/account"

    def test_wrong_ones_are_limited(self, stale: Panel) -> None:
        found = [stale.post("/prove", {"password": "wrong one"}, None).status for _ in range(8)]
        assert found == [403] * 6 + [429] * 2
        assert stale.post("/prove", {"password": PASSWORD}, 429).answer.headers["Retry-After"]

    @pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/admin"])
    def test_it_leads_nowhere_else(self, stale: Panel, target: str) -> None:
        page = stale.post("/prove", {"password": PASSWORD, "next": target})
        assert page.location == "/admin"


class TestEnvironments:
    def test_only_one_s_own(self, visitor: Visitor, administration: Administration) -> None:
        mine = administration.create_environment("mine", "test")
        administration.create_environment("theirs", "test")
        panel = visitor({mine.id: Role.VIEWER})
        panel.get("/e/mine", None)
        for name in ("default", "theirs", "nowhere", "x" * 300, "%00", "mine%2F.."):
            panel.get(f"/e/{name}", 404)

    def test_one_that_ends(self, panel: Panel, administration: Administration) -> None:
        administration.create_environment("short", "test")
        assert panel.get("/e/short", None).status in (200, 303)
        list(administration.remove_environment("short", "test"))
        panel.get("/e/short", 404)

    def test_links_stay_in_it(self, app: Flask, administration: Administration) -> None:
        administration.create_environment("mine", "test")
        with app.test_request_context("/admin/e/mine"):
            app.preprocess_request()
            assert url_for("admin.switch.environment") == "/admin/e/mine"
            assert url_for("admin.switch.environment", environment="x") == "/admin/e/x"
            assert url_for("admin.account.show") == "/admin/account"


def state(redis_url: str) -> dict[bytes, object]:
    """Return all that Redis has, but for what looking at it may change."""
    with redis.Redis.from_url(redis_url) as client:
        found = {key: client.dump(key) for key in client.scan_iter("*")}
    return {key: value for key, value in found.items() if b"lq:request:" not in key}
