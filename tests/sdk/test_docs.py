"""The code of README.md, docs/sdk.md and docs/testing.md: all of it runs, and does what is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from lambdaqueue.sdk.options import PushOptions
from lambdaqueue.testing import signed_request
from tests.markdown import blocks
from tests.sdk.reading import Reading

ROOT = Path(__file__).parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
README, SDK, TESTING = ROOT / "README.md", ROOT / "docs" / "sdk.md", ROOT / "docs" / "testing.md"


def test_the_guide() -> None:
    """Between two blocks an hour passes, so that what the one pushes has ended in the next."""
    bank = SimpleNamespace(is_closed=lambda: False, charge=lambda amount, reference: f"€ {amount}")
    book: list[str] = []
    handed_over: list[tuple[str, float]] = []
    given = {"bank": bank, "book": book, "hand_over": lambda *told: handed_over.append(told)}
    with Reading(SDK, given) as read:
        for block in blocks(SDK, "python"):
            read.run([block])
            read.memory.clock.advance("1h")
        assert read.checked > 20
        assert any(entry.replay_of for entry in read["welcome"].history())

        charges, notes, videos = read["charges"], read["notes"], read["videos"]
        for amount in (5, 0):
            charges.push({"amount": amount}, key=f"{amount}")
        bank.is_closed = lambda: True
        notes.push("once")
        videos.push({}, key="v")
        read.memory.run_due(charges)
        late = charges.push({"amount": 1})
        bank.is_closed = lambda: False
        read.memory.run_due()
        assert charges.get(late.id).state == "COMPLETED"
        assert book == ["once"]
        for thread in threading.enumerate():
            if thread.name == "work":
                thread.join(10)
        assert videos.get_by_key("v").entry.callback.state == {"frames": 1200}

        item = read["exports"].push(None)
        read.memory.run_due()
        [(url, interval)] = handed_over
        assert interval == 10
        read["elsewhere"](url, interval)
        assert read["lq"].get(item.id).entry.callback.summary == "12 files"


def test_the_guide_knows_every_option() -> None:
    """The table of options has those of `PushOptions`, and no others."""
    [section] = re.findall(r"^### Options\n(.*?)^### ", SDK.read_text(), re.M | re.S)
    cells = re.findall(r"^\| (`.*?) \|", section, re.M)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(PushOptions.__annotations__)


def test_the_tests_of_ones_own(tmp_path: Path) -> None:
    """Each block is a file with the name that it begins with; all of them are a user's folder."""
    count = 0
    for block in blocks(TESTING, "python"):
        named = re.match(r"# (\w+\.py)\n", block.text)
        assert named is not None, f"the block of line {block.line} has no name"
        assert not (tmp_path / named[1]).exists()
        (tmp_path / named[1]).write_text(block.text)
        count += block.text.count("\ndef test_")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"{count} passed" in done.stdout, done.stdout
    assert done.returncode == 0
    assert count >= 8


def test_the_first_example() -> None:
    example, _ = blocks(README, "python")
    with Reading(README) as read:
        read.run([example])
        assert read["app"].test_client().post("/signup/Al").status_code == 202
        read.memory.assert_pushed("welcome", payload={"name": "Al"}, key="user-Al", delay="10s")
        read.memory.clock.advance("10s")
        [entry] = read["welcome"].history()
        assert entry.result.value == {"message": "Hello, Al"}


def test_a_delivery_is_verified_by_the_library() -> None:
    _, example = blocks(README, "python")
    sent = signed_request(SECRET, {"name": "Al"})
    request = SimpleNamespace(get_data=lambda: sent.body, headers=sent.headers)
    with Reading(README, {"secret": SECRET, "request": request}) as read:
        read.run([example])
        assert read["payload"] == {"name": "Al"}


def test_links_lead_somewhere() -> None:
    pages = [README, *sorted((ROOT / "docs").rglob("*.md"))]
    wrong = [f"{page.name}: {link}" for page in pages for link in _broken(page)]
    assert wrong == []


def _broken(page: Path) -> Iterator[str]:
    """Yield the links of a page to files and headings that aren't there."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (heading and heading not in _headings(file)):
            yield link


def _headings(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.strip().replace(" ", "-") for title in plain}
