"""A client's Idempotency-Key: how a request is known again, and carried out once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from flask import Response, request

from api.answers import answer
from api.current import environment, parts, scheduling
from lambdaqueue import strict_json
from lambdaqueue.commands import Idempotency
from lambdaqueue.errors import Conflict, RequestError
from lambdaqueue.reading.option_headers import check_idempotency_key
from lambdaqueue.scheduling import minted_at

__all__ = ["OURS", "Reply", "once", "read_idempotency"]

OURS = "HTTP_X_LQ_"
"""How WSGI's names of our headers begin."""

IN_WORK = 10_000
"""ms for which an unanswered request may still be in work; later it is gone on with."""

Reply = tuple[bytes, int]
"""Body and status of an answer."""


def read_idempotency(body: bytes = b"") -> Idempotency | None:
    """Return the request's Idempotency-Key with its fingerprint, or None without one."""
    environ = request.environ
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    check_idempotency_key(key)
    meant = [environ.get("CONTENT_TYPE", "")]
    meant += sorted(f"{name}:{environ[name]}" for name in environ if name.startswith(OURS))
    head = strict_json.dumps([request.method, request.path, meant])
    return Idempotency(key, hashlib.sha256(head + b"\n" + body).hexdigest())


def once(idempotency: Idempotency | None, carry_out: Callable[[str | None], Reply]) -> Response:
    """Carry a request out, or give its first answer again.

    `carry_out` gets the id that every try of the request works with, None without a key.

    Raises:
        InvalidRequest: the key was used for another request.
        Conflict: the first request is still in work.
    """
    if idempotency is None:
        return answer(*carry_out(None))
    answers, new_id = parts().first_answers, scheduling().mint()
    known = answers.begin(environment(), idempotency, new_id)
    if known.status is not None:
        return answer(known.body, known.status, replayed=True)
    if known.id != new_id and minted_at(new_id) - minted_at(known.id) < IN_WORK:
        raise Conflict("the first request with this Idempotency-Key is still in work")
    try:
        body, status = carry_out(known.id)
    except RequestError:
        answers.forget(environment(), idempotency)
        raise
    answers.finish(environment(), idempotency, status, body)
    return answer(body, status)
