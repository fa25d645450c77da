"""push, queues and history against a stand-in for the server, over a real socket."""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from lambdaqueue.cli import history, main
from lambdaqueue.cli.credentials import Credentials
from tests.unit.api_stub import Serve

ITEM = {
    "id": "0mf3_1",
    "queue": "mail",
    "state": "PENDING",
    "version": 1,
    "dueAt": "2026-03-01T12:00:00.000Z",
}


def test_push(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    stub = serve((201, ITEM))
    words = ["push", "a/b", "--target", "http://127.0.0.1:9000/", "--data", '{"a": 1}']
    assert main([*words, "--key", "clé", "--delay", "10s", "--method", "PUT"]) == 0
    (asked,) = stub.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/queues/a%2Fb/items")
    assert asked.body == b'{"a": 1}'
    assert asked.headers["authorization"] == "Bearer lqk_test"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-lq-target"] == "http://127.0.0.1:9000/"
    assert asked.headers["x-lq-delay"] == "10000"
    assert asked.headers["x-lq-method"] == "PUT"
    # Header values are UTF-8; http.server reads them as Latin-1.
    assert asked.headers["x-lq-key"].encode("latin-1").decode() == "clé"
    assert "x-lq-if-exists" not in asked.headers
    shown = "0mf3_1 version 1: pushed; PENDING, due 2026-03-01T12:00:00.000Z\n"
    assert capsys.readouterr().out == shown


def test_push_of_a_key_that_waits(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    stub = serve((200, {**ITEM, "key": "k", "version": 2}))
    assert main(["push", "mail", "--key", "k", "--if-exists", "keep"]) == 0
    assert stub.asked[0].headers["x-lq-if-exists"] == "keep"
    assert stub.asked[0].body == b"{}"
    assert "0mf3_1 key=k version 2: kept or replaced" in capsys.readouterr().out


def test_push_of_a_file_and_of_stdin(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = serve((201, ITEM))
    (tmp_path / "letter").write_bytes(b"\xff\x00")
    assert main(["push", "mail", "--data", "@letter", "--content-type", "image/x"]) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    assert main(["push", "mail", "--data", "-"]) == 0
    assert [asked.body for asked in stub.asked] == [b"\xff\x00", b"[1]"]
    assert stub.asked[0].headers["content-type"] == "image/x"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "{a: 1}"], "--data is no JSON"),
        (["--data", "@no-such-file"], "no-such-file can't be read"),
        (["--key", "a\nb"], "can't be sent as a header"),
    ],
)
def test_push_of_what_can_not_be_meant(
    serve: Serve, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = serve((201, ITEM))
    assert main(["push", "mail", *words]) == 2
    assert message in capsys.readouterr().err
    assert stub.asked == []


def test_queues(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    mail = {"name": "mail", "paused": False, "waiting": 3, "running": 1, "completed": 10}
    more = {"name": "sms", "paused": True, "waiting": 0, "running": 0, "completed": 0, "failed": 2}
    stub = serve((200, {"queues": [mail], "nextCursor": "c1"}), (200, {"queues": [more]}))
    assert main(["queues"]) == 0
    assert [asked.query.get("cursor") for asked in stub.asked] == [None, "c1"]
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["NAME", "PAUSED", "WAITING", "RUNNING", "COMPLETED", "FAILED"],
        ["mail", "no", "3", "1", "10", "-"],
        ["sms", "yes", "0", "0", "0", "2"],
    ]


def test_no_queues(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve((200, {"queues": []}))
    assert main(["queues"]) == 0
    assert "no queues yet" in capsys.readouterr().out


def _entry(number: int, **more: Any) -> dict[str, Any]:
    ended = {"entry": f"e{number}", "endedAt": f"2026-03-01T12:00:0{number}.000Z"}
    return {**ITEM, **ended, "state": "COMPLETED", "attempt": 1, "maxAttempts": 6, **more}


def test_history(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    at = "2026-03-01T12:00:00.000Z"
    good = {"attempt": 1, "startedAt": at, "durationMs": 4, "status": 200}
    bad = {**good, "status": 500, "error": "http_500: \x1b[2Joops"}
    failed = _entry(2, state="FAILED", error="http_500: oops", attempt=2, attempts=[bad, bad])
    stub = serve((200, {"entries": [failed, _entry(1, key="k", attempts=[good])]}))
    assert main(["history", "mail", "--limit", "5"]) == 0
    assert stub.asked[0].path == "/api/v1/queues/mail/history"
    assert stub.asked[0].query == {"limit": "5"}
    first, second, *attempts = capsys.readouterr().out.splitlines()
    assert first.endswith("COMPLETED  0mf3_1  key=k  attempt 1/6  HTTP 200  4 ms")
    assert second.endswith("FAILED     0mf3_1  attempt 2/6  HTTP 500  4 ms  http_500: oops")
    assert attempts == [f"    {at}  attempt 1  HTTP 500  4 ms  http_500: \\x1b[2Joops"] * 2


def test_history_followed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each entry once, in order, over a pause of the server and more than a page of news."""
    monkeypatch.setattr(history, "FOLLOW_EVERY", 0.001)
    serve(
        (200, {"entries": [_entry(1)]}),
        (200, {"entries": [_entry(2), _entry(1)], "nextCursor": "older"}),
        (503, {"detail": "Redis is away"}),
        (200, {"entries": [_entry(4)], "nextCursor": "older"}),
        (200, {"entries": [_entry(3), _entry(2)]}),
        (401, b"the end"),
        (200, {"entries": "so that it fails"}),
    )
    with pytest.raises(TypeError):
        main(["history", "mail", "--follow"])
    shown = capsys.readouterr()
    assert [line[18:19] for line in shown.out.splitlines()] == ["1", "2", "3", "4"]
    assert shown.err.count("still waiting") == 2


def test_no_history(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve((200, {"entries": []}))
    assert main(["history", "mail"]) == 0
    assert capsys.readouterr().err == "nothing has ended in mail yet\n"


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (401, {"detail": "no"}, "refused the token from LQ_TOKEN. `lambdaqueue up` prints the"),
        (404, {"detail": "no such queue"}, "HTTP 404: no such queue"),
        (503, {"detail": "Redis is away"}, "not available now: Redis is away. Try again in 7 s"),
        (500, [], "HTTP 500: Internal Server Error"),
        (302, {}, "HTTP 302"),
        (200, b"<html>", "is not LambdaQueue: start it with `make run`"),
        (
            422,
            {
                "detail": "1 field",
                "issues": [{"path": ["x-lq-target"], "code": "c", "message": "is no URL"}],
            },
            "refused:\n  x-lq-target: is no URL",
        ),
    ],
)
def test_errors_say_what_to_do(
    serve: Serve, status: int, answer: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    serve((status, answer))
    assert main(["push", "mail"]) == 1
    assert message in capsys.readouterr().err


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LQ_API_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("LQ_TOKEN", "lqk_test")
        assert main(["queues"]) == 1
    assert "start it with `make run` or `lambdaqueue up`" in capsys.readouterr().err


def test_no_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LQ_TOKEN", raising=False)
    assert main(["queues"]) == 2
    assert "there is no token: set LQ_TOKEN" in capsys.readouterr().err


def test_the_token_of_up_is_found(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = serve((200, {"queues": []}))
    monkeypatch.delenv("LQ_TOKEN")
    made = Credentials.keep(Path(".lambdaqueue"), {})
    assert main(["queues"]) == 0
    assert stub.asked[0].headers["authorization"] == f"Bearer {made.token}"


def test_neither_netrc_nor_a_proxy_gets_in_between(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = serve((200, {"queues": []}))
    (tmp_path / "netrc").write_text("default login eve password x\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert main(["queues"]) == 0
    assert stub.asked[0].headers["authorization"] == "Bearer lqk_test"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "http://", "http://h/api/v1", "ftp://h"])
def test_an_api_url_that_is_none(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LQ_API_URL", url)
    assert main(["queues"]) == 2
    assert "LQ_API_URL must be an origin" in capsys.readouterr().err
