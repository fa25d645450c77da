"""Callbacks: who may send one, what it may say, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from flask import Flask

from lambdaqueue import keys
from lambdaqueue.attempts import Kind
from tests.api.conftest import TOKEN, Api, codes, parts_of, paths
from tests.api.service_calls import ENV, Crew, body_of, call_back, define, run

AS_JSON = {"Content-Type": "application/json"}
NEVER = "0mwqjg1qk00001_" + "A" * 43
PROCESSING: dict[str, Any] = {"status": "processing"}
SUCCESS: dict[str, Any] = {"status": "success"}
FAIL: dict[str, Any] = {"status": "fail"}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def crew(app: Flask) -> Crew:
    return Crew(parts_of(app).client)


@pytest.fixture
def name(api: Api) -> str:
    """An execution that waits to be invoked."""
    define(api)
    return run(api)


def shown(api: Api, name: str) -> Any:
    return body_of(api("GET", f"/executions/{name}"))


class TestForm:
    """What is refused before anybody looks whose token it is."""

    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "",
            "text/plain",
            "json",
            "application/jsonx",
            "application/vnd.api+json",
            "application/x-www-form-urlencoded",
            "application/json, text/plain",
            "application/json; charset=\xe9",
        ],
    )
    def test_another_type(self, api: Api, content_type: str | None) -> None:
        headers = {} if content_type is None else {"Content-Type": content_type}
        refused = api.raw("POST", f"/api/v1/callback/{NEVER}", data=b"{}", headers=headers)
        assert body_of(refused, 406)["message"] == "Unsupported Content-Type."

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "Application/JSON", "application/json; charset=utf-8"],
    )
    def test_json(self, api: Api, content_type: str) -> None:
        headers = {"Content-Type": content_type}
        body = json.dumps(SUCCESS)
        answer = api.raw("POST", f"/api/v1/callback/{NEVER}", data=body, headers=headers)
        assert answer.status_code == 404

    def test_encoded(self, api: Api) -> None:
        headers = {**AS_JSON, "Content-Encoding": "gzip"}
        refused = api.raw("POST", f"/api/v1/callback/{NEVER}", data=b"\x1f\x8b", headers=headers)
        assert refused.status_code == 415

    @pytest.mark.parametrize("size", [262_145, 5_000_000])
    def test_too_large(self, api: Api, size: int) -> None:
        """B90."""
        refused = api.raw("POST", f"/api/v1/callback/{NEVER}", data=b" " * size, headers=AS_JSON)
        assert refused.status_code == 413

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "bad_json"),
            (b"status=success", "bad_json"),
            (b'{"status": "success"', "bad_json"),
            (b'{"status": "success", "status": "fail"}', "duplicate_key"),
            (b'{"status": NaN}', "bad_json"),
            (b'\xff{"status": "success"}', "bad_json"),
            (b"null", "not_object"),
            (b'["success"]', "not_object"),
            (b'"success"', "not_object"),
            (b"[" * 500 + b"]" * 500, "too_deep"),
            (rb'{"status": "success", "summary": "\ud800"}', "bad_unicode"),
            (b'{"status": "processing", "progress": 1e999}', "number_range"),
        ],
    )
    def test_malformed(self, api: Api, body: bytes, code: str) -> None:
        refused = api.raw("POST", f"/api/v1/callback/{NEVER}", data=body, headers=AS_JSON)
        assert refused.status_code == 422
        assert codes(refused) == [code]

    @pytest.mark.parametrize(
        ("body", "path", "code"),
        [
            ({}, "status", "required"),
            ({"status": None}, "status", "null"),
            ({"status": "done"}, "status", "not_a_choice"),
            ({"status": "SUCCESS"}, "status", "not_a_choice"),
            ({"status": True}, "status", "not_a_choice"),
            ({"status": ["success"]}, "status", "not_a_choice"),
            ({**SUCCESS, "message": "x"}, "message", "unknown_field"),
            ({**SUCCESS, "message": None}, "message", "unknown_field"),
            ({**SUCCESS, "extend": 5}, "extend", "unknown_field"),
            ({**PROCESSING, "progress": -0.1}, "progress", "out_of_range"),
            ({**PROCESSING, "progress": 100.1}, "progress", "out_of_range"),
            ({**PROCESSING, "progress": 10**300}, "progress", "out_of_range"),
            ({**PROCESSING, "progress": True}, "progress", "not_number"),
            ({**PROCESSING, "progress": "50"}, "progress", "not_number"),
            ({**PROCESSING, "progress": [50]}, "progress", "not_number"),
            ({**PROCESSING, "extend_seconds": 0}, "extend_seconds", "out_of_range"),
            ({**PROCESSING, "extend_seconds": -5}, "extend_seconds", "out_of_range"),
            ({**PROCESSING, "extend_seconds": 10**100}, "extend_seconds", "out_of_range"),
            ({**PROCESSING, "extend_seconds": 1.5}, "extend_seconds", "not_integer"),
            ({**PROCESSING, "extend_seconds": True}, "extend_seconds", "not_integer"),
            ({**PROCESSING, "extend_seconds": "60"}, "extend_seconds", "not_integer"),
            ({**PROCESSING, "summary": "so far"}, "summary", "other_status"),
            ({**PROCESSING, "state": 0}, "state", "other_status"),
            ({**SUCCESS, "progress": 100}, "progress", "other_status"),
            ({**SUCCESS, "extend_seconds": 60}, "extend_seconds", "other_status"),
            ({**SUCCESS, "error": "none"}, "error", "other_status"),
            ({**FAIL, "state": {}}, "state", "other_status"),
            ({**FAIL, "progress": 5}, "progress", "other_status"),
            ({**SUCCESS, "summary": 5}, "summary", "not_text"),
            ({**SUCCESS, "summary": "x" * 4_097}, "summary", "too_large"),
            ({**SUCCESS, "summary": "é" * 2_049}, "summary", "too_large"),
            ({**SUCCESS, "summary": "a\0"}, "summary", "control_character"),
            ({**SUCCESS, "summary": "\x1b[31mred"}, "summary", "control_character"),
            ({**SUCCESS, "state": "x" * 65_535}, "state", "too_large"),
            ({**SUCCESS, "state": ["é" * 32_768]}, "state", "too_large"),
            ({**FAIL, "error": 5}, "error", "not_text_or_object"),
            ({**FAIL, "error": ["a"]}, "error", "not_text_or_object"),
            ({**FAIL, "error": False}, "error", "not_text_or_object"),
            ({**FAIL, "error": {"m": "x" * 65_536}}, "error", "too_large"),
            ({**FAIL, "error": "x" * 65_536}, "error", "too_large"),
            ({**FAIL, "correlation_id": 5}, "correlation_id", "not_text"),
            ({**FAIL, "correlation_id": "x" * 256}, "correlation_id", "bad_length"),
            ({**FAIL, "correlation_id": "a\nb"}, "correlation_id", "control_character"),
        ],
        ids=lambda each: str(each)[:50],
    )
    def test_fields(self, api: Api, body: dict[str, Any], path: str, code: str) -> None:
        refused = call_back(api, NEVER, **body)
        assert refused.status_code == 422
        assert paths(refused) == [[path]]
        assert codes(refused) == [code]

    @pytest.mark.parametrize(
        "body",
        [
            PROCESSING,
            {**PROCESSING, "progress": 0, "extend_seconds": 31_622_400},
            {**PROCESSING, "progress": 99.5},
            {**PROCESSING, "progress": None, "extend_seconds": None, "error": None},
            {**SUCCESS, "summary": "two\nlines\r\n", "state": None, "error": None},
            {**SUCCESS, "summary": "é" * 2_048, "state": "x" * 65_534},
            {**SUCCESS, "state": False, "correlation_id": "ß" * 255, "summary": ""},
            {**FAIL, "error": "Traceback\n\tat line 5"},
            {**FAIL, "error": {"message": "x" * 65_000}, "progress": None},
        ],
        ids=lambda each: str(each)[:50],
    )
    def test_what_may_be_said(self, api: Api, body: dict[str, Any]) -> None:
        assert call_back(api, NEVER, **body).status_code == 404


class TestAccess:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_only_a_post_needs_no_other_token(self, api: Api, method: str) -> None:
        path = f"/api/v1/callback/{NEVER}"
        assert api.raw(method, path).status_code == 401
        known = api.raw(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert known.status_code == 405

    @pytest.mark.parametrize(
        "path", ["callback", "callbacks/x", "Callback/x", "callback%2Fx/y", "items/callback/x"]
    )
    def test_no_other_path_is_open(self, api: Api, path: str) -> None:
        status = api.raw("POST", f"/api/v1/{path}", json=SUCCESS).status_code
        # An encoded slash is one to WSGI: that is a callback's path, of more parts than any has.
        assert status == (404 if "%" in path else 401)

    @pytest.mark.parametrize(
        "headers",
        [{"Authorization": "Bearer x"}, {"Authorization": f"Bearer {TOKEN}"}, {"Bearer": "x"}],
    )
    def test_another_token_does_not_matter(
        self, api: Api, crew: Crew, name: str, headers: dict[str, str]
    ) -> None:
        token = crew.start(name)
        answer = api.raw("POST", f"/api/v1/callback/{token}", json=PROCESSING, headers=headers)
        assert answer.status_code == 204

    def test_its_host_is_checked(self, api: Api, crew: Crew, name: str) -> None:
        path = f"/api/v1/callback/{crew.start(name)}"
        evil = api.raw("POST", path, json=SUCCESS, environ_overrides={"HTTP_HOST": "evil"})
        assert evil.status_code == 400
        assert api.raw("POST", path, json=SUCCESS).status_code == 200

    def test_a_slow_body(
        self, api: Api, crew: Crew, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody is asked again for a token that was never asked for."""
        monkeypatch.setattr("api.access.KEPT", -1.0)
        assert call_back(api, crew.start(name), **SUCCESS).status_code == 200


