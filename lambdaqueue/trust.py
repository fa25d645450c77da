"""What is remembered of targets, and the secrets that queues have of their own. For an event loop.

A target's validation is remembered for each secret it was made with, under a digest of both: who
reads Redis learns neither.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio

from lambdaqueue import keys
from lambdaqueue.connection import AsyncScripts
from lambdaqueue.signing import Secret

__all__ = [
    "PROVED_FOR",
    "REFUSED_FOR",
    "VALIDATION_TAKES",
    "Busy",
    "Proved",
    "Refused",
    "TrustStore",
    "Yours",
    "digest",
]

VALIDATION_TAKES = 12_000
"""ms after which a validation that was begun counts as abandoned: its HEAD has 10 s."""

PROVED_FOR = 86_400_000
REFUSED_FOR = 120_000
"""ms for which a proof, and an answer without one, are remembered."""

LABEL = b"lambdaqueue remembered target\n"


@dataclass(frozen=True, slots=True)
class Proved:
    """The endpoint knows the secret with this `number`, and speaks v1 or not.

    It's remembered for `left` ms more.
    """

    number: int
    v1: bool
    left: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint answered without a proof; it isn't asked again before `until`.

    That is Unix ms by Redis' clock, `left` ms from now.
    """

    reason: str
    until: int
    left: int


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker is finding it out, for at most `left` ms more."""

    left: int


@dataclass(frozen=True, slots=True)
class Yours:
    """Nothing is known, and nobody else finds it out: the caller does."""


def digest(endpoint: str, secret: Secret) -> str:
    """Return the name under which a validation of `endpoint` with `secret` is remembered."""
    return hmac.digest(secret.key, LABEL + endpoint.encode(), "sha256").hex()[:32]


class TrustStore:
    """The scripts by which workers share what they know of targets."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._scripts = AsyncScripts(client)

    async def look(
        self, environment: str, digests: Sequence[str], who: str
    ) -> Proved | Refused | Busy | Yours:
        """Tell what is known of a target; `digests` are its names, the newest secret's first.

        Raises:
            StorageUnavailable, StorageFull
        """
        row = await self._scripts.run(
            "look_at_target", _keys(environment, digests, digests), "", who, VALIDATION_TAKES
        )
        match row:
            case [b"proved", number, v1, left]:
                return Proved(int(number), v1 == b"1", int(left))
            case [b"refused", reason, until, left]:
                return Refused(reason.decode(), int(until), int(left))
            case [b"busy", left]:
                return Busy(int(left))
        return Yours()

    async def remember_proof(
        self, environment: str, digests: Sequence[str], who: str, *, number: int, v1: bool
    ) -> None:
        """Keep that the secret `number` was proven."""
        await self._remember(
            _keys(environment, digests, [digests[number]]),
            who, "proved", "1" if v1 else "", "", PROVED_FOR,
        )  # fmt: skip

    async def remember_refusal(
        self, environment: str, digests: Sequence[str], who: str, reason: str
    ) -> int:
        """Keep that the endpoint proved none of the secrets; returns until when (Unix ms)."""
        return await self._remember(
            _keys(environment, digests, digests), who, "refused", "", reason, REFUSED_FOR
        )

    async def give_up(self, environment: str, digests: Sequence[str], who: str) -> None:
        """Let the next one try: no answer came, so nothing is remembered."""
        await self._remember(_keys(environment, digests, []), who, "refused", "", "", 1)

    async def own_secret(self, environment: str, queue: str, sealed: bytes) -> bytes | None:
        """Return a queue's own secret, `sealed` if it had none; None where the queue is gone."""
        row = await self._scripts.run("own_secret", [keys.queue(environment, queue)], sealed)
        return bytes(row[0]) if row else None

    async def _remember(self, keys_: Sequence[str], *args: str | int) -> int:
        row = await self._scripts.run("remember_target", keys_, "", *args)
        return int(row[0])


def _keys(environment: str, digests: Sequence[str], told: Sequence[str]) -> list[str]:
    """Return the key of who validates, then those of what is told."""
    # One validation for a target: the oldest secret's name is the one that two workers share
    # while a new one is being introduced.
    return [
        keys.validating(environment, digests[-1]),
        *(keys.target(environment, name) for name in told),
    ]
