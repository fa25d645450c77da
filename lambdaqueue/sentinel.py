"""Clients that Sentinel leads to the primary, whichever that is at the moment."""

from __future__ import annotations

import time
from typing import Any

import redis
import redis.asyncio
from redis import Redis
from redis import sentinel as sentinels
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import sentinel as async_sentinels
from redis.backoff import NoBackoff
from redis.retry import Retry

from lambdaqueue.config import SentinelUrl

__all__ = ["led_async_client", "led_client"]

ANSWERS_WITHIN = 0.3
"""Seconds for one Sentinel: three silent ones may be asked twice before an API call is refused,
which must be within two seconds."""

LOOK_EVERY = 1.0
"""Seconds between two looks, by whoever sends something, whether the primary is another one."""

LOOK_AGAIN = 10.0
"""Seconds until the next look where no Sentinel answered: each one may hold a command up."""

UNKNOWN = "no Sentinel names a primary"
"""Instead of the client's own words, which RQ would log, with passwords in some versions."""

# The client has no types for these.
_Asked: Any = sentinels.Sentinel
_AsyncAsked: Any = async_sentinels.Sentinel


def led_client(url: SentinelUrl, options: dict[str, Any]) -> Redis:
    """Return a client of the primary; `options` are those of its connections."""
    asked = _Asked(url.hosts, sentinel_kwargs=_asking(url, Retry(NoBackoff(), 0)))
    return Redis.from_pool(_Pool(url.service, asked, **_primary(url), **options))


def led_async_client(url: SentinelUrl, options: dict[str, Any]) -> AsyncRedis:
    """Return the same for an event loop."""
    retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
    asked = _AsyncAsked(url.hosts, sentinel_kwargs=_asking(url, retry))
    return AsyncRedis.from_pool(_AsyncPool(url.service, asked, **_primary(url), **options))


class _Look:
    """What the connections of one pool know of the primary, and when to look again."""

    def __init__(self) -> None:
        self.address: tuple[str, int] | None = None
        self._next = 0.0

    def is_due(self) -> bool:
        """True for the first who asks after a while: the others go by what that one finds."""
        due = time.monotonic() >= self._next
        if due:
            self._next = time.monotonic() + LOOK_EVERY
        return due

    def found(self, address: tuple[str, int]) -> tuple[str, int]:
        """Take note of an answer, and return it."""
        self.address, self._next = address, time.monotonic() + LOOK_EVERY
        return address

    def failed(self) -> None:
        """No Sentinel knows: the connection that there is may be good all the same."""
        self._next = time.monotonic() + LOOK_AGAIN

    def shows_another(self, host: str, port: int) -> bool:
        """True when the primary is not at this address any more."""
        return self.address is not None and self.address != (host, port)


class _Connection(sentinels.SentinelManagedConnection):
    """Asks Sentinel whenever it dials, and once in a while whether it still leads to the primary.

    The client's own asks in `connect` only: where a command finds it closed, it dials its last
    address, or localhost if it never had one (redis-py's issue 3874). And an old primary that
    lives on takes writes for some ten seconds before Sentinel demotes it, all of which get lost.
    """

    connect = redis.Connection.connect

    def __init__(self, *, look: _Look, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._look = look

    def _connect(self) -> Any:
        try:
            address = self.connection_pool.get_master_address()
        except redis.ConnectionError:
            raise redis.ConnectionError(UNKNOWN) from None
        self.host, self.port = self._look.found(address)
        return super()._connect()  # type: ignore[no-untyped-call]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send it to the primary, over a new connection where that is another one by now."""
        dialled: Any = self._sock  # which the client's types take for None
        if dialled is not None and self._has_moved():
            self.disconnect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def _has_moved(self) -> bool:
        if self._look.is_due():
            try:
                self._look.found(self.connection_pool.get_master_address())
            except redis.RedisError:
                self._look.failed()
        return self._look.shows_another(self.host, self.port)


class _AsyncConnection(async_sentinels.SentinelManagedConnection):
    """The same for an event loop."""

    connect = redis.asyncio.Connection.connect

    def __init__(self, *, look: _Look, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._look = look

    async def _connect(self) -> None:
        try:
            address = await self.connection_pool.get_master_address()
        except redis.ConnectionError:
            raise redis.ConnectionError(UNKNOWN) from None
        self.host, self.port = self._look.found(address)
        await super()._connect()  # type: ignore[no-untyped-call]

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """See `_Connection.send_packed_command`."""
        if self.is_connected and await self._has_moved():
            await self.disconnect(nowait=True)
        await super().send_packed_command(command, check_health)

    async def _has_moved(self) -> bool:
        if self._look.is_due():
            try:
                self._look.found(await self.connection_pool.get_master_address())
            except redis.RedisError:
                self._look.failed()
        return self._look.shows_another(self.host, self.port)


class _Pool(sentinels.SentinelConnectionPool):
    """Its connections are of the kind above."""

    def __init__(self, service: str, asked: Any, **options: Any) -> None:
        super().__init__(service, asked, connection_class=_Connection, look=_Look(), **options)  # type: ignore[no-untyped-call]


class _AsyncPool(async_sentinels.SentinelConnectionPool):
    """Closes the connections to Sentinels with its own: the end of a loop wants that."""

    def __init__(self, service: str, asked: Any, **options: Any) -> None:
        super().__init__(service, asked, connection_class=_AsyncConnection, look=_Look(), **options)  # type: ignore[no-untyped-call]

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the idle connections, or all there are."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for each in self.sentinel_manager.sentinels:
                await each.aclose()


def _asking(url: SentinelUrl, retry: Any) -> dict[str, Any]:
    return {
        "socket_timeout": ANSWERS_WITHIN,
        "socket_connect_timeout": ANSWERS_WITHIN,
        "retry": retry,
        "username": url.sentinel_user or None,
        "password": url.sentinel_password or None,
    }


def _primary(url: SentinelUrl) -> dict[str, Any]:
    return {"db": url.db, "username": url.user or None, "password": url.password or None}
