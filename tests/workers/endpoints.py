"""Endpoints on real sockets that answer byte by byte what a test wants, however wrong."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

__all__ = ["CERTIFICATE", "Endpoint", "Reply", "endpoint", "full_backlog", "reset", "tls_context"]

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
"""A throw-away key and its certificate for 127.0.0.1, which nobody has signed."""

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Endpoint:
    """What came in: every request as its bytes, and how many connections there were."""

    def __init__(self, reply: Reply | bytes) -> None:
        self._reply = reply
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = asyncio.Event()
        self.came = asyncio.Event()
        self.url = ""
        self.port = 0

    def heads(self) -> list[str]:
        """Return the head of every request, without the blank line."""
        return [request.partition(b"\r\n\r\n")[0].decode() for request in self.requests]

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers of the last request, in their order."""
        lines = self.heads()[-1].split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until the client goes away."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()
            self.gone.set()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _read_request(reader):
            self.requests.append(request)
            self.came.set()
            if isinstance(self._reply, bytes):
                writer.write(self._reply)
            else:
                await self._reply(writer)
            if writer.is_closing():
                return

    async def stop(self) -> None:
        """Cut all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


def tls_context() -> ssl.SSLContext:
    """Return the server's side of TLS with `CERTIFICATE`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@contextlib.asynccontextmanager
async def endpoint(
    reply: Reply | bytes, context: ssl.SSLContext | None = None
) -> AsyncIterator[Endpoint]:
    """Run an endpoint that sends `reply`, or lets it write, for each request."""
    one = Endpoint(reply)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=context)
    one.port = server.sockets[0].getsockname()[1]
    one.url = f"{'https' if context else 'http'}://127.0.0.1:{one.port}/hook"
    try:
        yield one
    finally:
        server.close()
        await one.stop()


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off with a RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@contextlib.asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """Give the URL of a port that drops every SYN: its queue is full and nobody accepts."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(loop.sock_connect(filler, address), 0.1)
        yield f"http://127.0.0.1:{address[1]}/"
