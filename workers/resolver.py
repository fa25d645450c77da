"""From host names to addresses, on the loop: no look-up waits for another one.

`DnsResolver` is c-ares. Every look-up has a channel of its own, because c-ares keeps answers for up
to an hour, failures too, and pycares (5.2) has no switch for that. A channel costs 100 µs, and
nothing outlives it: no answer, no old `resolv.conf`. aiodns 4 has one channel for all, which it
drives from a thread.

Sources: https://c-ares.org/docs.html, RFC 1035, RFC 6761 (localhost), RFC 7686 (onion).
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol

import pycares

from lambdaqueue.errors import ConfigurationError

__all__ = ["MAX_ADDRESSES", "DnsResolver", "NotResolved", "Resolver"]

QUERY_TIMEOUT: Final = 1.0
"""Seconds for a name server's answer before the next one is asked. The second round takes twice
that: with two servers, a dead one costs a second, two dead ones the connect part (5 s)."""

TRIES: Final = 2
"""How often each name server is asked."""

LOOK_UP_LIMIT: Final = 6.0
"""Seconds after which a look-up is given up that nobody may be waiting for any more."""

KEEP: Final = 30.0
"""Seconds for which an answer is kept at most, whatever its TTL."""

KEPT_NAMES: Final = 4_096
"""Names whose answers are kept; beyond that the oldest goes."""

MAX_ADDRESSES: Final = 256
"""Addresses of one name. Each is checked on every attempt, and an answer may hold 4 000."""

FLAGS: Final = (
    pycares.ARES_FLAG_NOSEARCH  # the name as it stands, no domains of resolv.conf behind it
    | pycares.ARES_FLAG_NOALIASES  # no $HOSTALIASES
    | pycares.ARES_FLAG_EDNS  # c-ares's default: longer answers over UDP, cookies
)

NO_SORT: Final = 1 << 7
"""ARES_AI_NOSORT, which pycares doesn't name. Sorting by RFC 6724 opens a socket for each
address; the order in which the name server gave them spreads the load."""

DETAILS: Final[Mapping[int, str]] = {
    pycares.errno.ARES_ENOTFOUND: "the host name does not exist",
    pycares.errno.ARES_ENODATA: "the host name has no address",
    pycares.errno.ARES_EBADNAME: "the host name is not valid",
    pycares.errno.ARES_ETIMEOUT: "the name server did not answer",
    pycares.errno.ARES_ECONNREFUSED: "the name server can't be reached",
}
FAILED: Final = "the name server failed"

DNS_PORT: Final = 53
WITH_PORT: Final = re.compile(r"(\[[^\]]+\]|[^:]+):([0-9]{1,5})")


class NotResolved(Exception):
    """Raised when a host name leads to no address; the text says why, in our own words."""


class Resolver(Protocol):
    """What the sender needs of a look-up."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Return all addresses of `host`, at least one.

        Raises:
            NotResolved: it has none, or nobody could tell.
        """

    async def close(self) -> None:
        """Give up the look-ups that are out; their callers are cancelled."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The addresses of a name, and for how many seconds they may be kept."""

    addresses: tuple[str, ...]
    ttl: float


class DnsResolver:
    """Asks the system's name servers, or `servers` instead: "ip" or "ip:port", IPv6 as "[ip]:port".

    Honours `/etc/hosts`, and of `resolv.conf` the servers and their options, both read anew for
    every look-up; the order of the two as `nsswitch.conf` has it. `localhost` and names below it
    are loopback, `onion` doesn't exist, neither is asked of anybody. Doesn't honour search
    domains, `HOSTALIASES`, `gai.conf` and what else `nsswitch.conf` names (mDNS, LDAP).

    A and AAAA are one look-up, and all who want the same name at the same time share it. Answers
    are kept for their TTL, at most `KEEP`; those of `/etc/hosts` and failures aren't. Belongs to
    the loop it was made in.

    Raises:
        ConfigurationError: one of `servers` is no address.
    """

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._servers = [_server(word) for word in servers]
        self._loop = asyncio.get_running_loop()
        self._kept: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._asked: dict[str, asyncio.Task[_Found | str]] = {}
        self._closed = False

    async def resolve(self, host: str) -> Sequence[str]:
        """See `Resolver.resolve`. A caller who is cancelled leaves the look-up to the others."""
        until, addresses = self._kept.get(host, (0.0, ()))
        if until > self._loop.time():
            return addresses
        outcome = await asyncio.shield(self._asked.get(host) or self._ask(host))
        if isinstance(outcome, str):
            raise NotResolved(outcome)
        return outcome.addresses

    def _ask(self, host: str) -> asyncio.Task[_Found | str]:
        if self._closed:
            raise RuntimeError("the resolver is closed")
        task = self._asked[host] = self._loop.create_task(self._look_up(host))
        task.add_done_callback(lambda _: self._asked.pop(host))
        return task

    async def _look_up(self, host: str) -> _Found | str:
        """Return what was found, or why nothing was: the waiters may be gone by now."""
        try:
            async with asyncio.timeout(LOOK_UP_LIMIT):
                outcome = await _LookUp(self._loop, self._servers).outcome(host)
        except TimeoutError:
            return DETAILS[pycares.errno.ARES_ETIMEOUT]
        except pycares.AresError:
            return FAILED
        if isinstance(outcome, _Found):
            self._keep(host, outcome)
        return outcome

    def _keep(self, host: str, found: _Found) -> None:
        self._kept.pop(host, None)
        if found.ttl <= 0:
            return
        if len(self._kept) >= KEPT_NAMES:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = (self._loop.time() + min(found.ttl, KEEP), found.addresses)

    async def close(self) -> None:
        """See `Resolver.close`."""
        self._closed = True
        asked = list(self._asked.values())
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


