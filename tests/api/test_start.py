"""What the start of a web process does, and what holds while Redis is away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from api import create_app
from lambdaqueue import keys
from lambdaqueue.config import Settings
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.vault import Vault
from tests.api.conftest import MASTER_KEY, TOKEN, Api, parts_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("master_keys", [(), ("",), ("short",), (MASTER_KEY, "short")])
def test_no_start_without_a_master_key(
    settings: Settings, master_keys: tuple[str, ...], redis_url: str
) -> None:
    with pytest.raises(ConfigurationError, match="LQ_MASTER_KEYS") as caught:
        create_app(dataclasses.replace(settings, master_keys=master_keys))
    assert MASTER_KEY not in str(caught.value)
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_no_start_with_a_wrong_master_key(settings: Settings) -> None:
    create_app(settings)
    other, both = Vault.new_key(), (Vault.new_key(), MASTER_KEY)
    with pytest.raises(ConfigurationError, match="LQ_MASTER_KEYS") as caught:
        create_app(dataclasses.replace(settings, master_keys=(other,)))
    assert other not in str(caught.value)
    assert Api(create_app(dataclasses.replace(settings, master_keys=both)))("GET", "/secret").json


def test_what_the_operator_fixed(settings: Settings) -> None:
    fixed = dataclasses.replace(settings, bootstrap_secret=SECRET)
    api = Api(create_app(fixed))
    assert (api("GET", "/secret").json or {})["secret"] == SECRET
    # It was the first one; one that came since is not undone by the next start.
    new = api("POST", "/secret/rotate").json or {}
    assert Api(create_app(fixed))("GET", "/secret").json == new


def test_a_bootstrap_token_is_not_needed(settings: Settings) -> None:
    api = Api(create_app(dataclasses.replace(settings, bootstrap_token="")))
    assert api("GET", "/queues").status_code == 401
    assert parts_of(api.app).administration.environment_named("default").id == "1"


def test_another_bootstrap_token_replaces_the_first(settings: Settings) -> None:
    create_app(settings)
    other = "lqk_ABCDEFGH_" + "z" * 43
    api = Api(create_app(dataclasses.replace(settings, bootstrap_token=other)), other)
    assert api("GET", "/queues").status_code == 200
    assert Api(api.app, TOKEN)("GET", "/queues").status_code == 401


class TestRedisAway:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[EmbeddedRedis]:
        """A Redis that isn't running yet."""
        server = EmbeddedRedis(tmp_path / "r", append_only=False)
        yield server
        server.stop()

    @pytest.fixture
    def away(self, server: EmbeddedRedis) -> Settings:
        return Settings(
            redis_url=server.url,
            bootstrap_token=TOKEN,
            master_keys=(MASTER_KEY,),
            development=True,
        )

    def test_it_comes_later(
        self, server: EmbeddedRedis, away: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        api = Api(create_app(away))
        assert "Redis can't be reached" in caplog.text
        refused = api("GET", "/queues")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        red = api.raw("GET", "/ready")
        assert (red.status_code, (red.json or {})["checks"].keys()) == (503, {"redis"})
        server.start()
        assert api("GET", "/queues").status_code == 200
        assert api.raw("GET", "/ready").status_code == 200

    def test_readiness_alone_completes_the_start(
        self, server: EmbeddedRedis, away: Settings
    ) -> None:
        """A load balancer lets no request through before."""
        api = Api(create_app(away))
        server.start()
        assert api.raw("GET", "/ready").status_code == 200
        with redis.Redis.from_url(server.url) as client:
            assert client.exists(keys.vault, keys.environment(keys.DEFAULT_ENVIRONMENT)) == 2

    def test_it_comes_with_secrets_of_others(
        self, server: EmbeddedRedis, away: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        api = Api(create_app(away))
        server.start()
        create_app(dataclasses.replace(away, master_keys=(Vault.new_key(),)))
        refused = api("GET", "/queues")
        assert refused.status_code == 503
        assert (refused.json or {})["type"] == "misconfigured"
        assert refused.headers["Retry-After"]
        assert refused.headers["x-request-id"] in caplog.text
        red = api.raw("GET", "/ready")
        assert (red.status_code, (red.json or {})["checks"].keys()) == (
            503,
            {"start", "master_key"},
        )
        assert MASTER_KEY not in refused.text + red.text + caplog.text


class TestReady:
    def test_a_key_that_became_wrong(self, api: Api, redis_url: str) -> None:
        assert api.raw("GET", "/ready").status_code == 200
        with redis.Redis.from_url(redis_url) as client:
            client.set(keys.vault, Vault([Vault.new_key()]).check_value())
        red = api.raw("GET", "/ready")
        assert (red.status_code, (red.json or {})["checks"].keys()) == (503, {"master_key"})
        assert "LQ_MASTER_KEYS" in red.text

    @pytest.mark.parametrize(
        ("option", "value", "check"),
        [("maxmemory-policy", "allkeys-lru", "eviction"), ("maxmemory", "1", "redis")],
    )
    def test_a_redis_that_loses_or_refuses(
        self, api: Api, redis_url: str, option: str, value: str, check: str
    ) -> None:
        assert api.raw("GET", "/ready").status_code == 200
        with redis.Redis.from_url(redis_url) as client:
            before = client.config_get(option)[option]
            client.config_set(option, value)
            try:
                red = api.raw("GET", "/ready")
            finally:
                client.config_set(option, before)
        assert (red.status_code, (red.json or {})["checks"].keys()) == (503, {check})
        assert api.raw("GET", "/ready").status_code == 200
