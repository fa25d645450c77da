"""Names, paths and targets of queues."""

from __future__ import annotations

from typing import Any

import pytest

from lambdaqueue.sdk.errors import ConfigurationError
from lambdaqueue.sdk.places import Place
from lambdaqueue.sdk.settings import Settings

HERE = Settings(env={"LQ_BASE_URL": "https://app.example.com/"})
NOWHERE = Settings(env={})
VERCEL = Settings(
    env={
        "VERCEL": "1",
        "VERCEL_URL": "a.vercel.app",
        "VERCEL_BRANCH_URL": "b.vercel.app",
        "VERCEL_AUTOMATION_BYPASS_SECRET": "s",
    }
)


@pytest.mark.parametrize(
    ("given", "target", "name", "path", "urls"),
    [
        ("/welcome", None, "welcome", "/welcome", ["https://app.example.com/welcome"]),
        ("/mail/eu", None, "mail/eu", "/mail/eu", ["https://app.example.com/mail/eu"]),
        ("mail", None, "mail", None, []),
        ("mail", "/api/items", "mail", "/api/items", ["https://app.example.com/api/items"]),
        ("mail", "https://x.com/y?z=1", "mail", "/y", ["https://x.com/y?z=1"]),
        ("mail", "https://x.com", "mail", "/", ["https://x.com"]),
        ("/mail", "https://x.com/m", "mail", "/m", ["https://x.com/m"]),
        ("/mail", "/m?a=1", "mail", "/m", ["https://app.example.com/m?a=1"]),
    ],
)
def test_places(
    given: str, target: str | None, name: str, path: str | None, urls: list[str]
) -> None:
    place = Place.of(given, target)
    assert (place.name, place.path) == (name, path)
    assert list(place.urls(HERE)) == urls


@pytest.mark.parametrize(
    "given",
    [
        *["", "/", "//a", "/a/", "a//b", "a b", "é", "-a", "../a", "a..b", "a" * 129, "/api/items"],
        *["https://x.com/a", "/a?b=1", "a\n", "x/purge", "history.jsonl"],
    ],
)
def test_what_is_no_queue(given: str) -> None:
    with pytest.raises(ValueError, match="can't be a queue"):
        Place.of(given)


@pytest.mark.parametrize(
    ("place", "settings", "given", "filled"),
    [
        (Place.of("/q"), HERE, {"key": "k"}, {"key": "k", "target": "https://app.example.com/q"}),
        (Place.of("/q"), HERE, {"target": "/o"}, {"target": "https://app.example.com/o"}),
        (Place.of("/q"), NOWHERE, {"target": "https://x/"}, {"target": "https://x/"}),
        (Place.of("q"), NOWHERE, {"key": "k"}, {"key": "k"}),
        (
            Place.of("/q"),
            VERCEL,
            {"headers": {"A": "b"}},
            {
                "target": "https://a.vercel.app/q",
                "headers": {"x-vercel-protection-bypass": "s", "A": "b"},
            },
        ),
        (Place.of("/q"), VERCEL, {"target": "https://x/"}, {"target": "https://x/"}),
        (
            Place.of("q"),
            HERE,
            {"on_success": "none", "on_failure": {"queue": "a", "target": "/ends?n=1"}},
            {
                "on_success": "none",
                "on_failure": {"queue": "a", "target": "https://app.example.com/ends?n=1"},
            },
        ),
        (
            Place.of("/q"),
            HERE,
            {"on_failure": {"queue": "a", "target": "https://x/"}},
            {
                "target": "https://app.example.com/q",
                "on_failure": {"queue": "a", "target": "https://x/"},
            },
        ),
        # What is missing is for the server to say.
        (Place.of("q"), NOWHERE, {"on_failure": {"queue": "a"}}, {"on_failure": {"queue": "a"}}),
    ],
)
def test_targets(
    place: Place, settings: Settings, given: dict[str, Any], filled: dict[str, Any]
) -> None:
    assert place.fill(given, settings) == filled


def test_an_endpoint_knows_every_name_of_its_own() -> None:
    assert Place.of("/q").urls(VERCEL) == ("https://a.vercel.app/q", "https://b.vercel.app/q")
    assert Place.of("/q").urls(NOWHERE) == ()


def test_a_path_needs_to_know_where_it_is() -> None:
    with pytest.raises(ConfigurationError, match="set LQ_BASE_URL"):
        Place.of("/q").fill({}, NOWHERE)
    with pytest.raises(ConfigurationError, match="set LQ_BASE_URL"):
        Place.of("q").fill({"on_success": {"queue": "a", "target": "/b"}}, NOWHERE)
