"""The sample endpoint: what it answers, over real sockets, and what it prints."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lambdaqueue.cli import main
from lambdaqueue.cli.credentials import Credentials
from lambdaqueue.cli.endpoint import Endpoint
from lambdaqueue.cli.listen import Listener
from lambdaqueue.cli.sample_service import SampleService
from lambdaqueue.instants import iso
from lambdaqueue.legacy_signing import sign_v1
from lambdaqueue.signing import Secret, sign

SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = b'{"hello": "world"}'

Listen = Callable[[Endpoint], http.client.HTTPConnection]


@contextmanager
def running(
    endpoint: Endpoint,
    base_url: str = "",
    host: str = "127.0.0.1",
    service: SampleService | None = None,
) -> Iterator[http.client.HTTPConnection]:
    """Run a listener with the endpoint given, and connect to it."""
    listener = Listener((host, 0), endpoint, base_url, service)
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
    thread.start()
    connection = http.client.HTTPConnection(host, listener.server_port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()
        listener.shutdown()
        listener.server_close()
        thread.join()


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Start a listener with the endpoint given; returns a connection to it."""
    with ExitStack() as stack:
        yield lambda endpoint: stack.enter_context(running(endpoint))


def signed(message_id: str = "msg_1", **more: str) -> dict[str, str]:
    now = int(time.time())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign([SECRET], message_id, now, BODY),
        **more,
    }


def deliver(
    to: http.client.HTTPConnection, headers: dict[str, str], body: bytes = BODY, path: str = "/"
) -> tuple[int, str]:
    to.request("POST", path, body, headers)
    response = to.getresponse()
    return response.status, response.read().decode().strip()


def test_a_signed_delivery_is_verified_and_printed(
    listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    to = listen(Endpoint([SECRET]))
    due = iso(int(time.time() * 1_000))
    more = {
        "x-lq-queue": "mail",
        "x-lq-key": "a%25b",
        "x-lq-attempt": "2",
        "x-lq-max-attempts": "6",
        "x-lq-scheduled-for": due,
    }
    assert deliver(to, signed(**more), path="/hook?x=1") == (200, "verified")
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3}  POST /hook\?x=1  queue=mail  key=a%b  attempt 2/6  verified  "
        r'[+-]\d+ ms  -> 200  {"hello": "world"}',
        line,
    )


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "UNSIGNED"),
        ({"webhook-id": "msg_2"}, "WRONG SIGNATURE (no signature matches)"),
        ({"webhook-timestamp": "1"}, "WRONG SIGNATURE (webhook-timestamp is too far"),
    ],
)
def test_others_get_401(listen: Listen, headers: dict[str, str], words: str) -> None:
    # Signed here, not in the table: that is made when the suite begins, minutes ago.
    given = {**signed(), **headers} if headers else {}
    status, answer = deliver(listen(Endpoint([SECRET])), given)
    assert status == 401
    assert answer.startswith(words)


def test_without_a_secret_nothing_is_verified(listen: Listen) -> None:
    assert deliver(listen(Endpoint([])), {}) == (200, "unverified (no secret known)")


def test_while_rotating_either_secret_will_do(listen: Listen) -> None:
    assert deliver(listen(Endpoint([Secret.generate(), SECRET])), signed())[0] == 200


def test_the_first_attempts_of_each_delivery_fail(listen: Listen) -> None:
    to = listen(Endpoint([SECRET], status=202, fail_first=2))
    statuses = [deliver(to, signed(f"msg_{n}"))[0] for n in (1, 2, 1, 1, 2, 2, 1)]
    assert statuses == [500, 500, 500, 202, 500, 202, 202]


def test_an_unsigned_attempt_does_not_count(listen: Listen) -> None:
    to = listen(Endpoint([SECRET], fail_first=1))
    assert deliver(to, {"webhook-id": "msg_1"})[0] == 401
    assert deliver(to, signed())[0] == 500


def test_a_status_without_a_body_keeps_the_connection(listen: Listen) -> None:
    to = listen(Endpoint([], status=204))
    assert [deliver(to, {}), deliver(to, {})] == [(204, "")] * 2


def test_the_answer_can_wait(listen: Listen) -> None:
    to = listen(Endpoint([], delay=0.2))
    began = time.monotonic()
    assert deliver(to, {})[0] == 200
    assert time.monotonic() - began >= 0.2


