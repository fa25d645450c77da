"""All that stands in a Redis at one moment, read by one script: nothing moves meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.scripts import Script

__all__ = ["Entry", "Snapshot", "reader", "take"]

TEXT = """
local all = {}
local read = {
  string = function(key) return redis.call('GET', key) end,
  hash = function(key) return redis.call('HGETALL', key) end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  stream = function(key) return redis.call('XRANGE', key, '-', '+') end,
}
for _, key in ipairs(redis.call('KEYS', '*')) do
  if key:sub(1, 11) ~= 'lq:request:' then
    local kind = redis.call('TYPE', key).ok
    all[#all + 1] = {key, kind, read[kind](key), redis.call('PTTL', key)}
  end
end
return all
"""

DUMP = Script("dump", TEXT, hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a history stream."""

    name: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Snapshot:
    """What Redis holds, by key. Bytes that are no UTF-8 become lone surrogates."""

    strings: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, dict[str, str]] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, set[str]] = field(default_factory=dict)
    zsets: dict[str, dict[str, float]] = field(default_factory=dict)
    streams: dict[str, list[Entry]] = field(default_factory=dict)
    lifetimes: dict[str, int] = field(default_factory=dict, compare=False)
    """ms that are left, so no two are alike; -1: for ever."""

    @property
    def line(self) -> list[str]:
        """The RQ job ids in the line, first in first."""
        return self.lists.get(keys.line, [])

    @property
    def ready(self) -> dict[str, float]:
        """The RQ job ids that should be in the line, with their admission numbers."""
        return self.zsets.get("lq:ready", {})

    @cached_property
    def jobs(self) -> dict[str, dict[str, str]]:
        """The state hashes of all live jobs, by id."""
        return {
            name.rpartition(":")[2]: fields
            for name, fields in self.hashes.items()
            if name.startswith("lq:") and ":job:" in name
        }

    @cached_property
    def rq_jobs(self) -> dict[str, dict[str, str]]:
        """The hashes that RQ sees, by RQ job id."""
        return dict(_prefixed(self.hashes, "rq:job:"))

    @cached_property
    def held(self) -> dict[str, dict[str, float]]:
        """Worker -> job id -> the lease clock when it runs out."""
        return dict(_prefixed(self.zsets, "lq:held:"))

    def number(self, key: str, name: str) -> int:
        """A counter in a hash; 0 where there is none."""
        return int(self.hashes.get(key, {}).get(name, 0))


def _prefixed(found: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    return (
        (name.removeprefix(prefix), value)
        for name, value in found.items()
        if name.startswith(prefix)
    )


def reader(client: redis.Redis) -> redis.Redis:
    """Return a client for `take`: of the same server, answering in text."""
    settings = client.connection_pool.connection_kwargs
    return redis.Redis(
        unix_socket_path=settings["path"], decode_responses=True, encoding_errors="surrogateescape"
    )


def take(client: redis.Redis) -> Snapshot:
    """Read everything but the remembered requests."""
    try:
        rows = client.evalsha(DUMP.sha, 0)
    except redis.exceptions.NoScriptError:
        rows = client.eval(DUMP.text, 0)
    snapshot = Snapshot()
    for name, kind, value, lifetime in rows:
        snapshot.lifetimes[name] = lifetime
        match kind:
            case "string":
                snapshot.strings[name] = value
            case "hash":
                snapshot.hashes[name] = _pairs(value)
            case "list":
                snapshot.lists[name] = value
            case "set":
                snapshot.sets[name] = set(value)
            case "zset":
                snapshot.zsets[name] = {m: float(score) for m, score in _pairs(value).items()}
            case "stream":
                snapshot.streams[name] = [Entry(at, _pairs(row)) for at, row in value]
    return snapshot


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
