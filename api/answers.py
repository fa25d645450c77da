"""Successful answers, and the queries of lists."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from marshmallow import Schema

from api.schemas import loaded
from lambdaqueue.errors import InvalidRequest, Issue

__all__ = ["answer", "confidential", "read_query"]


def answer(body: bytes, status: int = 200, *, replayed: bool = False) -> Response:
    """Return the JSON `body` as an answer; `replayed`: it was given before, to the same request."""
    response = Response(body, status=status, content_type="application/json")
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def confidential(body: bytes, status: int = 200) -> Response:
    """Return an answer that holds a token or a secret: nobody on the way may keep it."""
    response = answer(body, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def read_query(schema: Schema) -> dict[str, Any]:
    """Return the query's parameters that `schema` declares; others mean nothing here.

    Raises:
        InvalidRequest: one breaks a rule or is given twice.
    """
    given = {name: request.args.getlist(name) for name in schema.fields if name in request.args}
    twice = [name for name, values in given.items() if len(values) > 1]
    if twice:
        raise InvalidRequest([Issue((name,), "duplicate", "is given twice") for name in twice])
    return loaded(schema, {name: values[0] for name, values in given.items()})
