"""Live parts: what changes is sent while somebody may see it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from flask import Blueprint, Flask, g, render_template_string
from werkzeug.exceptions import NotFound

from api import admin, create_app
from api.admin import live, streams
from api.admin.guard import page
from api.admin.streams import Streams
from lambdaqueue import errors
from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.administration import Administration
from lambdaqueue.config import Settings
from lambdaqueue.errors import InvalidRequest, StorageUnavailable
from lambdaqueue.identity import Author
from tests.api.admin.conftest import NASTY, Panel
from tests.api.conftest import parts_of

SOURCE = (
    '{% extends "admin/base.html" %}{% block main %}<h1>still</h1>'
    '{% call live("a") %}{{ a }}{% endcall %}{% call live("b") %}{{ b }}{% endcall %}{% endblock %}'
)
EVENTS = {"Accept": "text/event-stream"}


class World:
    """What the page shows; a test changes it between two looks."""

    def __init__(self) -> None:
        self.a: Any = 1
        self.b: Any = 1
        self.failure: Exception | None = None
        self.looks = 0

    def draw(self, name: str) -> str:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        assert g.environment_name == "default"
        return render_template_string(SOURCE, a=f"{name} {self.a}", b=self.b)


class Sample(NamedTuple):
    blueprint: Blueprint


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def app(settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application with a page that shows the world, and no time between two looks."""
    blueprint = Blueprint("sample", __name__)

    @blueprint.get("/world/<name>")
    @page(Role.VIEWER)
    def index(name: str) -> str:
        return world.draw(name)

    monkeypatch.setattr(admin, "ENVIRONMENT_PAGES", (*admin.ENVIRONMENT_PAGES, Sample(blueprint)))
    monkeypatch.setattr(live, "EVERY", 0.0)
    made = create_app(settings)
    yield made
    parts_of(made).close()


class Stream:
    """The events of a page, one after the other."""

    def __init__(self, panel: Panel, status: int = 200) -> None:
        self.answer = panel.client.get("/admin/e/default/world/x", headers=EVENTS, buffered=False)
        assert self.answer.status_code == status
        self._chunks = iter(self.answer.response)

    def next(self) -> Any:
        """Return the changed parts of the next look, or the name of another event."""
        chunk = next(self._chunks)
        assert isinstance(chunk, bytes)
        assert chunk.endswith(b"\n\n")
        lines = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line)
        if lines.get("event") == "parts":
            return json.loads(lines["data"])
        return lines.get("event", "")

    def close(self) -> None:
        self.answer.close()


@pytest.fixture
def stream(panel: Panel) -> Iterator[Stream]:
    made = Stream(panel)
    yield made
    made.close()


def test_the_page_without_events_is_the_page(panel: Panel) -> None:
    found = panel.get("/e/default/world/x")
    assert 'data-live="a"' in found.text
    assert found.shows("still")


def test_what_changes_is_sent(stream: Stream, world: World) -> None:
    assert stream.answer.mimetype == "text/event-stream"
    assert stream.answer.headers["Cache-Control"] == "no-store"
    assert stream.next() == {"a": "x 1", "b": "1"}
    assert stream.next() == ""
    world.b = 2
    assert stream.next() == {"b": "2"}
    world.a = 2
    assert stream.next() == {"a": "x 2"}
    assert stream.next() == ""


@pytest.mark.parametrize("text", NASTY)
def test_it_s_text_there_too(stream: Stream, world: World, text: str) -> None:
    world.b = text
    found = stream.next()["b"]
    assert "<" not in found
    assert "\n" not in json.dumps(found)


def test_it_ends_with_the_session(stream: Stream, panel: Panel) -> None:
    stream.next()
    panel.post("/account/sign-out-everywhere")
    assert stream.next() == "over"
    with pytest.raises(StopIteration):
        stream.next()


def test_it_ends_with_the_role(
    stream: Stream, panel: Panel, administration: Administration, world: World
) -> None:
    stream.next()
    administration.signing_in().set_role(Author("t"), "jan", EVERYWHERE, None)
    looks = world.looks
    assert stream.next() == "over"
    assert world.looks == looks


