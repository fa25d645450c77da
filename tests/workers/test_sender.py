"""CurlSender against endpoints that misbehave, on real sockets (faults F42 to F56)."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest
import uvloop

from lambdaqueue.outcome import Answer
from lambdaqueue.targets import TargetRules
from tests.workers.endpoints import CERTIFICATE, endpoint, full_backlog, reset, tls_context
from workers.sender import READ_LIMIT, CurlSender, Outgoing, RecordingSender
from workers.transfers import EpollSockets, LoopSockets, Transfers

DEADLINE = 200
"""Milliseconds that the calls may take which are to run into their deadline."""

DEVELOPMENT = TargetRules(loopback=True)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Body = Callable[[CurlSender], Awaitable[None]]
Run = Callable[[Body], None]


@pytest.fixture(
    params=[
        pytest.param((asyncio.new_event_loop, EpollSockets), id="asyncio"),
        pytest.param((uvloop.new_event_loop, EpollSockets), id="uvloop"),
        pytest.param((asyncio.new_event_loop, LoopSockets), id="asyncio-readers"),
    ]
)
def run(request: pytest.FixtureRequest) -> Run:
    """Run a test body with a sender, on each loop and each way to watch sockets."""
    new_loop, sockets = request.param

    async def with_sender(body: Body) -> None:
        transfers = partial(Transfers, sockets=sockets)
        sender = CurlSender(DEVELOPMENT, connect_timeout=150, transfers=transfers)
        try:
            await body(sender)
        finally:
            await sender.close()

    def run(body: Body) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(with_sender(body))

    return run


def a_request(
    url: str,
    timeout: int = 5000,
    method: str = "POST",
    headers: Sequence[tuple[str, str]] = (("content-type", "text/plain"),),
    body: bytes = b"hello",
    keep: int = 4096,
) -> Outgoing:
    """Return a request of which the test needs to name only what it is about."""
    return Outgoing(url, method, headers, body, timeout, keep)


def check(
    run: Run,
    reply: bytes | Callable[[asyncio.StreamWriter], Awaitable[None]],
    timeout: int = 5000,
    keep: int = 4096,
) -> Answer:
    """Send one request to an endpoint that replies `reply`, exactly once; give the answer."""
    answers = []

    async def body(sender: CurlSender) -> None:
        async with endpoint(reply) as one:
            answers.append(await sender.send(a_request(one.url, timeout, keep=keep)))
            assert len(one.requests) == 1

    run(body)
    return answers[0]


async def drip(writer: asyncio.StreamWriter, start: bytes, piece: bytes) -> None:
    """Write `start`, then `piece` over and over until the client has gone."""
    writer.write(start)
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(writer: asyncio.StreamWriter, start: bytes, piece: bytes) -> None:
    """Write as fast as the client reads, without end."""
    writer.write(start)
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


# --- deadlines ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(hang, id="F42-hangs"),
        pytest.param(partial(drip, start=OK[:-2], piece=b""), id="F42-hangs-in-body"),
        pytest.param(
            partial(drip, start=b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", piece=b"x"),
            id="F44-slow-body",
        ),
        pytest.param(partial(drip, start=CHUNKED, piece=b"1\r\nx\r\n"), id="F44-slow-chunks"),
        pytest.param(
            partial(drip, start=b"HTTP/1.1 200 OK\r\n", piece=b"X-A: b\r\n"), id="F45-slow-head"
        ),
        pytest.param(
            partial(drip, start=b"", piece=b"HTTP/1.1 100 Continue\r\n\r\n"), id="F46-slow-1xx"
        ),
    ],
)
def test_one_deadline_over_all(
    run: Run, reply: Callable[[asyncio.StreamWriter], Awaitable[None]]
) -> None:
    began = time.monotonic()
    answer = check(run, reply, timeout=DEADLINE)
    assert (answer.failure, answer.status, answer.body) == ("timeout", None, b"")
    assert DEADLINE <= (time.monotonic() - began) * 1_000 < DEADLINE + 1000
    assert answer.duration == DEADLINE  # a ms more, and it counts in the histogram's next bucket


def test_endless_interim_answers_end(run: Run) -> None:
    began = time.monotonic()
    answer = check(
        run,
        partial(flood, start=b"", piece=b"HTTP/1.1 103 E\r\na: b\r\n\r\n" * 99),
        timeout=DEADLINE,
    )
    assert answer.failure in {"timeout", "bad_response"}
    assert (time.monotonic() - began) * 1_000 < DEADLINE + 1000


def test_connect_part_of_the_deadline(run: Run) -> None:
    async def body(sender: CurlSender) -> None:
        async with full_backlog() as url:
            answer = await sender.send(a_request(url, timeout=5000))
            assert answer.failure == "connect"
            assert 150 <= answer.duration < 1150
            answer = await sender.send(a_request(url, timeout=100))
            assert answer.failure == "timeout"

    run(body)


def test_handshake_that_hangs(run: Run) -> None:
    async def body(sender: CurlSender) -> None:
        async with endpoint(hang) as one:
            answer = await sender.send(a_request(one.url.replace("http:", "https:")))
            assert answer.failure == "tls"

    run(body)


# --- what is read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"],
    ids=["F47-10-MB", "F48-endless"],
)
def test_at_most_64_kib_are_read(run: Run, start: bytes) -> None:
    async def body(sender: CurlSender) -> None:
        async with endpoint(partial(flood, start=start, piece=b"x" * 10_000)) as one:
            answer = await sender.send(a_request(one.url))
            assert (answer.status, answer.failure, answer.truncated) == (200, None, True)
            assert answer.body == b"x" * 4096
            await one.gone.wait()
            answer = await sender.send(a_request(one.url, keep=10**9))
            assert answer.body == b"x" * READ_LIMIT

    run(body)


def test_memory_of_big_answers(run: Run) -> None:
    piece = b"x" * 65_536

    async def body(sender: CurlSender) -> None:
        async with endpoint(partial(flood, start=CHUNKED[:15] + b"\r\n\r\n", piece=piece)) as one:
            for turn in range(60):
                if turn == 20:
                    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                await sender.send(a_request(one.url))
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024  # KiB

    run(body)


def test_a_body_that_stops_at_64_kib_and_hangs_counts(run: Run) -> None:
    answer = check(run, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * READ_LIMIT, keep=READ_LIMIT)
    assert (answer.status, len(answer.body), answer.truncated) == (200, READ_LIMIT, True)


@pytest.mark.parametrize(
    ("keep", "kept", "truncated"), [(10, 10, False), (9, 9, True), (0, 0, True)]
)
def test_kept_bytes(run: Run, keep: int, kept: int, truncated: bool) -> None:
    answer = check(run, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", keep=keep)
    assert (answer.body, answer.truncated) == (b"0123456789"[:kept], truncated)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br"])
def test_nothing_is_unpacked(run: Run, coding: bytes) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
    answer = check(run, head % (coding, len(bomb)) + bomb)
    assert (answer.status, answer.body) == (200, bomb[:4096])


def test_transfer_encoding_gzip_is_refused(run: Run) -> None:
    packed = gzip.compress(b"hello")
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    assert check(run, reply % (len(packed), packed)).failure == "bad_response"


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (CHUNKED + b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\n\r\n", 200, b"hello!"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.1 599 Odd\r\nContent-Length: 1\r\n\r\n!", 599, b"!"),
        (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n!", 200, b"!"),
        (b"HTTP/1.1 103 Early\r\nx: 1\r\n\r\n" + OK, 200, b"ok"),
    ],
    ids=["chunked", "204", "304", "599", "no-reason", "103-first"],
)
def test_answers_that_are_right(run: Run, reply: bytes, status: int, body: bytes) -> None:
    answer = check(run, reply)
    assert (answer.status, answer.failure, answer.body) == (status, None, body)
    assert answer.truncated is False


def test_a_body_that_ends_with_the_connection(run: Run) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.close()

    assert check(run, reply).body == b"all of it"


def test_headers_of_the_answer(run: Run) -> None:
    reply = (
        b"HTTP/1.1 103 Early\r\nx-early: 1\r\n\r\nHTTP/1.1 503 Busy: now\r\nRetry-After:  5 \r\n"
        b"X-Two: a\r\nx-two: b\r\nx-raw: \xe9\r\nx-empty:\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nx-trailer: 1\r\n\r\n"
    )
    answer = check(run, reply)
    assert answer.status == 503
    assert answer.headers == {
        "retry-after": "5",
        "x-two": "a, b",
        "x-raw": "é",
        "x-empty": "",
        "transfer-encoding": "chunked",
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(run: Run, status: int) -> None:
    reply = b"HTTP/1.1 %d Go\r\nLocation: /hook\r\nContent-Length: 0\r\n\r\n" % status
    assert check(run, reply).status == status  # check() saw one request


# --- answers that are wrong -----------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000 + b"\r\n", id="F50-5000-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + OK[17:], id="F50-102-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\na: " + b"b" * 2**21 + b"\r\n\r\n", id="F50-2-MB"),
        pytest.param(b"HTTP/1.1 200 OK\r\na: " + b"b" * 2**16 + b"\r\n" + OK[17:], id="F50-64-KB"),
        pytest.param(b"HTTP/1.1 999999 Huh\r\nContent-Length: 0\r\n\r\n", id="F52-999999"),
        pytest.param(b"HTTP/1.1 600 Huh\r\nContent-Length: 0\r\n\r\n", id="F52-600"),
        pytest.param(b"HTTP/1.1 099 Huh\r\nContent-Length: 0\r\n\r\n", id="F52-099"),
        pytest.param(b"HTTP/1.1 -20 Huh\r\nContent-Length: 0\r\n\r\n", id="F52-negative"),
        pytest.param(b"hello, I speak HTTP/0.9\r\n", id="F52-http-0.9"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
            id="F52-two-lengths",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 999\r\n\r\nok",
            id="F52-two-lengths-longer",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nok", id="length-list"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", id="negative-length"),
        pytest.param(CHUNKED + b"zz\r\nok\r\n0\r\n\r\n", id="bad-chunk"),
    ],
)
def test_answers_that_are_wrong(run: Run, reply: bytes) -> None:
    answer = check(run, reply)
    assert (answer.failure, answer.status, answer.body) == ("bad_response", None, b"")
    assert answer.detail


@pytest.mark.parametrize("end", [asyncio.StreamWriter.close, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
    ids=["nothing", "status-line", "head", "F53-length", "F53-chunks", "F53-last-chunk"],
)
def test_broken_connections(
    run: Run, start: bytes, end: Callable[[asyncio.StreamWriter], None]
) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        end(writer)

    answer = check(run, reply)
    assert (answer.failure, answer.status) == ("bad_response", None)


# --- no answer at all -----------------------------------------------------------------------


def test_closed_port(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def body(sender: CurlSender) -> None:
            answer = await sender.send(a_request(f"http://127.0.0.1:{port}/?token=secret"))
            assert answer.failure == "connect"
            assert "secret" not in answer.detail

        run(body)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://nonexistent.invalid/?token=secret", "reserved_name"),
        ("http://example.org/?token=secret", "scheme_not_allowed"),
        ("ftp://127.0.0.1/?token=secret", "scheme_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("http://[/", "malformed_host"),
        ("http://127.0.0.1:0/", "port_not_allowed"),
        ("https://10.0.0.1/", "ip_not_public"),
    ],
)
def test_urls_that_may_not_be_called(run: Run, url: str, rule: str) -> None:
    """The rules of the push hold again: the job may be older than they are."""

    async def body(sender: CurlSender) -> None:
        answer = await sender.send(a_request(url))
        assert (answer.failure, answer.status) == ("blocked_address", None)
        assert answer.detail == f"the target's URL is not allowed here: {rule}"

    run(body)


def test_self_signed_certificate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(CERTIFICATE))

    async def body(sender: CurlSender) -> None:
        async with endpoint(OK, tls_context()) as one:
            answer = await sender.send(a_request(one.url))
            assert answer.failure == "tls"
            assert one.requests == []

    run(body)


def trusting() -> CurlSender:
    """Return a sender that trusts `CERTIFICATE`."""
    return CurlSender(DEVELOPMENT, connect_timeout=200, ca_bundle=str(CERTIFICATE))


def test_tls_with_a_valid_certificate(run: Run) -> None:
    async def body(distrusting: CurlSender) -> None:
        sender = trusting()
        async with endpoint(OK, tls_context()) as one:
            for _ in range(5):
                assert (await sender.send(a_request(one.url))).body == b"ok"
            assert one.connections == 1
            answer = await sender.send(a_request(one.url.replace("127.0.0.1", "localhost")))
            assert answer.failure == "tls"  # the wrong host
        await sender.close()

    run(body)


def test_deadline_on_a_kept_tls_connection(run: Run) -> None:
    async def body(distrusting: CurlSender) -> None:
        async def once(writer: asyncio.StreamWriter) -> None:
            if len(one.requests) > 1:
                await hang(writer)
            writer.write(OK)

        sender = trusting()
        async with endpoint(once, tls_context()) as one:
            assert (await sender.send(a_request(one.url))).status == 200
            answer = await sender.send(a_request(one.url, DEADLINE))
            assert (answer.failure, one.connections) == ("timeout", 1)
        await sender.close()

    run(body)


def refuse_without_certificate(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Take one connection as a blocking server does: it sends a TLS alert (asyncio's doesn't)."""
    connection, _ = listener.accept()
    with connection.dup() as raw:
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            context.wrap_socket(connection, server_side=True)
        while raw.recv(1024):  # closing with bytes unread would be a RST, which may overtake
            pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_is_wanted(run: Run, version: ssl.TLSVersion) -> None:
    async def body(distrusting: CurlSender) -> None:
        sender, context = trusting(), tls_context()
        context.load_verify_locations(CERTIFICATE)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = version
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = asyncio.create_task(
                asyncio.to_thread(refuse_without_certificate, listener, context)
            )
            port = listener.getsockname()[1]
            answer = await sender.send(a_request(f"https://127.0.0.1:{port}/", body=b""))
            assert answer.failure == "tls"
            await server
        await sender.close()

    run(body)