def test_nothing_from_outside_commands_the_terminal(
    listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b"\x1b[2J\nfake line\xff" + b"x" * 500
    deliver(listen(Endpoint([])), {"x-lq-key": "%1B%0A", "x-lq-scheduled-for": "soon"}, body)
    (line,) = capsys.readouterr().out.splitlines()
    assert "key=\\x1b\\n" in line
    assert "\\x1b[2J\\nfake line\\xff" in line
    assert "x-lq-scheduled-for is no instant" in line
    assert line.endswith("xxx…")
    assert len(line) < 400


def test_a_callback_token_is_not_printed(
    listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b'{"callback_url":"http://127.0.0.1:8080/api/v1/callback/0mf3_a-B","job_name":"x"}'
    deliver(listen(Endpoint([])), {}, body)
    shown = capsys.readouterr().out
    assert '/api/v1/callback/…","job_name":"x"}' in shown
    assert "0mf3" not in shown


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "99999999999"}, 413),
    ],
)
def test_a_body_without_a_usable_length(
    listen: Listen, headers: dict[str, str], status: int
) -> None:
    to = listen(Endpoint([]))
    to.putrequest("POST", "/")
    for name, value in headers.items():
        to.putheader(name, value)
    to.endheaders()
    assert to.getresponse().status == status


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_every_method_of_a_delivery(listen: Listen, method: str) -> None:
    to = listen(Endpoint([]))
    to.request(method, "/")
    assert to.getresponse().status == 200


def test_a_header_sent_twice_is_not_read_as_one_of_them(listen: Listen) -> None:
    to = listen(Endpoint([SECRET]))
    to.putrequest("POST", "/")
    for name, value in [*signed().items(), ("webhook-timestamp", "1")]:
        to.putheader(name, value)
    to.putheader("Content-Length", str(len(BODY)))
    to.endheaders(BODY)
    response = to.getresponse()
    assert response.status == 401
    assert b"not whole seconds" in response.read()


def test_as_an_endpoint_of_the_javascript_sdk_it_verifies_by_v1(listen: Listen) -> None:
    now_ms = int(time.time() * 1_000)
    good = sign_v1(SECRET, BODY, now_ms)
    to = listen(Endpoint([Secret.generate(), SECRET], v1=True))
    assert deliver(to, {"x-lq-signature": good}) == (200, "verified by x-lq-signature (v1)")
    assert deliver(to, signed()) == (401, "UNSIGNED")
    for wrong in (sign_v1(SECRET, b"", now_ms), sign_v1(SECRET, BODY, now_ms - 130_000), "v=1"):
        status, words = deliver(to, {**signed(), "x-lq-signature": wrong})
        assert (status, words[:16]) == (401, "WRONG SIGNATURE ")


@pytest.mark.parametrize("url", ["example.com", "ftp://example.com", "https://", "https://a/?b"])
def test_a_base_url_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("LQ_BASE_URL", url)
    assert main(["listen", "--port", "0", "--secret", SECRET.reveal()]) == 1
    assert "LQ_BASE_URL" in capsys.readouterr().err


def test_the_command_line_reaches_the_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Listener] = []

    def interrupted(self: Listener) -> None:
        made.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Listener, "serve_forever", interrupted)
    monkeypatch.setenv("LQ_BASE_URL", "https://example.com/dev/")
    assert main(["listen", "--port", "0", "--v1", "--secret", SECRET.reveal()]) == 0
    (listener,) = made
    assert listener.endpoint.v1
    assert (listener.spellings("/x") or [])[0] == "https://example.com/dev/x"


def test_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["listen", "--port", str(port)]) == 1
    assert "Choose another port with --port" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["--secret", "LQ_SECRET", "credentials", "none"])
def test_where_the_secret_comes_from(
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(self: Listener) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Listener, "serve_forever", interrupted)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LQ_SECRET", raising=False)
    words = ["listen", "--port", "0"]
    if where == "--secret":
        words += ["--secret", SECRET.reveal()]
    elif where == "LQ_SECRET":
        monkeypatch.setenv("LQ_SECRET", SECRET.reveal())
    elif where == "credentials":
        Credentials.keep(Path(".lambdaqueue"), {})
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert ("no secret known" if where == "none" else where) in shown


def test_a_secret_that_is_none_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "--secret", "whsec_nonsense"]) == 1
    assert "nonsense" not in capsys.readouterr().err
