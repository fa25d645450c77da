from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaqueue.claims import Claim
from lambdaqueue.outcome import (
    MAX_ERROR,
    Answer,
    Delivered,
    ErrorClass,
    Failed,
    Retry,
    http_class,
    judge,
)
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Spec
from lambdaqueue.statuses import StatusRange

NOW = 1_614_265_330_000  # Thu, 25 Feb 2021 15:02:10 GMT

CLAIM = Claim(
    id="a1",
    token="w.1.1",
    environment="default",
    queue="mail",
    version=1,
    attempt=1,
    failures=0,
    started_at=NOW - 100,
    first_due_at=NOW - 1_000,
    spec=Spec(),
    target="http://127.0.0.1:9000/",
    policy=RetryPolicy(),  # 10 s after the first failure
    timeout=30_000,
    success=StatusRange.parse("200-299"),
    result_bytes=4_096,
)


def judged(answer: Answer, chance: float = 0.0, **changes: Any) -> Delivered | Retry | Failed:
    return judge(replace(CLAIM, **changes), answer, NOW, chance)


@pytest.mark.parametrize("status", [200, 204, 299])
def test_success(status: int) -> None:
    assert judged(Answer(status=status)) == Delivered()


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 404, 409, 429, 500, 503, 599, 999])
def test_other_answers_are_tried_again(status: int) -> None:
    outcome = judged(Answer(status=status))
    assert isinstance(outcome, Retry)
    assert outcome.at == NOW + 10_000
    assert outcome.error.startswith(f"http_{status}: the endpoint answered {status}")


def test_the_queue_says_what_counts_as_success() -> None:
    wide = StatusRange.parse("200-399,410")
    assert judged(Answer(status=302), success=wide) == Delivered()
    assert judged(Answer(status=410), success=wide) == Delivered()
    assert isinstance(judged(Answer(status=200), success=StatusRange.parse("201")), Retry)


def test_redirects_are_explained() -> None:
    error = "http_301: the endpoint answered 301; redirects are not followed"
    assert judged(Answer(status=301)) == Retry(NOW + 10_000, error)


def test_gone_ends_the_job() -> None:
    assert judged(Answer(status=410)) == Failed("http_410: the endpoint answered 410")


@pytest.mark.parametrize("word", ["never", "NEVER", " Never\t"])
def test_an_endpoint_may_ask_for_no_retry(word: str) -> None:
    answer = Answer(status=500, headers={"x-lq-retry": word})
    error = "http_500: the endpoint answered 500 and asked for no retry"
    assert judged(answer) == Failed(error)


@pytest.mark.parametrize("word", ["", "no", "never!", "never, never"])
def test_other_words_do_not_end_it(word: str) -> None:
    assert isinstance(judged(Answer(status=500, headers={"x-lq-retry": word})), Retry)


def test_success_comes_before_no_retry() -> None:
    assert judged(Answer(status=200, headers={"x-lq-retry": "never"})) == Delivered()


@pytest.mark.parametrize(
    "failure",
    ["dns", "connect", "tls", "timeout", "blocked_address", "unverified", "bad_response"],
)
@pytest.mark.parametrize("status", [None, 200, 410])
def test_failures_are_tried_again_whatever_was_read_before(
    failure: str, status: int | None
) -> None:
    answer = Answer(status=status, failure=failure, headers={"x-lq-retry": "never"})
    outcome = judged(answer)
    assert isinstance(outcome, Retry)
    assert outcome.at == NOW + 10_000
    assert outcome.error.startswith(f"{failure}: ")
    assert len(outcome.error) > len(failure) + 10


@pytest.mark.parametrize("failure", ["no_target", "cancelled"])
def test_failures_that_end_the_job(failure: str) -> None:
    outcome = judged(Answer(failure=failure))
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(f"{failure}: ")


def test_an_answer_without_status_is_a_bad_one() -> None:
    outcome = judged(Answer())
    assert isinstance(outcome, Retry)
    assert outcome.error.startswith("bad_response: ")


@pytest.mark.parametrize(
    ("failures", "retries", "at"),
    [
        (0, 5, NOW + 10_000),  # 10 x 3^0
        (1, 5, NOW + 30_000),  # 10 x 3^1
        (4, 5, NOW + 810_000),  # 10 x 3^4
        (5, 5, None),
        (6, 5, None),  # the policy was changed meanwhile
        (0, 0, None),
    ],
)
def test_the_budget_of_retries(failures: int, retries: int, at: int | None) -> None:
    error = "http_500: the endpoint answered 500"
    outcome = judged(
        Answer(status=500),
        failures=failures,
        attempt=failures + 4,  # three were lost: they use up nothing
        policy=RetryPolicy(retries=retries),
    )
    assert outcome == (Failed(error) if at is None else Retry(at, error))


