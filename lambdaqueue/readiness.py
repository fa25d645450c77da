"""Whether this process could do its work now."""

from __future__ import annotations

import secrets
import time

import redis

from lambdaqueue import keys
from lambdaqueue.commands import Readiness
from lambdaqueue.connection import translated
from lambdaqueue.errors import StorageUnavailable

__all__ = ["check", "mark_instance"]

CLOCK_WARNING = 2.0
CLOCK_FAILURE = 60.0
"""Seconds between this machine's clock and Redis': receivers refuse signatures 5 min off."""


def mark_instance(client: redis.Redis) -> str:
    """Return the database's mark; a new one gets its mark now.

    Where it's missing later, that is not the database that held our jobs.
    """
    with translated():
        client.set(keys.instance, secrets.token_hex(8), nx=True)
        return _text(client.get(keys.instance))


def check(client: redis.Redis, instance: str) -> Readiness:
    """Ask Redis all that matters; `instance` is the mark that it had at our start."""
    failures: dict[str, str] = {}
    warnings: dict[str, str] = {}
    try:
        with translated():
            _ask(client, instance, failures, warnings)
    except StorageUnavailable as error:
        failures["redis"] = str(error)
    return Readiness(failures, warnings)


def _ask(
    client: redis.Redis, instance: str, failures: dict[str, str], warnings: dict[str, str]
) -> None:
    seconds, micros = client.time()
    apart = abs(time.time() - (seconds + micros / 1e6))
    if apart >= CLOCK_FAILURE:
        failures["clock"] = f"this machine's clock is {apart:.0f} s from Redis'"
    elif apart >= CLOCK_WARNING:
        warnings["clock"] = f"this machine's clock is {apart:.1f} s from Redis'"
    memory = client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        failures["eviction"] = f"maxmemory-policy is {policy}, it must be noeviction: jobs get lost"
    if client.info("persistence").get("aof_enabled") == 0:
        warnings["persistence"] = "appendonly is off: a crash of Redis loses jobs"
    if _text(client.get(keys.instance)) != instance:
        failures["instance"] = "this is not the database that was here at the start"
    # Last, because it's what fails when Redis is full or read-only.
    client.set(keys.writable, 1, px=1_000)


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
