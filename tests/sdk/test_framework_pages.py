"""docs/frameworks: a page shows all files of its sample as they are, and its links lead somewhere.

That the files work is tested by tests/sdk/integrations/test_samples.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGES = ROOT / "docs" / "frameworks"

# The line before a block names the file: `examples/flask/app.py`:
SHOWN = re.compile(r"`(examples/[^`\n]+)`:\n\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

NAMES = {path.name.replace("_", "-"): path for path in EXAMPLES.iterdir()}
"""The folder of each page's sample."""


def _anchors(page: Path) -> set[str]:
    """Return the places that a link may lead to, as GitHub names them."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_every_sample_has_a_page_and_the_index_leads_to_it() -> None:
    assert {page.stem for page in PAGES.iterdir()} == {*NAMES, "README"}
    index = (PAGES / "README.md").read_text()
    assert [name for name in NAMES if f"]({name}.md)" not in index] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_its_sample_as_it_is(name: str) -> None:
    files = {
        str(path.relative_to(ROOT)): path.read_text()
        for path in NAMES[name].rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path.stat().st_size
    }
    assert dict(SHOWN.findall((PAGES / f"{name}.md").read_text())) == files


LINKING = [
    *sorted(PAGES.iterdir()),
    ROOT / "docs" / "verifying.md",
    ROOT / "docs" / "operations.md",
]


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.stem)
def test_no_link_of_a_page_is_dead(page: Path) -> None:
    dead = []
    for link in LINK.findall(page.read_text()):
        file, _, place = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if ":" not in file and not (target.exists() and (not place or place in _anchors(target))):
            dead.append(link)
    assert dead == []
