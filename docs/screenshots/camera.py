"""A real Chromium that signs in at the real page and takes pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from playwright.sync_api import Page as Tab
from playwright.sync_api import TimeoutError as BrowserTimeout

from docs.screenshots.demo import ACCOUNT, PASSWORD
from docs.screenshots.pages import DESKTOP, Look, Page
from docs.screenshots.server import CannotTakePictures, Server

__all__ = ["Camera", "chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome")

WINDOW_HEIGHT = 480
"""Pixels: less than any page has, for which the window is made as high as it is."""

COLOURS = 128

RQ_LIST = "lambdaqueue/started/20/asc/1"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium of this machine; Playwright's own is never downloaded.

    Raises:
        CannotTakePictures: there is none.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise CannotTakePictures(
            f"no Chromium on the PATH ({', '.join(NAMES)}). Install it: "
            "`sudo apt-get install chromium` on Debian, `brew install --cask chromium` on macOS"
        )
    # Colours at the edges of letters are for one kind of screen only, and double the files.
    arguments = ["--disable-lcd-text"]
    if os.geteuid() == 0:
        # Its sandbox doesn't work for root, who takes pictures in containers.
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def _keep(picture: bytes, file: Path) -> None:
    """Write a picture with a palette: pages have few colours, and the repository keeps it all."""
    with Image.open(BytesIO(picture)) as image:
        # This method keeps the colour of a badge's few pixels, the means those of large areas.
        few = image.convert("RGB").quantize(
            COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
        )
        few.save(file, optimize=True)


class Camera:
    """Takes pictures of one server, with a session for each look."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self._browser = browser
        self._server = server
        self._signed_in: dict[Look, BrowserContext] = {}

    def make_first_account(self) -> None:
        """Make the account that everything is looked at with; at the link's page, as a person."""
        tab = self._context(DESKTOP).new_page()
        tab.goto(self._server.first)
        tab.fill("input[name=name]", ACCOUNT)
        tab.fill("input[name=password]", PASSWORD)
        tab.fill("input[name=repeated]", PASSWORD)
        tab.click("main button")
        self._expect(tab, "/admin/e/", "the first account couldn't be made")
        tab.context.close()

    def take(self, page: Page, look: Look, ids: Mapping[str, str], file: Path) -> None:
        """Take one picture.

        Raises:
            CannotTakePictures: the page isn't answered with 200.
        """
        context = self._context(look) if page.open else self._session(look)
        tab = context.new_page()
        path = page.path.format_map({"first": self._server.first, **ids})
        answer = tab.goto(path if page.open and "://" in path else f"{self._server.url}{path}")
        if answer is None or answer.status != 200:
            status = "nothing" if answer is None else answer.status
            raise CannotTakePictures(f"{page.name} ({path}) was answered with {status}, not 200")
        if tab.locator("[data-live]").count():
            tab.locator("[data-stream=live]").wait_for(state="visible")
        height = int(tab.evaluate("document.documentElement.scrollHeight"))
        tab.set_viewport_size({"width": look.width, "height": min(page.longest, height)})
        _keep(tab.screenshot(animations="disabled"), file)
        tab.close()
        if page.open:
            context.close()

    def rq_ids(self, item: str) -> dict[str, str]:
        """Return the list of RQ's that an item which runs for long is in, and its job there."""
        rows = f"/{RQ_LIST}"
        tab = self._session(DESKTOP).new_page()
        tab.goto(f"{self._server.url}/admin/rq/0/view/jobs{rows}")
        link = tab.locator(f"main tbody a[href*='/{item}_']").first
        try:
            href = str(link.get_attribute("href"))
        except BrowserTimeout as error:
            raise CannotTakePictures(f"RQ doesn't show {item}, which should run") from error
        tab.close()
        return {"rq_list": rows, "rq_job": href.rsplit("/", 1)[1]}

    def _session(self, look: Look) -> BrowserContext:
        """Return a session that signed in once, at the sign-in page."""
        if look not in self._signed_in:
            context = self._context(look)
            tab = context.new_page()
            tab.goto(f"{self._server.url}/admin/sign-in")
            tab.fill("input[name=name]", ACCOUNT)
            tab.fill("input[name=password]", PASSWORD)
            tab.click("main button")
            self._expect(tab, "/admin/e/", "couldn't sign in")
            tab.close()
            self._signed_in[look] = context
        return self._signed_in[look]

    def _context(self, look: Look) -> BrowserContext:
        return self._browser.new_context(
            viewport={"width": look.width, "height": WINDOW_HEIGHT},
            color_scheme="dark" if look.dark else "light",
            locale="en-GB",
            timezone_id="UTC",
            reduced_motion="reduce",
        )

    def _expect(self, tab: Tab, path: str, problem: str) -> None:
        if path not in tab.url:
            said = " ".join(tab.locator("main").inner_text().split())
            raise CannotTakePictures(f"{problem}: {tab.url} says: {said}")
