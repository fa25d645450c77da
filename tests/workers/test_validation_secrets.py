"""Validation before use: which secret proves and signs, and what happens when Redis is away.

Each Validator stands for a worker process; see test_validation.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.claims import Seals
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect_async
from lambdaqueue.embedded import EmbeddedRedis
from lambdaqueue.errors import SecretUnreadable, StorageFull, StorageUnavailable
from lambdaqueue.outcome import Answer, ErrorClass
from lambdaqueue.service import open_service
from lambdaqueue.signing import Secret
from lambdaqueue.targets import TargetRules
from lambdaqueue.trust import Busy, Proved, Refused, TrustStore, Yours
from lambdaqueue.vault import Vault
from tests.operator import MASTER_KEY, SECRET, prepared
from tests.redis_server import servers
from tests.workers import by_the_contract
from tests.workers.stage import ACTOR, ENVIRONMENT
from tests.workers.test_courier import run, soon
from tests.workers.validating_endpoint import NOTHING, by_javascript_sdk, by_sdk, plain
from tests.workers.vouching import (
    Endpoints,
    claim,
    current,
    dead_worker,
    locks,
    refused,
    remembered,
    trusted,
    worker,
)
from workers import validation
from workers.caller import Caller
from workers.invoking import NoExecutions
from workers.outbound import open_outbound
from workers.sender import CurlSender, RecordingSender
from workers.voucher import Trust

T = TypeVar("T")

HOUR = 3_600_000


# Environments


def test_each_environment_asks_with_its_own_secret(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    other = administration.create_environment("other", "test").id
    secret = current(administration, other)
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one:
            a = await one.vouch(claim(redis_url), endpoint.url())
            b = await one.vouch(claim(redis_url, environment=other), endpoint.url())
            assert trusted(a) == [SECRET]
            assert refused(b).failure == ErrorClass.UNVERIFIED
            endpoint.way = by_sdk(SECRET, secret)
            b = await one.vouch(claim(redis_url, environment=other), endpoint.url("/second"))
            assert trusted(b) == [secret]

    run(body())
    for asked_for, head in zip((SECRET, secret, secret), endpoint.validations, strict=True):
        expected = by_the_contract.request_proof(asked_for, *head.asked)
        assert head.headers["x-lq-validation"] == expected


# Rotation


def test_while_rotating_both_secrets_are_asked_for_and_either_proves(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    administration.rotate_secret(ACTOR, HOUR)
    new = current(administration)
    by_old, by_new = make(by_sdk(SECRET)), make(by_sdk(new))

    async def body() -> None:
        async with worker(redis_url) as one:
            for endpoint in (by_old, by_new):
                assert trusted(await one.vouch(claim(redis_url), endpoint.url())) == [new, SECRET]

    run(body())
    for endpoint in (by_old, by_new):
        (head,) = endpoint.validations
        assert head.headers["x-lq-validation"].split(" ") == [
            by_the_contract.request_proof(each, *head.asked) for each in (new, SECRET)
        ]


def test_who_proved_the_old_secret_is_not_asked_again_while_it_counts(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one, worker(redis_url) as other:
            trusted(await one.vouch(claim(redis_url), endpoint.url()))
            administration.rotate_secret(ACTOR, HOUR)
            for each in (one, other):
                verdict = await each.vouch(claim(redis_url), endpoint.url())
                assert trusted(verdict) == [current(administration), SECRET]

    run(body())
    assert len(endpoint.validations) == 1


def test_after_the_overlap_the_old_secret_proves_nothing(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one:
            trusted(await one.vouch(claim(redis_url), endpoint.url()))
            administration.rotate_secret(ACTOR, 1)
            await soon(lambda: len(claim(redis_url).seals.environment) == 1, "the overlap is over")
            answer = refused(await one.vouch(claim(redis_url), endpoint.url()))
            assert answer.failure == ErrorClass.UNVERIFIED

    run(body())
    new = current(administration)
    head = endpoint.validations[-1]
    assert head.headers["x-lq-validation"] == by_the_contract.request_proof(new, *head.asked)


def test_a_refusal_under_the_old_secret_does_not_bind_the_new_one(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    endpoint = make(plain(200))

    async def body() -> None:
        async with worker(redis_url) as one, worker(redis_url) as other:
            refused(await one.vouch(claim(redis_url), endpoint.url()))
            administration.rotate_secret(ACTOR, HOUR)
            endpoint.way = by_sdk(current(administration))
            for each in (one, other):
                trusted(await each.vouch(claim(redis_url), endpoint.url()))

    run(body())
    assert len(endpoint.validations) == 2


@pytest.mark.parametrize("overlap", [0, HOUR])
def test_a_rotation_during_the_request_is_not_answered_by_it(
    redis_url: str, administration: Administration, make: Endpoints, overlap: int
) -> None:
    endpoint = make(by_sdk(SECRET))
    endpoint.gate.clear()

    async def body() -> None:
        async with worker(redis_url) as one:
            before = asyncio.create_task(one.vouch(claim(redis_url), endpoint.url()))
            await soon(lambda: endpoint.validations, "it is asked")
            administration.rotate_secret(ACTOR, overlap)
            new = current(administration)
            after = asyncio.create_task(one.vouch(claim(redis_url), endpoint.url()))
            await asyncio.sleep(validation.LOOK_AGAIN * 2)
            # Who knows both secrets waits for who asks with the old one.
            await soon(lambda: len(endpoint.validations) == (1 if overlap else 2), "who asks")
            endpoint.gate.set()
            assert trusted(await before) == [SECRET]
            if overlap:
                assert trusted(await after) == [new, SECRET]
            else:
                assert refused(await after).failure == ErrorClass.UNVERIFIED

    run(body())


# v1


def test_v1_signs_for_those_who_proved_by_it_and_no_others(redis_url: str, make: Endpoints) -> None:
    old_style, new_style = make(by_javascript_sdk(SECRET)), make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one, worker(redis_url) as other:
            for each in (one, other):
                verdict = await each.vouch(claim(redis_url), old_style.url())
                assert isinstance(verdict, Trust)
                assert verdict.v1 == Secret.parse(SECRET)
                verdict = await each.vouch(claim(redis_url), new_style.url())
                assert isinstance(verdict, Trust)
                assert verdict.v1 is None

    run(body())
    assert (len(old_style.validations), len(new_style.validations)) == (1, 1)


@pytest.mark.parametrize("which", ["old", "new"])
def test_while_rotating_v1_is_made_with_the_secret_that_proved(
    redis_url: str, administration: Administration, make: Endpoints, which: str
) -> None:
    administration.rotate_secret(ACTOR, HOUR)
    secret = SECRET if which == "old" else current(administration)
    endpoint = make(by_javascript_sdk(secret))

    async def body() -> None:
        rules = TargetRules(loopback=True)
        for _ in range(2):  # the second worker knows it from Redis
            sender = CurlSender(rules, slots=2)
            async with worker(redis_url, sender=sender) as one:
                job = claim(redis_url, target=endpoint.url())
                assert (await Caller(sender, one, NoExecutions()).call(job)).status == 200

    run(body())
    assert len(endpoint.validations) == 1
    for delivery in endpoint.deliveries:
        headers = delivery.headers
        made_at = int(headers["x-lq-signature"].split(",")[1].removeprefix("t="))
        assert headers["x-lq-signature"] == by_the_contract.signature_v1(
            secret, delivery.body, made_at
        )
        assert headers["webhook-signature"].split(" ") == [
            by_the_contract.signature(each, *delivery.asked, delivery.body)
            for each in (current(administration), SECRET)
        ]


# Without validation


def _queue(url: str, **settings: str) -> None:
    open_service(Settings(redis_url=url)).configure(ACTOR, "q", settings, False)


def test_none_is_ignored_where_the_operator_does_not_allow_it(
    redis_url: str, make: Endpoints
) -> None:
    _queue(redis_url, validation="none")
    endpoint = make(plain(200))

    async def body() -> None:
        async with worker(redis_url) as one:
            job = claim(redis_url, unvalidated=True)
            assert refused(await one.vouch(job, endpoint.url())).failure == ErrorClass.UNVERIFIED

    run(body())
    assert len(endpoint.validations) == 1


def test_none_signs_with_the_queues_own_secret(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    _queue(redis_url, validation="none")
    endpoint = make(plain(200))
    signing: set[str] = set()

    async def body() -> None:
        async with (
            worker(redis_url, allow_unvalidated=True) as one,
            worker(redis_url, allow_unvalidated=True) as other,
        ):
            job = claim(redis_url, unvalidated=True)
            assert job.seals.own == b""
            made = [each.vouch(job, endpoint.url()) for each in (one, other) * 20]
            for verdict in await asyncio.gather(*made):
                signing.update(trusted(verdict))
                assert isinstance(verdict, Trust)
                assert verdict.v1 is None
            later = claim(redis_url, unvalidated=True)
            assert later.seals.own
            signing.update(trusted(await one.vouch(later, endpoint.url())))

    run(body())
    assert signing == {administration.queue_secret(ACTOR, "q").reveal()}
    assert SECRET not in signing
    assert endpoint.connections == 0


def test_each_queue_has_its_own(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    service = open_service(Settings(redis_url=redis_url))
    for name in ("q", "r"):
        service.configure(ACTOR, name, {"validation": "none"}, False)
    signing: list[str] = []

    async def body() -> None:
        async with worker(redis_url, allow_unvalidated=True) as one:
            for name in ("q", "r"):
                job = claim(redis_url, name, unvalidated=True)
                signing.extend(trusted(await one.vouch(job, "https://example.org/")))

    run(body())
    assert signing == [administration.queue_secret(ACTOR, name).reveal() for name in ("q", "r")]
    assert len(set(signing)) == 2


def test_a_queue_that_is_gone_signs_nothing(redis_url: str, administration: Administration) -> None:
    async def body() -> None:
        async with worker(redis_url, allow_unvalidated=True) as one:
            job = claim(redis_url, "gone", unvalidated=True)
            answer = refused(await one.vouch(job, "https://example.org/"))
            assert answer.detail == "the queue is gone"

    run(body())
    with redis.Redis.from_url(redis_url) as client:
        assert not client.exists(keys.queue(ENVIRONMENT, "gone"))


# Secrets that can't be opened


@pytest.mark.parametrize("unvalidated", [False, True])
def test_a_secret_under_a_foreign_key_stops_its_environment_only(
    redis_url: str,
    administration: Administration,
    make: Endpoints,
    unvalidated: bool,
) -> None:
    other = administration.create_environment("other", "test").id
    endpoint = make(by_sdk(SECRET))
    _queue(redis_url, validation="none")
    foreign = Vault((Vault.new_key(),))
    with redis.Redis.from_url(redis_url) as client:
        hash_, place = (
            (keys.queue(ENVIRONMENT, "q"), keys.queue_ref(ENVIRONMENT, "q"))
            if unvalidated
            else (keys.environment(other), other)
        )
        client.hset(hash_, "secret", foreign.seal(place, Secret.generate()))

    async def body() -> None:
        async with worker(redis_url, allow_unvalidated=True) as one:
            environment = ENVIRONMENT if unvalidated else other
            job = claim(redis_url, environment=environment, unvalidated=unvalidated)
            with pytest.raises(SecretUnreadable, match="LQ_MASTER_KEYS"):
                await one.vouch(job, endpoint.url())
            assert endpoint.connections == 0
            trusted(await one.vouch(claim(redis_url), endpoint.url()))

    run(body())
    assert remembered(redis_url)


def test_a_secret_that_was_moved_signs_nothing(
    redis_url: str, administration: Administration, make: Endpoints
) -> None:
    other = administration.create_environment("other", "test").id
    endpoint = make(by_sdk(SECRET))
    with redis.Redis.from_url(redis_url) as client:
        moved = client.hget(keys.environment(ENVIRONMENT), "secret")
        assert moved
        client.hset(keys.environment(other), "secret", moved)

    async def body() -> None:
        async with worker(redis_url) as one:
            trusted(await one.vouch(claim(redis_url), endpoint.url()))
            job = claim(redis_url, environment=other)
            with pytest.raises(SecretUnreadable):
                await one.vouch(job, endpoint.url())

    run(body())
    assert len(endpoint.validations) == 1


def test_a_closed_environment_signs_nothing(redis_url: str, administration: Administration) -> None:
    async def body() -> None:
        async with worker(redis_url) as one:
            job = replace(claim(redis_url), seals=Seals())
            answer = refused(await one.vouch(job, "https://example.org/"))
            assert answer.failure == ErrorClass.UNVERIFIED

    run(body())


# Rules


@pytest.mark.parametrize(
    ("target", "rule"),
    [("http://127.0.0.1:{port}/hook", "scheme_not_allowed"),
     ("https://127.0.0.1/hook", "ip_not_public"),
     ("https://localhost/hook", "reserved_name"),
     ("https://10.0.0.1/hook", "ip_not_public"),
     ("https://example.org:444/hook", "port_not_allowed"),
     ("ftp://example.org/", "scheme_not_allowed"),
     ("not a url", "whitespace")],
)  # fmt: skip
@pytest.mark.parametrize("unvalidated", [False, True])
def test_what_the_rules_forbid_by_now_is_not_called(
    redis_url: str,
    administration: Administration,
    make: Endpoints,
    target: str,
    rule: str,
    unvalidated: bool,
) -> None:
    _queue(redis_url, validation="none")
    endpoint = make(by_sdk(SECRET))
    target = target.format(port=endpoint.server_address[1])

    async def body() -> None:
        rules = TargetRules()
        sender = CurlSender(rules, slots=2)
        async with worker(
            redis_url, rules=rules, sender=sender, allow_unvalidated=unvalidated
        ) as one:
            job = claim(redis_url, target=target, unvalidated=unvalidated)
            answer = await Caller(sender, one, NoExecutions()).call(job)
            assert answer.failure == ErrorClass.BLOCKED_ADDRESS
            assert answer.detail.endswith(rule)
            assert answer.not_before is None

    run(body())
    assert endpoint.connections == 0
    assert locks(redis_url) == []


def test_the_rules_of_a_process_are_one_object(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[TargetRules] = []
    targets = Settings.targets.fget  # type: ignore[attr-defined]

    def counted(settings: Settings) -> TargetRules:
        made.append(targets(settings))
        return made[-1]

    monkeypatch.setattr(Settings, "targets", property(counted))

    async def body() -> None:
        settings = Settings(redis_url=redis_url, master_keys=(MASTER_KEY,), development=True)
        client = connect_async(settings, answer_within=5.0)
        sender, validator = open_outbound(settings, client, slots=2)
        await validator.close()
        await sender.close()
        await client.aclose()

    run(body())
    assert len(made) == 1


def test_what_a_process_remembers_is_bounded(
    redis_url: str, make: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "MOST_KNOWN", 3)
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one:
            for _ in range(2):
                for n in range(7):
                    trusted(await one.vouch(claim(redis_url), endpoint.url(f"/{n}")))
                    assert len(one._known) <= 3

    run(body())
    assert len(endpoint.validations) == 7


# Redis away, and ends


class FailingStore(TrustStore):
    """Fails the next `failures` calls named `call`, before they reach Redis or after."""

    failures = 0
    call = ""
    error: type[StorageUnavailable] = StorageUnavailable
    late = False

    async def look(self, *args: Any) -> Proved | Refused | Busy | Yours:
        return await self._perhaps("look", super().look(*args))

    async def remember_proof(self, *args: Any, **more: Any) -> None:
        return await self._perhaps("remember_proof", super().remember_proof(*args, **more))

    async def remember_refusal(self, *args: Any) -> int:
        return await self._perhaps("remember_refusal", super().remember_refusal(*args))

    async def give_up(self, *args: Any) -> None:
        return await self._perhaps("give_up", super().give_up(*args))

    async def own_secret(self, *args: Any) -> bytes | None:
        return await self._perhaps("own_secret", super().own_secret(*args))

    async def _perhaps(self, name: str, call: Coroutine[Any, Any, T]) -> T:
        kind = type(self)
        if name != kind.call or not kind.failures:
            return await call
        kind.failures -= 1
        if kind.late:
            await call
        call.close()
        raise kind.error("it is away")


@pytest.mark.parametrize("error", [StorageUnavailable, StorageFull])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("call", ["look", "remember_proof", "remember_refusal", "give_up"])
def test_an_attempt_waits_for_redis_and_asks_once(
    redis_url: str,
    make: Endpoints,
    monkeypatch: pytest.MonkeyPatch,
    error: type[StorageUnavailable],
    late: bool,
    call: str,
) -> None:
    monkeypatch.setattr(validation, "AWAY_PAUSE", 0.01)
    for name, value in (("failures", 3), ("call", call), ("error", error), ("late", late)):
        monkeypatch.setattr(FailingStore, name, value)
    ways = {"remember_refusal": plain(200), "give_up": (lambda _: NOTHING)}
    endpoint = make(ways.get(call, by_sdk(SECRET)))

    async def body() -> None:
        async with worker(redis_url, store=FailingStore) as one:
            verdict = await one.vouch(claim(redis_url), endpoint.url())
            if call == "remember_refusal":
                assert refused(verdict).failure == ErrorClass.UNVERIFIED
            elif call == "give_up":
                assert refused(verdict).failure == ErrorClass.BAD_RESPONSE
            else:
                trusted(verdict)

    run(body())
    # What is to be remembered isn't waited with when there is no room for it.
    unremembered = error is StorageFull and call.startswith("remember")
    assert FailingStore.failures == (2 if unremembered else 0)
    assert len(endpoint.validations) == 1
    assert locks(redis_url) == []
    assert len(remembered(redis_url)) == (call != "give_up" and (late or not unremembered))


def test_a_queues_own_secret_is_waited_for(
    redis_url: str, administration: Administration, monkeypatch: pytest.MonkeyPatch
) -> None:
    _queue(redis_url, validation="none")
    for name, value in (("failures", 2), ("call", "own_secret")):
        monkeypatch.setattr(FailingStore, name, value)

    async def body() -> None:
        async with worker(redis_url, store=FailingStore, allow_unvalidated=True) as one:
            job = claim(redis_url, unvalidated=True)
            verdict = await one.vouch(job, "https://example.org/")
            assert trusted(verdict) == [administration.queue_secret(ACTOR, "q").reveal()]

    run(body())
    assert FailingStore.failures == 0


def test_an_outage_does_not_use_up_the_patience_for_others(
    redis_url: str, make: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "PATIENCE", 0.2)
    monkeypatch.setattr(validation, "AWAY_PAUSE", 0.3)
    for name, value in (("failures", 2), ("call", "look")):
        monkeypatch.setattr(FailingStore, name, value)
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with (
            dead_worker(redis_url, endpoint.url()) as lock,
            worker(redis_url, store=FailingStore) as one,
        ):
            waiting = asyncio.create_task(one.vouch(claim(redis_url), endpoint.url()))
            await soon(lambda: FailingStore.failures == 0, "Redis is back")
            with redis.Redis.from_url(redis_url) as client:
                client.pexpire(lock, 350)
            trusted(await waiting)

    run(body())


@pytest.mark.parametrize("moment", ["asked", "waiting"])
def test_the_end_of_a_worker_lets_others_ask_at_once(
    redis_url: str, make: Endpoints, moment: str
) -> None:
    endpoint = make(by_sdk(SECRET))
    endpoint.gate.clear()

    async def body() -> None:
        async with worker(redis_url) as other:
            async with worker(redis_url) as one:
                vouching = asyncio.create_task(one.vouch(claim(redis_url), endpoint.url()))
                await soon(lambda: endpoint.validations, "it is asked")
                if moment == "waiting":
                    following = asyncio.create_task(other.vouch(claim(redis_url), endpoint.url()))
                    await asyncio.sleep(validation.LOOK_AGAIN)
                began = time.monotonic()
            assert time.monotonic() - began < 2
            await asyncio.wait([vouching])
            assert vouching.cancelled()
            endpoint.gate.set()
            if moment == "asked":
                assert locks(redis_url) == []
                following = asyncio.create_task(other.vouch(claim(redis_url), endpoint.url()))
            trusted(await following)
            assert time.monotonic() - began < 3

    run(body())
    assert len(endpoint.validations) == 2


@pytest.mark.parametrize("way", ["gone", "silent"])
def test_a_worker_ends_also_while_redis_is_away(tmp_path: Path, way: str) -> None:
    found = servers()
    with EmbeddedRedis(
        tmp_path / "redis", binary=found[max(found)].path, append_only=False
    ) as server:
        make = Endpoints(prepared(server.url))
        endpoint = make(by_sdk(SECRET))
        endpoint.gate.clear()

        async def body() -> None:
            async with worker(server.url) as one:
                job = claim(server.url)
                vouching = asyncio.create_task(one.vouch(job, endpoint.url()))
                await soon(lambda: endpoint.validations, "it is asked")
                assert server.pid is not None
                server.stop() if way == "gone" else os.kill(server.pid, signal.SIGSTOP)
                began = time.monotonic()
                try:
                    async with asyncio.timeout(5):
                        await one.close()
                finally:
                    server.start() if way == "gone" else os.kill(server.pid, signal.SIGCONT)
                assert time.monotonic() - began < 3
                await asyncio.wait([vouching])
                assert vouching.cancelled()

        run(body())
        make.administration = prepared(server.url)
        make.stop()


def test_a_mistake_of_ours_holds_up_nobody(redis_url: str, administration: Administration) -> None:
    def broken(_: object) -> Answer:
        raise RuntimeError("a mistake")

    async def body() -> None:
        async with worker(redis_url, sender=RecordingSender(broken)) as one:
            vouching = [one.vouch(claim(redis_url), "https://example.org/") for _ in range(3)]
            for verdict in await asyncio.gather(*vouching, return_exceptions=True):
                assert isinstance(verdict, RuntimeError)
            assert locks(redis_url) == []
            assert one._asked == {}

    run(body())
