"""What an endpoint answers, and what reaches a handler: nothing that isn't signed."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lambdaqueue.proofs import challenge, proven_by
from lambdaqueue.sdk.delivery import MAX_BODY, Delivery, Job, Reply
from lambdaqueue.sdk.endpoint import Endpoint
from lambdaqueue.sdk.errors import ConfigurationError, DoNotRetry, RetryLater
from lambdaqueue.sdk.replay_guard import MemoryGuard, Seen
from lambdaqueue.signing import Secret
from tests.sdk.signed import ID, NOW, OTHER, SECRET, delivery

URL = "https://app.example.com/welcome-queue"

Answer = Callable[[Endpoint, Delivery], Reply]


class Handler:
    """Remembers what it was called with; does what it's told to."""

    def __init__(self, act: Callable[[], Any] = lambda: None) -> None:
        self.calls: list[tuple[Any, Job]] = []
        self._act = act

    def __call__(self, payload: Any, job: Job) -> Any:
        self.calls.append((payload, job))
        return self._act()

    @property
    def payloads(self) -> list[Any]:
        return [payload for payload, _ in self.calls]


class AsyncHandler(Handler):
    """The same as a coroutine."""

    async def __call__(self, payload: Any, job: Job) -> Any:
        await asyncio.sleep(0)
        return super().__call__(payload, job)


def endpoint(handler: Callable[[Any, Job], Any], **options: Any) -> Endpoint:
    given: dict[str, Any] = {"secrets": lambda: [SECRET], "clock": lambda: float(NOW), **options}
    return Endpoint(handler, **given)


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def answer_sync(at: Endpoint, request: Delivery) -> Reply:
    return at.answer(request)


def answer_in_loop(at: Endpoint, request: Delivery) -> Reply:
    return asyncio.run(at.answer_async(request))


EVERY_WAY = pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Handler, answer_sync),
        (Handler, answer_in_loop),
        (AsyncHandler, answer_sync),
        (AsyncHandler, answer_in_loop),
    ],
)
"""Functions and coroutines, called by hosts of both kinds."""


def error_of(reply: Reply) -> str:
    return str(json.loads(reply.body)["error"])


# What is genuine


@EVERY_WAY
def test_a_genuine_delivery_reaches_the_handler(kind: type[Handler], answer: Answer) -> None:
    handler = kind(lambda: {"message": "Hello"})
    reply = answer(endpoint(handler), delivery(x_lq_key="user-42"))
    assert (reply.status, reply.body) == (200, b'{"message":"Hello"}')
    [(payload, job)] = handler.calls
    assert payload == {"name": "Al"}
    assert (job.message_id, job.key) == (ID, "user-42")


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_both_secrets_of_a_rotation(secret: Secret) -> None:
    handler = Handler()
    reply = endpoint(handler, secrets=lambda: [OTHER, SECRET]).answer(delivery(secret=secret))
    assert (reply.status, len(handler.calls)) == (204, 1)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_delivery_may_have_any_method_and_no_body(method: str) -> None:
    handler = Handler()
    assert endpoint(handler).answer(delivery("", method=method)).status == 204
    assert handler.payloads == [None]


# What is not (B110, B111, B113, B114)


def without(name: str) -> Delivery:
    headers = dict(delivery().headers)
    del headers[name]
    return Delivery("POST", headers, delivery().body)


def changed(body: bytes | None = None, **headers: str) -> Delivery:
    """Return a genuine delivery with other headers or another body."""
    genuine = delivery()
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery("POST", {**genuine.headers, **renamed}, genuine.body if body is None else body)


GENUINE = delivery().headers["webhook-signature"]
HEX = "v1," + "ab" * 32

