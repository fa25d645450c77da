"""The panel behind the real web server: events arrive at once, slow passwords stop nobody."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from api.admin.live import EVERY
from api.admin.streams import MOST_OF_SESSION
from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.identity import Author
from lambdaqueue.signing_in import SigningIn
from tests.api.admin.conftest import PASSWORD
from tests.api.conftest import TARGET, TOKEN
from tests.api.web import Web, running
from tests.waiting import until

GRACE = 19
EVENTS = {"Accept": "text/event-stream"}
TYPE = {"Content-Type": "text/plain", "x-lq-target": TARGET, "Authorization": f"Bearer {TOKEN}"}


class Watched:
    """A page that is kept fresh."""

    def __init__(self, answer: requests.Response) -> None:
        assert answer.status_code == 200
        self.close = answer.close
        self._lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        self.first = str(next(self._lines)).removeprefix("event: ")

    def parts(self) -> Iterator[dict[str, str]]:
        """Yield the parts of each event that has some."""
        kind = self.first
        for line in self._lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "parts":
                yield json.loads(line.removeprefix("data: "))


class Browser:
    """A browser at a real server."""

    def __init__(self, web: Web, name: str = "jan") -> None:
        self.name = name
        self.origin = f"http://127.0.0.1:{web.listener.getsockname()[1]}"
        self.session = requests.Session()
        self.session.headers["Origin"] = self.origin

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(f"{self.origin}{path}", timeout=20, **more)

    def sign_in(self, password: str = PASSWORD) -> requests.Response:
        form = self.get("/admin/sign-in").text
        token = re.search(r'name="csrf" value="([^"]+)"', form)
        assert token is not None
        fields = {"csrf": token[1], "name": self.name, "password": password}
        return self.session.post(
            f"{self.origin}/admin/sign-in", fields, timeout=20, allow_redirects=False
        )

    def watch(self) -> Watched:
        """Begin a stream, which goes on until it's closed."""
        return Watched(self.get("/admin/e/default/overview", headers=EVENTS, stream=True))

    def push(self) -> None:
        url = f"{self.origin}/api/v1/queues/mail/items"
        assert requests.post(url, b"x", headers=TYPE, timeout=20).status_code == 201


@pytest.fixture(autouse=True)
def _cheap_passwords() -> None:
    """Here they cost what they do in earnest: instead of conftest.py's fixture."""


@pytest.fixture
def web(redis_url: str, tmp_path: Path) -> Iterator[Web]:
    with running(redis_url, tmp_path / "web.log", LQ_GRACE=str(GRACE)) as web:
        with redis.Redis.from_url(redis_url) as client:
            for name in ("jan", "eva"):
                SigningIn(client).create(Author("test"), name, PASSWORD, {EVERYWHERE: Role.ADMIN})
        yield web


def test_events_and_passwords(web: Web) -> None:
    browser = Browser(web)
    assert browser.sign_in("wrong password").status_code == 403
    assert browser.sign_in().status_code == 303
    with closing(browser.watch()) as watched:
        events = watched.parts()
        assert not any("mail" in html for html in next(events).values())
        browser.push()
        assert any("mail" in html for html in next(events).values())
        # Hundreds. If passwords kept others waiting, it would be 7 to 13: some before the first
        # password, and between two.
        assert answered_while_signing_in(browser, web) > 40
        began = time.monotonic()
        web.process.terminate()
        web.process.wait(GRACE + 5)
        # A page that is open keeps the process until its next look, not for as long as it may.
        assert time.monotonic() - began < GRACE / 2


def test_who_leaves_gives_the_place_back(web: Web) -> None:
    """At once, not at a next look: else whoever goes quickly through pages has none left."""
    jan, eva = Browser(web), Browser(web, "eva")
    assert (jan.sign_in().status_code, eva.sign_in().status_code) == (303, 303)
    watched = [jan.watch() for _ in range(MOST_OF_SESSION)]
    assert {each.first for each in watched} == {"parts"}
    assert jan.watch().first == "full"
    assert eva.watch().first == "parts"

    def is_watched() -> bool:
        watched.append(jan.watch())
        return watched[-1].first == "parts"

    took = []
    for left in watched[:3]:
        began = time.monotonic()
        left.close()
        until(is_watched, "a place")
        took.append(time.monotonic() - began)
    # Two looks are 2 to 4 s away: the first is sent to nobody, the second can't be sent.
    assert min(took) < EVERY / 2


def answered_while_signing_in(browser: Browser, web: Web) -> int:
    """Return how many other requests were answered while four passwords were looked at."""
    signed_in: list[int] = []
    threads = [
        threading.Thread(target=lambda: signed_in.append(Browser(web).sign_in().status_code))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    answered = 0
    while any(thread.is_alive() for thread in threads):
        assert browser.get("/health").status_code == 200
        answered += 1
    assert signed_in == [303] * 4
    return answered
