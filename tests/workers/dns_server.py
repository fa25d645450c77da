"""A real name server on loopback, UDP and TCP, that answers by a script.

Source: RFC 1035 (messages), RFC 2308 (negative answers), RFC 6891 (EDNS).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from itertools import pairwise
from typing import cast

__all__ = ["NXDOMAIN", "REFUSED", "SERVFAIL", "SILENT", "DnsServer", "Reply", "dns_server"]

A, CNAME, SOA, AAAA = 1, 5, 6, 28
UDP_LIMIT = 1232
"""Bytes of an answer over UDP (DNS flag day 2020); a longer one is cut, and asked for over TCP."""

NEGATIVE_TTL = 3600
"""What an SOA record lets everybody keep a negative answer for."""


@dataclass(frozen=True)
class Reply:
    """What the server says of a name: addresses, perhaps behind a chain of CNAMEs.

    Each of A and AAAA gets the addresses of its family; without one the answer is empty, or a
    SERVFAIL where `whole` is false. It comes after `delay` seconds, or never if `silent`.
    """

    addresses: Sequence[str] = ()
    ttl: int = 60
    aliases: Sequence[str] = ()
    alias_ttl: int = 60
    rcode: int = 0
    whole: bool = True
    delay: float = 0.0
    silent: bool = False


SERVFAIL = Reply(rcode=2)
NXDOMAIN = Reply(rcode=3)
REFUSED = Reply(rcode=5)
SILENT = Reply(silent=True)


class DnsServer(asyncio.DatagramProtocol):
    """Answers look-ups. A name's replies are used one after the other, the last one for ever;
    a name that isn't in the script doesn't exist."""

    def __init__(self, script: Mapping[str, Sequence[Reply] | Reply]) -> None:
        self.script = dict(script)
        self.address = ""
        self.asked: list[tuple[str, int]] = []
        self.over_tcp = 0
        self._turns: Counter[tuple[str, int]] = Counter()
        self._transport: asyncio.DatagramTransport | None = None

    def look_ups(self, name: str) -> int:
        """Return how often the A records of `name` were asked for."""
        return self.asked.count((name, A))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.DatagramProtocol`."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a query that came over UDP."""
        name, kind, _ = _question(data)
        self.asked.append((name, kind))
        turn = self._turns[name, kind]
        self._turns[name, kind] += 1
        reply = self._reply(name, turn)
        if not reply.silent:
            answer = _answer(data, reply)
            fitting = answer if len(answer) <= UDP_LIMIT else _cut(answer)
            asyncio.get_running_loop().call_later(reply.delay, self._send, fitting, addr)

    def _send(self, answer: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the queries of a TCP connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                self.over_tcp += 1
                name, kind, _ = _question(query)
                # The turn of the answer that was cut.
                answer = _answer(query, self._reply(name, self._turns[name, kind] - 1))
                writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    def _reply(self, name: str, turn: int) -> Reply:
        script = self.script.get(name, NXDOMAIN)
        replies = [script] if isinstance(script, Reply) else script
        return replies[min(turn, len(replies) - 1)]


def _answer(query: bytes, reply: Reply) -> bytes:
    name, kind, end = _question(query)
    owners = [name, *reply.aliases]
    records = [
        _record(owner, CNAME, reply.alias_ttl, _encoded(alias)) for owner, alias in pairwise(owners)
    ]
    records += [
        _record(owners[-1], kind, reply.ttl, ip_address(text).packed)
        for text in reply.addresses
        if kind == (A if isinstance(ip_address(text), IPv4Address) else AAAA)
    ]
    soa = b"\0\0" + struct.pack("!5I", 1, 3600, 600, 86400, NEGATIVE_TTL)
    authority = [] if records else [_record("", SOA, NEGATIVE_TTL, soa)]
    rcode = reply.rcode if records or reply.whole else SERVFAIL.rcode
    # 0x8180: an answer, recursion desired and available.
    counts = (0x8180 | rcode, 1, len(records), len(authority), 0)
    return b"".join((query[:2], struct.pack("!5H", *counts), query[12:end], *records, *authority))


def _question(query: bytes) -> tuple[str, int, int]:
    """Return name and type that are asked for, and where the question ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), int.from_bytes(query[at + 1 : at + 3], "big"), at + 5


def _encoded(name: str) -> bytes:
    labels = name.split(".") if name else []
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def _record(owner: str, kind: int, ttl: int, data: bytes) -> bytes:
    return _encoded(owner) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def _cut(answer: bytes) -> bytes:
    """Return the question alone, with the TC bit: the whole is too long for UDP."""
    _, _, end = _question(answer)
    return answer[:2] + struct.pack("!5H", 0x8380, 1, 0, 0, 0) + answer[12:end]


@contextlib.asynccontextmanager
async def dns_server(
    script: Mapping[str, Sequence[Reply] | Reply],
) -> AsyncIterator[DnsServer]:
    """Run a name server; its `address` is what a resolver takes as a server."""
    loop = asyncio.get_running_loop()
    server = DnsServer(script)
    tcp, transport = await _listen(loop, server)
    try:
        yield server
    finally:
        transport.close()
        tcp.close()


async def _listen(
    loop: asyncio.AbstractEventLoop, server: DnsServer
) -> tuple[asyncio.Server, asyncio.DatagramTransport]:
    """Listen on one port with both: a free one for TCP may be taken for UDP."""
    while True:
        tcp = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = tcp.sockets[0].getsockname()[1]
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: server, local_addr=("127.0.0.1", port)
            )
        except OSError:
            tcp.close()
            continue
        server.address = f"127.0.0.1:{port}"
        return tcp, transport
