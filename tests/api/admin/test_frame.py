"""The frame that all pages have: navigation, messages, errors, macros, static files, headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis
from flask import Blueprint, Flask, render_template_string, request
from werkzeug.wrappers import Response

from api import admin, create_app
from api.admin import assets, forms, session
from api.admin.guard import page
from api.admin.texts import shown
from api.current import administration, parts
from lambdaqueue.account import Role
from lambdaqueue.administration import Administration
from lambdaqueue.config import Settings
from lambdaqueue.errors import (
    Conflict,
    InvalidRequest,
    Issue,
    NotFound,
    SecretUnreadable,
    StorageUnavailable,
    TooManyRequests,
)
from tests.api.admin.conftest import NASTY, ORIGIN, Panel
from tests.api.conftest import parts_of

HEAD = (
    '{% extends "admin/base.html" %}{% import "admin/macros.html" as ui with context %}'
    '{% set section = "queues" %}{% block title %}{{ text }}{% endblock %}{% block main %}'
)

EVERYTHING = (
    HEAD
    + """
{% call ui.heading(text, text) %}{{ text }}{% endcall %}
{% call ui.table([text, (text, "number"), ""], caption=text) %}<tr>
<th scope="row">{{ text|visible }}</th><td>{{ ui.state(text) }}{{ ui.state("FAILED") }}</td>
<td>{{ ui.badge(text, "good") }}
{{ ui.button("/admin/x", text, confirm=text, fields={"a": text}) }}</td>
</tr>{% endcall %}
{{ ui.facts([(text, text), ("none", none)]) }}
{% call ui.figure(text, text) %}{{ text }}{% endcall %}
{{ ui.bars([1, none, 2], text) }}{{ ui.when(now) }}{{ ui.when(none) }}
{% call ui.form("/admin/x", text, confirm=text, danger=True, fields={"b": text}) %}
{{ ui.field("f", text, text, hint=text, required=True, placeholder=text) }}
{{ ui.area("g", text, text, hint=text) }}{{ ui.choice("h", text, [(text, text)], text) }}
{{ ui.check("i", text, True, hint=text) }}{{ ui.password() }}{% endcall %}
{{ ui.pager(text) }}{{ ui.tabs([(text, "/admin", True)]) }}
{% call ui.empty(text) %}{{ text }}{% endcall %}
{{ ui.copy(text) }}{{ ui.curl("POST", "/queues/x/items", text, [text]) }}{{ ui.shown(sent) }}
{% call live(text) %}{{ text }}{% endcall %}{% endblock %}"""
)


@dataclass(frozen=True)
class Sample:
    """Pages as other modules have them."""

    blueprint: Blueprint


def sample() -> Sample:
    blueprint = Blueprint("samples", __name__)

    @blueprint.get("/samples")
    @page(Role.VIEWER)
    def index() -> str:
        text = request.args.get("text", "")
        issues = dict.fromkeys("fghi", text)
        return render_template_string(
            EVERYTHING, text=text, sent=shown(text.encode()), issues=issues
        )

    @blueprint.post("/samples/say")
    @page(Role.ADMIN)
    def say() -> Response:
        administration().change_environment(session.actor(), {"retry": None})
        tone = forms.values().text("tone", "good")
        return forms.done(forms.values().raw("text"), f"{request.path[:-4]}?text=a", tone)

    @blueprint.get("/samples/fails")
    @page(Role.VIEWER)
    def fails() -> str:
        # Nor may what is shown of an error need Redis, which may be the trouble.
        parts().client.connection_pool = redis.ConnectionPool(host="127.0.0.1", port=1)
        raise ERRORS[request.args["how"]][0]

    @blueprint.get("/samples/unmarked")
    def unmarked() -> str:
        return "never"

    @blueprint.post("/samples/numbers")
    @page(Role.VIEWER)
    def numbers() -> str:
        return str(forms.values().whole("n", -5, 5, 0))

    return Sample(blueprint)


TAGS = {
    *("html", "head", "meta", "title", "link", "script", "body", "header", "nav", "main", "footer"),
    *(
        "a",
        "img",
        "details",
        "summary",
        "strong",
        "ul",
        "li",
        "h1",
        "h2",
        "p",
        "div",
        "span",
        "pre",
    ),
    *("form", "label", "input", "button", "textarea", "select", "option", "dialog", "code", "time"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd"),
    *("svg", "path", "rect", "noscript"),
}
"""All that the frame and the macros are made of."""

NASTIEST = "<b>&\u202e"

ERRORS: dict[str, tuple[Exception, int, str]] = {
    "gone": (NotFound(NASTIEST), 404, "<b>&\\u202e"),
    "conflict": (Conflict(NASTIEST), 409, "<b>&\\u202e"),
    "invalid": (
        InvalidRequest([Issue(("a", 1, NASTIEST), "c", NASTIEST)]),
        422,
        "a.1.<b>&\\u202e <b>&\\u202e",
    ),
    "busy": (TooManyRequests("x", 1, 2, 3), 429, "at most 1 in 2 s"),
    "away": (StorageUnavailable("Redis is away"), 503, "Redis is away"),
    "sealed": (SecretUnreadable("wrong key"), 503, "wrong key"),
    "bug": (RuntimeError("a secret thing"), 500, "Something went wrong on our side."),
}


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application, with some more pages."""
    monkeypatch.setattr(admin, "ENVIRONMENT_PAGES", (*admin.ENVIRONMENT_PAGES, sample()))
    made = create_app(settings)
    yield made
    parts_of(made).close()


