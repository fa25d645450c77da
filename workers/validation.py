"""Whom we may call, and what signs it: validation before use.

Before the first delivery to an endpoint a HEAD asks it to prove that it knows the environment's
secret. What comes of it is remembered in Redis for all workers, and here until then:

    vouch ─► known here? ─► known in Redis? ─► another worker asks? ─► HEAD ─► remembered
                  └────────────┴── Trust, or the Answer of an attempt that must not be made
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets as randomness
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

from lambdaqueue import keys
from lambdaqueue.claims import Claim
from lambdaqueue.envelope import USER_AGENT
from lambdaqueue.errors import InvalidRequest, StorageFull, StorageUnavailable
from lambdaqueue.legacy_signing import HEADER as V1_HEADER
from lambdaqueue.logs import Log
from lambdaqueue.outcome import Answer, ErrorClass
from lambdaqueue.proofs import NONCE_BYTES, VALIDATION_HEADER, Proof, challenge, proven_by
from lambdaqueue.signing import Secret
from lambdaqueue.targets import TargetRules, without_query
from lambdaqueue.trust import Proved, Refused, TrustStore, Yours, digest
from workers.keyring import Keyring
from workers.sender import Outgoing, Sender
from workers.voucher import Trust

__all__ = ["Validator"]

log = Log("lambdaqueue.worker")

T = TypeVar("T")

HEAD_TIMEOUT = 10_000
"""ms for the HEAD."""

LOOK_AGAIN = 0.1
"""Seconds until the next look while another worker validates."""

PATIENCE = 24.0
"""Seconds for which an attempt waits for that: one validation that was abandoned, and one more."""

AWAY_PAUSE = 0.2
"""Seconds until the next call while Redis is away."""

STEP_BACK_WITHIN = 1.0
"""Seconds for letting others go on; where Redis is silent, time does it."""

ASK_BEFORE = 1.0
"""Seconds before its end from which on Redis is asked, not what is known here: at the end itself
the attempt that waited for it must find nothing, and two clocks don't run alike."""

MOST_KNOWN = 10_000
"""Endpoints that a process remembers by itself; of the others Redis knows."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an endpoint under certain secrets, until a monotonic time."""

    secrets: tuple[Secret, ...]
    verdict: Trust | Answer
    until: float


@dataclass(frozen=True, slots=True)
class _Question:
    """An endpoint, and the secrets it may prove."""

    environment: str
    endpoint: str
    secrets: tuple[Secret, ...]

    @property
    def digests(self) -> list[str]:
        return [digest(self.endpoint, secret) for secret in self.secrets]


