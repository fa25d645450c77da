"""A proxy before Redis that loses, holds and delays what passes, on demand.

It runs in a thread of its own and knows of the protocol only that each request is followed by
its reply, and that a script's call carries the script's SHA.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Literal

from lambdaqueue.scripts import load

__all__ = ["Hold", "Proxy"]

CHUNK = 65_536
DEADLINE = 20.0


class Hold:
    """Holds the next call of a script, or the reply to it."""

    def __init__(self, proxy: Proxy, script: str, side: Literal["request", "reply"]) -> None:
        self._proxy = proxy
        self.side = side
        self.mark = load()[script].sha.encode()
        self.reached = threading.Event()
        self.open = asyncio.Event()
        self.lost = False

    def wait(self) -> None:
        """Return when it holds something."""
        assert self.reached.wait(DEADLINE), "nothing came that was to be held"

    def release(self) -> None:
        """Let it pass."""
        self._proxy.call(self.open.set)

    def lose(self) -> None:
        """Drop it, and the connection with it."""
        self.lost = True
        self.release()


class Proxy:
    """Listens at `url` for clients of the Redis that listens at `upstream`."""

    def __init__(self, upstream: Path, folder: Path) -> None:
        self._upstream = upstream
        self._socket = folder / "proxy.sock"
        self._holds: list[Hold] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._passing.set()
        self.delay = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._ready.wait(DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._loop.stop)
        self._thread.join(DEADLINE)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"unix://{self._socket}?db=0"

    def call(self, act: object) -> None:
        """Do something in the proxy's thread."""
        self._loop.call_soon_threadsafe(act)  # type: ignore[arg-type]

    def hold(self, script: str, side: Literal["request", "reply"]) -> Hold:
        """Hold the next call of `script`: before Redis gets it, or the reply to it."""
        hold = Hold(self, script, side)
        self._holds.append(hold)
        return hold

    def partition(self) -> None:
        """Pass nothing on any more, and say nothing of it."""
        self.call(self._passing.clear)

    def heal(self) -> None:
        """Pass everything on again, also what was sent meanwhile."""
        self.call(self._passing.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_unix_server(self._serve, str(self._socket))
        )
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                up_reader, up_writer = await asyncio.open_unix_connection(str(self._upstream))
                writers.append(up_writer)
                line = _Line(self, reader, writer, up_reader, up_writer)
                await line.carry()
        finally:
            self._tasks.discard(task)
            for each in writers:
                each.close()

    async def weather(self) -> None:
        """Wait as long as the network takes."""
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._passing.wait()

    def take_hold(self, sent: bytes) -> Hold | None:
        """Return the hold that a request is to be held by, once."""
        for hold in self._holds:
            if hold.mark in sent:
                self._holds.remove(hold)
                return hold
        return None


class _Line:
    """One client's connection."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._up_reader, self._up_writer = up_reader, up_writer
        self._reply_hold: Hold | None = None

    async def carry(self) -> None:
        """Carry both ways until one side closes."""
        ways = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _up(self) -> None:
        tail = b""
        while data := await self._reader.read(CHUNK):
            hold = self._proxy.take_hold(tail + data)
            tail = b"" if hold else data[-100:]
            if hold is not None and hold.side == "reply":
                self._reply_hold = hold
            elif hold is not None and not await _held(hold):
                return
            await self._proxy.weather()
            self._up_writer.write(data)
            await self._up_writer.drain()

    async def _down(self) -> None:
        while data := await self._up_reader.read(CHUNK):
            hold, self._reply_hold = self._reply_hold, None
            if hold is not None and not await _held(hold):
                return
            await self._proxy.weather()
            self._writer.write(data)
            await self._writer.drain()


async def _held(hold: Hold) -> bool:
    """Wait at `hold`; False when what it holds is to be lost."""
    hold.reached.set()
    await hold.open.wait()
    return not hold.lost