@pytest.mark.parametrize(
    "failure", [NotFound(), errors.NotFound("gone"), InvalidRequest.of("cursor", "invalid", "is")]
)
def test_it_ends_with_what_it_shows(stream: Stream, world: World, failure: Exception) -> None:
    stream.next()
    world.failure = failure
    assert stream.next() == "over"


def test_nobody_watches_who_isn_t_signed_in(guest: Panel, app: Flask) -> None:
    """The pages for signing in stay as they are; streams are for those who are."""
    page = guest.get("/sign-in", headers=EVENTS)
    assert page.answer.mimetype == "text/html"
    assert Streams.of(app).open == 0


def test_it_waits_for_redis(stream: Stream, world: World) -> None:
    stream.next()
    world.failure, world.b = StorageUnavailable("away"), 5
    assert [stream.next(), stream.next()] == ["away", "away"]
    world.failure = None
    assert stream.next() == {"a": "x 1", "b": "5"}
    assert stream.next() == ""


def test_it_ends_with_the_process(stream: Stream, app: Flask) -> None:
    stream.next()
    parts_of(app).waiters.close()
    with pytest.raises(StopIteration):
        stream.next()


def test_it_ends_by_itself(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser asks again then, and is looked at anew."""
    monkeypatch.setattr(live, "LIFE", 0.0)
    made = Stream(panel)
    with pytest.raises(StopIteration):
        made.next()
    made.close()


def test_watching_is_no_use_of_a_session(
    panel: Panel, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is to ask for the events, which a browser does again whenever they end."""
    touched = []
    kind = type(parts_of(app).signing_in)
    session = kind.session

    def noting(*args: Any, touch: bool = True) -> Any:
        touched.append(touch)
        return session(*args, touch=touch)

    monkeypatch.setattr(kind, "session", noting)
    stream = Stream(panel)
    stream.next()
    stream.close()
    assert touched == [False, False]


class TestShares:
    @pytest.fixture
    def other(self, panel: Panel) -> Panel:
        """Another session of the same account."""
        other = Panel(panel.app)
        other.sign_in(panel.name)
        return other

    @pytest.mark.parametrize(
        ("share", "also_other", "also_eva"),
        [("MOST_OF_SESSION", False, False), ("MOST_OF_ACCOUNT", True, False), ("MOST", True, True)],
    )
    def test_so_many_and_no_more(
        self,
        share: str,
        also_other: bool,
        also_eva: bool,
        panel: Panel,
        other: Panel,
        viewer: Panel,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Who is beyond a share is told so, and others are not; what ends makes room."""
        monkeypatch.setattr(streams, share, 2)
        made = [Stream(panel) for _ in range(2)]
        assert [type(each.next()) for each in made] == [dict, dict]
        assert self.is_full(panel)
        assert self.is_full(other) is also_other
        assert self.is_full(viewer) is also_eva
        made.pop().close()
        assert not self.is_full(panel)
        made.pop().close()
        assert Streams.of(panel.app)._open == {}

    def test_an_account_has_less_than_there_is(self) -> None:
        assert streams.MOST_OF_SESSION < streams.MOST_OF_ACCOUNT < streams.MOST / 2

    def test_one_that_never_began_takes_none(self, panel: Panel) -> None:
        Stream(panel).close()
        assert Streams.of(panel.app).open == 0

    def is_full(self, panel: Panel) -> bool:
        stream = Stream(panel)
        found = stream.next()
        if found == "full":
            with pytest.raises(StopIteration):
                stream.next()
        stream.close()
        return bool(found == "full")


def test_every_piece_is_sent_at_once(panel: Panel) -> None:
    """gunicorn's socket keeps the pieces of usual answers together (api/server.py). It tells, too,
    when the client has left."""
    flushed = []

    class Socket:
        def flush(self) -> None:
            flushed.append(len(pieces))

        def has_left(self, within: float) -> bool:
            return len(pieces) == 3

    pieces: list[Any] = []
    answer = panel.client.get(
        "/admin/e/default/world/x",
        headers=EVENTS,
        environ_overrides={"gunicorn.socket": Socket()},
        buffered=False,
    )
    for piece in answer.response:
        pieces.append(piece)
    answer.close()
    assert flushed == [1, 2, 3]
