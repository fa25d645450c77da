"""What the worker asks before it sends: whom it may call, and what signs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lambdaqueue.claims import Claim
from lambdaqueue.outcome import Answer
from lambdaqueue.signing import Secret

__all__ = ["Credulous", "Trust", "Voucher"]


@dataclass(frozen=True, slots=True)
class Trust:
    """What signs a delivery: these secrets, and for an endpoint that speaks it v1 with `v1`."""

    secrets: tuple[Secret, ...]
    v1: Secret | None = None


class Voucher(Protocol):
    """What the worker needs to know of an endpoint before it sends."""

    async def vouch(self, claim: Claim, url: str) -> Trust | Answer:
        """Return what signs an attempt at `url`, or why there must be none.

        Raises:
            SecretUnreadable: a secret was sealed with a master key that isn't here.
        """

    async def close(self) -> None:
        """Break off what is being found out."""


class Credulous:
    """A voucher for tests: every endpoint is trusted, and gets these secrets' signatures."""

    def __init__(self, *secrets: Secret) -> None:
        self._trust = Trust(secrets)

    async def vouch(self, claim: Claim, url: str) -> Trust | Answer:
        """See `Voucher.vouch`."""
        return self._trust

    async def close(self) -> None:
        """There is nothing to break off."""
