"""libcurl's multi interface, driven by the running asyncio loop: no threads, no polling.

    Transfers.start(curl) -> Future[Ended]      libcurl asks through two callbacks for
            │                                   sockets to be watched and for one timer;
       socket_action  ◄── sockets, timer        what has ended is collected after each round
            │
        info_read ──► the futures

It knows nothing of HTTP. Source: https://curl.se/libcurl/c/libcurl-multi.html, "multi_socket".
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Callable
from typing import NamedTuple, Protocol

import pycurl

__all__ = ["Ended", "Transfers"]

Act = Callable[[int, int], None]
Collect = Callable[[], None]


class Ended(NamedTuple):
    """How a transfer ended: libcurl's result code (`pycurl.E_OK` is 0) and its error text."""

    code: int
    message: str


class Sockets(Protocol):
    """Watches the sockets that libcurl names and reports what they are ready for."""

    def watch(self, event: int, fd: int, multi: object, data: object) -> None:
        """Watch `fd` for `event` from now on (the signature of M_SOCKETFUNCTION)."""

    def close(self) -> None:
        """Watch nothing any more."""


class EpollSockets:
    """An epoll of our own inside the loop's: the loop sees one descriptor, whatever is ready
    is taken in one round, and neither handles nor futures are made per socket.

    Every watch is one-shot. A connection that libcurl put aside needs no call to be silenced,
    its next transfer one `epoll_ctl` to be heard again, and a stale entry can fire once at
    most. Against `add_reader` that saves about 15 µs per request.
    """

    MASKS = (
        {
            pycurl.POLL_NONE: 0,
            pycurl.POLL_IN: select.EPOLLIN | select.EPOLLONESHOT,
            pycurl.POLL_OUT: select.EPOLLOUT | select.EPOLLONESHOT,
            pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT | select.EPOLLONESHOT,
        }
        if sys.platform == "linux"
        else {}
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Act, collect: Collect) -> None:
        self._loop = loop
        self._act = act
        self._collect = collect
        self._epoll = select.epoll()
        self._wanted: dict[int, int] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def watch(self, event: int, fd: int, multi: object, data: object) -> None:
        """See `Sockets.watch`."""
        if event == pycurl.POLL_REMOVE:
            self._wanted.pop(fd, None)
            return
        self._wanted[fd] = self.MASKS[event]
        self._arm(fd)

    def _arm(self, fd: int) -> None:
        try:
            self._epoll.modify(fd, self._wanted[fd])
        except FileNotFoundError:
            # A new socket: the kernel forgot the one that had this number when it was closed.
            self._epoll.register(fd, self._wanted[fd])

    def _ready(self) -> None:
        for fd, events in self._epoll.poll(0):
            # An error or a hang-up counts as readable: libcurl finds out by reading.
            mask = pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
            if events & ~select.EPOLLOUT:
                mask |= pycurl.CSELECT_IN
            self._act(fd, mask)
            if fd in self._wanted:
                self._arm(fd)
        self._collect()

    def close(self) -> None:
        """See `Sockets.close`."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()


class LoopSockets:
    """The loop's own readers and writers, for systems without epoll (macOS)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Act, collect: Collect) -> None:
        self._loop = loop
        self._act = act
        self._collect = collect
        self._watched: dict[int, int] = {}

    def watch(self, event: int, fd: int, multi: object, data: object) -> None:
        """See `Sockets.watch`."""
        before = self._watched.pop(fd, 0)
        after = 0 if event == pycurl.POLL_REMOVE else event
        if after:
            self._watched[fd] = after
        if after & ~before & pycurl.POLL_IN:
            self._loop.add_reader(fd, self._ready, fd, pycurl.CSELECT_IN)
        elif before & ~after & pycurl.POLL_IN:
            self._loop.remove_reader(fd)
        if after & ~before & pycurl.POLL_OUT:
            self._loop.add_writer(fd, self._ready, fd, pycurl.CSELECT_OUT)
        elif before & ~after & pycurl.POLL_OUT:
            self._loop.remove_writer(fd)

    def _ready(self, fd: int, mask: int) -> None:
        self._act(fd, mask)
        self._collect()

    def close(self) -> None:
        """See `Sockets.close`."""
        for fd in list(self._watched):
            self.watch(pycurl.POLL_REMOVE, fd, None, None)


