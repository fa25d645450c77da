"""First answers: what a request under an Idempotency-Key was answered, for its repeats.

A push remembers its answer in the script that stores the job. Requests that take several steps
use this: the key is taken first, together with an id that every try of the request works with, so
that a try which goes on after a crash finds what the one before has made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from lambdaqueue import keys
from lambdaqueue.commands import Idempotency
from lambdaqueue.connection import translated
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.store import REMEMBER_IDEMPOTENCY

__all__ = ["FirstAnswers", "Known"]

FIELDS = ("fingerprint", "id", "status", "body")

UNFINISHED = "[]"
"""Stands as a push's answer: so that a push under the same key finds that it is another's."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a request: the id its tries work with, and its answer if it has one."""

    id: str
    status: int | None = None
    body: bytes = b""


class FirstAnswers:
    """Answers in Redis, by a client's Idempotency-Key."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def begin(self, environment: str, idempotency: Idempotency, new_id: str) -> Known:
        """Take the key for this request, working with `new_id`, unless an earlier try took it.

        Raises:
            InvalidRequest: the key was used for another request.
        """
        key = keys.idempotent(environment, idempotency.key)
        with translated():
            stored = self._client.hmget(key, FIELDS)
            if stored[0] is None:
                stored = self._take(key, idempotency.fingerprint, new_id)
        return _known(stored, idempotency)

    def finish(self, environment: str, idempotency: Idempotency, status: int, body: bytes) -> None:
        """Remember the answer for the rest of the key's time."""
        key = keys.idempotent(environment, idempotency.key)
        with translated(), self._client.pipeline() as transaction:
            transaction.hset(key, mapping={"status": status, "body": body})
            transaction.expire(key, REMEMBER_IDEMPOTENCY)
            transaction.execute()

    def forget(self, environment: str, idempotency: Idempotency) -> None:
        """Give the key back: the request was refused, and is not remembered."""
        with translated():
            self._client.delete(keys.idempotent(environment, idempotency.key))

    def _take(self, key: str, fingerprint: str, new_id: str) -> Any:
        """Write what the first of those who come at once writes, and return it."""
        with self._client.pipeline() as transaction:
            transaction.hsetnx(key, "fingerprint", fingerprint)
            transaction.hsetnx(key, "answer", UNFINISHED)
            transaction.hsetnx(key, "id", new_id)
            transaction.expire(key, REMEMBER_IDEMPOTENCY)
            transaction.hmget(key, FIELDS)
            return transaction.execute()[-1]


def _known(stored: Any, idempotency: Idempotency) -> Known:
    fingerprint, own_id, status, body = stored
    if fingerprint.decode() != idempotency.fingerprint:
        raise InvalidRequest.of(
            "Idempotency-Key", "idempotency_mismatch", "was used for another request"
        )
    if status is None:
        return Known(own_id.decode())
    return Known(own_id.decode(), int(status), body)