def test_chance_picks_the_jitter() -> None:
    outcome = judged(Answer(status=500), chance=0.5)
    assert isinstance(outcome, Retry)
    assert outcome.at == NOW + 10_500  # 10 s + 0.5 x 0.1 x 10 s


@pytest.mark.parametrize(
    ("status", "header", "delay"),
    [
        (429, "60", 60_000),
        (503, "60", 60_000),
        (503, "5", 10_000),  # never sooner than the policy
        (503, "Thu, 25 Feb 2021 15:03:10 GMT", 60_000),
        (503, "Thu, 25 Feb 2021 15:00:00 GMT", 10_000),
        (503, "1000000000", 86_400_000),
        (503, "-1", 10_000),
        (503, "soon", 10_000),
        (500, "60", 10_000),  # only 429 and 503 may ask
        (302, "60", 10_000),
    ],
)
def test_retry_after(status: int, header: str, delay: int) -> None:
    outcome = judged(Answer(status=status, headers={"retry-after": header}))
    assert isinstance(outcome, Retry)
    assert outcome.at == NOW + delay


def test_retry_after_counts_only_in_a_whole_answer() -> None:
    answer = Answer(status=503, headers={"retry-after": "60"}, failure="timeout")
    outcome = judged(answer)
    assert isinstance(outcome, Retry)
    assert outcome.at == NOW + 10_000


@pytest.mark.parametrize(("wait", "delay"), [(120_000, 120_000), (4_000, 10_000)])
def test_a_refused_validation_is_remembered_for_a_while(wait: int, delay: int) -> None:
    outcome = judged(Answer(failure="unverified", not_before=NOW + wait))
    assert isinstance(outcome, Retry)
    assert outcome.at == NOW + delay


@pytest.mark.parametrize(
    ("expires_in", "expired"), [(9_999, True), (10_000, False), (10_001, False), (-5, True)]
)
def test_no_retry_after_the_max_age(expires_in: int, expired: bool) -> None:
    outcome = judged(Answer(status=500), expires_at=NOW + expires_in)
    last = "http_500: the endpoint answered 500"
    if expired:
        assert outcome == Failed(f"expired: no time is left for a retry after {last}", cause=last)
    else:
        assert outcome == Retry(NOW + 10_000, last)


def test_success_after_the_max_age_is_success() -> None:
    assert judged(Answer(status=200), expires_at=NOW - 1) == Delivered()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(failure="timeout"), "timeout: no complete answer within 30000 ms"),
        (Answer(failure="dns", detail="NXDOMAIN"), "dns: NXDOMAIN"),
        (Answer(failure="tls", detail="a\r\n b\x00\u2028c"), "tls: a b c"),
        (
            Answer(failure="connect", detail="no route to https://u:pw@x.org/a?token=1 at all"),
            "connect: no route to https://[hidden]x.org/a[hidden] at all",
        ),
        (
            Answer(failure="bad_response", detail="saw whsec_MfKQ9r8= and lqk_abc_def!"),
            "bad_response: saw [hidden] and [hidden]",
        ),
        (Answer(failure="connect", detail="why? nobody knows"), "connect: why? nobody knows"),
        (Answer(failure="tls", detail="x" * 10_000), "tls: " + "x" * (MAX_ERROR - 6) + "…"),
        (Answer(failure="novel"), "novel: the attempt failed"),
    ],
)
def test_error_texts(answer: Answer, error: str) -> None:
    outcome = judged(answer)
    assert isinstance(outcome, Retry)
    assert outcome.error == error


@given(
    st.builds(
        Answer,
        status=st.none() | st.integers(100, 999),
        headers=st.dictionaries(st.sampled_from(["retry-after", "x-lq-retry"]), st.text()),
        failure=st.none() | st.sampled_from(list(ErrorClass)),
        detail=st.text(max_size=400),
        not_before=st.none() | st.integers(NOW, NOW + 120_000),
    ),
    st.integers(0, 6),
    st.none() | st.integers(NOW - 10, NOW + 1_000_000),
    st.floats(0, 1, exclude_max=True),
)
def test_every_answer_has_an_outcome(
    answer: Answer, failures: int, expires_at: int | None, chance: float
) -> None:
    outcome = judged(answer, chance, failures=failures, expires_at=expires_at)
    if isinstance(outcome, Delivered):
        assert answer.failure is None
        return
    assert len(outcome.error) <= MAX_ERROR
    assert outcome.error.isprintable()
    known = {*ErrorClass, http_class(answer.status or 0)}
    assert outcome.error.partition(": ")[0] in known
    if isinstance(outcome, Retry):
        assert failures < CLAIM.policy.retries
        assert outcome.at >= NOW + CLAIM.policy.delay_after(failures + 1, 0)
        assert expires_at is None or outcome.at <= expires_at