class Validator:
    """Vouches for endpoints by asking them. One for a process, used from its event loop."""

    def __init__(
        self,
        store: TrustStore,
        sender: Sender,
        keyring: Keyring,
        *,
        rules: TargetRules,
        allow_unvalidated: bool,
    ) -> None:
        self._store = store
        self._sender = sender
        self._keyring = keyring
        self._rules = rules
        self._allow_unvalidated = allow_unvalidated
        self._known: dict[tuple[str, str], _Known] = {}
        self._asked: dict[_Question, asyncio.Task[Trust | Answer]] = {}

    async def vouch(self, claim: Claim, url: str) -> Trust | Answer:
        """See `Voucher.vouch`."""
        try:
            if claim.seals.unvalidated and self._allow_unvalidated:
                return await self._by_own_secret(claim)
            secrets = self._keyring.secrets(claim.environment, claim.seals.environment)
            if not secrets:
                return _unverified("the environment has no secret")
            return await self._by_proof(claim.environment, url, secrets)
        except InvalidRequest as error:
            code = error.issues[0].code
            return Answer(failure=ErrorClass.BLOCKED_ADDRESS, detail=f"not allowed here: {code}")

    async def close(self) -> None:
        """See `Voucher.close`."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _by_own_secret(self, claim: Claim) -> Trust | Answer:
        """The environment's signature is not for those who proved nothing."""
        ref = keys.queue_ref(claim.environment, claim.queue)
        sealed: bytes | None = claim.seals.own
        if not sealed:
            fresh = self._keyring.new(ref)
            sealed = await _patiently(
                lambda: self._store.own_secret(claim.environment, claim.queue, fresh)
            )
        if sealed is None:
            return _unverified("the queue is gone")
        return Trust(self._keyring.secrets(ref, (sealed,)))

    async def _by_proof(
        self, environment: str, url: str, secrets: tuple[Secret, ...]
    ) -> Trust | Answer:
        self._rules.destination(url)  # complains, if the URL isn't allowed any more
        # As it's written: what the endpoint proves is bound to that spelling.
        endpoint = without_query(url)
        place = environment, endpoint
        known = self._known.get(place)
        if known and known.secrets == secrets and time.monotonic() < known.until:
            return known.verdict
        question = _Question(environment, endpoint, secrets)
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.create_task(self._find_out(question, url))
            task.add_done_callback(lambda _: self._asked.pop(question))
        # One who stops waiting doesn't stop the others.
        return await asyncio.shield(task)

    async def _find_out(self, question: _Question, url: str) -> Trust | Answer:
        who = randomness.token_hex(8)
        try:
            return await self._ask_around(question, url, who)
        except BaseException:
            # Whoever stops in the middle doesn't keep others from trying.
            with contextlib.suppress(StorageUnavailable, TimeoutError):
                async with asyncio.timeout(STEP_BACK_WITHIN):
                    await self._store.give_up(question.environment, question.digests, who)
            raise

    async def _ask_around(self, question: _Question, url: str, who: str) -> Trust | Answer:
        patience = PATIENCE
        while True:
            asked = time.monotonic()
            found = await _patiently(
                lambda: self._store.look(question.environment, question.digests, who)
            )
            if isinstance(found, Proved):
                return self._keep_proof(question, found, asked)
            if isinstance(found, Refused) and found.left:
                return self._keep_refusal(question, found, asked)
            if isinstance(found, Yours):
                failure = await self._validate(question, url, who)
                if failure is not None:
                    return failure
                continue
            if patience <= 0:
                detail = "another worker did not end the endpoint's validation"
                return Answer(failure=ErrorClass.TIMEOUT, detail=detail)
            pause = min(LOOK_AGAIN, max(found.left, 1) / 1_000)
            patience -= pause
            await asyncio.sleep(pause)

    async def _validate(self, question: _Question, url: str, who: str) -> Trust | Answer | None:
        """Ask the endpoint and let all others know; returns why there was no answer, if so.

        What an answer means is looked up afterwards: somebody else's proof may stand against it.
        """
        environment, digests = question.environment, question.digests
        headers = challenge(
            question.secrets, url, randomness.token_hex(NONCE_BYTES), int(time.time())
        )
        answer = await self._sender.send(_head(url, headers))
        if answer.failure is not None:
            await _patiently(lambda: self._store.give_up(environment, digests, who))
            return replace(answer, detail=f"at the endpoint's validation: {answer.detail}")
        proof = None
        if answer.status is not None and 200 <= answer.status <= 299:
            now = int(time.time() * 1_000)
            proof = proven_by(question.secrets, headers, answer.headers, now)
        try:
            await _patiently(
                lambda: self._remember(question, who, proof, _reason(answer)), although_full=False
            )
        except StorageFull:
            # For this attempt it's known all the same; the next one asks again.
            await _patiently(lambda: self._store.give_up(environment, digests, who))
            if proof is None:
                return _unverified(_reason(answer))
            return Trust(question.secrets, proof.secret if proof.v1 else None)
        return None

    async def _remember(
        self, question: _Question, who: str, proof: Proof | None, reason: str
    ) -> None:
        environment, digests = question.environment, question.digests
        if proof is None:
            host = urlsplit(question.endpoint).netloc
            log.warning("endpoint_unverified", environment=environment, host=host, reason=reason)
            await self._store.remember_refusal(environment, digests, who, reason)
            return
        number = question.secrets.index(proof.secret)
        await self._store.remember_proof(environment, digests, who, number=number, v1=proof.v1)

    def _keep_proof(self, question: _Question, proved: Proved, since: float) -> Trust:
        trust = Trust(question.secrets, question.secrets[proved.number] if proved.v1 else None)
        self._keep(question, trust, since + proved.left / 1_000)
        return trust

    def _keep_refusal(self, question: _Question, refused: Refused, since: float) -> Answer:
        answer = replace(_unverified(refused.reason), not_before=refused.until)
        self._keep(question, answer, since + refused.left / 1_000)
        return answer

    def _keep(self, question: _Question, verdict: Trust | Answer, ends: float) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        place = question.environment, question.endpoint
        self._known[place] = _Known(question.secrets, verdict, ends - ASK_BEFORE)


async def _patiently(call: Callable[[], Awaitable[T]], *, although_full: bool = True) -> T:
    """Call until Redis answers: a job is ours as long as the worker lives, and given up with it.

    Raises:
        StorageFull: Redis is, and it isn't to be waited for until it has room (`although_full`).
    """
    while True:
        try:
            return await call()
        except StorageUnavailable as error:
            if isinstance(error, StorageFull) and not although_full:
                raise
            log.debug("storage_unavailable", reason=error, then="trying again")
            await asyncio.sleep(AWAY_PAUSE)


def _head(url: str, headers: Sequence[tuple[str, str]]) -> Outgoing:
    return Outgoing(url, "HEAD", [*headers, USER_AGENT], b"", HEAD_TIMEOUT, keep=0)


def _unverified(detail: str) -> Answer:
    return Answer(failure=ErrorClass.UNVERIFIED, detail=detail)


def _reason(answer: Answer) -> str:
    """Say what was wrong with an answer, in words that hold nothing of it."""
    asked = f"the endpoint answered {answer.status} to the validation request"
    if answer.status is None or not 200 <= answer.status <= 299:
        return asked
    if VALIDATION_HEADER in answer.headers or V1_HEADER in answer.headers:
        return f"{asked}, but its proof is not one for this request and secret"
    return f"{asked} without {VALIDATION_HEADER}, the proof that it knows the secret"
