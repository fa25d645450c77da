"""What may not be dialled isn't, and what may be is called by its name (faults F54 to F56).

Names come from a real name server on loopback. 127.x.y.1 to 127.x.y.100, `ALLOWED`, are opened and
stand for the public internet; the rest of loopback is the network that nobody may reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

import pytest
import uvloop

from lambdaqueue.addresses import AddressRules
from lambdaqueue.outcome import Answer
from lambdaqueue.targets import TargetRules
from tests.workers.authority import Authority
from tests.workers.dns_server import NXDOMAIN, SERVFAIL, SILENT, DnsServer, Reply, dns_server
from tests.workers.endpoints import Endpoint
from workers.exchange import Exchange, Outgoing
from workers.resolver import DnsResolver
from workers.routes import Route
from workers.sender import CurlSender
from workers.transfers import Transfers

PORT = 8443
"""The only port besides 443; so tests that run at the same time differ by address."""

_OURS = os.getpid() % 62_500
PREFIX = f"127.{1 + _OURS // 250}.{1 + _OURS % 250}."
ALLOWED, SECOND, CLOSED = PREFIX + "1", PREFIX + "2", PREFIX + "129"
RULES = TargetRules(AddressRules.parse([PREFIX + "0/25"]))

NAME = "hook.example.org"
URL = f"https://{NAME}:{PORT}/hook"
CONNECT = 1_000
"""Milliseconds of the connect part."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Script = Mapping[str, Sequence[Reply] | Reply]
Body = Callable[[CurlSender, DnsServer], Awaitable[None]]
Run = Callable[[Script, Body], None]


# --- the stage ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, authority: Authority) -> Run:
    """Run a test body with a sender and the name server that it asks."""

    async def serve(script: Script, body: Body) -> None:
        async with dns_server(script) as server:
            sender = CurlSender(
                RULES,
                resolver=DnsResolver([server.address]),
                connect_timeout=CONNECT,
                ca_bundle=str(authority.bundle),
            )
            try:
                await body(sender, server)
            finally:
                await sender.close()

    def run(script: Script, body: Body) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(serve(script, body))

    return run


@contextlib.asynccontextmanager
async def endpoint(
    context: ssl.SSLContext | None,
    address: str = ALLOWED,
    reply: bytes | Callable[[asyncio.StreamWriter], Awaitable[None]] = OK,
) -> AsyncIterator[Endpoint]:
    """Run an endpoint on `address`, with TLS if there is a `context`."""
    one = Endpoint(reply)
    server = await asyncio.start_server(one.serve, address, PORT, ssl=context)
    try:
        yield one
    finally:
        server.close()
        await one.stop()


@contextlib.contextmanager
def nobody_calls(*addresses: str, port: int = PORT) -> Iterator[None]:
    """Listen on `addresses` and hold that not one connection was made to them."""
    with contextlib.ExitStack() as stack:
        listeners = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            # ::1 and 127.0.0.1 are everybody's: other runs of this test listen there as well.
            made = socket.create_server((address, port), family=family, reuse_port=True)
            listeners.append(stack.enter_context(made))
        yield
        called, _, _ = select.select(listeners, (), (), 0)
        assert not called


def name_of(case: object) -> str:
    """Return a test's name for `case` that is the same in every process."""
    text = "+".join(case[-2:]) if isinstance(case, list) else str(case)
    return text.replace(PREFIX, "own.")


def a_request(url: str = URL, timeout: int = 5000) -> Outgoing:
    return Outgoing(url, "POST", [("content-type", "text/plain")], b"hello", timeout)


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


# --- what is blocked ------------------------------------------------------------------------


def test_the_listener_would_notice() -> None:
    with (
        pytest.raises(AssertionError),
        nobody_calls(CLOSED),
        socket.create_connection((CLOSED, PORT)),
    ):
        pass


