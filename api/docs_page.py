"""The API for people: `/docs`, made from the OpenAPI document, and where the root points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, render_template, request

from api import assets
from api.answers import answer
from api.current import parts
from api.openapi import OPERATIONS, TAGS, document, reading
from lambdaqueue import __version__, strict_json

__all__ = ["blueprint"]

blueprint = Blueprint("docs", __name__)

STYLE = assets.read(Path(__file__).parent / "static/docs.css")

POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@blueprint.get("/")
def root() -> Response:
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        shown = _page(render_template("docs_root.html", version=__version__, tag=STYLE.tag))
        shown.vary.add("Accept")
        return shown
    url = parts().settings.public_url
    found = {
        "name": "LambdaQueue",
        "version": __version__,
        "docs": f"{url}/docs",
        "openapi": f"{url}/api/v1/openapi.json",
        "admin": f"{url}/admin",
    }
    response = answer(strict_json.dumps(found))
    response.vary.add("Accept")
    return response


@blueprint.get("/docs")
def docs() -> Response:
    return _page(_rendered(parts().settings.public_url))


@blueprint.get("/docs/docs.css")
def style() -> Response:
    response = assets.sent(STYLE, STYLE.tag)
    response.headers.update(HEADERS)
    return response


def _page(html: str) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    response.add_etag()
    response.cache_control.no_cache = True
    response.headers.update(HEADERS)
    response.make_conditional(request)
    return response


@lru_cache(maxsize=8)
def _rendered(public_url: str) -> str:
    """Return the page of a server with this origin. It needs an application's context."""
    found = document(public_url)
    return render_template(
        "docs.html",
        document=found,
        url=public_url,
        tag=STYLE.tag,
        tags=TAGS,
        operations=_by_tag(found),
        reading=reading,
    )


def _by_tag(found: Mapping[str, Any]) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
    """Return method, path and the rest of each operation, by its tag."""
    sorted_out: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {name: [] for name in TAGS}
    for each in OPERATIONS:
        written = found["paths"][each.path][each.method.lower()]
        sorted_out[each.tag].append((each.method, each.path, written))
    return sorted_out
