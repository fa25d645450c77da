"""Validators as worker processes have them, and what a test wants to know of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.claims import Claim, Seals
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import SecretUnreadable
from lambdaqueue.identity import Actor
from lambdaqueue.outcome import Answer
from lambdaqueue.retry import DEFAULT_POLICY
from lambdaqueue.signing import Secret
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import SUCCESS
from lambdaqueue.targets import TargetRules
from lambdaqueue.trust import Busy, Proved, Refused, TrustStore, Yours, digest
from lambdaqueue.vault import Vault
from tests.operator import MASTER_KEY, SECRET
from tests.workers.stage import ENVIRONMENT
from tests.workers.validating_endpoint import MARK, Endpoint, Way
from workers.keyring import Keyring
from workers.sender import CurlSender, Sender
from workers.validation import Validator
from workers.voucher import Trust

__all__ = [
    "Endpoints",
    "SlowStore",
    "claim",
    "clock",
    "current",
    "dead_worker",
    "locks",
    "refused",
    "remembered",
    "trust_name",
    "trust_store",
    "trusted",
    "worker",
]


class Endpoints:
    """Makes endpoints; `stop` holds all that came to them against the rule."""

    def __init__(self, administration: Administration) -> None:
        self.administration = administration
        self._made: list[Endpoint] = []

    def __call__(self, way: Way, port: int = 0) -> Endpoint:
        """Make one, at any port or at `port`."""
        self._made.append(Endpoint(way, port))
        return self._made[-1]

    def stop(self) -> None:
        """Stop them all, and check that nobody got what he did not prove to deserve."""
        for each in self._made:
            each.stop()
        secrets = [self._secrets(each.id) for each in self.administration.environments()]
        for each in self._made:
            each.check(*secrets)

    def _secrets(self, environment: str) -> list[str]:
        first = [SECRET] if environment == ENVIRONMENT else []
        with contextlib.suppress(SecretUnreadable):  # nobody signs with that one
            return [*first, current(self.administration, environment)]
        return first


def current(administration: Administration, environment: str = ENVIRONMENT) -> str:
    """Return the text of an environment's newest secret."""
    return administration.secret(Actor(environment, "test")).secret.reveal()


def claim(
    url: str,
    queue: str = "q",
    environment: str = ENVIRONMENT,
    *,
    target: str = "http://127.0.0.1:1/hook",
    unvalidated: bool = False,
) -> Claim:
    """Return a claim of a new job, with the secrets as they are stored now."""
    with redis.Redis.from_url(url) as client:
        stored = EnvironmentStore(client).sealed(environment)
        own = client.hget(keys.queue(environment, queue), "secret") or b""
    both = (stored.secret, stored.previous) if stored.previous else (stored.secret,)
    return Claim(
        id="0" * 13 + environment,
        token="w.1.1",
        environment=environment,
        queue=queue,
        version=1,
        attempt=1,
        failures=0,
        started_at=1,
        first_due_at=1,
        spec=Spec(payload=MARK + b"secret"),
        target=target,
        policy=DEFAULT_POLICY,
        timeout=30_000,
        success=SUCCESS,
        result_bytes=100,
        seals=Seals(both, own, unvalidated),
    )


@contextlib.asynccontextmanager
async def worker(
    url: str,
    *,
    sender: Sender | None = None,
    store: type[TrustStore] = TrustStore,
    allow_unvalidated: bool = False,
    rules: TargetRules | None = None,
    master_key: str = MASTER_KEY,
) -> AsyncIterator[Validator]:
    """Run what vouches for the endpoints of one worker process."""
    client = connect_async(Settings(redis_url=url), answer_within=5.0)
    rules = rules or TargetRules(loopback=True)
    sends = sender or CurlSender(rules, slots=50)
    one = Validator(
        store(client),
        sends,
        Keyring(Vault((master_key,))),
        rules=rules,
        allow_unvalidated=allow_unvalidated,
    )
    try:
        yield one
    finally:
        await one.close()
        await sends.close()
        await client.aclose()


def refused(verdict: Trust | Answer) -> Answer:
    """Hold that it is no trust."""
    assert isinstance(verdict, Answer), verdict
    return verdict


def trusted(verdict: Trust | Answer) -> list[str]:
    """Hold that it is trust, and return the secrets that sign, as text."""
    assert isinstance(verdict, Trust), verdict
    return [secret.reveal() for secret in verdict.secrets]


def clock(url: str) -> int:
    """Return Redis' time in Unix ms."""
    with redis.Redis.from_url(url) as client:
        return EnvironmentStore(client).clock()


def remembered(url: str) -> list[int]:
    """Return for how many ms each record of a target is kept."""
    with redis.Redis.from_url(url) as client:
        return [client.pttl(key) for key in client.scan_iter(keys.target("*", "*"))]


def locks(url: str) -> list[bytes]:
    """Return the keys of the validations that are under way."""
    with redis.Redis.from_url(url) as client:
        return list(client.scan_iter(keys.validating("*", "*")))


@contextlib.asynccontextmanager
async def trust_store(url: str) -> AsyncIterator[TrustStore]:
    """Give what another worker would write with."""
    client = connect_async(Settings(redis_url=url), answer_within=5.0)
    yield TrustStore(client)
    await client.aclose()


@contextlib.asynccontextmanager
async def dead_worker(url: str, target: str) -> AsyncIterator[bytes]:
    """Leave a validation behind that nobody ends; gives its key."""
    async with trust_store(url) as store:
        await store.look(ENVIRONMENT, [trust_name(target)], "dead")
        (lock,) = locks(url)
        yield lock


def trust_name(target: str) -> str:
    """Return the name under which a target is remembered with SECRET."""
    endpoint = TargetRules(loopback=True).destination(target).endpoint
    return digest(endpoint, Secret.parse(SECRET))


class SlowStore(TrustStore):
    """A Redis whose answers take `pause` seconds to arrive, and whose clock is faster than ours:
    of what is left of a refusal, `ahead` ms are over sooner than we think."""

    pause = 0.0
    ahead = 0

    async def look(
        self, environment: str, digests: Sequence[str], who: str
    ) -> Proved | Refused | Busy | Yours:
        answer = await super().look(environment, digests, who)
        await asyncio.sleep(self.pause)
        if isinstance(answer, Refused) and answer.left:
            return replace(answer, left=answer.left + self.ahead)
        return answer
