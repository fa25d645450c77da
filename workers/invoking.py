"""What an attempt needs beside its job when a callback is to end it: a token, and where to go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Protocol

from lambdaqueue.attempts import AttemptStore
from lambdaqueue.callback_tokens import CallbackToken
from lambdaqueue.claims import Claim
from lambdaqueue.envelope import callback_headers
from lambdaqueue.outcome import Answer
from lambdaqueue.webhook import callback_url, webhook_body

__all__ = ["Invocation", "Invoker", "NoExecutions", "NotToBeSent", "TokenInvoker"]

AT_ONCE = 8
"""Tokens that are registered at a time. Each takes a connection to Redis; a burst of attempts would
take all that its client has, and leave none to a claim or a beat."""


class NotToBeSent(Exception):
    """Raised when an attempt is of no use any more: nothing was sent."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An attempt of an execution: the claim with the body that is to be sent, headers beside the
    usual ones, and the token in them, which no record of the answer may repeat."""

    claim: Claim
    headers: tuple[tuple[str, str], ...] = ()
    token: str = field(default="", repr=False)

    def blank(self, answer: Answer) -> Answer:
        """Return what was answered, without the token."""
        if not self.token or self.token.encode() not in answer.body:
            return answer
        hidden = f"{self.claim.id}_…".encode()
        return replace(answer, body=answer.body.replace(self.token.encode(), hidden))


class Invoker(Protocol):
    """Prepares the attempts of executions."""

    async def invoke(self, claim: Claim, waited: int) -> Invocation:
        """Return what is to be sent, `waited` ms after the claim.

        Raises:
            NotToBeSent, StorageUnavailable
        """


class NoExecutions:
    """An invoker for tests of other jobs: it prepares nothing."""

    async def invoke(self, claim: Claim, waited: int) -> Invocation:
        """See `Invoker.invoke`."""
        raise NotToBeSent(claim.id)


class TokenInvoker:
    """Gives each attempt a callback token, known to the store before the endpoint is."""

    def __init__(self, store: AttemptStore, public_url: str) -> None:
        self._store = store
        self._public_url = public_url
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def invoke(self, claim: Claim, waited: int) -> Invocation:
        """See `Invoker.invoke`."""
        token = CallbackToken.mint(claim.id)
        async with self._turns:
            left = await self._store.register(claim, token.digest)
        if left is None:
            raise NotToBeSent(claim.id)
        url = callback_url(self._public_url, token.text)
        if claim.spec.service is None:
            return Invocation(claim, tuple(callback_headers(claim, url)), token.text)
        # By Redis' clock, like all that is decided: a claim tells it.
        body = webhook_body(claim, url, left, claim.started_at + waited)
        invoked = replace(claim, spec=replace(claim.spec, payload=body))
        return Invocation(invoked, token=token.text)
