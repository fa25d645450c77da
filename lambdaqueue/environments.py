"""Environments as they are stored: their settings, their sealed secrets, their audit, their end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import AuditEntry, EnvironmentInfo, Page
from lambdaqueue.connection import redis_clock, scripts_of, translated
from lambdaqueue.errors import Conflict, NotFound
from lambdaqueue.identity import Actor
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.store import request_id

__all__ = ["EnvironmentStore", "Sealed"]

INFO = ("name", "created", "retry", "closed")
"""The fields of an environment that tell of it."""

SECRETS = ("secret", "previous")
"""The fields of an environment that are sealed."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An environment's secrets as they are stored. Times are Unix ms."""

    secret: bytes
    since: int
    previous: bytes | None = None
    previous_until: int | None = None


class EnvironmentStore:
    """One method for each script or read. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def clock(self) -> int:
        """Return Redis' time in Unix ms."""
        return redis_clock(self._client, self.now)

    # Making, reading, changing

    def found(self, environment: str, name: str, sealed: bytes, by: str) -> bool:
        """Make an environment with its first secret; False if there is one of that name or id."""
        row = self._run(
            "found_environment",
            [keys.request(request_id()), keys.names, keys.environment(environment)],
            environment, name, sealed, by,
        )  # fmt: skip
        return bool(row[0] == b"made")

    def id_of(self, name: str) -> str | None:
        """Return the id of the environment that is called `name`, also of one that is ending."""
        with translated():
            found: Any = self._client.hget(keys.names, name)
        return found.decode() if found else None

    def info(self, environment: str) -> EnvironmentInfo | None:
        """Return an environment, or None when it isn't there or has begun to end."""
        with translated():
            row: Any = self._client.hmget(keys.environment(environment), INFO)
        return _info(environment, row)

    def ids(self) -> dict[str, str]:
        """Return the ids of all environments by name, also of those that are ending."""
        with translated():
            names: Any = self._client.hgetall(keys.names)
        return {name.decode(): environment.decode() for name, environment in sorted(names.items())}

    def all(self) -> list[EnvironmentInfo]:
        """Return all environments by name."""
        environments = self.ids().values()
        with translated():
            pipeline = self._client.pipeline(transaction=False)
            for environment in environments:
                pipeline.hmget(keys.environment(environment), INFO)
            rows = pipeline.execute()
        found = map(_info, environments, rows)
        return [info for info in found if info is not None]

    def change(self, actor: Actor, fields: Mapping[str, str]) -> None:
        """Set fields of an environment's hash; "" removes one. Raises NotFound."""
        row = self._run(
            "change_environment",
            [keys.request(request_id()), keys.environment(actor.environment)],
            actor.environment, actor.name, actor.address,
            *(part for pair in fields.items() for part in pair),
        )  # fmt: skip
        if row[0] == b"absent":
            raise NotFound("there is no such environment")

    # Secrets

    def sealed(self, environment: str) -> Sealed:
        """Return an environment's secrets; the previous one only while it counts.

        Raises:
            NotFound
        """
        with translated():
            row: Any = self._client.hmget(
                keys.environment(environment),
                ("secret", "secret_since", "previous", "previous_until"),
            )
        secret, since, previous, until = row
        if secret is None:
            raise NotFound("there is no such environment")
        if previous is None or int(until) <= self.clock():
            return Sealed(secret, int(since))
        return Sealed(secret, int(since), previous, int(until))

    def rotate(self, actor: Actor, sealed: bytes, overlap: int) -> None:
        """Give an environment a new secret; the old one counts for `overlap` ms more.

        Raises:
            NotFound
            Conflict: there is an overlap, and the one of the last rotation isn't over.
        """
        row = self._run(
            "rotate_secret",
            [keys.request(request_id()), keys.environment(actor.environment)],
            actor.environment, sealed, overlap, actor.name, actor.address,
        )  # fmt: skip
        if row[0] == b"absent":
            raise NotFound("there is no such environment")
        if row[0] == b"rotating":
            raise Conflict(
                "the secret before this one still counts; wait for its end, or rotate with the "
                "overlap 0, which ends both at once"
            )

    def own_secret(self, environment: str, queue: str, sealed: bytes) -> bytes:
        """Return a queue's own secret; `sealed` becomes it if there is none yet.

        Raises:
            NotFound: there is no such queue.
        """
        row = self._scripts.run("own_secret", [keys.queue(environment, queue)], sealed)
        if not row:
            raise NotFound("there is no such queue")
        return bytes(row[0])

    def places(self, environment: str) -> Iterator[tuple[str, str, bytes]]:
        """Yield every sealed secret of an environment: the hash, the field, what is there."""
        with translated():
            row: Any = self._client.hmget(keys.environment(environment), SECRETS)
            names: Any = self._client.zrange(keys.queues(environment), 0, -1)
        for name, sealed in zip(SECRETS, row, strict=True):
            if sealed is not None:
                yield keys.environment(environment), name, sealed
        for queue in names:
            key = keys.queue(environment, queue.decode())
            with translated():
                own: Any = self._client.hget(key, "secret")
            if own is not None:
                yield key, "secret", own

    def reseal(self, key: str, name: str, before: bytes, after: bytes) -> bool:
        """Replace what `places` yielded; False if something else is there now."""
        row = self._scripts.run("reseal", [key], name, before, after)
        return bool(row[0] == b"resealed")

    # The check value of the master key

    def check_value(self, new: bytes) -> bytes:
        """Return the value that tells a right master key; `new` becomes it in a new database."""
        known = self.known_check_value()  # first, because a full Redis lets nothing be set
        if known is not None:
            return known
        with translated():
            self._client.set(keys.vault, new, nx=True)
        return self.known_check_value() or b""

    def known_check_value(self) -> bytes | None:
        """Return that value, or None in a database that has none yet."""
        with translated():
            found: Any = self._client.get(keys.vault)
        return None if found is None else bytes(found)

    def replace_check_value(self, new: bytes) -> None:
        """Write the value anew, sealed with the newest key."""
        with translated():
            self._client.set(keys.vault, new)

    # The audit

    def note(self, actor: Actor, action: str, thing: str) -> None:
        """Write into the audit that something was looked at; raises NotFound."""
        row = self._run(
            "note",
            [keys.request(request_id()), keys.environment(actor.environment)],
            actor.environment, actor.name, actor.address, action, thing,
        )  # fmt: skip
        if row[0] == b"absent":
            raise NotFound("there is no such environment")

    def audit(self, environment: str, limit: int, before: str | None) -> Page[AuditEntry]:
        """Return entries of the audit, newest first, from behind the entry `before`."""
        newest = f"({before}" if before else "+"
        with translated():
            rows: Any = self._client.xrevrange(
                keys.audit(environment), newest, "-", count=limit + 1
            )
        entries = tuple(_entry(name, fields) for name, fields in rows[:limit])
        return Page(entries, entries[-1].id if len(rows) > limit else None)

    # The end

    def close(self, environment: str) -> None:
        """Make all of an environment's tokens useless; raises NotFound."""
        row = self._scripts.run(
            "close_environment",
            [
                keys.environment(environment),
                keys.all_tokens,
                keys.tokens(environment),
                keys.token_uses(environment),
            ],
        )
        if row[0] == b"absent":
            raise NotFound("there is no such environment")

    def erase(self, environment: str, name: str) -> None:
        """Delete all that is left of an environment whose queues are gone.

        Raises:
            Conflict: it still has queues.
        """
        with translated():
            if self._client.zcard(keys.queues(environment)):
                raise Conflict("the environment still has queues")
            mine = keys.environment(environment)
            found = self._client.scan_iter(f"lq:{environment}:*", count=1_000)
            for chunk in _chunks(key for key in found if key.decode() != mine):
                self._client.unlink(*chunk)
        self._scripts.run("forget_environment", [keys.names, mine], environment, name)

    def _run(self, name: str, keys_: list[str], *args: Any) -> Any:
        return self._scripts.run(name, keys_, "" if self.now is None else self.now, *args)


def _chunks(keys_: Iterator[bytes], size: int = 500) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for key in keys_:
        chunk.append(key)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _info(environment: str, row: Sequence[Any]) -> EnvironmentInfo | None:
    name, created, retry, closed = row
    if name is None or closed is not None:
        return None
    policy = RetryPolicy.from_json(json.loads(retry)) if retry else None
    return EnvironmentInfo(environment, name.decode(), int(created), policy)


def _entry(name: bytes, fields: Mapping[bytes, bytes]) -> AuditEntry:
    return AuditEntry(
        id=name.decode(),
        at=int(fields[b"at"]),
        token=fields[b"token"].decode(),
        action=fields[b"action"].decode(),
        object=fields[b"object"].decode(),
        address=fields[b"address"].decode(),
    )
