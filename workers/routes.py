"""Which addresses a call may go to: the two walls between a target and a closed network.

    Router.find(url) ─► Route ─► libcurl, told the addresses ─► Gate ─► socket
       one look-up, every               (CURLOPT_RESOLVE)        asked for each
       address checked                                           connection

The router refuses a name as a whole if one of its addresses is closed; nothing is opened then. The
gate sees the address that libcurl is about to connect to, wherever it has it from.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import pycurl

from lambdaqueue.addresses import AddressRules
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.outcome import ErrorClass
from lambdaqueue.targets import Destination, TargetRules
from workers.resolver import NotResolved, Resolver

__all__ = ["Gate", "NoRoute", "Route", "Router"]

KNOWN: Final = 1_024
"""URLs that are remembered with what they say, and names with their checked addresses."""

NO_SOCKET: Final[int] = pycurl.SOCKET_BAD
FINE: Final[int] = pycurl.SOCKOPT_OK

CLOSED: Final = "the host has an address that may not be called"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call may connect to.

    `pins` is what libcurl is told in place of a look-up (CURLOPT_RESOLVE). Without any, the host
    is an address or localhost, for which libcurl asks nobody.
    """

    addresses: tuple[str, ...]
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Why a call can't be made."""

    failure: ErrorClass
    detail: str


class Router:
    """Finds the route of a URL. `connect_timeout` (ms) bounds the look-up as well."""

    def __init__(self, rules: TargetRules, resolver: Resolver, connect_timeout: int) -> None:
        self._rules = rules
        self._resolver = resolver
        self._connect_timeout = connect_timeout
        self._plan = lru_cache(KNOWN)(self._read)
        self._checked = lru_cache(KNOWN)(self._check)

    async def find(self, url: str, timeout: int) -> Route | NoRoute:
        """Return the route of `url`, within `timeout` ms."""
        plan = self._plan(url)
        if not isinstance(plan, Destination):
            return plan
        try:
            async with asyncio.timeout(min(timeout, self._connect_timeout) / 1000):
                addresses = await self._resolver.resolve(plan.host)
        except NotResolved as error:
            return NoRoute(ErrorClass.DNS, str(error))
        except TimeoutError:
            return self._timed_out(timeout)
        return self._checked(plan.host, plan.port, tuple(addresses))

    def _timed_out(self, timeout: int) -> NoRoute:
        if timeout <= self._connect_timeout:
            return NoRoute(ErrorClass.TIMEOUT, f"no complete answer within {timeout} ms")
        limit = f"within {self._connect_timeout} ms"
        return NoRoute(ErrorClass.DNS, f"the host name was not resolved {limit}")

    def _read(self, url: str) -> Destination | Route | NoRoute:
        """Return what can be said of `url` by itself: a destination if it must be looked up."""
        try:
            destination = self._rules.destination(url)
        except InvalidRequest as refused:
            rule = refused.issues[0].code
            detail = f"the target's URL is not allowed here: {rule}"
            return NoRoute(ErrorClass.BLOCKED_ADDRESS, detail)
        # An address or localhost: the rules have judged it already.
        return Route(destination.addresses) if destination.addresses else destination

    def _check(self, host: str, port: int, addresses: tuple[str, ...]) -> Route | NoRoute:
        if not all(map(self._rules.addresses.permits, addresses)):
            return NoRoute(ErrorClass.BLOCKED_ADDRESS, CLOSED)
        listed = ",".join(f"[{text}]" if ":" in text else text for text in addresses)
        return Route(addresses, (f"+{host}:{port}:{listed}",))


class Address(NamedTuple):
    """What libcurl is about to connect to (pycurl's CurlSockAddr); `addr` begins with the IP."""

    family: int
    socktype: int
    protocol: int
    addr: tuple[str, int] | tuple[str, int, int, int]


class Gate:
    """Opens the sockets of one libcurl handle, to the addresses of its route and permitted ones.

    Others than the route's can come up when two calls to a name are out and its addresses have
    changed between them: libcurl keeps one list for both. `refused` tells whether an address was
    turned away since the last `admit`.
    """

    __slots__ = ("_route", "_rules", "refused")

    def __init__(self, curl: pycurl.Curl, rules: AddressRules) -> None:
        self._rules = rules
        self._route = Route(())
        self.refused = False
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._keep_from_children)
        curl.setopt(pycurl.RESOLVER_START_FUNCTION, self._forbids_look_up)

    def admit(self, route: Route) -> None:
        """Let the handle's next call take `route`, and no other."""
        self._route = route
        self.refused = False

    def _open(self, purpose: int, address: Address) -> socket.socket | int:
        host = address.addr[0]
        if host not in self._route.addresses and not self._rules.permits(host):
            self.refused = True
            return NO_SOCKET
        try:
            return _Lent(address.family, address.socktype, address.protocol)
        except OSError:  # no IPv6 here, or no descriptors left: libcurl tries the next address
            return NO_SOCKET

    def _keep_from_children(self, fd: int, purpose: int) -> int:
        os.set_inheritable(fd, False)  # pycurl's copy lost the flag
        return FINE

    def _forbids_look_up(self) -> int:
        """Tell libcurl whether to give up where it would look a name up: it has pins for that."""
        return int(bool(self._route.pins))


class _Lent(socket.socket):
    """A socket of which pycurl takes a copy; ours goes with the object, without a warning."""

    def __del__(self) -> None:
        self.close()
