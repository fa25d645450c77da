"""/environment, /secret, /queues/{q}/secret and /audit."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
import redis
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.identity import Scope
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret
from lambdaqueue.vault import Vault
from tests.api.conftest import MASTER_KEY, Api, codes, paths, token_for

MINE = keys.DEFAULT_ENVIRONMENT
POLICY = {"type": "constant", "delay": 500, "retries": 2}
DAY = 86_400_000

ADDRESS = {"REMOTE_ADDR": "198.51.100.7"}


def ms(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp() * 1_000


class TestEnvironment:
    def test_shown(self, api: Api) -> None:
        shown = api("GET", "/environment").json or {}
        assert abs(ms(shown.pop("created")) - time.time() * 1_000) < 10_000
        assert shown == {"id": MINE, "name": "default"}

    def test_retry(self, api: Api) -> None:
        before = api("GET", "/environment").json or {}
        changed = api("PATCH", "/environment", json={"retry": POLICY})
        assert changed.status_code == 200
        assert changed.json == {**before, "retry": {**POLICY, "jitter": 0.1}}
        assert api("GET", "/environment").json == changed.json
        assert api("PATCH", "/environment", json={}).json == changed.json
        pushed = api.push(delay="60000").json or {}
        assert pushed["maxAttempts"] == 3
        assert api("PATCH", "/environment", json={"retry": None}).json == before
        assert (api.push(delay="60000").json or {})["maxAttempts"] == RetryPolicy().retries + 1

    @pytest.mark.parametrize(
        ("body", "path", "code"),
        [
            ({"name": "other"}, ["name"], "unknown_field"),
            ({"id": "2"}, ["id"], "unknown_field"),
            ({"retry": []}, ["retry"], "not_object"),
            ({"retry": {"retries": 51}}, ["retry", "retries"], None),
            ({"retry": {"foo": 1}}, ["retry", "foo"], None),
        ],
        ids=str,
    )
    def test_refused(self, api: Api, body: object, path: list[str], code: str | None) -> None:
        response = api("PATCH", "/environment", json=body)
        assert response.status_code == 422
        assert paths(response) == [path]
        assert code is None or codes(response) == [code]


class TestSecret:
    def test_shown_and_rotated(self, api: Api) -> None:
        first = api("GET", "/secret")
        assert first.headers["Cache-Control"] == "no-store"
        old = first.json or {}
        assert old.keys() == {"secret", "since"}
        Secret.parse(old["secret"])
        rotated = api("POST", "/secret/rotate", json={"overlap": 5_000})
        assert rotated.status_code == 200
        assert rotated.headers["Cache-Control"] == "no-store"
        new = rotated.json or {}
        assert new["secret"] != old["secret"]
        assert new["previous"] == old["secret"]
        assert ms(new["previousUntil"]) == ms(new["since"]) + 5_000
        assert api("GET", "/secret").json == new

    def test_the_old_one_ends(self, api: Api) -> None:
        now = api("POST", "/secret/rotate", json={"overlap": 0}).json or {}
        assert now.keys() == {"secret", "since"}

    def test_a_day_unless_said_otherwise(self, api: Api) -> None:
        requests: list[dict[str, object]] = [{}, {"json": {}}]
        for request in requests:
            new = api("POST", "/secret/rotate", **request).json or {}
            assert ms(new["previousUntil"]) == ms(new["since"]) + DAY
            # Repeated by a client that got no answer, it must not end the first secret's time.
            assert api("POST", "/secret/rotate", **request).status_code == 409
            assert api("GET", "/secret").json == new
            assert api("POST", "/secret/rotate", json={"overlap": 0}).status_code == 200

    @pytest.mark.parametrize(
        ("overlap", "code"),
        [
            (-1, "out_of_range"),
            (7 * DAY + 1, "out_of_range"),
            (10**400, None),
            (5.0, "not_integer"),
            ("5", "not_integer"),
            (True, "not_integer"),
            (None, "null"),
        ],
        ids=lambda each: str(each)[:20],
    )
    def test_bad_overlap(self, api: Api, overlap: object, code: str | None) -> None:
        before = api("GET", "/secret").json
        response = api("POST", "/secret/rotate", json={"overlap": overlap})
        assert response.status_code == 422
        assert code is None or (paths(response), codes(response)) == ([["overlap"]], [code])
        assert api("GET", "/secret").json == before

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"", "application/json", 400),
            (b"{}", "", 415),
            (b"{}", "text/plain", 415),
            (b"", "text/plain", 415),
            (b"[]", "application/json", 422),
            (b'{"overlap":1,"overlap":2}', "application/json", 400),
            (b'{"overlaps":1}', "application/json", 422),
        ],
    )
    def test_bodies(self, api: Api, body: bytes, content_type: str, status: int) -> None:
        before = api("GET", "/secret").json
        response = api("POST", "/secret/rotate", data=body, headers={"Content-Type": content_type})
        assert response.status_code == status
        assert api("GET", "/secret").json == before

    def test_sealed_with_another_key(self, api: Api, redis_url: str) -> None:
        sealed = Vault([Vault.new_key()]).seal(MINE, Secret.generate())
        with redis.Redis.from_url(redis_url) as client:
            client.hset(keys.environment(MINE), "secret", sealed)
        response = api("GET", "/secret")
        assert response.status_code == 503
        assert (response.json or {})["type"] == "wrong_master_key"
        assert int(response.headers["Retry-After"]) >= 1
        assert "LQ_MASTER_KEYS" in response.text
        assert MASTER_KEY not in response.text


class TestQueueSecret:
    def test_its_own(self, api: Api) -> None:
        assert api("GET", "/queues/a/b/secret").status_code == 404
        api.push("a/b", delay="60000")
        shown = api("GET", "/queues/a/b/secret")
        assert shown.headers["Cache-Control"] == "no-store"
        own = shown.json or {}
        assert own.keys() == {"secret"}
        Secret.parse(own["secret"])
        assert own["secret"] != (api("GET", "/secret").json or {})["secret"]
        api("POST", "/secret/rotate")
        assert api("GET", "/queues/a%2Fb/secret").json == own
        api.push("other", delay="60000")
        assert api("GET", "/queues/other/secret").json != own

    def test_only_read(self, api: Api) -> None:
        api.push("a")
        assert api("POST", "/queues/a/secret", json={}).status_code == 405

    def test_names(self, api: Api) -> None:
        for name in ("a:b", "%00", "..", "secret"):
            response = api("GET", f"/queues/{name}/secret")
            assert response.status_code == 422
            assert paths(response) == [["queue"]]


class TestAudit:
    def test_every_change_is_one_entry(self, api: Api) -> None:
        """With the token's name, what was done to what, and from where."""
        before = len(entries(api))
        token = ""

        def do(method: str, path: str, **request: object) -> dict[str, str]:
            response = api(method, path, environ_overrides=ADDRESS, **request)
            assert response.status_code < 300, response.text
            return dict(response.json or {}) if response.data else {}

        do("PUT", "/queues/a/b", json={"timeout": 5_000})
        do("PATCH", "/queues/a/b", json={"timeout": 6_000})
        do("POST", "/queues/a/b/pause")
        do("POST", "/queues/a/b/resume")
        do("GET", "/queues/a/b/secret")
        do("GET", "/secret")
        do("POST", "/secret/rotate")
        do("PATCH", "/environment", json={"retry": POLICY})
        token = do("POST", "/tokens", json={"name": "ci", "scopes": ["push"]})["id"]
        do("DELETE", f"/tokens/{token}")
        do("DELETE", "/queues/a/b")
        # What only looks, or is nobody's business but the item's, is not noted.
        do("GET", "/queues")
        do("GET", "/audit")
        do("GET", "/tokens")
        do("PATCH", "/environment", json={})
        found = entries(api)[: -before or None]
        assert [(entry["action"], entry["object"]) for entry in reversed(found)] == [
            ("queue.update", "a/b"),
            ("queue.update", "a/b"),
            ("queue.pause", "a/b"),
            ("queue.resume", "a/b"),
            ("secret.read", "a/b"),
            ("secret.read", "secret"),
            ("secret.rotate", "default"),
            ("environment.update", "default"),
            ("token.create", "ci"),
            ("token.revoke", "ci"),
            ("queue.delete", "a/b"),
        ]
        for entry in found:
            assert entry.keys() == {"id", "at", "token", "action", "object", "address"}
            assert entry["token"] == "bootstrap"
            assert entry["address"] == ADDRESS["REMOTE_ADDR"]
            assert abs(ms(entry["at"]) - time.time() * 1_000) < 10_000

    def test_what_was_refused_is_no_change(self, api: Api) -> None:
        before = entries(api)
        for method, path, request in (
            ("PUT", "/queues/a", {"json": {"timeout": 1}}),
            ("DELETE", "/queues/a", {}),
            ("GET", "/queues/a/secret", {}),
            ("DELETE", "/tokens/abcdefgX", {}),
            ("POST", "/tokens", {"json": {"name": "bootstrap", "scopes": ["push"]}}),
            ("POST", "/secret/rotate", {"json": {"overlap": -1}}),
        ):
            assert api(method, path, **request).status_code >= 400
        assert entries(api) == before

    def test_who_it_was(self, app: Flask, api: Api, administration: Administration) -> None:
        token = token_for(administration, MINE, {Scope.MANAGE}, "night shift")
        Api(app, token)("POST", "/queues/mail/pause")
        assert entries(api)[0]["token"] == "night shift"

    def test_an_address_of_any_kind(self, api: Api) -> None:
        for given, noted in (
            ("2001:db8::1", "2001:db8::1"),
            ("", ""),
            ("x" * 5_000, "x" * 45),
        ):
            api("POST", "/queues/mail/pause", environ_overrides={"REMOTE_ADDR": given})
            assert entries(api)[0]["address"] == noted

    def test_pages_newest_first(self, api: Api) -> None:
        for name in ("a", "b", "c"):
            api("POST", f"/queues/{name}/pause")
        first = api("GET", "/audit?limit=2").json or {}
        assert [entry["object"] for entry in first["entries"]] == ["c", "b"]
        rest = api("GET", f"/audit?limit=2&cursor={first['nextCursor']}").json or {}
        assert rest["entries"][0]["object"] == "a"
        everything = entries(api)
        assert first["entries"] + rest["entries"] == everything[:4]
        assert "nextCursor" not in (api("GET", "/audit").json or {})


