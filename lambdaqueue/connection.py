"""Connections to Redis, and its errors in our words.

Every script is safe to send twice, so the client may resend after a lost reply; but only for as
long as a caller of the API is promised an answer: 503 within two seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import hiredis
import redis
import redis.asyncio
from redis import Redis, RedisError
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from lambdaqueue import keys
from lambdaqueue.config import SentinelUrl, Settings
from lambdaqueue.errors import StorageFull, StorageUnavailable
from lambdaqueue.scripts import Script, load
from lambdaqueue.sentinel import led_async_client, led_client

__all__ = [
    "AsyncRedis",
    "AsyncScripts",
    "Redis",
    "RedisError",
    "Scripts",
    "connect",
    "connect_async",
    "redis_clock",
    "scripts_of",
    "translated",
]

ANSWER_WITHIN = 0.9
"""Seconds for one answer: with one resend it's under the two that the contract promises."""

MOST_IDLE = 50
"""Connections that a process keeps for later; what a peak needed beyond them is closed."""

# Redis' error codes. Where the client has a class for one it cuts the code off the text.
FULL = re.compile(r"\b(OOM|OutOfMemoryError|MISCONF)\b")
AWAY = re.compile(
    r"\b(READONLY|ReadOnlyError|MASTERDOWN|MasterDownError|CLUSTERDOWN|ClusterDownError"
    r"|LOADING|NOREPLICAS|UNKILLABLE|BUSY)\b"
)
FORBIDDEN = re.compile(r"\b(NOPERM|NoPermissionError)\b")


def connect(settings: Settings, answer_within: float = ANSWER_WITHIN) -> Redis:
    """Return a client with a pool of its own; nothing is dialled yet."""
    options: dict[str, Any] = {
        "socket_timeout": answer_within,
        "socket_connect_timeout": min(answer_within, 0.9),
        "retry": Retry(ConstantBackoff(0.05), 1, (redis.ConnectionError, ConnectionResetError)),
        "health_check_interval": 0,
    }
    if url := SentinelUrl.parse(settings.redis_url):
        return led_client(url, options)
    return Redis.from_url(settings.redis_url, **options, **_tls(settings))


def connect_async(settings: Settings, answer_within: float) -> AsyncRedis:
    """Return a client for an event loop; blocking reads must end before `answer_within` (s)."""
    options: dict[str, Any] = {
        "socket_timeout": answer_within,
        "socket_connect_timeout": 2.0,
        "retry": redis.asyncio.retry.Retry(ConstantBackoff(0.05), 1, (redis.ConnectionError,)),
    }
    if url := SentinelUrl.parse(settings.redis_url):
        return led_async_client(url, options)
    return AsyncRedis.from_url(settings.redis_url, **options, **_tls(settings))


@contextmanager
def translated() -> Iterator[None]:
    """Raise what Redis and its client raise as StorageUnavailable or StorageFull.

    Other errors pass: they are mistakes of ours, not the storage's.
    """
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise StorageUnavailable("Redis can't be reached") from error
    except redis.ResponseError as error:
        text = _words(error)
        if FULL.search(text):
            raise StorageFull("Redis is out of memory or disk") from error
        if AWAY.search(text):
            raise StorageUnavailable("Redis takes no writes now") from error
        if FORBIDDEN.search(text):
            raise StorageUnavailable("Redis' user lacks a permission (ACL)") from error
        raise


def scripts_of(client: Redis) -> Scripts:
    """Return what calls the scripts over `client`: one for all stores that share it."""
    return _scripts.setdefault(client, Scripts(client))