class Transfers:
    """Runs libcurl transfers at the same time, as many as are started.

    `connections` is how many may be open, in use or idle, before idle ones are closed. It
    belongs to the loop it was made in; all of it is called from there.
    """

    def __init__(
        self, connections: int, sockets: type[EpollSockets] | type[LoopSockets] | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        kind = sockets or (EpollSockets if sys.platform == "linux" else LoopSockets)
        self._sockets: Sockets = kind(self._loop, self._act, self._collect)
        self._futures: dict[pycurl.Curl, asyncio.Future[Ended]] = {}
        self._unfinished = 0
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._due: float | None = None
        self._round: asyncio.Handle | None = None
        self._closed = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def start(self, curl: pycurl.Curl) -> asyncio.Future[Ended]:
        """Start the transfer that `curl` is set up for; the future tells how it ended.

        Whoever starts it calls `drop` when the future is done or no longer wanted.
        """
        if self._closed:
            raise RuntimeError("the transfers are closed")
        self._multi.add_handle(curl)
        future = self._futures[curl] = self._loop.create_future()
        self._unfinished += 1
        return future

    def drop(self, curl: pycurl.Curl) -> None:
        """Let go of `curl`; a transfer that hasn't ended is aborted, its connection closed."""
        future = self._futures.pop(curl, None)
        if future is None:
            return
        self._multi.remove_handle(curl)
        if not future.done() or future.cancelled():
            self._unfinished -= 1
        future.cancel()

    async def close(self) -> None:
        """Abort what is out (whoever awaits it is cancelled) and close every connection."""
        if self._closed:
            return
        for curl in list(self._futures):
            self.drop(curl)
        self._closed = True
        for handle in (self._timer, self._round):
            if handle is not None:
                handle.cancel()
        self._sockets.close()
        # It says goodbye on every TLS connection: not while the loop waits.
        await asyncio.to_thread(self._multi.close)

    def _watch(self, event: int, fd: int, multi: object, data: object) -> None:
        if not self._closed:
            self._sockets.watch(event, fd, multi, data)

    def _set_timer(self, milliseconds: int) -> None:
        # libcurl moves its timer three times per request, mostly to later. One that is too
        # early costs a look when it fires; replacing it each time costs more.
        if self._closed:
            return
        if milliseconds < 0:
            self._due = None
        elif milliseconds == 0:
            # Not from in here: libcurl must not be entered again from its own callback.
            self._round = self._round or self._loop.call_soon(self._next_round)
        else:
            self._due = self._loop.time() + milliseconds / 1000
            if self._timer is None or self._wakes_at > self._due:
                self._wake_at(self._due)

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Kept beside it: uvloop's handle of what is due at once can't tell its time.
        self._wakes_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._wake_at(self._due)
        else:
            self._next_round()

    def _next_round(self) -> None:
        self._round = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _act(self, fd: int, mask: int) -> None:
        try:
            _, self._running = self._multi.socket_action(fd, mask)
        except pycurl.error as error:
            # The whole stack is broken, out of memory perhaps: nothing will ever end by itself.
            self._fail_all(Ended(pycurl.E_FAILED_INIT, str(error)))

    def _collect(self) -> None:
        """Resolve what has ended since the last time."""
        if self._running >= self._unfinished:
            return
        _, whole, broken = self._multi.info_read()
        for curl in whole:
            self._resolve(curl, Ended(pycurl.E_OK, ""))
        for curl, code, message in broken:
            self._resolve(curl, Ended(code, message))

    def _resolve(self, curl: pycurl.Curl, ended: Ended) -> None:
        future = self._futures.get(curl)
        if future is not None and not future.done():
            future.set_result(ended)
            self._unfinished -= 1

    def _fail_all(self, ended: Ended) -> None:
        for curl in list(self._futures):
            self._resolve(curl, ended)
