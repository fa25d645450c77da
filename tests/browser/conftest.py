"""One stage and one browser for the whole package; a fresh tab for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.browser.chromium import launched
from tests.browser.stage import NAME, PASSWORD, PanelStage
from tests.browser.visitor import Complaints, Visitor
from tests.browser.world import World
from tests.waiting import DEADLINE

Visit = Callable[..., Visitor]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A Chromium."""
    expect.set_options(timeout=DEADLINE * 1_000)
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelStage]:
    """Redis, endpoint, web, worker, scheduler."""
    with PanelStage(tmp_path_factory.mktemp("panel")) as stage:
        stage.open()
        yield stage


@pytest.fixture(scope="package")
def signed_in(stage: PanelStage, browser: Browser) -> StorageState:
    """The cookies of the first account, made in the browser by the link that was printed."""
    with visiting(stage, browser) as visitor:
        visitor.page.goto(stage.link)
        visitor.heading("The first account")
        visitor.fill(Name=NAME, Password=PASSWORD, The_same_again=PASSWORD)
        visitor.press("Make the account")
        visitor.heading("Overview")
        expect(visitor.page.get_by_role("link", name=NAME)).to_be_visible()
        return visitor.context.storage_state()


@pytest.fixture
def visit(stage: PanelStage, browser: Browser) -> Iterator[Visit]:
    """Opens tabs, each in a browser of its own; nobody is signed in unless cookies are given."""
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(visiting(stage, browser, **more))


@pytest.fixture
def visitor(visit: Visit, signed_in: StorageState) -> Visitor:
    """A tab in which the first account is signed in."""
    return visit(storage_state=signed_in)


@pytest.fixture(scope="package")
def world(stage: PanelStage, signed_in: StorageState) -> World:
    """Objects of every kind, with markup in every field; an account too, so the first is there."""
    return World(stage)


@contextmanager
def visiting(stage: PanelStage, browser: Browser, **more: Any) -> Iterator[Visitor]:
    """Give a tab; what its browser complains about, and wasn't expected, is a failure."""
    context = browser.new_context(**more)
    context.set_default_timeout(DEADLINE * 1_000)
    complaints = Complaints(stage.origin)
    complaints.listen(context)
    try:
        yield Visitor(stage, context, complaints)
        complaints.check()
    finally:
        context.close()
