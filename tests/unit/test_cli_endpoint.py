"""How the sample endpoint answers validation, over real sockets, and what it prints."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lambdaqueue.cli.endpoint import Endpoint
from lambdaqueue.cli.listen import Listener
from lambdaqueue.proofs import Proof, challenge, proven_by
from lambdaqueue.signing import Secret
from tests.unit.test_cli_listen import SECRET, deliver, running, signed

Challenge = list[tuple[str, str]]


def _validate(
    to: http.client.HTTPConnection, challenge_headers: Challenge, path: str = "/hook"
) -> tuple[int, Mapping[str, str]]:
    to.request("HEAD", path, headers=dict(challenge_headers))
    response = to.getresponse()
    assert response.read() == b""
    return response.status, {name.lower(): value for name, value in response.getheaders()}


def _challenge(url: str, secrets: Sequence[Secret] = (SECRET,), ago: int = 0) -> Challenge:
    return challenge(secrets, url, "nonce", int(time.time()) - ago)


def _proof(asked: Challenge, answer: Mapping[str, str]) -> Proof | None:
    return proven_by([SECRET], asked, answer, int(time.time() * 1_000))


@pytest.mark.parametrize(
    ("host", "base_url", "target", "path"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:{port}/hook", "/hook"),
        ("127.0.0.1", "", "http://127.0.0.1:{port}/hook?x=/1", "/hook?x=/1"),
        ("127.0.0.1", "", "http://localhost:{port}/a%20b/../c", "/a%20b/../c"),
        ("127.0.0.1", "", "http://127.0.0.1:{port}//hook", "//hook"),
        ("127.0.0.1", "", "http://127.0.0.1:{port}/", "/"),
        ("127.0.0.1", "", "http://127.0.0.1:{port}", "/"),
        ("127.0.0.1", "", "http://127.0.0.1:{port}?x=1", "/?x=1"),
        ("127.0.0.1", "https://example.com", "http://127.0.0.1:{port}/hook", "/hook"),
        ("127.0.0.1", "https://example.com", "https://example.com/hook", "/hook"),
        ("127.0.0.1", "https://example.com/dev", "https://example.com/dev/hook", "/hook"),
        ("0.0.0.0", "https://example.com", "https://example.com/hook", "/hook"),
        ("::1", "", "http://[::1]:{port}/hook", "/hook"),
        ("::1", "", "http://localhost:{port}/hook", "/hook"),
    ],
)
def test_a_validation_of_its_own_url_is_proven(
    capsys: pytest.CaptureFixture[str],
    *,
    host: str,
    base_url: str,
    target: str,
    path: str,
) -> None:
    # What concerns deliveries does not concern a validation.
    endpoint = Endpoint([SECRET], status=503, delay=60, fail_first=9)
    with running(endpoint, base_url, host) as to:
        asked = _challenge(target.format(port=to.port))
        status, answer = _validate(to, asked, path)
    assert (status, _proof(asked, answer)) == (200, Proof(SECRET, v1=False))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split("  ")[1:] == [f"HEAD {path}", "validation proven", "-> 200"]


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("", "https://example.com/hook"),
        ("", "http://127.0.0.1:{port}/other"),
        ("", "http://127.0.0.1/hook"),
        ("", "http://[::1]:{port}/hook"),
        ("https://example.com", "https://evil.example/hook"),
        ("https://example.com/dev", "https://example.com/hook"),
    ],
)
def test_it_vouches_for_no_other_url(
    capsys: pytest.CaptureFixture[str], base_url: str, target: str
) -> None:
    with running(Endpoint([SECRET]), base_url) as to:
        status, answer = _validate(to, _challenge(target.format(port=to.port)))
    assert status == 401
    assert "x-lq-validation" not in answer
    (line,) = capsys.readouterr().out.splitlines()
    assert "validation REFUSED (the validation is for another URL; " in line
    assert "set LQ_BASE_URL" in line


def test_on_all_addresses_it_does_not_know_its_url(capsys: pytest.CaptureFixture[str]) -> None:
    asked = _challenge("https://example.com/hook")
    with running(Endpoint([SECRET]), host="0.0.0.0") as to:
        status, answer = _validate(to, asked)
    assert (status, _proof(asked, answer)) == (200, Proof(SECRET, v1=False))
    assert "proven (its own URL is unknown: set LQ_BASE_URL)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("secrets", "asked", "reason"),
    [
        ([], {}, "no secret known: give one with --secret"),
        ([SECRET], {"secrets": [Secret.generate()]}, "no proof in x-lq-validation matches"),
        ([SECRET], {"ago": 310}, "webhook-timestamp is too far from the present"),
    ],
)
def test_a_validation_that_is_refused(
    capsys: pytest.CaptureFixture[str],
    *,
    secrets: list[Secret],
    asked: dict[str, Any],
    reason: str,
) -> None:
    with running(Endpoint(secrets)) as to:
        status, answer = _validate(to, _challenge(f"http://127.0.0.1:{to.port}/hook", **asked))
    assert status == 401
    assert "x-lq-validation" not in answer
    assert f"validation REFUSED ({reason}" in capsys.readouterr().out


def test_a_head_request_that_is_no_validation() -> None:
    with running(Endpoint([SECRET])) as to:
        assert _validate(to, [])[0] == 401
        assert deliver(to, signed()) == (200, "verified")
    with running(Endpoint([], status=202)) as to:
        assert _validate(to, [])[0] == 202


def test_the_answer_to_a_head_request_has_no_body() -> None:
    # http.client would hide one, so this reads what comes.
    with running(Endpoint([])) as to, socket.create_connection((to.host, to.port), 20) as raw:
        raw.sendall(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")
        head, end, body = raw.makefile("rb").read().partition(b"\r\n\r\n")
    assert (head[:12], end, body) == (b"HTTP/1.1 200", b"\r\n\r\n", b"")


def test_a_url_need_not_name_port_80() -> None:
    with Listener(("127.0.0.1", 0), Endpoint([])) as listener:
        listener.server_address = ("127.0.0.1", 80)
        assert listener.spellings("/x") == [
            "http://127.0.0.1:80/x",
            "http://localhost:80/x",
            "http://127.0.0.1/x",
            "http://localhost/x",
        ]


def test_as_an_endpoint_of_the_javascript_sdk_it_proves_by_v1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # It doesn't look at the request, so it vouches for any URL.
    asked = _challenge("https://evil.example/")
    with running(Endpoint([SECRET], v1=True)) as to:
        status, answer = _validate(to, asked)
        # … nor for what only LambdaQueue sends.
        assert "x-lq-signature" in _validate(to, [])[1]
    assert (status, _proof(asked, answer)) == (200, Proof(SECRET, v1=True))
    assert "x-lq-validation" not in answer
    assert capsys.readouterr().out.count("validation proven by x-lq-signature (v1)  -> 200") == 2
    with running(Endpoint([], v1=True)) as to:
        assert _validate(to, asked)[0] == 401
