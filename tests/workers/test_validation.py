"""Validation before use, against a real Redis and real endpoints: asking, remembering, waiting.

Each Validator stands for a worker process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
import redis

from lambdaqueue import __version__, keys
from lambdaqueue.administration import Administration
from lambdaqueue.outcome import Answer, ErrorClass
from lambdaqueue.targets import TargetRules
from lambdaqueue.trust import VALIDATION_TAKES
from tests.operator import SECRET
from tests.workers import by_the_contract
from tests.workers.by_the_contract import url_hash
from tests.workers.endpoints import endpoint as raw_endpoint
from tests.workers.endpoints import full_backlog, tls_context
from tests.workers.stage import ENVIRONMENT
from tests.workers.test_courier import run, soon
from tests.workers.validating_endpoint import (
    NOTHING,
    RESET,
    Endpoint,
    Received,
    Way,
    answered,
    by_sdk,
    made_by,
    plain,
)
from tests.workers.vouching import (
    Endpoints,
    SlowStore,
    claim,
    clock,
    dead_worker,
    locks,
    refused,
    remembered,
    trust_name,
    trust_store,
    trusted,
    worker,
)
from workers import validation
from workers.caller import Caller
from workers.invoking import NoExecutions
from workers.sender import CurlSender, Outgoing, RecordingSender, Sender
from workers.voucher import Trust

OTHER = "whsec_b3RoZXIgc2VjcmV0IG9mIDI0IGJ5dGVz"
DAY = 86_400_000
TWO_MINUTES = 120_000


# What is asked


def test_the_request_is_the_contracts(redis_url: str, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    url = endpoint.url("/hook/a%20b")

    async def body() -> None:
        async with worker(redis_url) as one:
            trusted(await one.vouch(claim(redis_url), f"{url}?token=query"))

    run(body())
    (head,) = endpoint.validations
    assert head.raw.startswith(b"HEAD /hook/a%20b?token=query HTTP/1.1\r\n")
    headers = dict(head.headers)
    message_id, timestamp = head.asked
    assert message_id.split("_")[0::2] == ["val", url_hash(url)]
    assert len(message_id.split("_")[1]) == 32
    assert abs(int(timestamp) - time.time()) < 30
    expected = {
        "x-lq-validation": by_the_contract.request_proof(SECRET, message_id, timestamp),
        "user-agent": f"LambdaQueue/{__version__}",
        "accept-encoding": "identity",
    }
    assert expected.items() <= headers.items()
    allowed = {"webhook-id", "webhook-timestamp", "host", "accept", *expected}
    assert headers.keys() == allowed
    assert head.raw.endswith(b"\r\n\r\n")
    assert head.body == b""
    assert len(endpoint.raw) == len(head.raw)


def test_each_request_has_a_nonce_of_its_own(redis_url: str, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one:
            for n in range(5):
                trusted(await one.vouch(claim(redis_url), endpoint.url(f"/{n}")))

    run(body())
    nonces = {head.asked[0].split("_")[1] for head in endpoint.validations}
    assert len(nonces) == 5


# What is no proof


def _proof_of(change: Callable[[Received], str], status: int = 200) -> Way:
    return lambda head: answered(status, f"x-lq-validation: {change(head)}")


def _v1(made: Callable[[int], str]) -> Way:
    return lambda _: answered(200, f"x-lq-signature: {made(int(time.time() * 1_000))}")


def _of_another_nonce(head: Received) -> str:
    message_id, timestamp = head.asked
    nonce = "0" * 32
    return by_the_contract.proof(SECRET, f"val_{nonce}_{message_id.split('_')[2]}", timestamp)


def _of_another_url(head: Received) -> str:
    message_id, timestamp = head.asked
    other = url_hash("https://example.org/hook")
    return by_the_contract.proof(SECRET, f"val_{message_id.split('_')[1]}_{other}", timestamp)


def _of_an_older_time(head: Received) -> str:
    message_id, timestamp = head.asked
    return by_the_contract.proof(SECRET, message_id, str(int(timestamp) - 1))


def _delivery_signature(head: Received) -> str:
    return by_the_contract.signature(SECRET, *head.asked, b"")


WITHOUT = "without x-lq-validation, the proof that it knows the secret"
WRONG = ", but its proof is not one for this request and secret"

NO_PROOF: dict[str, tuple[Way, str]] = {
    "nothing": (plain(200), f"200 to the validation request {WITHOUT}"),
    "no content": (plain(204), WITHOUT),
    "not found": (plain(404), "404 to the validation request"),
    "method": (plain(405, "Allow: POST"), "405 to the validation request"),
    "redirect": (plain(301, "Location: https://example.org/"), "301 to the validation request"),
    "unauthorised": (plain(401, "WWW-Authenticate: Bearer"), "401 to the validation request"),
    "broken": (plain(500), "500 to the validation request"),
    "away": (plain(503, "Retry-After: 3600"), "503 to the validation request"),
    "gone": (plain(410), "410 to the validation request"),
    "another secret": (_proof_of(lambda head: by_the_contract.proof(OTHER, *head.asked)), WRONG),
    "another nonce": (_proof_of(_of_another_nonce), WRONG),
    "another URL": (_proof_of(_of_another_url), WRONG),
    "another time": (_proof_of(_of_an_older_time), WRONG),
    "an echo": (_proof_of(lambda head: head.headers["x-lq-validation"]), WRONG),
    "a delivery's signature": (_proof_of(_delivery_signature), WRONG),
    "empty": (_proof_of(lambda head: ""), WRONG),
    "junk": (_proof_of(lambda head: "v1,\xe4 \t v1 , ,"), WRONG),
    "cut": (_proof_of(lambda head: by_the_contract.proof(SECRET, *head.asked)[:-1]), WRONG),
    "no version": (_proof_of(lambda head: by_the_contract.proof(SECRET, *head.asked)[3:]), WRONG),
    "not 2xx": (
        _proof_of(lambda head: by_the_contract.proof(SECRET, *head.asked), 300),
        "300 to the validation request",
    ),
    "twice": (
        lambda head: answered(200, *[f"x-lq-validation: {_right(head)}"] * 2),
        WRONG,
    ),
    "v1 of another secret": (_v1(lambda now: by_the_contract.signature_v1(OTHER, b"", now)), WRONG),
    "v1 too old": (
        _v1(lambda now: by_the_contract.signature_v1(SECRET, b"", now - 125_000)),
        WRONG,
    ),
    "v1 too new": (
        _v1(lambda now: by_the_contract.signature_v1(SECRET, b"", now + 125_000)),
        WRONG,
    ),
    "v1 over a body": (_v1(lambda now: by_the_contract.signature_v1(SECRET, b"x", now)), WRONG),
    "v1 with the decoded secret": (
        _v1(lambda now: by_the_contract.signature_v1(SECRET.removeprefix("whsec_"), b"", now)),
        WRONG,
    ),
}


def _right(head: Received) -> str:
    return by_the_contract.proof(SECRET, *head.asked)


@pytest.mark.parametrize("name", NO_PROOF)
def test_an_answer_that_proves_nothing_counts_for_two_minutes(
    redis_url: str, make: Endpoints, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level("DEBUG")
    way, reason = NO_PROOF[name]
    endpoint = make(way)

    answers: list[Answer] = []

    async def body() -> None:
        async with worker(redis_url) as one, worker(redis_url) as other:
            for each, query in ((one, "?a"), (one, "?b"), (other, "")):
                verdict = await each.vouch(claim(redis_url), endpoint.url(f"/hook{query}"))
                answers.append(refused(verdict))

    before = clock(redis_url)
    run(body())
    after = clock(redis_url)
    assert len(endpoint.validations) == 1
    assert len({answer.not_before for answer in answers}) == 1
    for answer in answers:
        assert answer.failure == ErrorClass.UNVERIFIED
        assert answer.detail.endswith(reason)
        assert answer.status is None
        assert answer.not_before is not None
        assert before + TWO_MINUTES <= answer.not_before <= after + TWO_MINUTES
    (left,) = remembered(redis_url)
    assert TWO_MINUTES - 10_000 < left <= TWO_MINUTES
    assert locks(redis_url) == []
    _check_tells_nothing(endpoint, *(answer.detail for answer in answers), caplog.text)


def _check_tells_nothing(endpoint: Endpoint, *texts: str) -> None:
    (head,) = endpoint.validations
    confidential = [
        SECRET[6:],
        head.headers["x-lq-validation"][3:],
        _right(head)[3:],
        head.asked[0],
    ]
    assert not [each for each in confidential for text in texts if each in text]


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_with_a_proof_is_one(redis_url: str, make: Endpoints, status: int) -> None:
    endpoint = make(_proof_of(_right, status))

    async def body() -> None:
        async with worker(redis_url) as one:
            assert trusted(await one.vouch(claim(redis_url), endpoint.url())) == [SECRET]

    run(body())


@pytest.mark.parametrize(("pause", "ahead"), [(0.3, 0), (0.0, 500)], ids=["late", "fast"])
def test_at_the_end_of_the_two_minutes_the_endpoint_is_asked_again(
    redis_url: str,
    make: Endpoints,
    monkeypatch: pytest.MonkeyPatch,
    pause: float,
    ahead: int,
) -> None:
    monkeypatch.setattr("lambdaqueue.trust.REFUSED_FOR", 2_500)
    monkeypatch.setattr(SlowStore, "pause", pause)
    monkeypatch.setattr(SlowStore, "ahead", ahead)
    endpoint = make(plain(200))

    async def body() -> None:
        async with worker(redis_url, store=SlowStore) as one:
            first = refused(await one.vouch(claim(redis_url), endpoint.url()))
            assert first.not_before is not None
            endpoint.way = by_sdk(SECRET)
            held = refused(await one.vouch(claim(redis_url), endpoint.url()))
            assert held.not_before == first.not_before
            ends = first.not_before
            await soon(lambda: clock(redis_url) >= ends, "its end")
            trusted(await one.vouch(claim(redis_url), endpoint.url()))

    run(body())
    assert len(endpoint.validations) == 2


def test_a_refusal_in_its_last_millisecond_is_waited_out(redis_url: str, make: Endpoints) -> None:
    endpoint = make(plain(200))

    async def body() -> None:
        async with worker(redis_url) as one, worker(redis_url) as other:
            refused(await one.vouch(claim(redis_url), endpoint.url()))
            endpoint.way = by_sdk(SECRET)
            with redis.Redis.from_url(redis_url) as client:
                key = keys.target(ENVIRONMENT, trust_name(endpoint.url()))
                client.hset(key, "until", clock(redis_url))
                client.pexpire(key, 100)
            trusted(await other.vouch(claim(redis_url), endpoint.url()))

    run(body())
    assert len(endpoint.validations) == 2


# No answer at all


async def _verdicts(url: str, target: str, sender: Sender | None = None) -> list[Answer]:
    async with worker(url, sender=sender) as one, worker(url, sender=sender) as other:
        return [refused(await each.vouch(claim(url), target)) for each in (one, one, other)]


def _check_nothing_remembered(url: str, answers: Sequence[Answer], failure: str) -> None:
    for answer in answers:
        assert answer.failure == failure, answer
        assert answer.detail.startswith("at the endpoint's validation: ")
        assert answer.not_before is None
    assert remembered(url) == []
    assert locks(url) == []


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (RESET, ErrorClass.BAD_RESPONSE),
        (NOTHING, ErrorClass.BAD_RESPONSE),
        (b"garbage\r\n\r\n", ErrorClass.BAD_RESPONSE),
        (b"HTTP/1.1 999999 What\r\n\r\n", ErrorClass.BAD_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nx-lq-validation: v1,", ErrorClass.TIMEOUT),
    ],
    ids=["reset", "nothing", "garbage", "status", "half"],
)
def test_a_broken_answer_is_none(
    redis_url: str,
    make: Endpoints,
    monkeypatch: pytest.MonkeyPatch,
    reply: bytes,
    failure: ErrorClass,
) -> None:
    monkeypatch.setattr(validation, "HEAD_TIMEOUT", 500)
    endpoint = make(lambda _: reply)

    async def body() -> None:
        answers = await _verdicts(redis_url, endpoint.url())
        _check_nothing_remembered(redis_url, answers, failure)

    run(body())
    assert len(endpoint.validations) == 3


def test_a_silent_endpoint_has_its_own_deadline(
    redis_url: str, make: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert validation.HEAD_TIMEOUT == 10_000
    monkeypatch.setattr(validation, "HEAD_TIMEOUT", 300)
    endpoint = make(plain(200))
    endpoint.gate.clear()

    async def body() -> None:
        answers = await _verdicts(redis_url, endpoint.url())
        _check_nothing_remembered(redis_url, answers, ErrorClass.TIMEOUT)
        assert "within 300 ms" in answers[0].detail

    run(body())
    assert len(endpoint.validations) == 3


def test_a_closed_port_is_told_apart(redis_url: str, make: Endpoints) -> None:
    endpoint = make(plain(200))
    url = endpoint.url()
    endpoint.stop()

    async def body() -> None:
        answers = await _verdicts(redis_url, url)
        _check_nothing_remembered(redis_url, answers, ErrorClass.CONNECT)

    run(body())


def test_a_port_that_takes_nothing_is_told_apart(
    redis_url: str, administration: Administration
) -> None:
    async def body() -> None:
        rules = TargetRules(loopback=True)
        sender = CurlSender(rules, connect_timeout=200)
        async with full_backlog() as url, worker(redis_url, sender=sender) as one:
            answers = [refused(await one.vouch(claim(redis_url), url))]
            _check_nothing_remembered(redis_url, answers, ErrorClass.CONNECT)

    run(body())


def test_a_certificate_that_is_not_trusted_is_told_apart(
    redis_url: str, administration: Administration
) -> None:
    async def body() -> None:
        async with raw_endpoint(b"", tls_context()) as hidden:
            answers = await _verdicts(redis_url, hidden.url)
            _check_nothing_remembered(redis_url, answers, ErrorClass.TLS)
            assert hidden.requests == []

    run(body())


@pytest.mark.parametrize("failure", [ErrorClass.DNS, ErrorClass.BLOCKED_ADDRESS])
def test_whatever_the_transport_says_is_passed_on(
    redis_url: str, administration: Administration, failure: ErrorClass
) -> None:
    sender = RecordingSender(lambda _: Answer(failure=failure, detail="why", duration=7))

    async def body() -> None:
        answers = await _verdicts(redis_url, "https://example.org/", sender)
        _check_nothing_remembered(redis_url, answers, failure)
        assert {answer.detail for answer in answers} == {"at the endpoint's validation: why"}

    run(body())
    assert [(each.method, each.body, each.timeout) for each in sender.requests] == [
        ("HEAD", b"", 10_000)
    ] * 3


# A proof


def test_a_proof_counts_for_a_day_whatever_the_query_and_for_all_workers(
    redis_url: str, make: Endpoints
) -> None:
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one, worker(redis_url) as other:
            for each in (one, one, other, other):
                for query in ("", "?a=1", "?a=2"):
                    verdict = await each.vouch(claim(redis_url), endpoint.url(f"/hook{query}"))
                    assert trusted(verdict) == [SECRET]
                    assert isinstance(verdict, Trust)
                    assert verdict.v1 is None

    run(body())
    assert len(endpoint.validations) == 1
    (left,) = remembered(redis_url)
    assert DAY - 20_000 < left <= DAY
    assert locks(redis_url) == []


def test_a_worker_knows_it_no_longer_than_redis(
    redis_url: str, make: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdaqueue.trust.PROVED_FOR", 1_500)
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one, worker(redis_url) as other:
            trusted(await one.vouch(claim(redis_url), endpoint.url()))
            trusted(await other.vouch(claim(redis_url), endpoint.url()))
            await soon(lambda: remembered(redis_url) == [], "Redis forgets")
            trusted(await other.vouch(claim(redis_url), endpoint.url()))
            trusted(await one.vouch(claim(redis_url), endpoint.url()))

    run(body())
    assert len(endpoint.validations) == 2


@pytest.mark.parametrize(
    "other",
    ["/other", "/hook/", "/Hook", "/%68ook", "/x/../hook", "//hook"],
)
def test_another_path_is_another_endpoint(redis_url: str, make: Endpoints, other: str) -> None:
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as one:
            for path in ("/hook", other):
                trusted(await one.vouch(claim(redis_url), endpoint.url(path)))

    run(body())
    assert [head.raw.split(b" ")[1].decode() for head in endpoint.validations] == ["/hook", other]


def test_another_host_port_or_scheme_is_another_endpoint(
    redis_url: str, administration: Administration
) -> None:
    heads = 0

    async def body() -> None:
        nonlocal heads
        sender = RecordingSender(_proving)
        async with worker(redis_url, sender=sender) as one:
            for url in (
                "https://example.org/hook",
                "https://example.org/hook?x",  # the same
                "https://EXAMPLE.org/hook",  # a proof is bound to the spelling
                "https://example.org:8443/hook",
                "https://example.net/hook",
                "https://127.0.0.1:443/hook",
                "http://127.0.0.1:443/hook",
            ):
                trusted(await one.vouch(claim(redis_url), url))
        heads = len(sender.requests)

    run(body())
    assert heads == 6


def _proving(request: Outgoing) -> Answer:
    sent = dict(request.headers)
    value = by_the_contract.proof(SECRET, sent["webhook-id"], sent["webhook-timestamp"])
    return Answer(status=200, headers={"x-lq-validation": value})


def test_a_body_after_a_head_spoils_no_delivery(redis_url: str, make: Endpoints) -> None:
    stray = b"HTTP/1.1 500 stray\r\nContent-Length: 0\r\n\r\n"
    endpoint = make(lambda head: answered(200, f"x-lq-validation: {_right(head)}") + stray)

    async def body() -> None:
        sender = CurlSender(TargetRules(loopback=True), slots=2)
        async with worker(redis_url, sender=sender) as one:
            job = claim(redis_url, target=endpoint.url())
            assert (await Caller(sender, one, NoExecutions()).call(job)).status == 200

    run(body())
    (delivery,) = endpoint.deliveries
    assert made_by(SECRET, delivery)


# One at a time


def test_two_hundred_attempts_at_once_ask_once(redis_url: str, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    endpoint.gate.clear()

    async def body() -> None:
        async with worker(redis_url) as one:
            job = claim(redis_url)
            waiting = [
                asyncio.create_task(one.vouch(job, endpoint.url(f"/hook?{n}"))) for n in range(200)
            ]
            await soon(lambda: endpoint.validations, "it is asked")
            for task in waiting[:50]:
                task.cancel()
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting[50:])
            endpoint.gate.set()
            verdicts = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(each) for each in verdicts[:50]] == [asyncio.CancelledError] * 50
            for verdict in verdicts[50:]:
                assert not isinstance(verdict, BaseException)
                trusted(verdict)

    run(body())
    assert len(endpoint.validations) == 1


def test_the_one_who_began_may_go(redis_url: str, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))
    endpoint.gate.clear()

    async def body() -> None:
        async with worker(redis_url) as one:
            first = asyncio.create_task(one.vouch(claim(redis_url), endpoint.url()))
            await soon(lambda: endpoint.validations, "it is asked")
            second = asyncio.create_task(one.vouch(claim(redis_url), endpoint.url()))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            endpoint.gate.set()
            trusted(await second)

    run(body())
    assert len(endpoint.validations) == 1


def test_three_workers_and_five_paths_make_five_requests(redis_url: str, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with worker(redis_url) as a, worker(redis_url) as b, worker(redis_url) as c:
            job = claim(redis_url)
            verdicts = await asyncio.gather(
                *((a, b, c)[n % 3].vouch(job, endpoint.url(f"/{n % 5}?n={n}")) for n in range(501))
            )
            for verdict in verdicts:
                trusted(verdict)

    run(body())
    assert len(endpoint.validations) == 5


def test_who_waits_takes_over_when_time_is_up(redis_url: str, make: Endpoints) -> None:
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        job = claim(redis_url)
        async with dead_worker(redis_url, endpoint.url()) as lock, worker(redis_url) as one:
            waiting = asyncio.create_task(one.vouch(job, endpoint.url()))
            await asyncio.sleep(validation.LOOK_AGAIN * 3)
            assert endpoint.validations == []
            assert not waiting.done()
            with redis.Redis.from_url(redis_url) as client:
                assert 10_000 < client.pttl(lock) <= 12_000
                client.pexpire(lock, 200)
            trusted(await waiting)

    run(body())
    assert len(endpoint.validations) == 1


def test_a_late_refusal_does_not_stand_against_a_proof(redis_url: str, make: Endpoints) -> None:
    endpoint = make(plain(200))
    endpoint.gate.clear()

    async def body() -> None:
        async with worker(redis_url) as one, trust_store(redis_url) as store:
            frozen = asyncio.create_task(one.vouch(claim(redis_url), endpoint.url()))
            await soon(lambda: endpoint.validations, "it is asked")
            name = trust_name(endpoint.url())
            await store.remember_proof(ENVIRONMENT, [name], "other", number=0, v1=False)
            endpoint.gate.set()
            trusted(await frozen)
            trusted(await one.vouch(claim(redis_url), endpoint.url()))

    run(body())
    assert len(endpoint.validations) == 1


def test_nobody_waits_for_ever(
    redis_url: str, make: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "PATIENCE", 0.3)
    endpoint = make(by_sdk(SECRET))

    async def body() -> None:
        async with dead_worker(redis_url, endpoint.url()), worker(redis_url) as one:
            answer = refused(await one.vouch(claim(redis_url), endpoint.url()))
            assert answer.failure == ErrorClass.TIMEOUT
            assert answer.not_before is None

    run(body())
    assert endpoint.connections == 0


def test_patience_outlasts_a_dead_worker() -> None:
    assert validation.HEAD_TIMEOUT < VALIDATION_TAKES <= validation.PATIENCE * 1_000 / 2