def redis_clock(client: Redis, now: int | None = None) -> int:
    """Return Redis' time in Unix ms, or `now` in its place.

    Raises:
        StorageUnavailable
    """
    if now is not None:
        return now
    with translated():
        seconds, micros = client.time()
    return int(seconds * 1_000 + micros // 1_000)


class Scripts:
    """Calls the scripts by name: by their SHA, whole where the server doesn't know them.

    It keeps idle connections of its own. The client's pool asks each one whether it is still good
    before every use, which costs a push more than all else that the client does; here a broken
    connection is found by using it, and the call is sent once more: scripts may be sent twice.
    """

    def __init__(self, client: Redis) -> None:
        pool: Any = client.connection_pool
        self._connect = pool.connection_class
        self._options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), 0)}
        self._idle: list[Any] = []
        self._process = os.getpid()

    def run(self, name: str, keys_: Sequence[str], *args: Any) -> Any:
        """Run the script `name`; the keys that all share go before `keys_`.

        Raises:
            StorageUnavailable, StorageFull: see `translated`.
        """
        script = load()[name]
        rest = (len(keys.GLOBAL) + len(keys_), *keys.GLOBAL, *keys_, *args)
        with translated():
            try:
                return self._call(script, rest)
            except redis.ConnectionError:
                # One is broken: the server was away, so the others are too.
                self.close()
                return self._call(script, rest)

    def _call(self, script: Script, rest: tuple[Any, ...]) -> Any:
        connection = self._take()
        usable = False
        try:
            try:
                answer = _ask(connection, "EVALSHA", script.sha, *rest)
            except redis.exceptions.NoScriptError:
                answer = _ask(connection, "EVAL", script.text, *rest)
            usable = True
            return answer
        except redis.ResponseError as error:
            # Of a server that takes no writes: a new connection may lead to the new primary.
            usable = not AWAY.search(_words(error))
            raise
        finally:
            if usable and len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.disconnect()

    def _take(self) -> Any:
        if self._process != os.getpid():  # a fork shares the sockets of its parent
            self._idle, self._process = [], os.getpid()
        return self._idle.pop() if self._idle else self._connect(**self._options)

    def close(self) -> None:
        """Close the connections that are idle; it can be used again."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()


_scripts: WeakKeyDictionary[Redis, Scripts] = WeakKeyDictionary()


class AsyncScripts:
    """The same for an event loop. Its idle connections stay the client's, which closes them."""

    def __init__(self, client: AsyncRedis) -> None:
        self._pool: Any = client.connection_pool
        self._idle: list[Any] = []

    async def open(self, count: int) -> None:
        """Have `count` connections at hand; raises StorageUnavailable."""
        with translated():
            while len(self._idle) < count:
                self._idle.append(await self._pool.get_connection())

    async def run(self, name: str, keys_: Sequence[str], *args: Any) -> Any:
        """Run the script `name`; see `Scripts.run`."""
        script = load()[name]
        rest = (len(keys.GLOBAL) + len(keys_), *keys.GLOBAL, *keys_, *args)
        with translated():
            try:
                return await self._call(script, rest)
            except redis.ConnectionError:
                while self._idle:
                    await self._give_back(self._idle.pop())
                return await self._call(script, rest)

    async def _call(self, script: Script, rest: tuple[Any, ...]) -> Any:
        connection = self._idle.pop() if self._idle else await self._pool.get_connection()
        usable = False
        try:
            try:
                answer = await _ask_async(connection, "EVALSHA", script.sha, *rest)
            except redis.exceptions.NoScriptError:
                answer = await _ask_async(connection, "EVAL", script.text, *rest)
            usable = True
            return answer
        except redis.ResponseError as error:
            usable = not AWAY.search(_words(error))
            raise
        finally:
            if usable:
                self._idle.append(connection)
            else:
                await self._give_back(connection)

    async def _give_back(self, connection: Any) -> None:
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)


def _words(error: redis.ResponseError) -> str:
    return f"{type(error).__name__} {error}"


def _ask(connection: Any, *words: Any) -> Any:
    connection.send_packed_command(connection.pack_command(*words), check_health=False)
    return connection.read_response()


async def _ask_async(connection: Any, *words: Any) -> Any:
    # The client would pack in Python, though hiredis is there.
    packed = hiredis.pack_command(words)
    await connection.send_packed_command([packed], check_health=False)
    return await connection.read_response()


def _tls(settings: Settings) -> dict[str, Any]:
    if settings.redis_url.startswith("rediss://") and not settings.redis_tls_verify:
        return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return {}
