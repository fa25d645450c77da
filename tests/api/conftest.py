"""The application on a real Redis, clients with tokens, and a second environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api import create_app
from api.current import EXTENSION, Parts
from lambdaqueue.administration import Administration
from lambdaqueue.config import Settings
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.identity import ALL_SCOPES, Actor, Scope
from lambdaqueue.vault import Vault
from tests.redis_server import generations, serving

TOKEN = "lqk_abcdefgh_" + "A1b-_" * 8 + "xyz"
MASTER_KEY = Vault.new_key()
TARGET = "http://127.0.0.1:9/hook"


class Api:
    """Calls the application as a client with the token would."""

    def __init__(self, app: Flask, token: str = TOKEN) -> None:
        self.app = app
        self.token = token
        self._client = app.test_client()

    def __call__(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        """Send a request; `path` is below /api/v1, `headers` come on top of the token's."""
        headers = {"Authorization": f"Bearer {self.token}", **kwargs.pop("headers", {})}
        return self.raw(method, f"/api/v1{path}", headers=headers, **kwargs)

    def raw(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        """Send a request exactly as given; every answer must be JSON that may be shown."""
        response = self._client.open(path, method=method, **kwargs)
        assert response.status_code < 500 or response.status_code == 503, response.text
        assert response.headers["x-request-id"]
        assert "<" not in response.text[:1]
        return response

    def push(
        self,
        queue: str = "mail",
        payload: bytes = b"{}",
        options: Mapping[str, str] | None = None,
        **more: str,
    ) -> TestResponse:
        """Push `payload`; `options` are x-lq-* headers without the prefix, "_" for "-"."""
        given = {**(options or {}), **more}
        named = {f"x-lq-{name.replace('_', '-')}": value for name, value in given.items()}
        return self(
            "POST",
            f"/queues/{queue}/items",
            data=payload,
            headers={"Content-Type": "application/json", "x-lq-target": TARGET, **named},
        )

    def batch(self, *items: Any, queue: str = "mail") -> TestResponse:
        """Push `items` as a batch."""
        return self("POST", f"/queues/{queue}/items/batch", json={"items": list(items)})


@dataclass(frozen=True)
class Tenant:
    """An environment other than the first one, and a client with all scopes in it."""

    id: str
    name: str
    api: Api


def parts_of(app: Flask) -> Parts:
    """Return what `app` was made of."""
    found = app.extensions[EXTENSION]
    assert isinstance(found, Parts)
    return found


def token_for(
    administration: Administration,
    environment: str,
    scopes: Iterable[Scope] = ALL_SCOPES,
    name: str = "all",
    expires: int | None = None,
) -> str:
    """Make a token as the command would, and return it."""
    actor = Actor(environment, "test")
    return administration.issue_token(actor, name, frozenset(scopes), expires)[0].text


def codes(response: TestResponse) -> list[str]:
    """Return the codes of an answer's issues."""
    assert response.json is not None
    return [issue["code"] for issue in response.json.get("issues", ())]


def paths(response: TestResponse) -> list[list[str | int]]:
    """Return the paths of an answer's issues."""
    assert response.json is not None
    return [issue["path"] for issue in response.json.get("issues", ())]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """The newest generation alone: both are what the store is held against, in its own tests."""
    with serving(max(generations()), tmp_path_factory) as server:
        yield server


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        bootstrap_token=TOKEN,
        master_keys=(MASTER_KEY,),
        development=True,
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    made = create_app(settings)
    yield made
    parts_of(made).close()


@pytest.fixture
def api(app: Flask) -> Api:
    return Api(app)


@pytest.fixture
def administration(app: Flask) -> Administration:
    return parts_of(app).administration


@pytest.fixture
def tenant(app: Flask, administration: Administration) -> Callable[[str], Tenant]:
    """Makes further environments, by name."""

    def make(name: str) -> Tenant:
        info = administration.create_environment(name, "test")
        return Tenant(info.id, name, Api(app, token_for(administration, info.id)))

    return make