@pytest.mark.parametrize("path", ["/audit", "/tokens"])
@pytest.mark.parametrize(
    "query",
    [
        *(
            f"limit={value}"
            for value in ("-1", "0", "1001", str(10**9), "abc", "", "1e2", "%C2%B2")
        ),
        *(
            f"cursor={value}"
            for value in (
                *("", "%2B", "-", "$", ">", "*", "(1-1", "1-1)", "0", "0-0", "000-00", "1", "1-"),
                *("-1", "1-*", "a-b", "1-1-1", "%2B-1", "1 -1", "1-1%0A", "1-%C2%B2"),
                *("9" * 16 + "-1", "1-" + "9" * 11, "x" * 600),
                *("1.abcdefgh", "000000000000001.abcdefg", "000000000000001.abcdefg*"),
            )
        ),
    ],
)
def test_bad_pages(api: Api, path: str, query: str) -> None:
    """B93."""
    response = api("GET", f"{path}?{query}")
    assert response.status_code == 422
    assert paths(response) == [[query.partition("=")[0]]]


@pytest.mark.parametrize(
    "cursor", ["0-1", "1-0", "999999999999999-9999999999", "000000000000001-1"]
)
def test_cursors_of_the_right_form(api: Api, cursor: str) -> None:
    """They need not name an entry: that one may have been forgotten."""
    assert api("GET", f"/audit?cursor={cursor}").status_code == 200


def entries(api: Api) -> list[dict[str, str]]:
    return list((api("GET", "/audit").json or {})["entries"])