class TestNavigation:
    def test_it_leads_to_what_there_is(self, panel: Panel) -> None:
        found = panel.get("/e/default/samples")
        assert "/admin/e/default/queues" in found.links
        assert "/admin/account" in found.links
        assert "/admin/sign-out" in found.forms
        current = [
            given["href"] for tag, given in found.tags if given.get("aria-current") == "page"
        ]
        assert current == ["/admin/e/default/queues", "/admin"]  # the second is the sample's tab
        for link in {link for link in found.links if link.startswith("/admin")}:
            assert panel.get(link.removeprefix("/admin"), None).status in (200, 303), link

    def test_the_switch_has_one_s_environments(
        self, guest: Panel, administration: Administration
    ) -> None:
        ids = {
            name: administration.create_environment(name, "t").id
            for name in ("one", "two", "three")
        }
        panel = guest.as_("kim", {ids["one"]: Role.VIEWER, ids["two"]: Role.ADMIN})
        found = panel.get("/e/two/samples").words
        assert "Environment two one two" in found
        assert "three" not in found
        assert "default" not in found

    def test_an_account_without_any_is_told_what_to_do(self, guest: Panel) -> None:
        panel = guest.as_("kim", {})
        assert panel.get("").shows("lambdaqueue admin role kim --role viewer")

    def test_a_guest_sees_none(self, guest: Panel) -> None:
        assert guest.get("/sign-in").forms == ["/admin/sign-in"]


class TestMessages:
    def test_one_is_shown_once(self, panel: Panel) -> None:
        text = "Done: <b>é\u202e"
        after = panel.follow(panel.post("/e/default/samples/say", {"text": text}))
        assert after.flash == "Done: <b>é\\u202e"
        assert panel.get("/e/default/samples").flash == ""

    def test_a_long_one_is_cut(self, panel: Panel) -> None:
        after = panel.follow(panel.post("/e/default/samples/say", {"text": "\U0001f600" * 5_000}))
        assert after.flash == "\U0001f600" * 500

    @pytest.mark.parametrize(
        "change", [lambda v: "x" + v, lambda v: v + "0", lambda _: "", lambda _: "é."]
    )
    def test_nobody_else_can_say_something(
        self, panel: Panel, change: Callable[[str], str]
    ) -> None:
        panel.post("/e/default/samples/say", {"text": "Hello"})
        found = panel.client.get_cookie("lq-said")
        assert found is not None
        panel.client.set_cookie("lq-said", change(found.value))
        assert panel.get("/e/default/samples").flash == ""

    def test_not_even_another_session(self, panel: Panel, viewer: Panel) -> None:
        panel.post("/e/default/samples/say", {"text": "Hello"})
        found = panel.client.get_cookie("lq-said")
        assert found is not None
        viewer.client.set_cookie("lq-said", found.value)
        assert viewer.get("/e/default/samples").flash == ""

    def test_a_change_is_in_the_audit_under_the_account(
        self, panel: Panel, administration: Administration
    ) -> None:
        panel.post("/e/default/samples/say", {"text": "x"})
        (row,) = administration.audit("1", 1, None).rows
        assert (row.token, row.action, row.object) == ("jan", "environment.update", "default")
        assert row.address == "127.0.0.1"


