"""The pictures of the docs: each page of the panel has one, as `make screenshots` takes them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from docs.screenshots.pages import FOLDER, PAGES, WITHOUT, Look, pictures
from tests.api.admin.routes import BACK, OPEN, ROUTES

DOCS = Path(__file__).parents[2] / "docs"
PANEL = (DOCS / "panel.md").read_text("utf-8")
SHOWN = re.compile(r"\]\(screenshots/([\w-]+\.png)\)")

LARGEST = 3 * 1024 * 1024
"""Bytes of all pictures: everybody who clones the repository gets them."""


def test_every_page_of_the_panel_has_a_picture() -> None:
    asked = {key.removeprefix("GET ") for key in {*ROUTES, *OPEN} if key.startswith("GET ")}
    pages = {route for route in asked if not route.endswith(".json")} - WITHOUT - BACK.keys()
    assert pages == {page.route for page in PAGES if page.route}


def test_what_has_no_picture_is_there() -> None:
    assert {f"GET {route}" for route in WITHOUT} <= {*ROUTES, *OPEN}


def test_names_of_pictures_differ() -> None:
    files = [file for _, _, file in pictures()]
    assert len(set(files)) == len(files)


def test_pictures_are_those_of_the_list() -> None:
    assert {file.name for _, _, file in pictures()} == {file.name for file in FOLDER.glob("*.png")}
    assert sum(file.stat().st_size for file in FOLDER.glob("*.png")) < LARGEST


@pytest.mark.parametrize(
    ("look", "file"), [pytest.param(look, file, id=file.stem) for _, look, file in pictures()]
)
def test_pictures_have_the_width_of_their_look(look: Look, file: Path) -> None:
    # PNG (ISO/IEC 15948) 11.2.2: the first chunk is IHDR, width and height its first fields.
    kind, width, height = struct.unpack(">12x4sII", file.read_bytes()[:24])
    assert (kind, width) == (b"IHDR", look.width)
    assert height > 300


def test_the_page_about_the_panel_shows_each_picture_once() -> None:
    assert sorted(SHOWN.findall(PANEL)) == sorted(file.name for _, _, file in pictures())
