"""Direct messages: waits, ends and headers, from judge and envelope alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdaqueue.attempt_log import read_log
from lambdaqueue.claims import Claim
from lambdaqueue.cli.endpoint import Endpoint
from lambdaqueue.envelope import headers_for
from lambdaqueue.messages import POLICY, SUCCESS, TIMEOUT, message_spec
from lambdaqueue.outcome import Answer, Delivered, Failed, Retry, judge
from lambdaqueue.signing import Secret, verify
from lambdaqueue.spec import Message, Spec

NOW = 1_700_000_000_000
SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
URL = "https://example.com/in"

# After attempt n: (n + 1) cubed, in seconds; ten cubed is over the cap of 900 s.
WAITS = (8, 27, 64, 125, 216, 343, 512, 729, 900)


def claim(number: int, first: int = 1, event_type: str | None = None, name: str = "Acme") -> Claim:
    """The attempt that is shown as `number`, of a message that began with `first`."""
    spec = message_spec(b'{"a":1}', URL, event_type, Message(name, first))
    return Claim(
        id="0mwq83nuu00001",
        token="w.1.1",
        environment="1",
        queue="messages",
        version=1,
        attempt=number,
        failures=number - 1,
        started_at=NOW,
        first_due_at=NOW,
        spec=spec,
        target=URL,
        policy=POLICY,
        timeout=TIMEOUT,
        success=SUCCESS,
        result_bytes=4_096,
    )


def judged(claim: Claim, status: int = 500, chance: float = 0.99) -> Delivered | Retry | Failed:
    return judge(claim, Answer(status=status), NOW, chance)


class TestWaits:
    @pytest.mark.parametrize(("number", "wait"), list(enumerate(WAITS, 1)))
    def test_after_each_attempt(self, number: int, wait: int) -> None:
        outcome = judged(claim(number))
        assert isinstance(outcome, Retry)
        assert outcome.at == NOW + wait * 1_000

    def test_the_tenth_is_the_last(self) -> None:
        assert judged(claim(10)) == Failed("http_500: the endpoint answered 500")

    @pytest.mark.parametrize("first", range(1, 11))
    def test_attempts_are_counted_from_the_first(self, first: int) -> None:
        """With attempt 3 it waits 64 s after the first call, and there are eight in all."""
        waits, number = [], first
        while isinstance(outcome := judged(claim(number, first)), Retry):
            waits.append((outcome.at - NOW) // 1_000)
            number += 1
        assert tuple(waits) == WAITS[first - 1 :]
        assert claim(first, first).max_attempts == 10

    @pytest.mark.parametrize(
        ("status", "good"),
        [(199, False), (200, True), (204, True), (302, True), (399, True), (400, False)],
    )
    def test_what_counts_as_success(self, status: int, good: bool) -> None:
        assert isinstance(judged(claim(1), status), Delivered) is good

    def test_the_log_is_shown_from_the_first(self) -> None:
        """What is stored counts from 1, whoever writes it: the worker, or what finds it lost."""
        stored = b'[{"n":1,"at":5,"ms":7,"s":500},{"n":2,"at":9,"ms":0,"e":"lost: x"}]'
        assert [each.number for each in read_log(stored)] == [1, 2]
        assert [each.number for each in read_log(stored, 2)] == [3, 4]
        assert read_log(b"", 2) == ()


class TestSpec:
    @pytest.mark.parametrize(
        "spec",
        [
            Spec(b"x"),
            message_spec(b"null", URL, None, Message("LambdaQueue")),
            message_spec(b"{}\n", URL, "Straße", Message("X-9", 10)),
        ],
    )
    def test_it_is_kept(self, spec: Spec) -> None:
        assert Spec.unpack(spec.pack()) == spec

    @pytest.mark.parametrize(("first", "skipped"), [(1, 0), (3, 2), (10, 9)])
    def test_what_others_did(self, first: int, skipped: int) -> None:
        assert Spec(message=Message("A", first)).skipped == skipped
        assert Spec().skipped == 0

    def test_how_it_is_sent(self) -> None:
        spec = message_spec(b"1", URL, "e", Message("A"))
        assert (spec.method, spec.content_type, spec.timeout) == (
            "POST",
            "application/json",
            10_000,
        )


def sent(**given: Any) -> dict[str, str]:
    pairs = headers_for(claim(**given), [SECRET], NOW)
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs), "a header is there twice"
    return headers


class TestHeaders:
    def test_they_bear_the_name(self) -> None:
        headers = sent(number=4, event_type="order.paid")
        assert headers["user-agent"] == "Acme-Webhook/1.0"
        assert headers["x-acme-attempt"] == headers["x-lq-attempt"] == "4"
        assert headers["x-acme-event-type"] == headers["x-lq-event-type"] == "order.paid"
        assert headers["x-lq-max-attempts"] == "10"
        verify([SECRET], headers, b'{"a":1}', NOW // 1_000)

    def test_names_are_spelt_as_told(self) -> None:
        names = [name for name, _ in headers_for(claim(1, event_type="e"), [SECRET], NOW)]
        assert {"X-Acme-Attempt", "X-Acme-Event-Type", "User-Agent"} <= set(names)

    def test_without_an_event_type(self) -> None:
        assert "x-acme-event-type" not in sent(number=1)

    def test_what_a_header_cannot_carry_is_encoded(self) -> None:
        assert sent(number=1, event_type="é%")["x-acme-event-type"] == "%C3%A9%25"

    @pytest.mark.parametrize("name", ["LQ", "lq"])
    def test_a_name_like_ours_doubles_nothing(self, name: str) -> None:
        headers = sent(number=2, event_type="e", name=name)
        assert (headers["x-lq-attempt"], headers["x-lq-event-type"]) == ("2", "e")

    def test_a_header_that_was_patched_in_doubles_nothing(self) -> None:
        base = claim(1)
        patched = replace(base, spec=replace(base.spec, headers={"x-acme-attempt": "99", "A": "b"}))
        pairs = headers_for(patched, [SECRET], NOW)
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs)
        assert (headers["x-acme-attempt"], headers["a"]) == ("1", "b")

    def test_other_items_have_none_of_it(self) -> None:
        plain = replace(claim(1), spec=Spec(b"", target=URL))
        names = {name.lower() for name, _ in headers_for(plain, [SECRET], NOW)}
        assert not any(name.startswith("x-") and not name.startswith("x-lq-") for name in names)


class TestSampleReceiver:
    @pytest.mark.parametrize(("status", "answer"), [(200, 401), (302, 401), (404, 404), (500, 500)])
    def test_one_that_is_to_fail_does(self, status: int, answer: int) -> None:
        """`listen --status 500` shows the retries, though it knows another secret."""
        endpoint = Endpoint([Secret.generate()], status)
        verdict = endpoint.judge(sent(number=1), b'{"a":1}', NOW / 1_000)
        assert verdict.status == answer
        assert "secret show --queue" in verdict.words

    def test_with_the_secret_of_the_queue_it_is_verified(self) -> None:
        verdict = Endpoint([SECRET]).judge(sent(number=1), b'{"a":1}', NOW / 1_000)
        assert (verdict.status, verdict.words) == (200, "verified")
