"""Tokens as they are stored: by their hash, found by their id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import Page
from lambdaqueue.connection import scripts_of, translated
from lambdaqueue.errors import ConfigurationError, Conflict, NotFound
from lambdaqueue.identity import Actor, TokenInfo
from lambdaqueue.store import request_id

__all__ = ["MOST_TOKENS", "REFUSALS_WINDOW", "Found", "TokenStore"]

MOST_TOKENS = 1_000
"""Tokens that an environment may have."""

MINUTE = 60_000

REFUSALS_WINDOW = 60
"""Seconds for which a bad token counts against its address."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored token, its environment, and the time by Redis' clock (Unix ms)."""

    environment: str
    info: TokenInfo
    now: int


class TokenStore:
    """One method for each script or read. `now` (Unix ms) replaces Redis' clock."""

    def __init__(self, client: redis.Redis, now: int | None = None) -> None:
        self._client = client
        self._scripts = scripts_of(client)
        self.now = now

    def find(self, token_id: str) -> Found | None:
        """Return the token with an id, or None; whether it is the right one, the caller tells."""
        row = self._scripts.run("find_token", [keys.all_tokens], self._now(), token_id)
        if not row:
            return None
        environment, packed, used, now = row
        info = TokenInfo.unpack(token_id, packed, int(used) if used else None)
        return Found(environment.decode(), info, int(now))

    def note_use(self, found: Found) -> None:
        """Keep the minute in which a token was used."""
        minute = found.now - found.now % MINUTE
        if found.info.last_used == minute:
            return
        env = found.environment
        self._scripts.run(
            "use_token", [keys.tokens(env), keys.token_uses(env)], found.info.id, minute
        )

    def refuse(self, address: str) -> tuple[int, int]:
        """Count a bad token from `address`; returns how many in the window, and the s left."""
        count, left = self._scripts.run("refuse", [keys.refused(address)], REFUSALS_WINDOW)
        return int(count), int(left)

    def issue(self, actor: Actor, info: TokenInfo) -> None:
        """Store a new token.

        Raises:
            Conflict: the environment has one of that name, or too many. NotFound: it is gone.
        """
        env = actor.environment
        row = self._scripts.run(
            "issue_token",
            [keys.request(request_id()), keys.environment(env), keys.all_tokens, keys.tokens(env)],
            self._now(), env, info.id, info.name, info.pack(), MOST_TOKENS,
            actor.name, actor.address,
        )  # fmt: skip
        if row[0] == b"name_taken":
            raise Conflict("there is a token of that name; revoke it first, or take another name")
        if row[0] == b"too_many":
            raise Conflict(f"the environment has {MOST_TOKENS} tokens already; revoke some")
        if row[0] == b"id_taken":
            raise Conflict("another token has that id; try again")
        if row[0] == b"absent":
            raise NotFound("there is no such environment")

    def revoke(self, actor: Actor, token_id: str) -> None:
        """Make a token useless; raises NotFound."""
        env = actor.environment
        row = self._scripts.run(
            "revoke_token",
            [keys.request(request_id()), keys.all_tokens, keys.tokens(env), keys.token_uses(env)],
            self._now(), env, token_id, actor.name, actor.address,
        )  # fmt: skip
        if row[0] == b"absent":
            raise NotFound("there is no such token")

    def bootstrap(self, environment: str, info: TokenInfo) -> None:
        """Store the token that the operator fixed, in the place of the one fixed before.

        Raises:
            ConfigurationError: another token has its id.
        """
        row = self._scripts.run(
            "bootstrap",
            [
                keys.environment(environment),
                keys.all_tokens,
                keys.tokens(environment),
                keys.token_uses(environment),
            ],
            self._now(), environment, info.id, info.pack(), info.digest,
        )  # fmt: skip
        if row[0] == b"id_taken":
            raise ConfigurationError("LQ_BOOTSTRAP_TOKEN has the id of another token")

    def page(self, environment: str, limit: int, after: str | None) -> Page[TokenInfo]:
        """Return an environment's tokens in the order of their making, from behind `after`."""
        with translated():
            stored: Any = self._client.hgetall(keys.tokens(environment))
            uses: Any = self._client.hgetall(keys.token_uses(environment))
        infos = sorted(
            (
                TokenInfo.unpack(token_id.decode(), packed, _ms(uses.get(token_id)))
                for token_id, packed in stored.items()
            ),
            key=_place,
        )
        if after is not None:
            infos = [info for info in infos if _cursor(info) > after]
        rows = infos[:limit]
        return Page(tuple(rows), _cursor(rows[-1]) if len(infos) > limit else None)

    def _now(self) -> str:
        return "" if self.now is None else str(self.now)


def _ms(stored: bytes | None) -> int | None:
    return None if stored is None else int(stored)


def _place(info: TokenInfo) -> tuple[int, str]:
    return info.created, info.id


def _cursor(info: TokenInfo) -> str:
    return f"{info.created:015d}.{info.id}"
