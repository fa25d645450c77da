"""The default transport, over a real socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdaqueue.sdk.errors import Unreachable
from lambdaqueue.sdk.requests_transport import RequestsTransport
from lambdaqueue.sdk.transport import Request, Response
from tests.sdk.conftest import Serve
from tests.sdk.stub import Stub, Told


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    made = RequestsTransport()
    yield made
    made.close()


def _get(stub: Stub) -> Request:
    return Request("GET", stub.url, timeout=5.0)


def test_a_request_goes_out_as_it_is(serve: Serve, transport: RequestsTransport) -> None:
    stub = serve(Told(201, body=b"\xff", headers=(("X-Some", "a"), ("Set-Cookie", "a=1"))))
    headers = (("x-lq-key", "clé ☃"), ("Authorization", "Bearer t"), ("User-Agent", "me"))
    answer = transport.send(Request("PATCH", f"{stub.url}/a%2Fb?c=%20", headers, b"\x00", 5.0))
    (asked,) = stub.asked
    assert (asked.method, asked.path, asked.body) == ("PATCH", "/a%2Fb?c=%20", b"\x00")
    assert asked.headers["x-lq-key"].encode("latin-1").decode() == "clé ☃"
    assert asked.headers["authorization"] == "Bearer t"
    assert asked.headers["user-agent"] == "me"
    assert asked.headers["accept-encoding"] == "identity"
    assert (answer.status, answer.body, answer.headers["x-some"]) == (201, b"\xff", "a")


def test_a_connection_is_kept_and_cookies_are_not(
    serve: Serve, transport: RequestsTransport
) -> None:
    stub = serve(Told(200, json={}, headers=(("Set-Cookie", "a=1; Path=/"),)))
    for _ in range(3):
        transport.send(_get(stub))
    assert len({asked.client for asked in stub.asked}) == 1
    assert all("cookie" not in asked.headers for asked in stub.asked)


def test_threads_have_connections_of_their_own(serve: Serve, transport: RequestsTransport) -> None:
    together = threading.Barrier(2, timeout=10)
    stub = serve(Told(200, first=together.wait))
    answers: list[Response] = []
    work = [
        threading.Thread(target=lambda: answers.append(transport.send(_get(stub))))
        for _ in range(2)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    # Each was answered only when both had come.
    assert [answer.status for answer in answers] == [200, 200]


def test_redirects_are_answers(serve: Serve, transport: RequestsTransport) -> None:
    stub = serve(Told(302, headers=(("Location", "/elsewhere"),)))
    assert transport.send(_get(stub)).status == 302
    assert len(stub.asked) == 1


def test_neither_netrc_nor_proxy_to_this_machine(
    serve: Serve,
    transport: RequestsTransport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "netrc").write_text("default login me password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    stub = serve(Told(200))
    transport.send(Request("GET", stub.url, (("Authorization", "Bearer t"),)))
    assert stub.asked[0].headers["authorization"] == "Bearer t"


def test_no_netrc_elsewhere_either(
    serve: Serve,
    transport: RequestsTransport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = serve(Told(200))
    (tmp_path / "netrc").write_text("default login me password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    answer = transport.send(
        Request("GET", "http://queue.example/api", (("Authorization", "Bearer t"),))
    )
    assert answer.status == 200
    assert proxy.asked[0].path == "http://queue.example/api"
    assert proxy.asked[0].headers["authorization"] == "Bearer t"


def test_a_fork_has_connections_of_its_own(serve: Serve, transport: RequestsTransport) -> None:
    stub = serve(Told(200))
    transport.send(_get(stub))
    child = os.fork()
    if child == 0:
        try:
            transport.send(_get(stub))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    transport.send(_get(stub))
    parent, forked, after = (asked.client for asked in stub.asked)
    assert parent == after
    assert forked != parent


def test_it_can_be_used_after_it_was_closed(serve: Serve, transport: RequestsTransport) -> None:
    stub = serve(Told(200))
    transport.send(_get(stub))
    transport.close()
    assert transport.send(_get(stub)).status == 200
    assert len({asked.client for asked in stub.asked}) == 2


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_nobody_there(transport: RequestsTransport) -> None:
    port = _free_port()
    with pytest.raises(Unreachable) as caught:
        transport.send(Request("GET", f"http://127.0.0.1:{port}/api/v1/callback/tok_SECRET"))
    assert str(caught.value) == f"nothing answers at http://127.0.0.1:{port}: Connection refused"
    assert caught.value.status is None
    assert caught.value.__suppress_context__


def test_it_breaks_off(serve: Serve, transport: RequestsTransport) -> None:
    stub = serve(Told(drop=True))
    with pytest.raises(Unreachable, match="nothing answers at"):
        transport.send(_get(stub))
    # Not repeated here: who calls knows what may be.
    assert len(stub.asked) == 1


def test_it_says_nothing(serve: Serve, transport: RequestsTransport) -> None:
    over = threading.Event()
    stub = serve(Told(first=over.wait))
    try:
        with pytest.raises(Unreachable, match=r"no complete answer from .* within 0\.2 s"):
            transport.send(Request("GET", f"{stub.url}/secret", timeout=0.2))
    finally:
        over.set()


def test_an_answer_without_end(serve: Serve) -> None:
    stub = serve(Told(body=b"x" * 100_001))
    transport = RequestsTransport(max_answer=100_000)
    with pytest.raises(Unreachable, match="over 100000 bytes"):
        transport.send(_get(stub))
    transport.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer SECRET\n"),
        ("Authorization", "Bearer SECRET\r\nX: y"),
        ("Authorization", "Bearer SECRET\x00"),
        ("x-lq-key", " SECRET"),
        ("x-lq-key", "SECRET "),
        ("x-lq-key\r\nX", "SECRET"),
    ],
)
def test_what_no_header_can_carry(transport: RequestsTransport, name: str, value: str) -> None:
    with pytest.raises(ValueError, match="can carry neither control characters nor space") as error:
        transport.send(Request("GET", "http://127.0.0.1:9", ((name, value),)))
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("url", ["/api/v1", "127.0.0.1:9/x", "http://", "ftp://127.0.0.1/"])
def test_what_is_no_url(transport: RequestsTransport, url: str) -> None:
    with pytest.raises(ValueError, match="no request can be sent there"):
        transport.send(Request("GET", url))


def test_what_is_shown() -> None:
    request = Request("GET", "http://x/token", (("Authorization", "Bearer t"),), b"secret")
    assert repr(request) == "Request(method='GET', timeout=10.0)"