class TestTokens:
    """B89."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda token: token[:-1],
            lambda token: token + "A",
            lambda token: token + "=",
            lambda token: token + "%3D",
            lambda token: token + "%00",
            lambda token: token.upper(),
            lambda token: token[:-1] + ("B" if token[-1] == "A" else "A"),
            lambda token: token.replace("_", "", 1),
            lambda token: token.replace("_", "%2f", 1),
            lambda token: "x" + token,
            lambda token: token.partition("_")[0],
            lambda token: token.partition("_")[2],
            lambda token: token.partition("_")[0] + "_" + "A" * 43,
            lambda token: NEVER.partition("_")[0] + "_" + token.partition("_")[2],
            lambda token: token + "/x",
            lambda token: "..%2f" + token,
            lambda token: "*",
            lambda token: "x" * 10_000,
        ],
    )
    def test_that_never_was(self, api: Api, crew: Crew, name: str, change: Any) -> None:
        token = crew.start(name)
        changed = change(token)
        if changed == token:  # an id of digits only
            return
        for body in (PROCESSING, SUCCESS, FAIL):
            assert call_back(api, changed, **body).status_code == 404
        assert shown(api, name)["result"] is None
        assert shown(api, name)["last_heartbeat_at"] is None

    def test_of_an_older_attempt(self, api: Api, crew: Crew) -> None:
        define(api, retry={"type": "constant", "delay": 0, "retries": 5, "jitter": 0})
        name = run(api)
        older = crew.invoke(name)
        assert crew.answer(Kind.RETRY, error="http_500: no")
        newer = crew.start(name)
        assert newer != older
        for body in (PROCESSING, SUCCESS, FAIL):
            refused = body_of(call_back(api, older, **body), 410)
            assert refused["message"] == "The job execution status is REPLACED"
        assert shown(api, name)["status"] == "running"
        assert call_back(api, newer, **SUCCESS).status_code == 200

    def test_with_a_slash_behind(self, api: Api, crew: Crew, name: str) -> None:
        assert call_back(api, crew.start(name) + "/", **SUCCESS).status_code == 200

    def test_it_is_stored_as_a_digest_only(
        self, api: Api, crew: Crew, name: str, client: redis.Redis
    ) -> None:
        token = crew.start(name)
        secret = token.partition("_")[2].encode()
        call_back(api, token, **PROCESSING)
        for _ in range(2):
            for key in client.scan_iter():
                assert secret not in key
                assert secret not in (client.dump(key) or b"")
            call_back(api, token, **SUCCESS)


class TestHeartbeats:
    def test_progress(self, api: Api, crew: Crew, name: str) -> None:
        token = crew.start(name)
        assert shown(api, name)["progress"] is None
        for progress in (0, 12.5, 100, 50):
            heard = call_back(api, token, status="processing", progress=progress)
            assert (heard.status_code, heard.data) == (204, b"")
            assert shown(api, name)["progress"] == progress
        assert call_back(api, token, **PROCESSING).status_code == 204
        after = shown(api, name)
        assert (after["progress"], after["status"], after["result"]) == (50, "running", None)
        assert after["last_heartbeat_at"] == after["updated_at"]
        assert after["started_at"] <= after["last_heartbeat_at"]

    def test_before_the_webhook_was_answered(self, api: Api, crew: Crew, name: str) -> None:
        token = crew.invoke(name)
        assert shown(api, name)["status"] == "invoked"
        assert call_back(api, token, **PROCESSING).status_code == 204
        assert shown(api, name)["status"] == "running"

    def test_more_time(self, api: Api, crew: Crew) -> None:
        define(api, ttl_seconds=90)
        token = crew.start(run(api))
        assert call_back(api, token, **PROCESSING, extend_seconds=90).status_code == 204
        refused = call_back(api, token, **PROCESSING, extend_seconds=91)
        assert refused.status_code == 422
        assert paths(refused) == [["extend_seconds"]]

    def test_too_many(self, api: Api, crew: Crew, name: str) -> None:
        """B92."""
        token = crew.start(name)
        answers = (call_back(api, token, **PROCESSING) for _ in range(1_000))
        taken = 0
        for answer in answers:
            if answer.status_code != 204:
                break
            taken += 1
        assert taken >= 10
        assert body_of(answer, 429)["type"] == "too_many_requests"
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["RateLimit-Policy"] == '"heartbeats";q=10;w=1'
        assert answer.headers["RateLimit"] == '"heartbeats";r=0;t=1'
        assert call_back(api, token, **SUCCESS).status_code == 200


class TestEnds:
    @pytest.mark.parametrize(
        "body",
        [
            SUCCESS,
            {**SUCCESS, "summary": "3 of 3", "state": {"at": [1, None]}, "correlation_id": "c-1"},
            {**SUCCESS, "state": 12345678901234567890},
            {**SUCCESS, "state": False},
            FAIL,
            {**FAIL, "error": "no route\nto host", "summary": "0 of 3"},
            {**FAIL, "error": {"message": "no", "code": 5}, "correlation_id": ""},
        ],
        ids=str,
    )
    def test_as_it_was_said(self, api: Api, crew: Crew, name: str, body: dict[str, Any]) -> None:
        token = crew.start(name)
        ended = call_back(api, token, **body)
        assert body_of(ended) == {"status": body["status"]}
        said = dict.fromkeys(("summary", "state", "error", "correlation_id"))
        row = shown(api, name)
        assert row["result"] == {**said, **body}
        assert (row["status"], row["ended_at"]) == (body["status"], row["updated_at"])
        assert (row["error"] is None) == (body["status"] == "success")

    @pytest.mark.parametrize("body", [SUCCESS, {**FAIL, "error": {"a": 1, "b": 2}}], ids=str)
    def test_twice(self, api: Api, crew: Crew, name: str, body: dict[str, Any]) -> None:
        """F61, B91: the first one ends it, the same again is no error, anything else is late."""
        token = crew.start(name)
        status = str(body["status"])
        first = call_back(api, token, **body)
        assert first.status_code == 200
        before = shown(api, name)
        error = dict(reversed(list(body.get("error", {}).items()))) or None
        again = call_back(api, token, **{**body, "error": error, "correlation_id": None})
        assert (again.status_code, again.data) == (200, first.data)
        others = [PROCESSING, {**body, "summary": "other"}, FAIL if body == SUCCESS else SUCCESS]
        for other in others:
            refused = body_of(call_back(api, token, **other), 410)
            message = f"The job execution status is {status.upper()}"
            assert (refused["message"], refused["type"]) == (message, "execution_over")
        assert shown(api, name) == before

    def test_before_the_webhook_was_answered(self, api: Api, crew: Crew, name: str) -> None:
        token = crew.invoke(name)
        assert call_back(api, token, **SUCCESS).status_code == 200
        assert crew.answer(Kind.STARTED) is False
        assert shown(api, name)["status"] == "success"

    def test_after_it_was_cancelled(self, api: Api, crew: Crew, name: str) -> None:
        token = crew.start(name)
        assert api("POST", f"/executions/{name}/cancel").status_code == 200
        for body in (PROCESSING, SUCCESS, FAIL):
            refused = body_of(call_back(api, token, **body), 410)
            assert refused["message"] == "The job execution status is CANCELLED"

    def test_after_its_job_was_deleted(self, api: Api, crew: Crew, name: str) -> None:
        token = crew.start(name)
        assert api("DELETE", "/services/billing/jobs/close-month").status_code == 204
        assert call_back(api, token, **PROCESSING).status_code == 204
        assert call_back(api, token, **SUCCESS).status_code == 200
        assert shown(api, name)["status"] == "success"

    @pytest.mark.parametrize("differ", [False, True])
    def test_at_once(
        self, api: Api, crew: Crew, name: str, client: redis.Redis, differ: bool
    ) -> None:
        """F61: exactly one end wins, and everybody is told which."""
        token = crew.start(name)

        def end(number: int) -> tuple[int, str]:
            said = f"end {number}" if differ else "the end"
            answer = call_back(Api(api.app), token, status="success", summary=said)
            return answer.status_code, said

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(end, range(8)))
        won = [said for status, said in answers if status == 200]
        assert len(won) == (1 if differ else 8)
        assert {status for status, _ in answers} == ({200, 410} if differ else {200})
        assert shown(api, name)["result"]["summary"] == won[0]
        assert client.xlen(keys.history(ENV, "services.billing", "c")) == 1
