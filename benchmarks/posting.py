"""What the RQ workers beside us run: sign, then `requests.post`, as one would write it.

It imports little: a stock worker imports it anew for every job, in the process it forks.
"""

from __future__ import annotations

import time

import requests

from lambdaqueue.signing import Secret, sign

__all__ = ["post"]


def post(url: str, secret: str, message_id: str, body: str) -> None:
    """Deliver `body` to `url`, signed."""
    now, payload = int(time.time()), body.encode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign([Secret.parse(secret)], message_id, now, payload),
    }
    requests.post(url, data=payload, headers=headers, timeout=30).raise_for_status()
