"""The application on a real Redis, and a client that has the token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api import create_app
from lambdaqueue.config import Settings
from lambdaqueue.service import Service, open_service

TOKEN = "lqk_abcdefgh_" + "A1b-_" * 8 + "xyz"
TARGET = "http://127.0.0.1:9/hook"


class Api:
    """Calls the application as a client with the token would."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._client = app.test_client()

    def __call__(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        """Send a request; `path` is below /api/v1, `headers` come on top of the token's."""
        headers = {"Authorization": f"Bearer {TOKEN}", **kwargs.pop("headers", {})}
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


def codes(response: TestResponse) -> list[str]:
    """Return the codes of an answer's issues."""
    assert response.json is not None
    return [issue["code"] for issue in response.json.get("issues", ())]


def paths(response: TestResponse) -> list[list[str | int]]:
    """Return the paths of an answer's issues."""
    assert response.json is not None
    return [issue["path"] for issue in response.json.get("issues", ())]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, bootstrap_token=TOKEN, development=True)


@pytest.fixture
def service(settings: Settings) -> Service:
    return open_service(settings)


@pytest.fixture
def api(settings: Settings, service: Service) -> Api:
    return Api(create_app(settings, service))
