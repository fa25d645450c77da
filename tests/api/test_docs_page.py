"""The page for people: complete, safe, local, and made of text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from flask import Flask
from werkzeug.test import Client

from api import create_app
from api.docs_page import POLICY, STYLE
from api.openapi import OPERATIONS, document, reading
from api.openapi.operations import Operation
from lambdaqueue.config import Settings
from tests.api.conftest import MASTER_KEY, TOKEN, parts_of

URL = "https://queue.example.org"
HOST = {"Host": "queue.example.org"}
AWAY = "redis://127.0.0.1:1/0"
"""No Redis is there: what is open to everybody needs none."""


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    made = create_app(
        Settings(redis_url=AWAY, public_url=URL, bootstrap_token=TOKEN, master_keys=(MASTER_KEY,))
    )
    yield made
    parts_of(made).close()


@pytest.fixture(scope="module")
def client(app: Flask) -> Client:
    return app.test_client()


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.links.append(value or "")


@pytest.fixture(scope="module")
def html(client: Client) -> str:
    return client.get("/docs", headers=HOST).text


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_operation_and_schema_has_its_anchor(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert {each.id for each in OPERATIONS} <= set(page.ids)
    schemas = document(URL)["components"]["schemas"]
    assert {f"schema-{name}" for name in schemas} <= set(page.ids)


def test_every_link_leads_somewhere(client: Client, page: Page) -> None:
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert client.get(link, headers=HOST).status_code == 200, link


def test_nothing_runs_and_nothing_comes_from_elsewhere(page: Page) -> None:
    assert not page.tags & {"script", "style", "iframe", "object", "form", "img", "base"}
    assert "style" not in page.attributes
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not [link for link in page.links if not link.startswith(("#", "/"))]


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/docs.css"])
def test_headers(client: Client, path: str) -> None:
    response = client.get(path, headers={**HOST, "Accept": "text/html"})
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", ["/docs", "/docs/docs.css", "/api/v1/openapi.json"])
def test_what_is_known_is_not_sent_again(client: Client, path: str) -> None:
    tag = client.get(path, headers=HOST).headers["ETag"]
    again = client.get(path, headers={**HOST, "If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["x-request-id"]


def test_the_style_is_kept_for_long_by_its_own_name_only(client: Client) -> None:
    for query, kept in ((f"?v={STYLE.tag}", True), ("?v=older", False), ("", False)):
        response = client.get(f"/docs/docs.css{query}", headers=HOST)
        assert ("immutable" in response.headers["Cache-Control"]) is kept


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/docs.css", "/api/v1/openapi.json"])
def test_the_host_is_judged_everywhere(client: Client, path: str) -> None:
    response = client.get(path, headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "evil" not in response.text


@pytest.mark.parametrize("token", [None, "Bearer nobody's", TOKEN])
def test_the_document_needs_no_token(client: Client, token: str | None) -> None:
    headers = HOST if token is None else {**HOST, "Authorization": token}
    response = client.get("/api/v1/openapi.json", headers=headers)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert (response.json or {})["openapi"].startswith("3.1")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (
            client.open("/api/v1/openapi.json", method=method, headers=headers).status_code == 405
        )


def test_the_root_points_on(client: Client) -> None:
    plain = client.get("/", headers=HOST)
    found = plain.json or {}
    assert found["docs"] == f"{URL}/docs"
    assert found["openapi"] == f"{URL}/api/v1/openapi.json"
    shown = client.get("/", headers={**HOST, "Accept": "text/html,*/*;q=0.8"})
    assert shown.mimetype == "text/html"
    assert shown.headers["Vary"] == plain.headers["Vary"] == "Accept"
    assert 'href="/docs"' in shown.text


def test_examples_can_be_copied(html: str) -> None:
    assert f"curl {URL}/api/v1/queues/welcome/items" in html
    # A server on the internet calls nobody on 127.0.0.1.
    assert "127.0.0.1:9000" not in html
    assert "127.0.0.1:9000" in str(document("http://127.0.0.1:8080"))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.id)
def test_curl_lines_are_whole(operation: Operation) -> None:
    method, path = operation.method, operation.path
    written = document(URL)["paths"][path][method.lower()]
    words = shlex.split(reading.curl(URL, method, path, written))
    urls = [word for word in words if word.startswith(URL)]
    assert len(urls) == 1
    assert not re.search(r"[{}<>]", urls[0])
    sends = "-d" in words
    assert ("-X" in words) is (method != ("POST" if sends else "GET"))
    assert any(word.startswith("Authorization") for word in words) is (operation.scope is not None)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any JSON"),
        ({"type": "integer"}, "whole number"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"type": "string", "format": "uri"}, "URL"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Item"}}, "list of Item"),
        ({"anyOf": [{"$ref": "#/components/schemas/Rate"}, {"type": "null"}]}, "Rate or null"),
        ({"type": "string", "enum": ["a", "b"]}, "a | b"),
        ({"const": True}, "true"),
    ],
)
def test_types_in_words(schema: dict[str, object], words: str) -> None:
    assert reading.kind(schema) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"minimum": 0, "maximum": 9}, "0–9"),
        ({"minimum": 1, "maximum": 1_000, "default": 100}, "1–1\u00a0000, default 100"),
        ({"minimum": 1}, "from 1"),
        ({"minimum": 0}, ""),
        ({"maxLength": 128}, "0–128 characters"),
        ({"maxItems": 50, "minItems": 1}, "1–50 of them"),
    ],
)
def test_bounds_in_words(schema: dict[str, object], words: str) -> None:
    assert reading.bounds(schema) == words