FORGERIES: dict[str, Delivery] = {
    "nothing": Delivery("POST", {}, b'{"name": "Al"}'),
    "nothing at all": Delivery("POST", {}, b""),
    "no id": without("webhook-id"),
    "no time": without("webhook-timestamp"),
    "no signature": without("webhook-signature"),
    "B110 +301 s": delivery(timestamp=NOW + 301),
    "B110 -301 s": delivery(timestamp=NOW - 301),
    "B110 time changed": changed(webhook_timestamp=str(NOW + 1)),
    "B110 time with sign": changed(webhook_timestamp=f"+{NOW}"),
    "B110 time with fraction": changed(webhook_timestamp=f"{NOW}.0"),
    "B110 time in ms": changed(webhook_timestamp=f"{NOW}000"),
    "B111 empty": changed(webhook_signature=""),
    "B111 1 000 entries, the last right": changed(
        webhook_signature=" ".join(["v1," + "A" * 43 + "="] * 999 + [GENUINE])
    ),
    "B111 the sixth right": changed(
        webhook_signature=" ".join(["v1," + "A" * 43 + "="] * 5 + [GENUINE])
    ),
    "B111 v0": changed(webhook_signature=GENUINE.replace("v1,", "v0,")),
    "B111 v1a": changed(webhook_signature=GENUINE.replace("v1,", "v1a,")),
    "B111 no version": changed(webhook_signature=GENUINE.removeprefix("v1,")),
    "B111 only the version": changed(webhook_signature="v1,"),
    "B111 truncated": changed(webhook_signature=GENUINE[:-8]),
    "B111 hex": changed(webhook_signature=HEX),
    "B111 without padding": changed(webhook_signature=GENUINE.rstrip("=")),
    "B111 more padding": changed(webhook_signature=GENUINE + "="),
    "B111 trailing comma": changed(webhook_signature=GENUINE + ","),
    "B111 sent twice by a proxy": changed(webhook_signature=f"{GENUINE}, {GENUINE},"),
    "B111 not ASCII": changed(webhook_signature=GENUINE + " é"),
    "B113 space": changed(b'{"name":  "Al"}'),
    "B113 key order": Delivery("POST", delivery('{"a": 1, "b": 2}').headers, b'{"b": 2, "a": 1}'),
    "B113 byte order mark": changed(b'\xef\xbb\xbf{"name": "Al"}'),
    "B113 line end": changed(b'{"name": "Al"}\n'),
    "B113 no body": changed(b""),
    "B113 a body for none": Delivery("POST", delivery("").headers, b"{}"),
    "B114 another id": changed(webhook_id="0mwqjo94r00002_1"),
    "B114 id with a dot": delivery(message_id="a.b"),
    "B114 id cut into the time": changed(webhook_id=f"{ID}.{NOW}", webhook_timestamp=str(NOW)),
    "id sent twice": changed(webhook_id=f"{ID}, {ID}"),
    "another secret": delivery(secret=OTHER),
    "a validation's headers": Delivery(
        "POST", dict(challenge([SECRET], URL, "n1", NOW)), b'{"name": "Al"}'
    ),
}


@EVERY_WAY
@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_no_forgery_reaches_a_handler(
    kind: type[Handler], answer: Answer, forgery: Delivery
) -> None:
    handler = kind()
    reply = answer(endpoint(handler), forgery)
    assert reply.status == 401
    assert handler.calls == []
    assert reply.header("x-lq-retry") is None, "the clock or the secret may be right next time"
    for told in (reply.body, repr(reply).encode()):
        assert SECRET.reveal().encode() not in told
        assert GENUINE.encode() not in told


@pytest.mark.parametrize("skew", [-300, -299, 0, 299, 300])
def test_the_time_may_be_off_by_five_minutes(skew: int) -> None:
    assert endpoint(Handler()).answer(delivery(timestamp=NOW + skew)).status == 204


def test_a_wrong_signature_is_logged_and_a_scan_hardly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lambdaqueue")
    at = endpoint(Handler())
    at.answer(Delivery("GET", {}, b""))
    at.answer(delivery(secret=OTHER))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


# Other requests


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "FOO", "post", ""])
def test_other_methods(method: str) -> None:
    handler = Handler()
    reply = endpoint(handler).answer(replace(delivery(), method=method))
    assert (reply.status, handler.calls) == (405, [])


@pytest.mark.parametrize(("size", "status"), [(10, 204), (11, 413)])
def test_a_body_has_a_bound(size: int, status: int) -> None:
    handler = Handler()
    reply = endpoint(handler, max_body=10).answer(delivery("1" * size))
    assert (reply.status, len(handler.calls)) == (status, status == 204)
    assert MAX_BODY == 1_048_576


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("{", "application/json"), ("NaN", "application/json"), ("a", "text/plain; charset=x")],
)
def test_a_payload_that_cant_be_read_never_comes_again(body: str, content_type: str) -> None:
    handler = Handler()
    reply = endpoint(handler).answer(delivery(body, content_type=content_type))
    assert (reply.status, reply.header("x-lq-retry"), handler.calls) == (400, "never", [])
    assert "payload" in error_of(reply)


