"""Deliveries as LambdaQueue sends them, signed by the Standard Webhooks project's own library."""

from __future__ import annotations

from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from lambdaqueue.sdk.delivery import Delivery
from lambdaqueue.signing import Secret

__all__ = ["ID", "NOW", "OTHER", "SECRET", "delivery"]

SECRET = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = Secret(b"o" * 32)
NOW = 1_614_265_330
ID = "0mwqjo94r00001_1"


def delivery(
    body: str = '{"name": "Al"}',
    *,
    secret: Secret = SECRET,
    message_id: str = ID,
    timestamp: int = NOW,
    method: str = "POST",
    **headers: str,
) -> Delivery:
    """Return a signed delivery; `headers` have underscores for dashes."""
    signature = Webhook(secret.reveal()).sign(
        message_id, datetime.fromtimestamp(timestamp, UTC), body
    )
    given = {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Delivery.of(method, given.items(), body.encode())
