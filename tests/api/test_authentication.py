"""Tokens at the door: revoked, expired, used; and addresses that send too many bad ones."""

from __future__ import annotations

import dataclasses
import io
import re
import time
from collections import Counter
from collections.abc import Callable

import pytest
import redis
from flask import Flask

from api import create_app
from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.authentication import KEPT, MOST_REFUSALS
from lambdaqueue.config import Settings
from lambdaqueue.identity import Actor, Token
from lambdaqueue.tokens import REFUSALS_WINDOW
from tests.api.conftest import TARGET, TOKEN, Api, token_for
from tests.waiting import until

MINE = keys.DEFAULT_ENVIRONMENT
WITHIN = 1.0
"""Seconds after which a revoked token must be useless everywhere."""


def status(api: Api, address: str, token: str = TOKEN, **headers: str) -> int:
    """Ask from `address`, and return the answer's status."""
    return api(
        "GET",
        "/queues",
        headers={"Authorization": f"Bearer {token}", **headers},
        environ_overrides={"REMOTE_ADDR": address},
    ).status_code


def bad_token() -> str:
    return Token.generate().text


def hold_back(api: Api, address: str) -> None:
    """Send as many bad tokens as bring an address to 429."""
    for _ in range(MOST_REFUSALS):
        assert status(api, address, bad_token()) == 401
    assert status(api, address, bad_token()) == 429


class TestRevoked:
    def test_during_a_burst(
        self, settings: Settings, api: Api, administration: Administration
    ) -> None:
        """B87: in this process and in another one."""
        token = token_for(administration, MINE)
        clients = [Api(api.app, token), Api(create_app(settings), token)]
        for client in clients:
            assert client("GET", "/queues").status_code == 200
        assert api("DELETE", f"/tokens/{token[4:12]}").status_code == 204
        revoked = time.monotonic()
        for client in clients:
            until(lambda client=client: client("GET", "/queues").status_code == 401, "refusal")  # type: ignore[misc]
        assert time.monotonic() - revoked < WITHIN
        for client in clients * 10:
            assert client("GET", "/queues").status_code == 401

    def test_by_itself(self, api: Api, administration: Administration) -> None:
        token = token_for(administration, MINE)
        client = Api(api.app, token)
        assert client("DELETE", f"/tokens/{token[4:12]}").status_code == 204
        until(lambda: client("GET", "/queues").status_code == 401, "refusal")

    def test_another_with_the_id_of_a_good_one(self, api: Api) -> None:
        assert status(api, "127.0.0.1") == 200
        forged = TOKEN[:13] + Token.generate().text[13:]
        assert status(api, "127.0.0.1", forged) == 401
        assert status(api, "127.0.0.1") == 200


class TestExpired:
    def test_already(self, api: Api, administration: Administration) -> None:
        expired = token_for(administration, MINE, expires=int(time.time() * 1_000))
        assert status(api, "127.0.0.1", expired) == 401

    def test_while_it_is_used(self, api: Api, administration: Administration) -> None:
        expires = int(time.time() * 1_000) + 300
        token = token_for(administration, MINE, expires=expires)
        assert status(api, "127.0.0.1", token) == 200
        until(lambda: status(api, "127.0.0.1", token) == 401, "refusal")
        assert 0 <= time.time() - expires / 1_000 < WITHIN