def no_secret() -> list[Secret]:
    raise ConfigurationError("LQ_SECRET is missing, says a very private sentence")


def broken() -> list[Secret]:
    raise KeyError("LQ_SECRET")


@pytest.mark.parametrize("secrets", [no_secret, list, broken])
@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_without_a_secret_nothing_is_let_in_or_told(
    secrets: Callable[[], list[Secret]], method: str, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Handler()
    reply = endpoint(handler, secrets=secrets).answer(delivery(method=method))
    assert (reply.status, handler.calls) == (500, [])
    assert b"LQ_SECRET" not in reply.body
    assert "LQ_SECRET" in caplog.text


# Validation


def asked(url: str = URL, secrets: tuple[Secret, ...] = (SECRET,), at: int = NOW) -> Delivery:
    return Delivery.of("HEAD", challenge(secrets, url, "n0nce", at), b"")


@EVERY_WAY
@pytest.mark.parametrize("urls", [(), (URL,), ("https://other.example/", URL)])
def test_a_validation_is_answered_with_a_proof(
    kind: type[Handler], answer: Answer, urls: tuple[str, ...]
) -> None:
    handler, request = kind(), asked(f"{URL}?page=1")
    reply = answer(endpoint(handler, urls=lambda: urls), request)
    assert (reply.status, reply.body, handler.calls) == (200, b"", [])
    sent = {name.lower(): value for name, value in reply.headers}
    proof = proven_by([SECRET], list(request.headers.items()), sent, NOW * 1_000)
    assert proof is not None
    assert proof.secret == SECRET


def test_the_previous_secret_proves_too() -> None:
    at = endpoint(Handler(), secrets=lambda: [OTHER, SECRET])
    assert at.answer(asked()).status == 200
    assert at.answer(asked(secrets=(OTHER, SECRET))).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        asked("https://attacker.example/welcome-queue"),
        asked(secrets=(OTHER,)),
        asked(at=NOW - 301),
        asked(at=NOW + 301),
        Delivery("HEAD", {}, b""),
        delivery("", method="HEAD"),
        Delivery("HEAD", {**asked().headers, "x-lq-validation": ""}, b""),
        Delivery("HEAD", {**asked().headers, "webhook-id": f"val_n_{'0' * 32}"}, b""),
    ],
    ids=["another URL", "another secret", "old", "early", "nothing", "delivery", "empty", "id"],
)
def test_other_validations_are_refused_without_a_word(request_: Delivery) -> None:
    handler = Handler()
    reply = endpoint(handler, urls=lambda: [URL]).answer(request_)
    assert (reply.status, reply.body, handler.calls) == (401, b"", [])
    assert reply.header("x-lq-validation") is None


def test_a_validation_for_another_url_names_the_cure(caplog: pytest.LogCaptureFixture) -> None:
    endpoint(Handler(), urls=lambda: [URL]).answer(asked("https://b.example/"))
    assert URL in caplog.text
    assert "LQ_BASE_URL" in caplog.text


# How a handler ends


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


FAILURES: list[tuple[BaseException, int, dict[str, str], str]] = [
    (RetryLater(30), 503, {"retry-after": "30"}, "retry in 30 s"),
    (RetryLater(0.2, "busy"), 503, {"retry-after": "1"}, "busy"),
    (RetryLater(timedelta(minutes=2)), 503, {"retry-after": "120"}, "retry in 120 s"),
    (RetryLater(1e9), 503, {"retry-after": "86400"}, "retry in 1e+09 s"),
    (DoNotRetry("no such user"), 500, {"x-lq-retry": "never"}, "no such user"),
    (DoNotRetry(), 500, {"x-lq-retry": "never"}, "DoNotRetry"),
    (ValueError("it's 7"), 500, {}, "ValueError: it's 7"),
    (KeyError("name"), 500, {}, "KeyError: 'name'"),
    (ValueError(), 500, {}, "ValueError"),
    (ValueError("x" * 5_000), 500, {}, "ValueError: " + "x" * 988),
    (ConfigurationError("no database"), 500, {}, "ConfigurationError: no database"),
    (Broken(), 500, {}, "Broken: (its text can't be had: RuntimeError)"),
]


