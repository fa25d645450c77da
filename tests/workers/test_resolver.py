"""DnsResolver against a real name server (faults F54, F55), on both loops."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pycares
import pytest
import uvloop

from lambdaqueue.errors import ConfigurationError
from tests.workers.dns_server import (
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    SILENT,
    DnsServer,
    Reply,
    dns_server,
)
from workers import resolver as subject
from workers.resolver import MAX_ADDRESSES, DnsResolver, NotResolved

Script = Mapping[str, Sequence[Reply] | Reply]
Body = Callable[[DnsResolver, DnsServer], Awaitable[None]]
Run = Callable[[Script, Body], None]

ONE = Reply(("192.0.2.1",))
MANY = [f"198.18.{number >> 8}.{number & 255}" for number in range(MAX_ADDRESSES + 1)]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a test body with a resolver and the name server that it asks."""

    async def serve(script: Script, body: Body) -> None:
        async with dns_server(script) as server:
            resolver = DnsResolver([server.address])
            try:
                await body(resolver, server)
            finally:
                await resolver.close()

    def run(script: Script, body: Body) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(serve(script, body))

    return run


@pytest.mark.parametrize(
    ("reply", "addresses"),
    [
        (ONE, ["192.0.2.1"]),
        (Reply(("2001:db8::1",)), ["2001:db8::1"]),
        (Reply(("192.0.2.1", "2001:db8::1")), ["192.0.2.1", "2001:db8::1"]),
        (Reply(("192.0.2.2", "192.0.2.1")), ["192.0.2.2", "192.0.2.1"]),
        (Reply(("192.0.2.1", "192.0.2.1")), ["192.0.2.1"]),
        (Reply(("::ffff:127.0.0.1",)), ["::ffff:127.0.0.1"]),
        (Reply(("192.0.2.1",), aliases=("b.example", "c.test", "d")), ["192.0.2.1"]),
        (Reply(MANY[:100]), MANY[:100]),
    ],
    ids=["A", "AAAA", "both", "order-kept", "twice", "mapped", "CNAMEs", "100-over-TCP"],
)
def test_addresses(run: Run, reply: Reply, addresses: Sequence[str]) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        started = time.monotonic()
        found = await resolver.resolve("a.example")
        assert time.monotonic() - started < 0.9  # nothing waited for a timer
        assert sorted(found) == sorted(addresses)
        for family in (":", "."):  # A and AAAA come in any order
            kind = [text for text in found if family in text]
            assert kind == [text for text in addresses if family in text]
        assert bool(server.over_tcp) == (len(addresses) == 100)

    run({"a.example": reply}, body)


@pytest.mark.parametrize(
    ("host", "detail"),
    [
        ("absent.example", "the host name does not exist"),
        ("empty.example", "the host name has no address"),
        ("broken.example", "the name server failed"),
        ("refused.example", "the name server failed"),
        ("crowd.example", f"the host name has more than {MAX_ADDRESSES} addresses"),
        ("dangling.example", "the host name does not exist"),
        ("a..example", "the host name is not valid"),
        ("a" * 64 + ".example", "the host name is not valid"),
        ("x.onion", "the host name does not exist"),
    ],
)
def test_names_that_lead_nowhere(run: Run, host: str, detail: str) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        with pytest.raises(NotResolved) as caught:
            await resolver.resolve(host)
        assert str(caught.value) == detail
        assert all(name == host for name, _ in server.asked)  # RFC 7686: never an onion's

    script = {
        "empty.example": Reply(),
        "broken.example": SERVFAIL,
        "refused.example": REFUSED,
        "crowd.example": Reply(MANY),
        "dangling.example": Reply(aliases=("b.example",), rcode=3),
    }
    run(script, body)


def test_one_family_may_fail(run: Run) -> None:
    """Name servers that choke on AAAA are about; the A records count then."""

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        assert await resolver.resolve("a.example") == ("192.0.2.1",)
        assert ("a.example", 28) in server.asked

    run({"a.example": Reply(("192.0.2.1",), whole=False)}, body)


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (Reply(("192.0.2.1",), ttl=60), 1),
        (Reply(("192.0.2.1",), ttl=0), 3),
        (Reply(("192.0.2.1", "2001:db8::1"), ttl=0), 3),
        (Reply(("192.0.2.1",), aliases=("b.example",), alias_ttl=0), 3),
        (NXDOMAIN, 3),
        (Reply(), 3),
        (SERVFAIL, 3 * subject.TRIES),
    ],
    ids=["TTL-60", "TTL-0", "TTL-0-both", "CNAME-TTL-0", "NXDOMAIN", "no-address", "SERVFAIL"],
)
def test_what_is_kept(run: Run, reply: Reply, asked: int) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        for _ in range(3):
            await asyncio.gather(resolver.resolve("a.example"), return_exceptions=True)
        assert server.look_ups("a.example") == asked
        assert len(resolver._kept) == int(asked == 1)

    run({"a.example": reply}, body)