@pytest.mark.parametrize("how", ERRORS)
def test_errors_are_pages(panel: Panel, how: str) -> None:
    error, status, text = ERRORS[how]
    found = panel.get(f"/e/default/samples/fails?how={how}", status)
    assert found.answer.mimetype == "text/html"
    assert found.shows(text) or text in found.words
    assert found.answer.headers["x-request-id"] in found.words
    assert ("Retry-After" in found.answer.headers) is (status in (429, 503))
    assert "a secret thing" not in found.text
    assert "/admin/account" in found.links, error


@pytest.mark.parametrize(
    "path", ["/nowhere", "/e/default/nowhere", "/static/nowhere", "/static/../x", "/static/a/b"]
)
def test_what_is_not_there(panel: Panel, path: str) -> None:
    assert panel.get(path, 404).shows("Not found")


def test_a_view_that_says_nothing_is_not_there(panel: Panel) -> None:
    panel.get("/e/default/samples/unmarked", 404)


def test_redis_away(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise StorageUnavailable("Redis can't be reached")

    monkeypatch.setattr(type(parts_of(panel.app).signing_in), "session", away)
    found = panel.get("/account", 503)
    assert found.shows("Redis can't be reached")
    assert found.answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize("text", NASTY)
def test_every_macro_shows_text_as_text(panel: Panel, text: str) -> None:
    """B100. `Page` has looked for handlers, styles and foreign scripts."""
    found = panel.get("/e/default/samples", query_string={"text": text, "q": text})
    names = {tag for tag, _ in found.tags}
    assert names <= TAGS
    assert sum(tag in ("img", "script") for tag, _ in found.tags) == 2
    sources = {given["src"].partition("?")[0] for tag, given in found.tags if "src" in given}
    assert sources == {"/admin/static/icon.svg", "/admin/static/panel.js"}
    links = {given["href"][:7] for tag, given in found.tags if "href" in given}
    assert links <= {"/admin", "/admin/", "/admin?", "#main", "/docs"}
    assert found.inputs["f"] == text


class TestNumbers:
    @pytest.mark.parametrize(
        ("given", "status"),
        [("3", 200), ("-5", 200), ("", 200), ("6", 422), ("-6", 422), ("x", 422), ("1.0", 422)],
    )
    def test_a_field(self, panel: Panel, given: str, status: int) -> None:
        panel.post("/e/default/samples/numbers", {"n": given}, status)

    @pytest.mark.parametrize("given", ["٣", "²", "--1", "+1", "1_0", "9" * 300, "1e3", "0x1"])
    def test_what_is_none(self, panel: Panel, given: str) -> None:
        panel.post("/e/default/samples/numbers", {"n": given}, 422)


class TestStatic:
    def test_files_are_kept_by_their_version(self, guest: Panel) -> None:
        found = guest.get("/sign-in")
        paths = {given["src"] for tag, given in found.tags if tag == "script"}
        paths |= {given["href"] for tag, given in found.tags if tag == "link"}
        assert len(paths) == 3
        for path in paths:
            answer = guest.get(path.removeprefix("/admin")).answer
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            bare = guest.get(path.removeprefix("/admin").partition("?")[0]).answer
            assert bare.headers["Cache-Control"] == "no-cache"
            other = guest.get(path.removeprefix("/admin") + "0").answer  # of another version's page
            assert other.headers["Cache-Control"] == "no-cache"
            known = {"If-None-Match": bare.headers["ETag"]}
            again = guest.get(path.removeprefix("/admin"), 304, headers=known)
            assert again.answer.data == b""

    def test_they_take_nothing_from_elsewhere(self) -> None:
        for file in assets.FOLDER.iterdir():
            text = file.read_text()
            assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), file
            assert "@import" not in text
            assert "innerHTML" not in text
            assert "eval(" not in text


def test_headers(panel: Panel) -> None:
    """`Page` holds every answer against HEADERS; here is what they are."""
    answer = panel.get("/account").answer
    said = answer.headers["Content-Security-Policy"].split("; ")
    policy = dict(each.split(" ", 1) for each in said)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in " ".join(said)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    other = panel.client.get("/health").headers
    assert "Content-Security-Policy" not in other


def test_a_form_with_a_wrong_method_is_a_page_too(panel: Panel) -> None:
    found = panel.open("POST", "/account", headers={"Origin": ORIGIN}, data={"csrf": panel.csrf})
    assert found.status == 404


def test_accounts_of_everywhere_see_later_environments(
    viewer: Panel, administration: Administration
) -> None:
    administration.create_environment("late", "t")
    assert viewer.get("/e/late/samples").shows("late")
