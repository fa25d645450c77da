"""The panel as a browser has it: cookies, forms with their token, an Origin, pages as text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.admin.headers import HEADERS
from lambdaqueue import passwords
from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.identity import Author
from tests.api.conftest import parts_of

ORIGIN = "http://localhost"
PASSWORD = "correct horse battery"
NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea></title><svg onload=alert(1)>",
    "{{7*7}}{% for %}",
    "' onfocus=alert(1) autofocus='",
    "\u202egnp.exe \u200b\x1b[31m",
    "javascript:alert(1)",
)
"""What somebody may send who hopes that it becomes markup."""

INLINE = re.compile(r"""<(?:style|script(?! src="/admin/static/))|\sstyle=|\son\w+=""", re.I)


class _Reader(HTMLParser):
    """Reads a page: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, Mapping[str, str]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@dataclass(frozen=True)
class Page:
    """An answer of the panel, held against what every one must be."""

    answer: TestResponse

    def __post_init__(self) -> None:
        assert {name: self.answer.headers.get(name) for name in HEADERS} == HEADERS
        if not self.is_static:
            assert self.answer.headers["Cache-Control"] == "no-store"
        if self.answer.mimetype == "text/html" and self.status != 303:
            for tag, attributes in self.tags:
                written = " ".join(attributes)
                assert not re.search(r"\b(style|on\w+)\b", written), (tag, attributes)
                assert tag != "style"
                if tag == "script":
                    assert attributes["src"].startswith("/admin/static/")

    @property
    def is_static(self) -> bool:
        return self.answer.request.path.startswith("/admin/static/")

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def location(self) -> str:
        return self.answer.headers.get("Location", "")

    @property
    def text(self) -> str:
        """The page's source."""
        return self.answer.text

    @property
    def tags(self) -> list[tuple[str, Mapping[str, str]]]:
        return _Reader(self.text).tags

    @property
    def words(self) -> str:
        """The page's text, with single spaces."""
        return " ".join("".join(_Reader(self.text).text).split())

    @property
    def links(self) -> list[str]:
        return [given["href"] for tag, given in self.tags if tag == "a" and "href" in given]

    @property
    def forms(self) -> list[str]:
        """Where the page's forms lead that change something."""
        return [given["action"] for tag, given in self.tags if tag == "form" and "action" in given]

    @property
    def inputs(self) -> dict[str, str]:
        """The values of the page's fields, the last of each name."""
        found = (given for tag, given in self.tags if tag == "input")
        return {given["name"]: given.get("value", "") for given in found if "name" in given}

    @property
    def flash(self) -> str:
        """The message of the page before."""
        found = re.search(r'<p class="said [a-z]+" role="status">(.*?)</p>', self.text, re.S)
        return html.unescape(found[1]) if found else ""

    def shows(self, text: str) -> bool:
        """Tell whether a person reads `text` on the page."""
        return text in "".join(_Reader(self.text).text)


class Panel:
    """A browser at the panel. Paths are below /admin."""

    def __init__(self, app: Flask, name: str = "") -> None:
        self.app = app
        self.name = name
        self.client = app.test_client()
        self.csrf = ""

    def open(self, method: str, path: str, **request: Any) -> Page:
        """Send a request just as given."""
        return Page(self.client.open(f"/admin{path}", method=method, **request))

    def get(self, path: str, status: int | None = 200, **request: Any) -> Page:
        """Load a page that must answer with `status`, None: with any."""
        page = self.open("GET", path, **request)
        assert status in (None, page.status), page.text
        return page

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, status: int | None = 303
    ) -> Page:
        """Send a form as a page would; it must be answered with `status`, None: with any."""
        page = self.open(
            "POST",
            path,
            data={"csrf": self.csrf, **(fields or {})},
            headers={"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"},
        )
        assert status in (None, page.status), page.text
        return page

    def follow(self, page: Page, status: int = 200) -> Page:
        """Load the page that an answer leads to."""
        assert page.location.startswith("/admin"), page.location
        return self.get(page.location.removeprefix("/admin"), status)

    def sign_in(self, name: str, password: str = PASSWORD) -> Page:
        """Sign in by the form."""
        self.csrf = self.get("/sign-in").inputs["csrf"]
        page = self.post("/sign-in", {"name": name, "password": password}, None)
        if page.status == 303:
            self.name = name
            self.csrf = self.get("/account").inputs["csrf"]
        return page

    def as_(self, name: str, roles: Mapping[str, Role]) -> Panel:
        """Return another browser, in which a new account with `roles` is signed in."""
        signing_in = parts_of(self.app).signing_in
        signing_in.create(Author("test"), name, PASSWORD, roles)
        other = Panel(self.app)
        assert other.sign_in(name).status == 303
        return other


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parameters cost is for tests/unit/test_passwords.py."""
    monkeypatch.setattr(passwords, "LOG_N", 4)
    monkeypatch.setattr(passwords, "P", 1)
    monkeypatch.setattr(passwords, "NOBODYS", f"scrypt$4$8$1${'A' * 22}${'A' * 43}")


@pytest.fixture
def guest(app: Flask) -> Panel:
    """A browser in which nobody is signed in."""
    return Panel(app)


@pytest.fixture
def panel(guest: Panel) -> Panel:
    """A browser of an account that may do everything."""
    return guest.as_("jan", {EVERYWHERE: Role.ADMIN})


@pytest.fixture
def viewer(guest: Panel) -> Panel:
    """A browser of an account that may look at everything."""
    return guest.as_("eva", {EVERYWHERE: Role.VIEWER})


@pytest.fixture
def visitor(guest: Panel) -> Callable[[Mapping[str, Role]], Panel]:
    """Makes browsers of accounts with roles by environment id."""

    def make(roles: Mapping[str, Role]) -> Panel:
        return guest.as_("kim", roles)

    return make