@pytest.mark.parametrize(
    ("ttl", "kept"), [(1, 1.0), (29, 29.0), (30, 30.0), (31, 30.0), (86_400, 30.0)]
)
def test_how_long_an_answer_is_kept(run: Run, ttl: int, kept: float) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        await resolver.resolve("a.example")
        took = time.monotonic() - started
        until = resolver._kept["a.example"][0] - loop.time()
        assert kept - took - 0.5 < until <= kept

        async def later(seconds: float) -> Sequence[str]:
            known = resolver._kept["a.example"]
            resolver._kept["a.example"] = (known[0] - seconds, known[1])
            return await resolver.resolve("a.example")

        assert await later(kept * 0.4) == ("192.0.2.1",)
        assert await later(kept * 0.7) == ("192.0.2.2",)
        assert server.look_ups("a.example") == 2

    run({"a.example": [Reply(("192.0.2.1",), ttl), Reply(("192.0.2.2",), ttl)]}, body)


def test_names_that_are_kept_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "KEPT_NAMES", 3)
    names = [f"{letter}.example" for letter in "abcde"]

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        for name in [*names, *reversed(names)]:
            await resolver.resolve(name)
        # c, d and e were still known; then b and a were asked for again.
        assert [server.look_ups(name) for name in names] == [2, 2, 1, 1, 1]
        assert len(resolver._kept) == 3

    run(dict.fromkeys(names, ONE), body)


def test_those_who_want_the_same_share_one_look_up(run: Run) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        found = await asyncio.gather(*(resolver.resolve("a.example") for _ in range(50)))
        assert set(found) == {("192.0.2.1",)}
        assert server.look_ups("a.example") == 1

    run({"a.example": Reply(("192.0.2.1",), ttl=0)}, body)


