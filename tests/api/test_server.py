"""The real web server: what gunicorn answers before the application sees a request."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import server
from tests.api.conftest import MASTER_KEY, TOKEN
from tests.api.web import HEAD, PUSH, Web, read_answer, running
from tests.waiting import until


@pytest.fixture
def web(redis_url: str, tmp_path: Path) -> Iterator[Web]:
    with running(redis_url, tmp_path / "web.log") as web:
        yield web


def with_length(body: bytes) -> bytes:
    return f"{PUSH}\r\n{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(body: bytes) -> bytes:
    return f"{PUSH}\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + body


def test_refusals_are_json(web: Web) -> None:
    get = f"GET /api/v1/queues HTTP/1.1\r\n{HEAD}"
    for request, status in (
        ("rubbish\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        ("get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (f"{get}x-a: a\x00b\r\n\r\n", 400),
        (f"{get}x-a: a\r\n folded\r\n\r\n", 400),
        (f"{get}no colon\r\n\r\n", 400),
        (f"{get}Host: evil\r\n\r\n", 400),
        (f"{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (f"{get}Content-Length: -1\r\n\r\n", 400),
        (f"{get}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (f"{get}Transfer-Encoding: rot13\r\n\r\n", 501),
        (f"{get}Expect: miracles\r\n\r\n", 417),
        (f"{get}x-a: {'a' * 40_000}\r\n\r\n", 431),
        (get + "".join(f"x-{n}: 1\r\n" for n in range(200)) + "\r\n", 431),
        (f"GET /api/v1/items/{'x' * 10_000} HTTP/1.1\r\n{HEAD}\r\n", 404),
        (f"{get}Authorization: Bearer {TOKEN}\r\n\r\n", 401),
        ("GET /api/v1/queues HTTP/1.1\r\nHost: evil\r\n\r\n", 400),
        ("GET /api/v1/queues HTTP/1.0\r\n\r\n", 400),
        (f"TRACE /api/v1/queues HTTP/1.1\r\n{HEAD}\r\n", 405),
        (f"GET /nothing HTTP/1.1\r\n{HEAD}SCRIPT_NAME: /x\r\n\r\n", 404),
        (chunked(b"5\r\nhello\r\nzzz\r\n").decode(), 400),
        (chunked(b"5\r\nhelloXX").decode(), 400),
        (chunked(b"0\r\nno colon\r\n\r\n").decode(), 400),
    ):
        answer = web.ask(request)
        assert answer.status == status, request[:300]
        assert answer.json["status"] == status
    log = web.log.read_text()
    assert TOKEN not in log
    assert "Traceback" not in log
    told = [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]
    assert all("first_account" in line for line in told)


def test_bodies(web: Web) -> None:
    assert web.ask(with_length(b'{"a":1}')).json["payload"] == {"a": 1}
    assert web.ask(chunked(b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n')).json["payload"] == {"a": 1}
    extra = json.dumps({f"x-h{n}": "v" * 150 for n in range(50)})
    assert len(extra) > 8_000
    request = f"{PUSH}\r\n{HEAD}x-lq-headers: {extra}\r\nContent-Length: 0\r\n\r\n"
    assert web.ask(request).status == 201


def test_continue(web: Web) -> None:
    with web.connect() as sock:
        head = f"{PUSH}\r\n{HEAD}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        sock.sendall(head.encode())
        assert read_answer(sock, bodiless=True).status == 100
        sock.sendall(b"{}")
        assert read_answer(sock).status == 201


def test_kept_connection(web: Web) -> None:
    """Pipelined requests, a HEAD, and a refused body that is skipped."""
    with web.connect() as sock:
        sock.sendall(with_length(b"1"))
        assert read_answer(sock).status == 201
        sock.sendall(f"HEAD /api/v1/queues HTTP/1.1\r\n{HEAD}\r\n".encode())
        answer = read_answer(sock, bodiless=True)
        assert (answer.status, answer.body) == (200, b"")
        sock.sendall(with_length(b"x" * 300_000))
        assert read_answer(sock).status == 413
        sock.sendall(f"DELETE /api/v1/queues/mail/items HTTP/1.1\r\n{HEAD}\r\n".encode())
        assert read_answer(sock).status == 405


def test_length_is_believed(web: Web) -> None:
    """B22: refused before a byte of the body was sent, and the connection ends."""
    with web.connect() as sock:
        sock.sendall(f"{PUSH}\r\n{HEAD}Content-Length: 10000000000\r\n\r\n".encode())
        assert read_answer(sock).status == 413
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


def test_endless_chunks(web: Web) -> None:
    """B23."""
    with web.connect() as sock:
        sock.sendall(chunked(b""))
        stopped = threading.Event()

        def send() -> None:
            piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
            try:
                while not stopped.is_set():
                    sock.sendall(piece)
            except OSError:
                stopped.set()

        sender = threading.Thread(target=send)
        sender.start()
        try:
            assert read_answer(sock).status == 413
            until(stopped.is_set, "the connection is cut")
        finally:
            stopped.set()
            sender.join()


def test_stops_at_once_when_idle(web: Web) -> None:
    with web.connect() as sock:
        sock.sendall(f"GET /api/v1/queues HTTP/1.1\r\n{HEAD}\r\n".encode())
        assert read_answer(sock).status == 200
        web.process.terminate()
        assert web.process.wait(4) == 0
        assert sock.recv(1) == b""
    assert "Traceback" not in web.log.read_text()


def test_a_killed_worker_is_replaced(web: Web) -> None:
    (worker,) = web.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(web.workers()) > 1, "a new worker")
    assert web.ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def test_secrets_are_not_logged(web: Web) -> None:
    secret = web.ask(f"GET /api/v1/secret HTTP/1.1\r\n{HEAD}\r\n").json["secret"]
    other = TOKEN[:13] + "Z" * 43
    for name, value in (("Authorization", f"Bearer {other}"), ("Bearer", other)):
        request = f"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\n\r\n"
        assert web.ask(request).status == 401
    log = web.log.read_text()
    for confidential in (secret.removeprefix("whsec_"), TOKEN[13:], other[13:], MASTER_KEY):
        assert confidential not in log


class TestPatientSocket:
    """B22: slow senders are cut; the time is short here."""

    @pytest.fixture
    def pair(self) -> Iterator[tuple[server.PatientSocket, socket.socket]]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            yield server.PatientSocket(ours, set(), keepalive=0.05), theirs

    def test_idle(self, pair: tuple[server.PatientSocket, socket.socket]) -> None:
        patient, _ = pair
        assert patient.recv(10) == b""

    def test_slow(
        self,
        pair: tuple[server.PatientSocket, socket.socket],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(server, "PATIENCE", 0.1)
        patient, theirs = pair
        theirs.sendall(b"a")
        assert patient.recv(10) == b"a"
        assert patient.recv(10) == b""
        theirs.sendall(b"b")
        assert patient.recv(10) == b""  # too late for good

    def test_an_answer_begins_anew(
        self,
        pair: tuple[server.PatientSocket, socket.socket],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(server, "PATIENCE", 0.0)
        patient, theirs = pair
        theirs.sendall(b"a")
        assert patient.recv(10) == b"a"
        patient.sendall(b"head")
        patient.sendall(b"body")
        patient.flush()
        assert theirs.recv(100) == b"headbody"
        theirs.sendall(b"b")
        assert patient.recv(10) == b"b"

    def test_what_comes_buys_time(
        self,
        pair: tuple[server.PatientSocket, socket.socket],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(server, "PATIENCE", 0.5)
        monkeypatch.setattr(server, "SLOWEST", 1)
        patient, theirs = pair
        theirs.sendall(b"a")
        assert patient.recv(10) == b"a"
        before = patient._deadline
        theirs.sendall(b"bcd")
        assert patient.recv(10) == b"bcd"
        assert before is not None
        assert patient._deadline == before + 3

    def test_one_who_does_not_read(
        self,
        pair: tuple[server.PatientSocket, socket.socket],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(server, "SEND_WITHIN", 0.05)
        patient, _ = pair
        patient.sendall(b"x" * 10_000_000)
        with pytest.raises(BrokenPipeError):
            patient.flush()

    @pytest.mark.parametrize(
        ("does", "left"),
        [
            (lambda theirs: None, False),
            (lambda theirs: theirs.sendall(b"GET"), False),
            (lambda theirs: theirs.close(), True),
        ],
    )
    def test_who_has_left(
        self,
        does: Callable[[socket.socket], None],
        left: bool,
        pair: tuple[server.PatientSocket, socket.socket],
    ) -> None:
        patient, theirs = pair
        does(theirs)
        assert patient.has_left(0.01) is left
        if not left:
            theirs.sendall(b"/")
            assert patient.recv(100).endswith(b"/")  # what has come is still there

    def test_who_has_vanished(self) -> None:
        """Nothing comes from there, no end either: the kernel is told when to stop."""
        with socket.socket(socket.AF_INET) as client:
            server._bound(client)
            if sys.platform == "linux":
                found = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert found == server.GONE_AFTER