class TestTooMany:
    def test_ten_thousand(self, api: Api) -> None:
        """B88."""
        found = Counter(status(api, "192.0.2.1", bad_token()) for _ in range(10_000))
        assert found == {401: MOST_REFUSALS, 429: 10_000 - MOST_REFUSALS}
        assert status(api, "192.0.2.1") == 200
        assert status(api, "192.0.2.2", bad_token()) == 401

    def test_what_it_says(self, api: Api) -> None:
        hold_back(api, "192.0.2.1")
        for _ in range(2):
            response = api.raw("GET", "/api/v1/queues", environ_overrides=at("192.0.2.1"))
            assert response.status_code == 429
            left = int(response.headers["Retry-After"])
            assert 1 <= left <= REFUSALS_WINDOW
            assert response.headers["RateLimit-Policy"] == '"refusals";q=100;w=60'
            assert response.headers["RateLimit"] == f'"refusals";r=0;t={left}'
            assert (response.json or {})["type"] == "too_many_requests"
            assert "WWW-Authenticate" not in response.headers

    def test_nobody_waits_for_his_own_good_token(self, api: Api) -> None:
        """A client that comes for the first time is let in from an address that is held back."""
        hold_back(api, "192.0.2.1")
        assert status(api, "192.0.2.1") == 200

    def test_all_that_is_bad_counts(self, api: Api) -> None:
        bad: list[dict[str, str]] = [
            {},
            {"Authorization": "Bearer x"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Bearer": "x"},
        ]
        found = Counter(
            api.raw(
                "GET", "/api/v1/nothing", headers=bad[n % 4], environ_overrides=at("192.0.2.1")
            ).status_code
            for n in range(MOST_REFUSALS + 4)
        )
        assert found == {401: MOST_REFUSALS, 429: 4}

    def test_every_process_knows(self, settings: Settings, api: Api) -> None:
        hold_back(api, "192.0.2.1")
        other = Api(create_app(settings))
        assert status(other, "192.0.2.1", bad_token()) == 429
        assert status(other, "192.0.2.1") == 200

    @pytest.mark.parametrize(
        ("first", "second", "together"),
        [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
            ("192.0.2.1", "192.0.2.2", False),
            ("", "not an address", True),
        ],
    )
    def test_who_counts_as_one(
        self, app: Flask, api: Api, first: str, second: str, together: bool
    ) -> None:
        hold_back(api, first)
        assert status(api, second, bad_token()) == (429 if together else 401)

    def test_forwarded_addresses(self, settings: Settings) -> None:
        """B96: only what a trusted proxy says of the client is believed."""
        for proxies, expected in ((0, 429), (1, 401)):
            api = Api(create_app(dataclasses.replace(settings, trusted_proxies=proxies)))
            for number in range(MOST_REFUSALS):
                forged = f"127.0.0.1, 198.51.{proxies}.{number}"
                status(api, "192.0.2.1", bad_token(), **{"X-Forwarded-For": forged})
            last = {"X-Forwarded-For": "127.0.0.1, 198.51.100.1"}
            assert status(api, "192.0.2.1", bad_token(), **last) == expected

    def test_the_counter_ends(self, api: Api, redis_url: str) -> None:
        status(api, "192.0.2.1", bad_token())
        with redis.Redis.from_url(redis_url) as client:
            assert 0 < client.ttl(keys.refused("192.0.2.1")) <= REFUSALS_WINDOW


class TestForm:
    """B85: what can't be a token isn't looked for."""

    @pytest.mark.parametrize("length", [57, 10_000, 1_000_000])
    def test_long(self, api: Api, length: int) -> None:
        begun = time.monotonic()
        assert status(api, "127.0.0.1", TOKEN + "a" * (length - len(TOKEN))) == 401
        assert time.monotonic() - begun < 0.5

    @pytest.mark.parametrize("at", [0, 4, 13, 55])
    @pytest.mark.parametrize("sign", ["\xe9", "\x00", "\n", " ", "%", "A"])
    def test_one_sign_is_another(self, api: Api, at: int, sign: str) -> None:
        """B84."""
        changed = TOKEN[:at] + sign + TOKEN[at + 1 :]
        environ = {"HTTP_AUTHORIZATION": f"Bearer {changed}"}
        response = api.raw("GET", "/api/v1/queues", environ_overrides=environ)
        assert response.status_code == (200 if changed == TOKEN else 401)


def test_last_use_is_kept_to_the_minute(api: Api, administration: Administration) -> None:
    token = token_for(administration, MINE, name="mine")
    before = int(time.time()) // 60
    Api(api.app, token)("GET", "/queues")
    rows = (api("GET", "/tokens").json or {})["tokens"]
    used = {row["name"]: row.get("lastUsed") for row in rows}
    minutes = {
        time.strftime("%FT%H:%M:00.000Z", time.gmtime(at * 60)) for at in (before, before + 1)
    }
    assert used["mine"] in minutes
    assert re.fullmatch(r".*:00\.000Z", used["bootstrap"])


def at(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": address}


class SlowBody(io.BytesIO):
    """A body that arrives only when the token it came with is useless by now."""

    def __init__(self, revoke: Callable[[], None]) -> None:
        super().__init__(b"{}")
        self._revoke = revoke

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if data:
            self._revoke()
        return data


def test_a_token_that_is_revoked_while_its_body_arrives(
    api: Api, app: Flask, administration: Administration
) -> None:
    text = token_for(administration, MINE, name="slow")
    token = Token.parse(text)
    assert token is not None

    def revoke() -> None:
        began = time.monotonic()
        administration.revoke_token(Actor(MINE, "test"), token.id)
        until(lambda: time.monotonic() > began + KEPT, "what is kept of it is too old")

    answer = Api(app, text)(
        "POST",
        "/queues/mail/items",
        input_stream=SlowBody(revoke),
        headers={"Content-Type": "application/json", "Content-Length": "2", "x-lq-target": TARGET},
    )
    assert answer.status_code == 401
    assert api("GET", "/queues/mail").status_code == 404