def test_who_is_cancelled_leaves_the_look_up_to_the_others(run: Run) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        first, second = (asyncio.ensure_future(resolver.resolve("a.example")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == ("192.0.2.1",)
        assert first.cancelled()
        assert server.look_ups("a.example") == 1

    run({"a.example": ONE}, body)


def test_a_look_up_that_nobody_waits_for_ends_quietly(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "LOOK_UP_LIMIT", 0.05)

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver.resolve("a.example")
        (task,) = resolver._asked.values()
        assert await task == "the name server did not answer"
        assert time.monotonic() - started < 0.9  # before c-ares gives up
        await asyncio.sleep(0)
        assert not resolver._asked

    run({"a.example": SILENT}, body)


def test_silence_holds_up_no_other(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "QUERY_TIMEOUT", 0.1)

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        started = time.monotonic()
        stuck = [
            asyncio.ensure_future(resolver.resolve(f"{number}.silent.example"))
            for number in range(50)
        ]
        for number in range(20):
            assert await resolver.resolve(f"{number}.fine.example") == ("192.0.2.1",)
        assert not any(task.done() for task in stuck) or time.monotonic() - started > 0.3
        ended = await asyncio.gather(*stuck, return_exceptions=True)
        assert {str(error) for error in ended} == {"the name server did not answer"}
        assert time.monotonic() - started < 5

    fine = {f"{number}.fine.example": ONE for number in range(20)}
    run({**fine, **{f"{number}.silent.example": SILENT for number in range(50)}}, body)


def test_a_dead_first_server_leaves_time_to_connect() -> None:
    """It costs one QUERY_TIMEOUT of the 5 s in which a connection must stand."""

    async def body() -> None:
        script = {"a.example": SILENT}
        async with dns_server(script) as dead, dns_server({"a.example": ONE}) as alive:
            resolver = DnsResolver([dead.address, alive.address])
            started = time.monotonic()
            assert await resolver.resolve("a.example") == ("192.0.2.1",)
            assert 0.9 < time.monotonic() - started < 2.5
            await resolver.close()

    asyncio.run(body())


def test_a_closed_port_is_no_reason_to_wait() -> None:
    async def body() -> None:
        async with dns_server({"a.example": ONE}) as gone:
            pass
        async with dns_server({"a.example": ONE}) as alive:
            started = time.monotonic()
            resolver = DnsResolver([gone.address, alive.address])
            assert await resolver.resolve("a.example") == ("192.0.2.1",)
            await resolver.close()
            resolver = DnsResolver([gone.address])
            with pytest.raises(NotResolved, match="name server can't be reached"):
                await resolver.resolve("a.example")
            await resolver.close()
            assert time.monotonic() - started < 0.9

    asyncio.run(body())


def test_close_cancels_what_is_out(run: Run) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        waiting = asyncio.ensure_future(resolver.resolve("a.example"))
        while not server.asked:
            await asyncio.sleep(0)
        await resolver.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(RuntimeError, match="closed"):
            await resolver.resolve("a.example")

    run({"a.example": SILENT}, body)


def test_what_is_given_up_is_no_longer_watched(run: Run) -> None:
    """The numbers of its sockets go to the next look-ups, which must be able to watch them."""

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        for number in range(20):
            given_up = DnsResolver([server.address])
            waiting = asyncio.ensure_future(given_up.resolve(f"{number}.silent.example"))
            while not server.look_ups(f"{number}.silent.example"):
                await asyncio.sleep(0)
            await given_up.close()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            async with asyncio.timeout(0.9):
                assert await resolver.resolve("a.example") == ("192.0.2.1",)

    silent = {f"{number}.silent.example": SILENT for number in range(20)}
    run({**silent, "a.example": Reply(("192.0.2.1",), ttl=0)}, body)


def test_the_name_as_it_stands(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither search domains nor HOSTALIASES make another name of it."""
    aliases = tmp_path / "aliases"
    aliases.write_text("single other.example\n")
    monkeypatch.setenv("HOSTALIASES", str(aliases))
    monkeypatch.setenv("LOCALDOMAIN", "corp.example")
    monkeypatch.setenv("RES_OPTIONS", "ndots:5")

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        for name in ("a.example", "single"):
            with pytest.raises(NotResolved):
                await resolver.resolve(name)
        assert {name for name, _ in server.asked} == {"a.example", "single"}

    run({}, body)


@pytest.mark.parametrize("host", ["localhost", "x.localhost"])
def test_localhost_is_asked_of_nobody(run: Run, host: str) -> None:
    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        assert set(await resolver.resolve(host)) == {"127.0.0.1", "::1"}
        assert server.asked == []

    run({}, body)


def test_etc_hosts_comes_first(run: Run) -> None:
    """Of its names nobody is asked, of others the server is. Not every machine has one in it."""
    with open("/etc/hosts") as file:
        lines = [line.partition("#")[0].split() for line in file]
    names = {line[1] for line in lines if len(line) > 1 and "localhost" not in line[1]}
    other = "not-in-the-hosts-file.example.org"

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        for name in names:
            assert await resolver.resolve(name) != ("192.0.2.1",)
        assert server.asked == []
        assert await resolver.resolve(other) == ("192.0.2.1",)
        assert server.asked != []

    run(dict.fromkeys({*names, other}, ONE), body)


def test_the_systems_name_servers() -> None:
    """Without `servers`, c-ares reads resolv.conf: what it finds there is what glibc would ask."""

    async def body() -> None:
        resolver = DnsResolver()
        look_up = subject._LookUp(asyncio.get_running_loop(), resolver._servers)
        expected = pycares.Channel(sock_state_cb=lambda *event: None).servers
        assert look_up._channel.servers == expected
        look_up._close()
        await resolver.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("word", "server"),
    [
        ("192.0.2.53", "192.0.2.53:53"),
        ("192.0.2.53:5353", "192.0.2.53:5353"),
        ("2001:db8::53", "[2001:db8::53]:53"),
        ("[2001:db8::53]", None),
        ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ("::53", "[::53]:53"),
        ("dns.example", None),
        ("192.0.2.53:0", None),
        ("192.0.2.53:65536", None),
        ("192.0.2.53:", None),
        ("192.0.2.053", None),
        ("", None),
        ("192.0.2.53,192.0.2.54", None),
        ("secret@192.0.2.53:53", None),
    ],
)
def test_servers(word: str, server: str | None) -> None:
    async def body() -> None:
        if server is None:
            with pytest.raises(ConfigurationError, match="LQ_DNS_SERVERS: write") as caught:
                DnsResolver([word])
            assert "secret" not in str(caught.value)
            return
        resolver = DnsResolver([word])
        look_up = subject._LookUp(asyncio.get_running_loop(), resolver._servers)
        assert look_up._channel.servers == [server]
        look_up._close()
        await resolver.close()

    asyncio.run(body())


def test_a_look_up_leaves_nothing_behind(run: Run) -> None:
    def left() -> tuple[int, int]:
        gc.collect()
        look_ups = sum(type(thing) is subject._LookUp for thing in gc.get_objects())
        return look_ups, len(os.listdir("/proc/self/fd"))

    async def body(resolver: DnsResolver, server: DnsServer) -> None:
        for _ in range(10):
            await resolver.resolve("a.example")
        before = left()
        for _ in range(200):
            await resolver.resolve("a.example")
        # pycares takes the channels down in a thread, which may still be at the last ones.
        async with asyncio.timeout(10):
            while any(now > was + 5 for was, now in zip(before, left(), strict=True)):
                await asyncio.sleep(0.01)
        assert not resolver._asked

    run({"a.example": Reply(("192.0.2.1",), ttl=0)}, body)
