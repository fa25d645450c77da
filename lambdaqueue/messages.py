"""Direct messages: "post this to that URL". How they are tried, what counts, what they carry.

Pure. A message may have been tried by others before it came here, so its attempts are counted from
the one it begins with. The store counts its own from 1; whoever reads it adds `Spec.skipped`.
"""

from __future__ import annotations

from lambdaqueue.retry import RetryPolicy
from lambdaqueue.spec import Message, Spec
from lambdaqueue.statuses import StatusRange

__all__ = ["ATTEMPTS", "POLICY", "QUEUE", "SUCCESS", "TIMEOUT", "as_message", "message_spec"]

QUEUE = "messages"

ATTEMPTS = 10
"""Attempts in all, those that others made included."""

POLICY = RetryPolicy("power", exponent=3, max=900_000, retries=ATTEMPTS - 1, jitter=0)
"""8, 27, 64, 125, 216, 343, 512, 729, 900 s."""

TIMEOUT = 10_000
"""ms for one attempt."""

SUCCESS = StatusRange(((200, 399),))
"""A redirect counts as an answer; it is not followed."""

Headers = list[tuple[str, str]]


def message_spec(payload: bytes, url: str, event_type: str | None, message: Message) -> Spec:
    """Return what is delivered for a message: its JSON `payload`, to `url`."""
    return Spec(
        payload,
        target=url,
        retry=POLICY,
        timeout=TIMEOUT,
        event_type=event_type,
        message=message,
    )


def as_message(headers: Headers, message: Message, attempt: int, event_type: str | None) -> Headers:
    """Return a delivery's headers with those of a message in their places.

    `attempt` is the number that is shown, `event_type` is printable ASCII already.
    """
    name = message.name
    own = [("User-Agent", f"{name}-Webhook/1.0"), (f"X-{name}-Attempt", str(attempt))]
    if event_type is not None:
        own.append((f"X-{name}-Event-Type", event_type))
    taken = {header.lower() for header, _ in own}
    return [*own, *(pair for pair in headers if pair[0].lower() not in taken)]
