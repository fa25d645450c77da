"""The panel's own files: a style sheet, a script, an icon. Read once, sent from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Response, request
from werkzeug.exceptions import NotFound

__all__ = ["FOLDER", "Asset", "assets", "send", "version"]

FOLDER = Path(__file__).parents[1] / "static" / "admin"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: what is in it, its type, and a hash of it."""

    body: bytes
    content_type: str
    tag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return the files by name."""
    return {file.name: _read(file) for file in FOLDER.iterdir() if file.suffix in TYPES}


@cache
def version() -> str:
    """Return what changes when one of them does, so that browsers may keep them."""
    tags = "".join(asset.tag for _, asset in sorted(assets().items()))
    return hashlib.sha256(tags.encode()).hexdigest()[:12]


def send(filename: str) -> Response:
    """Answer with a file; raises NotFound."""
    asset = assets().get(filename)
    if asset is None:
        raise NotFound("There is no such file.")
    response = Response(asset.body, content_type=asset.content_type)
    response.set_etag(asset.tag)
    response.make_conditional(request)
    return response


def _read(file: Path) -> Asset:
    body = file.read_bytes()
    return Asset(body, TYPES[file.suffix], hashlib.sha256(body).hexdigest()[:32])
