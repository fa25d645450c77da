"""The errors as values: what they say, what they keep, and who catches which."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta

import pytest

from lambdaqueue.errors import Issue
from lambdaqueue.sdk import errors
from lambdaqueue.sdk.errors import (
    ApiError,
    DoNotRetry,
    InvalidRequest,
    LambdaQueueError,
    RetryLater,
    Unreachable,
)

TREE = [
    errors.Unauthorized,
    errors.Forbidden,
    errors.NotFound,
    errors.Conflict,
    errors.ExecutionOver,
    errors.InvalidRequest,
    errors.TooManyRequests,
    errors.Unavailable,
    errors.Unreachable,
    errors.UnexpectedAnswer,
]


@pytest.mark.parametrize("kind", TREE)
def test_the_tree(kind: type[ApiError]) -> None:
    assert kind.__bases__ == (ApiError,)
    assert issubclass(ApiError, LambdaQueueError)
    assert kind.__name__ in (errors.__doc__ or "")
    assert (kind.__doc__ or "").startswith("Raised when")


def test_an_error_outlives_its_process() -> None:
    error = InvalidRequest(
        "refused",
        status=422,
        code="VALIDATION_ERROR",
        request_id="r1",
        issues=[Issue(("a", 1), "c", "m")],
        retry_after=1.5,
    )
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is InvalidRequest
        assert vars(twin) == vars(error)
        assert str(twin) == "refused (request r1)"


def test_without_an_answer() -> None:
    error = Unreachable("nobody")
    assert (str(error), error.status, error.request_id, error.issues) == ("nobody", None, None, ())


@pytest.mark.parametrize(
    ("seconds", "wait"), [(30, 30.0), (0, 0.0), (1.5, 1.5), (timedelta(minutes=2), 120.0)]
)
def test_retry_later(seconds: float | timedelta, wait: float) -> None:
    error = RetryLater(seconds, "the shop is closed")
    assert (error.seconds, error.reason, str(error)) == (
        wait,
        "the shop is closed",
        "the shop is closed",
    )
    assert str(RetryLater(seconds)) == f"retry in {wait:g} s"
    assert pickle.loads(pickle.dumps(error)).seconds == wait


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), timedelta(seconds=-1)])
def test_retry_never_or_before(seconds: float | timedelta) -> None:
    with pytest.raises(ValueError, match="seconds must be a number from 0"):
        RetryLater(seconds)


def test_what_a_handler_raises_is_not_caught_with_errors_of_calls() -> None:
    assert not isinstance(RetryLater(1), LambdaQueueError)
    assert not isinstance(DoNotRetry("no such user"), LambdaQueueError)
    assert str(DoNotRetry("no such user")) == "no such user"