@EVERY_WAY
@pytest.mark.parametrize(
    ("error", "status", "headers", "words"), FAILURES, ids=[repr(f[3][:20]) for f in FAILURES]
)
def test_what_a_handler_raises(
    kind: type[Handler],
    answer: Answer,
    error: Exception,
    status: int,
    headers: dict[str, str],
    words: str,
) -> None:
    reply = answer(endpoint(kind(raising(error))), delivery())
    sent = {name.lower(): value for name, value in reply.headers}
    assert (reply.status, error_of(reply)) == (status, words)
    assert sent == {"content-type": "application/json", **headers}


def test_errors_can_be_kept_private(caplog: pytest.LogCaptureFixture) -> None:
    at = endpoint(Handler(raising(ValueError("password 123"))), show_errors=False)
    assert error_of(at.answer(delivery())) == "ValueError"
    assert "password 123" in caplog.text, "our own log has it"
    at = endpoint(Handler(raising(DoNotRetry("no such user"))), show_errors=False)
    assert error_of(at.answer(delivery())) == "no such user", "that is meant to be read"


def test_an_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    endpoint(Handler(raising(ValueError("it's 7")))).answer(delivery(x_lq_queue="shop"))
    [record] = caplog.records
    assert (record.name, record.levelname) == ("lambdaqueue", "ERROR")
    assert "of shop" in record.getMessage()
    assert record.exc_info is not None


@EVERY_WAY
def test_a_result_that_cant_be_sent_is_no_reason_to_do_it_again(
    kind: type[Handler], answer: Answer
) -> None:
    reply = answer(endpoint(kind(lambda: object())), delivery())
    assert (reply.status, reply.header("x-lq-retry")) == (500, "never")
    assert "has done its work" in error_of(reply)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
@pytest.mark.parametrize("kind", [Handler, AsyncHandler])
def test_the_end_of_the_process_is_no_answer(kind: type[Handler], error: BaseException) -> None:
    guard = MemoryGuard()
    with pytest.raises(type(error)):
        endpoint(kind(raising(error)), guard=guard).answer(delivery())
    assert guard.begin(ID) is Seen.NEW


# Threads and loops


def test_a_function_runs_beside_the_loop() -> None:
    threads: list[threading.Thread] = []
    at = endpoint(lambda payload, job: threads.append(threading.current_thread()))
    answer_in_loop(at, delivery())
    assert threads != [threading.current_thread()]


def test_a_coroutine_runs_in_the_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def handler(payload: Any, job: Job) -> None:
        loops.append(asyncio.get_running_loop())

    async def main() -> None:
        await endpoint(handler).answer_async(delivery())
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_a_function_that_returns_a_coroutine() -> None:
    async def work(payload: Any) -> str:
        return f"hello {payload['name']}"

    at = endpoint(lambda payload, job: work(payload))
    assert answer_in_loop(at, delivery()).body == b"hello Al"
    assert at.answer(delivery()).body == b"hello Al"


