"""Reads pushes, batches and changes: from headers and bodies to the values the service takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from flask import request

from api.current import Parts, parts
from api.option_headers import given_headers, readable
from api.schemas import BatchSchema, ChangeSchema, ItemSchema, field_loaded, loaded
from lambdaqueue.commands import Change, Push
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.reading import orders
from lambdaqueue.reading.option_headers import PUSH_HEADERS
from lambdaqueue.reading.orders import ItemReader, Options
from lambdaqueue.spec import Spec

__all__ = ["ITEM", "read_batch", "read_change", "read_push", "read_traceparent"]

ITEM = ItemSchema()
BATCH = BatchSchema()
CHANGE = ChangeSchema()

READER = ItemReader(partial(loaded, ITEM), partial(field_loaded, ITEM))

OWN_HEADERS = frozenset({"HTTP_X_LQ_KEY", "HTTP_X_LQ_DELAY", "HTTP_X_LQ_ON"})


def read_push(content_type: str, payload: bytes) -> Push:
    """Return the push that the request's headers and body ask for.

    Raises:
        UnreadableRequest: a header is not UTF-8.
        InvalidRequest: a header is unknown or breaks a rule; paths name the header.
    """
    given = given_headers()
    spec, rest = _shared_options(
        parts(), tuple(pair for pair in given if pair[0] not in OWN_HEADERS)
    )
    own = _own_options([pair for pair in given if pair[0] in OWN_HEADERS])
    return Push(Spec(payload, content_type, traceparent=read_traceparent(), **spec), **rest, **own)


def read_batch(body: Mapping[str, Any], max_payload: int) -> list[Push]:
    """Return the pushes of a batch, in order; raises InvalidRequest with paths from `items`."""
    return READER.batch(loaded(BATCH, body)["items"], max_payload, read_traceparent())


def read_change(body: Mapping[str, Any], max_payload: int) -> Change:
    """Return the change that a PATCH asks for; raises InvalidRequest."""
    return orders.read_change(loaded(CHANGE, body), max_payload)


def read_traceparent() -> str | None:
    """Return the request's W3C trace context, None where there is no valid one."""
    return orders.valid_traceparent(request.environ.get("HTTP_TRACEPARENT", ""))


@lru_cache(maxsize=256)
def _shared_options(app: Parts, given: tuple[tuple[str, str], ...]) -> Options:
    """Return the options in headers that clients send alike with every push: read them once.

    `app` is the one that is asked: the fields' rules depend on what its operator allows.
    """
    values = PUSH_HEADERS.values(readable(given, PUSH_HEADERS.fields))
    with PUSH_HEADERS.named():
        return READER.shared(values)


def _own_options(given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the options in headers that every push has of its own."""
    if not given:
        return {}
    values = PUSH_HEADERS.values(readable(given, PUSH_HEADERS.fields))
    try:
        return READER.own(values)
    except InvalidRequest as error:
        raise PUSH_HEADERS.naming(error) from error
