"""Files that pages ask for: read once, sent from memory, kept while they are true."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Response, request

__all__ = ["TYPES", "Asset", "read", "sent"]

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

YEAR = 31_536_000
"""Seconds for which a file may be kept whose address names its version."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: what is in it, its type, and a hash of it."""

    body: bytes
    content_type: str
    tag: str


def read(file: Path) -> Asset:
    """Read a file of one of `TYPES`."""
    body = file.read_bytes()
    return Asset(body, TYPES[file.suffix], hashlib.sha256(body).hexdigest()[:32])


def sent(asset: Asset, version: str) -> Response:
    """Answer with a file, or that it's still the same; pages ask for it with `?v=<version>`."""
    response = Response(asset.body, content_type=asset.content_type)
    response.set_etag(asset.tag)
    # Another version is asked for by a newer process' page, while this one still is of the old.
    current = request.args.get("v") == version
    response.headers["Cache-Control"] = (
        f"public, max-age={YEAR}, immutable" if current else "no-cache"
    )
    response.make_conditional(request)
    return response