def test_old_tls(run: Run) -> None:
    async def body(distrusting: CurlSender) -> None:
        sender, context = trusting(), tls_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        async with endpoint(OK, context) as one:
            answer = await sender.send(a_request(one.url))
            assert (answer.failure, one.requests) == ("tls", [])
        await sender.close()

    run(body)


def test_https_to_a_plain_port(run: Run) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def body(sender: CurlSender) -> None:
        async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            answer = await sender.send(a_request(f"https://127.0.0.1:{port}/"))
            assert answer.failure == "tls"

    run(body)


# --- what is sent ---------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", bytes(range(256)) * 8, b"x" * 2_000_000])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_request_arrives_as_it_is(run: Run, method: str, payload: bytes) -> None:
    headers = [
        ("x-b", "1"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("x-A", "a,  b;c:d%20\"'"),
        ("x-empty", ""),
        ("x-b", "2"),
    ]

    async def body(sender: CurlSender) -> None:
        async with endpoint(OK) as one:
            url = one.url.replace("/hook", "/a/../b//c?q=1%20&r=%C3")
            request = Outgoing(url, method, headers, payload, 5000)
            assert (await sender.send(request)).body == b"ok"
            head, _, sent = one.requests[0].partition(b"\r\n\r\n")
            assert head.startswith(f"{method} /a/../b//c?q=1%20&r=%C3 HTTP/1.1\r\n".encode())
            assert sent == payload
            ours = {"Host", "Accept", "Content-Length", "Accept-Encoding"}
            named = [(name.rstrip(":"), value) for name, value in one.headers()]
            assert [pair for pair in named if pair[0] not in ours] == headers
            assert ("Accept-Encoding", "identity") in named
            stated = payload or method in ("POST", "PUT", "PATCH")
            assert ("Content-Length", str(len(payload))) in named or not stated

    run(body)


def test_nothing_stays_from_the_request_before(run: Run) -> None:
    async def body(sender: CurlSender) -> None:
        async with endpoint(OK) as one:
            for method, payload in [
                ("POST", b"a"),
                ("GET", b""),
                ("PUT", b"b"),
                ("DELETE", b""),
                ("GET", b"c"),
                ("POST", b""),
                ("PATCH", b"d"),
            ]:
                request = Outgoing(one.url, method, [("x-m", method)], payload, 5000)
                assert (await sender.send(request)).status == 200
                assert one.requests[-1].startswith(method.encode() + b" ")
                assert one.requests[-1].partition(b"\r\n\r\n")[2] == payload
                names = [name.lower() for name, _ in one.headers()]
                assert "content-type" not in names
                assert one.headers().count(("x-m", method)) == names.count("x-m") == 1
            assert one.connections == 1

    run(body)


def test_head_has_no_answer_body(run: Run) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"

    async def body(sender: CurlSender) -> None:
        async with endpoint(reply) as one:
            for _ in range(2):
                answer = await sender.send(a_request(one.url, method="HEAD", body=b""))
                assert (answer.status, answer.body, answer.truncated) == (200, b"", False)
                assert answer.headers["content-length"] == "500"
                assert one.requests[-1].startswith(b"HEAD ")
            assert one.connections == 1
            with pytest.raises(ValueError, match="HEAD"):
                await sender.send(a_request(one.url, method="HEAD"))

    run(body)


@pytest.mark.parametrize("value", ["a\nb", "a\r\nx: y", "a\0b", "é"])
def test_headers_can_not_be_smuggled(run: Run, value: str) -> None:
    async def body(sender: CurlSender) -> None:
        async with endpoint(OK) as one:
            with pytest.raises(ValueError, match=r"header|ascii"):
                await sender.send(a_request(one.url, headers=[("x-a", value)]))
            assert (await sender.send(a_request(one.url))).status == 200

    run(body)


def test_the_environment_is_ignored(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    with open(os.path.join(tmp_path, ".netrc"), "w") as netrc:
        netrc.write("machine 127.0.0.1 login me password secret\n")

    async def body(sender: CurlSender) -> None:
        cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        async with endpoint(cookie) as one:
            for _ in range(2):
                assert (await sender.send(a_request(one.url))).status == 200
            names = {name.lower() for name, _ in one.headers()}
            assert not names & {"authorization", "cookie", "proxy-connection", "expect"}

    run(body)


# --- connections ----------------------------------------------------------------------------


def test_connections_are_kept(run: Run) -> None:
    async def body(sender: CurlSender) -> None:
        async with endpoint(OK) as one:
            for _ in range(20):
                assert (await sender.send(a_request(one.url))).body == b"ok"
            assert one.connections == 1
            answers = await asyncio.gather(*(sender.send(a_request(one.url)) for _ in range(50)))
            assert {answer.body for answer in answers} == {b"ok"}
            assert one.connections <= 50

    run(body)


def test_a_kept_connection_that_was_closed_is_no_failure(run: Run) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async def body(sender: CurlSender) -> None:
        async with endpoint(reply) as one:
            for turn in range(5):
                assert (await sender.send(a_request(one.url))).body == b"ok"
                assert len(one.requests) == turn + 1
                await one.gone.wait()

    run(body)


@pytest.mark.parametrize("answers_again", [True, False])
def test_a_kept_connection_that_breaks_unanswered(run: Run, answers_again: bool) -> None:
    """libcurl asks once more on a new connection: the endpoint may have had both."""

    async def body(sender: CurlSender) -> None:
        async def reply(writer: asyncio.StreamWriter) -> None:
            count = len(one.requests)
            writer.write(OK if count == 1 or (count == 3 and answers_again) else b"")
            if count > 1:
                writer.close()

        async with endpoint(reply) as one:
            assert (await sender.send(a_request(one.url))).status == 200
            answer = await sender.send(a_request(one.url))
            assert answer.failure == (None if answers_again else "bad_response")
            assert (len(one.requests), one.connections) == (3, 2)
            assert one.requests[1] == one.requests[2]

    run(body)


def test_cancelling_closes_the_connection(run: Run) -> None:
    async def body(sender: CurlSender) -> None:
        endless = partial(drip, start=b"HTTP/1.1 200 OK\r\n", piece=b"a: b\r\n")
        async with endpoint(endless) as slow, endpoint(OK) as fine:
            call = asyncio.ensure_future(sender.send(a_request(slow.url)))
            await slow.came.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await slow.gone.wait()
            assert (await sender.send(a_request(fine.url))).body == b"ok"

    run(body)


def test_close_cancels_what_is_out(run: Run) -> None:
    async def body(sender: CurlSender) -> None:
        async with endpoint(hang) as one:
            call = asyncio.ensure_future(sender.send(a_request(one.url)))
            await one.came.wait()
            await sender.close()
            with pytest.raises(asyncio.CancelledError):
                await call
            with pytest.raises(RuntimeError):
                await sender.send(a_request(one.url))

    run(body)


def test_a_hanging_endpoint_holds_up_no_other(run: Run) -> None:
    async def body(sender: CurlSender) -> None:
        async with endpoint(hang) as hanging, endpoint(OK) as fine:
            stuck = [
                asyncio.ensure_future(sender.send(a_request(hanging.url, DEADLINE)))
                for _ in range(100)
            ]
            started = time.monotonic()
            for _ in range(20):
                assert (await sender.send(a_request(fine.url))).status == 200
            assert time.monotonic() - started < 5
            assert {answer.failure for answer in await asyncio.gather(*stuck)} == {"timeout"}

    run(body)


# --- the fake -------------------------------------------------------------------------------


def test_recording_sender() -> None:
    async def body() -> None:
        first, second = a_request("http://a/"), a_request("http://b/")
        sender = RecordingSender([Answer(status=500), Answer(failure="dns")])
        assert (await sender.send(first)).status == 500
        assert (await sender.send(second)).failure == "dns"
        assert sender.requests == [first, second]
        with pytest.raises(AssertionError, match="no answer left for POST http://a/"):
            await sender.send(first)
        await sender.close()
        assert sender.closed

    asyncio.run(body())


def test_recording_sender_with_a_function() -> None:
    async def later(request: Outgoing) -> Answer:
        return Answer(status=202, body=request.body)

    async def body() -> None:
        assert (await RecordingSender().send(a_request("http://a/"))).status == 200
        assert (await RecordingSender(later).send(a_request("http://a/"))).body == b"hello"

    asyncio.run(body())