@pytest.mark.parametrize(
    "addresses",
    [
        [CLOSED],
        ["127.0.0.1"],
        ["::1"],
        [ALLOWED, CLOSED],
        [CLOSED, ALLOWED],
        [ALLOWED, "::1"],
        [ALLOWED] * 3 + [f"{PREFIX}{last}" for last in range(3, 90)] + [CLOSED],
        [f"::ffff:{CLOSED}"],
        [f"::ffff:{ALLOWED}"],  # the range is opened for IPv4, not for what is mapped to it
        [f"::{CLOSED}"],
        ["64:ff9b::7f00:1"],
        ["64:ff9b::a9fe:a9fe"],
        ["0.0.0.0"],
        ["::"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["fe80::1"],
        ["100.64.0.1"],
        ["224.0.0.1"],
        ["2002:7f00:1::"],
    ],
    ids=name_of,
)
def test_a_name_with_a_closed_address(run: Run, addresses: Sequence[str]) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        with nobody_calls(ALLOWED, CLOSED, "127.0.0.1", "::1"):
            answer = await sender.send(a_request())
        assert (answer.failure, answer.status) == ("blocked_address", None)
        assert answer.detail == "the host has an address that may not be called"
        assert server.look_ups(NAME) == 1

    run({NAME: Reply(addresses)}, body)


def test_a_name_whose_alias_leads_to_loopback(run: Run) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        with nobody_calls("127.0.0.1", "::1"):
            assert (await sender.send(a_request())).failure == "blocked_address"

    run({NAME: Reply(("127.0.0.1",), aliases=("localhost",))}, body)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", CLOSED, f"[::ffff:{ALLOWED}]", "localhost", "2130706433", "127.1"],
    ids=name_of,
)
def test_closed_literals(run: Run, host: str) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        with nobody_calls(CLOSED, "127.0.0.1", "::1"):
            answer = await sender.send(a_request(f"https://{host}:{PORT}/"))
        assert answer.failure == "blocked_address"
        assert server.asked == []

    run({}, body)


def test_loopback_rules_open_no_name(authority: Authority) -> None:
    """In development, too, only the three spellings lead to the machine itself."""

    async def body() -> None:
        async with dns_server({NAME: Reply(("127.0.0.1",))}) as server:
            rules = TargetRules(loopback=True)
            sender = CurlSender(rules, resolver=DnsResolver([server.address]))
            with nobody_calls("127.0.0.1"):
                assert (await sender.send(a_request())).failure == "blocked_address"
            await sender.close()

    asyncio.run(body())


def test_answers_that_change(run: Run, authority: Authority) -> None:
    """A kept connection to the old address is no way around the new answer (F55)."""

    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(NAME)) as one:
            with nobody_calls(CLOSED):
                failures = [(await sender.send(a_request())).failure for _ in range(4)]
            assert failures == [None, "blocked_address", "blocked_address", None]
            assert (len(one.requests), one.connections) == (2, 1)

    good, bad = Reply((ALLOWED,), ttl=0), Reply((CLOSED,), ttl=0)
    run({NAME: [good, bad, bad, good]}, body)


def test_answers_that_change_while_one_is_kept(run: Run, authority: Authority) -> None:
    """Within its TTL an answer is the answer; and it is the checked one that is dialled."""

    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(NAME)):
            with nobody_calls(CLOSED):
                assert [(await sender.send(a_request())).status for _ in range(3)] == [200] * 3
        assert server.look_ups(NAME) == 1

    run({NAME: [Reply((ALLOWED,), ttl=60), Reply((CLOSED,), ttl=60)]}, body)


# --- libcurl by itself ----------------------------------------------------------------------


async def transfer(exchange: Exchange, transfers: Transfers, url: str, route: Route) -> Answer:
    request = Outgoing(url, "GET", (), b"", 2000)
    exchange.prepare(request, route)
    try:
        return exchange.answer(await transfers.start(exchange.curl), request, 0)
    finally:
        transfers.drop(exchange.curl)
        exchange.clear()


@pytest.mark.parametrize(
    ("host", "route"),
    [
        # What it was told isn't what was checked: another call's pins, say.
        (NAME, Route((ALLOWED,), (f"+{NAME}:{PORT}:{CLOSED}",))),
        (NAME, Route((ALLOWED,), (f"+{NAME}:{PORT}:[::1],127.0.0.1",))),
        # Nothing stands in the way of its own look-up: `localhost` needs no name server.
        ("localhost", Route((ALLOWED,))),
        # An address.
        (CLOSED, Route((ALLOWED,))),
        ("[::1]", Route((ALLOWED,))),
        (f"[::ffff:{CLOSED}]", Route((ALLOWED,))),
        ("0x7f000001", Route((ALLOWED,))),
    ],
    ids=name_of,
)
def test_the_gate_sees_what_is_dialled(authority: Authority, host: str, route: Route) -> None:
    async def body() -> None:
        transfers = Transfers(10)
        exchange = Exchange(RULES.addresses, CONNECT, str(authority.bundle))
        with nobody_calls(ALLOWED, CLOSED, "127.0.0.1", "::1"):
            answer = await transfer(exchange, transfers, f"https://{host}:{PORT}/", route)
        assert answer.failure == "blocked_address"
        assert answer.detail == "the host has an address that may not be called"
        await transfers.close()

    asyncio.run(body())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "unknown.example.org"])
