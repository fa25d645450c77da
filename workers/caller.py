"""The call of an attempt: from a claim to an answer, whatever it takes before it can be sent."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from lambdaqueue import tracing
from lambdaqueue.claims import Claim
from lambdaqueue.envelope import headers_for
from lambdaqueue.outcome import Answer, ErrorClass
from workers.invoking import Invocation, Invoker
from workers.sender import Outgoing, Sender
from workers.voucher import Voucher

__all__ = ["Caller"]


class Caller:
    """Calls endpoints, each after it has proved whose it is."""

    def __init__(self, sender: Sender, voucher: Voucher, invoker: Invoker) -> None:
        self._sender = sender
        self._voucher = voucher
        self._invoker = invoker

    def call(self, claim: Claim) -> Coroutine[Any, Any, Answer]:
        """Make the one call of an attempt, within a span of its own where there are spans.

        What came before it is part of the answer's duration, not of the call's deadline.

        Raises:
            SecretUnreadable: what signs can't be opened here.
            NotToBeSent: somebody else has the job by now, or a callback shows that it runs.
            StorageUnavailable: its callback token could not be stored, so nothing was sent.
        """
        return self._traced(claim) if tracing.are_collected() else self._call(claim)

    async def _traced(self, claim: Claim) -> Answer:
        with tracing.attempting(
            claim.queue, claim.spec.traceparent, job_id=claim.id, attempt=claim.attempt
        ) as span:
            # What the endpoint does is a child of the attempt that asked for it.
            within = tracing.traceparent_of(span, claim.spec.traceparent)
            spec = replace(claim.spec, traceparent=within)
            answer = await self._call(replace(claim, spec=spec))
            tracing.conclude(span, answer.status, answer.failure)
            return answer

    async def _call(self, claim: Claim) -> Answer:
        url = claim.target
        if url is None:
            return Answer(failure=ErrorClass.NO_TARGET)
        began = time.monotonic()
        trust = await self._voucher.vouch(claim, url)
        waited = _ms_since(began)
        if isinstance(trust, Answer):
            return replace(trust, duration=waited)
        invocation = Invocation(claim)
        if claim.spec.terms is not None:
            invocation = await self._invoker.invoke(claim, waited)
            waited = _ms_since(began)
        claim = invocation.claim
        signed = headers_for(claim, trust.secrets, int(time.time() * 1_000), trust.v1)
        answer = await self._sender.send(
            Outgoing(
                url=url,
                method=claim.spec.method,
                headers=[*signed, *invocation.headers],
                body=claim.spec.payload,
                timeout=claim.timeout,
                keep=claim.result_bytes,
            )
        )
        answer = invocation.blank(answer)
        return replace(answer, duration=answer.duration + waited) if waited else answer

    async def close(self) -> None:
        """Break off what is being found out, and close the connections."""
        await self._voucher.close()
        await self._sender.close()


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1_000)
