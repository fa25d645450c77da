"""The Chromium that tests drive: the system's own, none is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

__all__ = ["chromium", "launched"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the path of the browser: LQ_TEST_CHROMIUM, else the first on PATH."""
    return os.environ.get("LQ_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """Run it without a window; where there is none the test fails in CI, else it's skipped."""
    path = chromium()
    if path is None:
        missing = f"no Chromium here ({', '.join(NAMES)}); name one in LQ_TEST_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    # Root can't have Chromium's sandbox; whoever else runs tests keeps it.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()