def test_no_look_up_of_its_own(authority: Authority, host: str) -> None:
    """The pins are for another name, so libcurl has none for this one."""

    async def body() -> None:
        transfers = Transfers(10)
        exchange = Exchange(RULES.addresses, CONNECT, str(authority.bundle))
        route = Route((ALLOWED,), (f"+{NAME}:{PORT}:{ALLOWED}",))
        with nobody_calls("127.0.0.1", "::1"):
            answer = await transfer(exchange, transfers, f"https://{host}:{PORT}/", route)
        assert answer.failure == "blocked_address"
        assert answer.detail == "the host's addresses were not checked"
        await transfers.close()

    asyncio.run(body())


def test_a_refused_call_leaves_the_handle_usable(authority: Authority) -> None:
    async def body() -> None:
        transfers = Transfers(10)
        exchange = Exchange(RULES.addresses, CONNECT, str(authority.bundle))
        bad = Route((ALLOWED,), (f"+{NAME}:{PORT}:{CLOSED}",))
        good = Route((ALLOWED,), (f"+{NAME}:{PORT}:{ALLOWED}",))
        silent = Route((SECOND,), (f"+{NAME}:{PORT}:{SECOND}",))
        async with endpoint(authority.issue(NAME)):
            for route, failure in [
                (bad, "blocked_address"),
                (silent, "connect"),  # nobody listens there, which is another matter
                (good, None),
                (bad, None),  # takes the connection that is kept: it leads where it may
            ]:
                answer = await transfer(exchange, transfers, URL, route)
                assert answer.failure == failure
        refused = await transfer(exchange, transfers, f"https://{NAME}:443/", good)
        assert refused.failure == "blocked_address"  # pins are for one port
        await transfers.close()

    asyncio.run(body())


def test_sockets_are_not_for_children(run: Run, authority: Authority) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(NAME)) as one:
            assert (await sender.send(a_request())).status == 200
            inherited = []
            for fd in map(int, os.listdir("/proc/self/fd")):
                with contextlib.suppress(OSError):  # the descriptor of the listing is gone
                    if fd > 2 and os.get_inheritable(fd):
                        inherited.append(os.readlink(f"/proc/self/fd/{fd}"))
            assert not [path for path in inherited if path.startswith("socket:")]
            assert one.connections == 1

    run({NAME: Reply((ALLOWED,))}, body)


# --- what is called, and by which name ------------------------------------------------------


def test_a_pinned_name_stays_the_name(run: Run, authority: Authority) -> None:
    seen: list[str | None] = []

    def note(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        seen.append(name)

    async def body(sender: CurlSender, server: DnsServer) -> None:
        context = authority.issue(NAME)
        context.sni_callback = note
        async with endpoint(context) as one:
            for _ in range(5):
                answer = await sender.send(a_request())
                assert (answer.status, answer.body) == (200, b"ok")
            assert dict(one.headers())["Host"] == f"{NAME}:{PORT}"
            assert one.connections == 1
        assert seen == [NAME]

    run({NAME: Reply((ALLOWED,))}, body)


@pytest.mark.parametrize(
    ("hosts", "days", "by_itself"),
    [
        (["other.example.org"], 1, False),
        (["example.org", "*.hook.example.org"], 1, False),
        ([ALLOWED], 1, False),  # the address that was pinned is not what is proven
        ([NAME], -1, False),
        ([NAME], 1, True),
    ],
    ids=["other-name", "near-names", "the-address", "expired", "self-signed"],
)
def test_certificates_that_do_not_count(
    run: Run, authority: Authority, hosts: Sequence[str], days: int, by_itself: bool
) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        context = authority.issue(*hosts, days=days, by_itself=by_itself)
        async with endpoint(context) as one:
            assert (await sender.send(a_request())).failure == "tls"
            assert one.requests == []

    run({NAME: Reply((ALLOWED,))}, body)


def test_an_allowed_literal(run: Run, authority: Authority) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(ALLOWED)):
            assert (await sender.send(a_request(f"https://{ALLOWED}:{PORT}/"))).status == 200
        assert server.asked == []

    run({}, body)


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (NXDOMAIN, "the host name does not exist"),
        (Reply(), "the host name has no address"),
        (SERVFAIL, "the name server failed"),
        (SILENT, f"the host name was not resolved within {CONNECT} ms"),
    ],
    ids=["NXDOMAIN", "no-address", "SERVFAIL", "silence"],
)
def test_names_that_are_not_resolved(run: Run, reply: Reply, detail: str) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        answer = await sender.send(a_request())
        assert (answer.failure, answer.detail) == ("dns", detail)
        assert answer.duration < CONNECT + 1000

    run({NAME: reply}, body)


