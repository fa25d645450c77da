"""The panel's own files: style sheets, a script, an icon."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from flask import Response
from werkzeug.exceptions import NotFound

from api.assets import TYPES, Asset, read, sent

__all__ = ["FOLDER", "send", "version"]

FOLDER = Path(__file__).parents[1] / "static" / "admin"


@cache
def version() -> str:
    """Return what changes when one of them does, so that browsers may keep them."""
    tags = "".join(asset.tag for _, asset in sorted(_assets().items()))
    return hashlib.sha256(tags.encode()).hexdigest()[:12]


def send(filename: str) -> Response:
    """Answer with a file; raises NotFound."""
    asset = _assets().get(filename)
    if asset is None:
        raise NotFound("There is no such file.")
    return sent(asset, version())


@cache
def _assets() -> Mapping[str, Asset]:
    return {file.name: read(file) for file in FOLDER.iterdir() if file.suffix in TYPES}