class _LookUp:
    """One look-up: a c-ares channel whose sockets and timer the loop watches."""

    def __init__(self, loop: asyncio.AbstractEventLoop, servers: Sequence[str]) -> None:
        self._loop = loop
        self._sockets: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._outcome: asyncio.Future[_Found | str] = loop.create_future()
        self._channel = pycares.Channel(
            flags=FLAGS,
            timeout=QUERY_TIMEOUT,
            tries=TRIES,
            servers=servers,
            sock_state_cb=self._watch,
        )

    async def outcome(self, host: str) -> _Found | str:
        """Return the addresses of `host`, or why there are none."""
        try:
            self._channel.getaddrinfo(
                host, None, type=socket.SOCK_STREAM, flags=NO_SORT, callback=self._answered
            )
            self._arm()
            return await self._outcome
        finally:
            self._close()

    def _answered(self, result: pycares.AddrInfoResult | None, status: int | None) -> None:
        if self._closed or self._outcome.done():
            return
        if result is None or not result.nodes:
            self._outcome.set_result(DETAILS.get(status or 0, FAILED))
        elif len(result.nodes) > MAX_ADDRESSES:
            self._outcome.set_result(f"the host name has more than {MAX_ADDRESSES} addresses")
        else:
            self._outcome.set_result(_found(result))

    def _watch(self, fd: int, readable: bool, writable: bool) -> None:
        if self._closed:
            return  # pycares takes the channel down in a thread of its own, and tells us from there
        if readable:
            self._loop.add_reader(fd, self._process, fd, pycares.ARES_SOCKET_BAD)
        else:
            self._loop.remove_reader(fd)
        if writable:
            self._loop.add_writer(fd, self._process, pycares.ARES_SOCKET_BAD, fd)
        else:
            self._loop.remove_writer(fd)
        if readable or writable:
            self._sockets.add(fd)
        else:
            self._sockets.discard(fd)

    def _process(self, readable: int, writable: int) -> None:
        self._channel.process_fd(readable, writable)
        self._arm()

    def _arm(self) -> None:
        """Come back when c-ares would repeat a query, or ask the next server."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._outcome.done():
            bad = pycares.ARES_SOCKET_BAD
            self._timer = self._loop.call_later(
                max(_next_timeout(self._channel), 0.001), self._process, bad, bad
            )

    def _close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for fd in self._sockets:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._channel.close()


def _next_timeout(channel: pycares.Channel) -> float:
    seconds: float = channel.timeout()  # type: ignore[no-untyped-call]
    return seconds


def _found(result: pycares.AddrInfoResult) -> _Found:
    addresses = tuple(dict.fromkeys(node.addr[0].decode("ascii") for node in result.nodes))
    ttl = min([node.ttl for node in result.nodes] + [cname.ttl for cname in result.cnames])
    return _Found(addresses, ttl)


def _server(word: str) -> str:
    """Return `word` as "ip:port"."""
    found = WITH_PORT.fullmatch(word)
    text, port = (found[1].strip("[]"), int(found[2])) if found else (word, DNS_PORT)
    try:
        address = ip_address(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65_535:
        raise ConfigurationError("LQ_DNS_SERVERS: write addresses, like 10.0.0.2 or [fd00::2]:5353")
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"
