"""Tokens, hosts, methods, and the shape of errors."""

from __future__ import annotations

import dataclasses

import pytest

from api import create_app
from lambdaqueue.config import Settings
from tests.api.conftest import MASTER_KEY, TARGET, TOKEN, Api, parts_of

QUEUES = "/api/v1/queues"
OTHER = TOKEN[:-1] + "Z"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Bearer": TOKEN},
    ],
)
def test_both_headers(api: Api, headers: dict[str, str]) -> None:
    assert api.raw("GET", QUEUES, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "bearer x"},
        {"Authorization": f"bearer {TOKEN}"},
        {"Authorization": f"Bearer  {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN} "},
        {"Authorization": f"Bearer {TOKEN} {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN},Bearer {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}, {TOKEN}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {OTHER}"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}a"},
        {"Authorization": f"Bearer {TOKEN.upper()}"},
        {"Authorization": "Bearer lqk_\xe9"},
        {"Authorization": "Bearer " + "a" * 1_000_000},
        {"Authorization": f"Bearer {TOKEN}", "Bearer": TOKEN},
        {"Bearer": f"Bearer {TOKEN}"},
        {"Bearer": OTHER},
        {"X-Authorization": f"Bearer {TOKEN}"},
    ],
    ids=lambda each: str(each)[:60],
)
def test_unauthorized(api: Api, headers: dict[str, str]) -> None:
    """B81 to B85: one answer for all."""
    for path in (QUEUES, "/api/v1/nothing", f"{QUEUES}?token={TOKEN}&access_token={TOKEN}"):
        response = api.raw("GET", path, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json == {
            "type": "unauthorized",
            "title": "Unauthorized",
            "status": 401,
            "detail": "A valid token is needed: Authorization: Bearer <token>",
            "message": "A valid token is needed: Authorization: Bearer <token>",
        }


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1:9999", 200),
        ("[::1]:80", 200),
        ("jobs.example.com", 200),
        ("JOBS.example.com:443", 200),
        ("other.example.com", 200),
        ("evil", 400),
        ("", 400),
        ("evil.example.com", 400),
        ("jobs.example.com.evil", 400),
        ("evil@localhost", 400),
        ("localhost:80:80", 400),
        ("localhost/", 400),
        ("localhost, evil", 400),
        ("[::1", 400),
        ("\xe9", 400),
    ],
)
def test_hosts(settings: Settings, host: str, status: int) -> None:
    """B97."""
    settings = dataclasses.replace(
        settings, public_url="https://jobs.example.com", trusted_hosts=("other.example.com",)
    )
    api = Api(create_app(settings))
    auth = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-Host": "localhost"}
    response = api.raw("GET", QUEUES, headers=auth, environ_overrides={"HTTP_HOST": host})
    assert response.status_code == status
    for path in ("/health", "/ready"):
        assert api.raw("GET", path, environ_overrides={"HTTP_HOST": host}).status_code == 200


def test_loopback_names_need_development(settings: Settings) -> None:
    settings = dataclasses.replace(
        settings, public_url="https://jobs.example.com", development=False
    )
    api = Api(create_app(settings))
    assert api("GET", "/queues").status_code == 400


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "CONNECT", "FOO", "PUT", "DELETE"])
def test_other_methods(api: Api, method: str) -> None:
    """B95."""
    response = api(method, "/queues", headers={"X-HTTP-Method-Override": "GET"})
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert (response.json or {})["type"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/api", "/api/v2/queues", "/api/v1", "/docs/x", "/static/x", "/health/x", "/%00"]
)
def test_no_such_path(api: Api, path: str) -> None:
    response = api.raw("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 404
    assert (response.json or {})["title"] == "Not found"


@pytest.mark.parametrize(
    "path", ["/queues/mail/items/foo", "/queues/mail/items/batch/x", "/queues/a/secret"]
)
def test_no_such_thing_of_a_queue(api: Api, path: str) -> None:
    assert api("GET", path).status_code == 404


@pytest.mark.parametrize("path", ["/queues/", "/queues/mail/items/", "/health/", "/queues/mail/"])
def test_no_redirects(api: Api, path: str) -> None:
    api.push()
    response = api("GET", path) if path != "/health/" else api.raw("GET", path)
    assert response.status_code in (200, 404, 422)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/problem+json", "application/problem+json"),
        ("application/json;q=0.5, application/problem+json", "application/problem+json"),
        ("application/problem+json;q=0", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("\xff;;;,", "application/json"),
    ],
)
def test_problem_json(api: Api, accept: str, content_type: str) -> None:
    for path in ("/items/x", "/nothing", "/queues/a:b"):
        response = api("GET", path, headers={"Accept": accept})
        assert response.headers["Content-Type"] == content_type
        assert (response.json or {})["status"] == response.status_code
    assert api("GET", "/queues", headers={"Accept": accept}).content_type == "application/json"


def test_health(api: Api) -> None:
    assert (api.raw("GET", "/health").json or {})["status"] == "ok"
    ready = api.raw("GET", "/ready")
    assert ready.status_code == 200
    assert (ready.json or {})["checks"] == {}


def test_redis_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    missing = tmp_path_factory.mktemp("none") / "redis.sock"
    settings = Settings(
        redis_url=f"unix://{missing}",
        bootstrap_token=TOKEN,
        master_keys=(MASTER_KEY,),
        development=True,
    )
    api = Api(create_app(settings))
    for response in (
        api("GET", "/queues"),
        api.push(),
        api.batch({"payload": 1, "target": TARGET}),
    ):
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        assert (response.json or {})["type"] == "storage_unavailable"
    assert api.raw("GET", "/health").status_code == 200
    ready = api.raw("GET", "/ready")
    assert ready.status_code == 503
    assert (ready.json or {})["status"] == "unavailable"


def test_a_mistake_of_ours_tells_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(parts_of(api.app).service, "queue", broken)
    response = api.app.test_client().get(
        f"{QUEUES}/mail", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in caplog.text
    assert "secret detail" in caplog.text
