"""What LambdaQueue is told of an exception."""

from __future__ import annotations

from lambdaqueue.sdk.errors import DoNotRetry, RetryLater

__all__ = ["MAX_REASON", "reason_of"]

MAX_REASON = 1_000
"""Characters that are told; 4 KiB of an answer are kept."""


def reason_of(error: BaseException, *, show_errors: bool = True) -> str:
    """Return `<Class>: <message>`, or the class alone; of RetryLater and DoNotRetry the reason.

    Always text that UTF-8 can carry.
    """
    if isinstance(error, RetryLater | DoNotRetry):
        text = str(error) or type(error).__name__  # Meant to be read.
    elif show_errors and (message := _message(error)):
        text = f"{type(error).__name__}: {message}"
    else:
        text = type(error).__name__
    return text[:MAX_REASON].encode("utf-8", "backslashreplace").decode()


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:  # User code, and no reason to lose the error itself.
        return f"(its text can't be had: {type(worse).__name__})"