def test_a_silent_name_server_within_a_short_deadline(run: Run) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        answer = await sender.send(a_request(timeout=100))
        assert (answer.failure, answer.detail) == ("timeout", "no complete answer within 100 ms")
        assert 95 <= answer.duration < 1100  # uvloop counts whole milliseconds

    run({NAME: SILENT}, body)


@pytest.mark.parametrize(
    ("tls", "timeout", "failure", "least"),
    [(True, 600, "timeout", 600), (False, 5000, "tls", CONNECT)],
    ids=["all", "connect-part"],
)
def test_the_look_up_is_part_of_the_deadline(
    run: Run, authority: Authority, tls: bool, timeout: int, failure: str, least: int
) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(NAME) if tls else None, reply=hang):
            answer = await sender.send(a_request(timeout=timeout))
        assert answer.failure == failure
        assert least - 5 <= answer.duration < least + 150

    run({NAME: Reply((ALLOWED,), delay=0.2)}, body)


def test_a_silent_name_server_holds_up_no_other(run: Run, authority: Authority) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(NAME)):
            stuck = [
                asyncio.ensure_future(
                    sender.send(a_request(f"https://{number}.silent.example.org/"))
                )
                for number in range(50)
            ]
            started = time.monotonic()
            for _ in range(50):
                assert (await sender.send(a_request())).status == 200
            took = time.monotonic() - started
            answers = await asyncio.gather(*stuck)
        assert {answer.failure for answer in answers} == {"dns"}
        assert max(answer.duration for answer in answers) < CONNECT + 1000
        assert took < CONNECT / 1000, "before any of the stuck ones has given up"

    silent = {f"{number}.silent.example.org": SILENT for number in range(50)}
    run({**silent, NAME: Reply((ALLOWED,))}, body)


@pytest.mark.parametrize(
    "reply",
    [
        Reply((SECOND, ALLOWED)),
        Reply((ALLOWED, SECOND)),
        Reply((ALLOWED,), aliases=("b.example.org", "c.example.net")),
        Reply([f"{PREFIX}{last}" for last in range(100, 0, -1)]),
    ],
    ids=["first-refuses", "second-refuses", "CNAMEs", "100-addresses"],
)
def test_whichever_address_answers(run: Run, authority: Authority, reply: Reply) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(NAME)) as one:
            answer = await sender.send(a_request(timeout=10_000))
            assert (answer.status, answer.failure) == (200, None)
            assert len(one.requests) == 1

    run({NAME: reply}, body)


@pytest.mark.parametrize(("ttl", "look_ups"), [(60, 1), (0, 5)])
def test_how_often_a_name_is_looked_up(
    run: Run, authority: Authority, ttl: int, look_ups: int
) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        async with endpoint(authority.issue(NAME)) as one:
            for _ in range(5):
                assert (await sender.send(a_request())).status == 200
            assert one.connections == 1
        assert server.look_ups(NAME) == look_ups

    run({NAME: Reply((ALLOWED,), ttl=ttl)}, body)


def test_a_name_that_moves_is_followed(run: Run, authority: Authority) -> None:
    """The old connection is used as long as it lives, then it's the new address's turn."""

    async def body(sender: CurlSender, server: DnsServer) -> None:
        context = authority.issue(NAME)
        async with endpoint(context, ALLOWED) as old, endpoint(context, SECOND) as new:
            assert (await sender.send(a_request())).status == 200
            assert (await sender.send(a_request())).status == 200
            assert (len(old.requests), len(new.requests)) == (2, 0)
            await old.stop()
            assert (await sender.send(a_request())).status == 200
            assert (len(old.requests), len(new.requests)) == (2, 1)

    run({NAME: [Reply((ALLOWED,), ttl=0), Reply((SECOND,), ttl=0)]}, body)


def test_closing_while_a_name_is_looked_up(run: Run) -> None:
    async def body(sender: CurlSender, server: DnsServer) -> None:
        call = asyncio.ensure_future(sender.send(a_request()))
        while not server.asked:
            await asyncio.sleep(0)
        await sender.close()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(RuntimeError):
            await sender.send(a_request())

    run({NAME: SILENT}, body)