def test_who_asks_may_go_away_but_the_work_goes_on() -> None:
    guard = MemoryGuard()
    done: list[str] = []

    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def handler(payload: Any, job: Job) -> None:
            begun.set()
            await go_on.wait()
            done.append(job.message_id)

        at = endpoint(handler, guard=guard)
        task = asyncio.create_task(at.answer_async(delivery()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await at.answer_async(delivery())).status == 503, "it's under way"
        go_on.set()
        while (await at.answer_async(delivery())).status != 204:
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert done == [ID]


def test_a_loop_that_closes_forgets_what_was_under_way() -> None:
    guard = MemoryGuard()

    async def main() -> None:
        begun = asyncio.Event()

        async def handler(payload: Any, job: Job) -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(endpoint(handler, guard=guard).answer_async(delivery()))
        await begun.wait()
        assert not task.done()

    asyncio.run(main())
    assert guard.begin(ID) is Seen.NEW


# With a guard


@EVERY_WAY
def test_a_done_delivery_is_done_once(kind: type[Handler], answer: Answer) -> None:
    handler = kind(lambda: "result")
    at = endpoint(handler, guard=MemoryGuard())
    assert answer(at, delivery()).status == 200
    # The same bytes again (B110), and a retry, because our answer was lost.
    for again in (delivery(), delivery(timestamp=NOW + 299, x_lq_attempt="2")):
        assert answer(at, again).status == 204
    assert len(handler.calls) == 1
    assert answer(at, delivery(message_id="0mwqjo94r00001_2")).status == 200
    assert len(handler.calls) == 2, "a new version is another job"


@EVERY_WAY
@pytest.mark.parametrize("error", [ValueError("x"), RetryLater(1), DoNotRetry("x")])
def test_a_retry_after_a_failure_reaches_the_handler(
    kind: type[Handler], answer: Answer, error: Exception
) -> None:
    acts: list[Callable[[], Any]] = [raising(error), lambda: "result"]
    handler = kind(lambda: acts.pop(0)())
    at = endpoint(handler, guard=MemoryGuard())
    assert answer(at, delivery()).status in (500, 503)
    assert answer(at, delivery(x_lq_attempt="2", timestamp=NOW + 10)).status == 200
    assert answer(at, delivery(x_lq_attempt="3", timestamp=NOW + 20)).status == 204
    assert len(handler.calls) == 2


def test_a_result_that_cant_be_sent_is_remembered_as_done() -> None:
    handler = Handler(lambda: object())
    at = endpoint(handler, guard=MemoryGuard())
    assert [at.answer(delivery()).status for _ in range(2)] == [500, 204]
    assert len(handler.calls) == 1


def test_what_is_under_way_is_put_off() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def handler(payload: Any, job: Job) -> None:
        begun.set()
        assert go_on.wait(20)

    at = endpoint(handler, guard=MemoryGuard())
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(at.answer(delivery())))
    thread.start()
    assert begun.wait(20)
    second = at.answer(delivery(x_lq_attempt="2"))
    go_on.set()
    thread.join(20)
    assert (second.status, second.header("retry-after")) == (503, "10")
    assert [reply.status for reply in replies] == [204]


def test_forgeries_and_unreadable_payloads_never_get_to_the_guard() -> None:
    guard = MemoryGuard()
    at = endpoint(Handler(), guard=guard)
    at.answer(delivery(secret=OTHER))
    at.answer(delivery("{"))
    assert guard.begin(ID) is Seen.NEW


class AwayGuard:
    """Fails where it's told to."""

    def __init__(self, *away: str) -> None:
        self._away = away

    def _called(self, name: str) -> None:
        if name in self._away:
            raise ConnectionError(f"{name}: the store is away")

    def begin(self, key: str) -> Seen:
        self._called("begin")
        return Seen.NEW

    def done(self, key: str) -> None:
        self._called("done")

    def failed(self, key: str) -> None:
        self._called("failed")


@EVERY_WAY
@pytest.mark.parametrize(
    ("away", "act", "status", "calls"),
    [
        ("begin", lambda: "result", 500, 0),
        ("done", lambda: "result", 200, 1),
        ("failed", raising(ValueError("x")), 500, 1),
    ],
)
def test_a_guard_that_is_away(
    kind: type[Handler],
    answer: Answer,
    away: str,
    act: Callable[[], Any],
    status: int,
    calls: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = kind(act)
    assert answer(endpoint(handler, guard=AwayGuard(away)), delivery()).status == status
    assert len(handler.calls) == calls
    assert f"{away}: the store is away" in caplog.text


def test_a_coroutine_handler_is_known_in_every_form() -> None:
    async def function(payload: Any, job: Job) -> None: ...

    class Method:
        async def handle(self, payload: Any, job: Job) -> None: ...

    handlers: list[Callable[[Any, Job], Coroutine[Any, Any, None]]] = [
        function, Method().handle, AsyncHandler()
    ]  # fmt: skip
    assert all(endpoint(each).is_coroutine for each in handlers)
    assert not endpoint(Handler()).is_coroutine
    assert not endpoint(lambda payload, job: None).is_coroutine
