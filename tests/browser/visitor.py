"""Somebody at the panel with a browser, and whatever the browser complains about meanwhile."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    WebError,
    expect,
)

from tests.browser.stage import NAME, PASSWORD, PanelStage

__all__ = ["Complaints", "Visitor"]


@dataclass
class Complaints:
    """Hears of everything that must not happen unless a test says so with `expected`.

    Errors on the console (violations of the CSP and refused requests are such), errors of
    scripts, dialogs, requests that failed, and requests to another origin than `origin`.
    """

    origin: str
    heard: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def listen(self, context: BrowserContext) -> None:
        """Begin with whatever happens in `context`."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)

    def expected(self, pattern: str) -> None:
        """Allow complaints in which `pattern` is found; there must be one until the end."""
        self.allowed.append(pattern)

    def check(self) -> None:
        """Fail unless exactly what was expected was heard; then begin anew."""
        found = {each: [p for p in self.allowed if re.search(p, each)] for each in self.heard}
        unexpected = "\n".join(each for each, patterns in found.items() if not patterns)
        assert not unexpected, unexpected
        met = {pattern for patterns in found.values() for pattern in patterns}
        missing = [pattern for pattern in self.allowed if pattern not in met]
        assert not missing, f"expected, not heard: {missing}"
        self.heard.clear()
        self.allowed.clear()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.heard.append(f"{message.type}: {message.text} at {message.location['url']}")

    def _error(self, error: WebError) -> None:
        self.heard.append(f"script: {error.error}")

    def _dialog(self, dialog: Dialog) -> None:
        self.heard.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if f"{address.scheme}://{address.netloc}" != self.origin:
            self.heard.append(f"elsewhere: {request.url}")

    def _failed(self, request: Request) -> None:
        # Whoever leaves a page ends its stream of events, and what it still loads.
        if request.failure != "net::ERR_ABORTED":
            self.heard.append(f"failed: {request.failure} {request.method} {request.url}")


class Visitor:
    """A tab of a browser, and what people do in it."""

    def __init__(self, stage: PanelStage, context: BrowserContext, complaints: Complaints) -> None:
        self.stage = stage
        self.context = context
        self.complaints = complaints
        self.page: Page = context.new_page()

    def open(self, path: str = "/overview") -> None:
        """Load a page of the environment `default`."""
        self.page.goto(self.stage.url(path))

    def fill(self, **values: str) -> None:
        """Fill in fields by the beginning of their labels."""
        for label, value in values.items():
            self.field(label.replace("_", " ")).fill(value)

    def field(self, label: str) -> Locator:
        """Return a field of the page's own part by its whole label."""
        return self.page.get_by_role("main").get_by_label(label, exact=True)

    def press(self, name: str) -> None:
        """Press a button by its whole name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def agree(self) -> None:
        """Say yes to the page's own question."""
        self.page.get_by_role("dialog").get_by_role("button", name="Yes, go on").click()

    def once_more(self, form: Locator) -> None:
        """Give the password if `form` asks for it: it doesn't when it was given just now."""
        for asked in form.get_by_label("Your password, once more").all():
            asked.fill(PASSWORD)

    def sign_in(self, name: str = NAME, password: str = PASSWORD) -> None:
        """Sign in by the form."""
        self.page.goto(f"{self.stage.origin}/admin/sign-in")
        self.fill(Name=name, Password=password)
        self.press("Sign in")

    def sees(self, text: str) -> None:
        """Wait until `text` is seen on the page."""
        expect(self.page.get_by_text(text).first).to_be_visible()

    def said(self, text: str) -> None:
        """Wait until the page says `text` about what was done."""
        expect(self.page.get_by_role("status").filter(has_text=text)).to_be_visible()

    def heading(self, text: str) -> None:
        """Wait until the page with this heading is there."""
        expect(self.page.get_by_role("heading", name=text, level=1)).to_be_visible()

    def badge(self, text: str) -> Locator:
        """Return what shows a state, in the page's own part."""
        return self.page.get_by_role("main").get_by_text(text, exact=True).first
