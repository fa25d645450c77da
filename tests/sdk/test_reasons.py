"""What LambdaQueue is told of an exception: always text that can be sent."""

from __future__ import annotations

import pytest

from lambdaqueue.sdk.errors import DoNotRetry, RetryLater
from lambdaqueue.sdk.reasons import MAX_REASON, reason_of


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "told", "in_private"),
    [
        (ValueError("it's 7"), "ValueError: it's 7", "ValueError"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError("\ud800 ł\n"), "ValueError: \\ud800 ł\n", "ValueError"),
        (ValueError("x" * 5_000), "ValueError: " + "x" * (MAX_REASON - 12), "ValueError"),
        (SystemExit(3), "SystemExit: 3", "SystemExit"),
        (RetryLater(5, "busy"), "busy", "busy"),
        (RetryLater(5), "retry in 5 s", "retry in 5 s"),
        (DoNotRetry("no"), "no", "no"),
        (DoNotRetry(), "DoNotRetry", "DoNotRetry"),
        (Broken(), "Broken: (its text can't be had: RuntimeError)", "Broken"),
    ],
    ids=range(10),
)
def test_a_reason(error: BaseException, told: str, in_private: str) -> None:
    assert reason_of(error) == told
    assert reason_of(error, show_errors=False) == in_private
    told.encode()
