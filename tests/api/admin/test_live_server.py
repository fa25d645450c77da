"""The panel behind the real web server: events arrive at once, slow passwords stop nobody."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.identity import Author
from lambdaqueue.signing_in import SigningIn
from tests.api.admin.conftest import PASSWORD
from tests.api.conftest import TARGET, TOKEN
from tests.api.web import Web, running

GRACE = 19
TYPE = {"Content-Type": "text/plain", "x-lq-target": TARGET, "Authorization": f"Bearer {TOKEN}"}


class Browser:
    """A browser at a real server."""

    def __init__(self, web: Web) -> None:
        self.origin = f"http://127.0.0.1:{web.listener.getsockname()[1]}"
        self.session = requests.Session()
        self.session.headers["Origin"] = self.origin

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(f"{self.origin}{path}", timeout=20, **more)

    def sign_in(self, password: str = PASSWORD) -> requests.Response:
        form = self.get("/admin/sign-in").text
        token = re.search(r'name="csrf" value="([^"]+)"', form)
        assert token is not None
        fields = {"csrf": token[1], "name": "jan", "password": password}
        return self.session.post(
            f"{self.origin}/admin/sign-in", fields, timeout=20, allow_redirects=False
        )

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
            SigningIn(client).create(Author("test"), "jan", PASSWORD, {EVERYWHERE: Role.ADMIN})
        yield web


def test_events_and_passwords(web: Web) -> None:
    browser = Browser(web)
    assert browser.sign_in("wrong password").status_code == 403
    assert browser.sign_in().status_code == 303
    with browser.get(
        "/admin/e/default/overview", headers={"Accept": "text/event-stream"}, stream=True
    ) as answer:
        assert answer.status_code == 200
        events = parts_of(answer)
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


def parts_of(answer: requests.Response) -> Iterator[dict[str, str]]:
    """Yield the parts of each event that has some."""
    kind = ""
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: ") and kind == "parts":
            yield json.loads(line.removeprefix("data: "))


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
