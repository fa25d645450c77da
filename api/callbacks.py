"""Callbacks: a service's heartbeats, and how it ends an execution. Their token is all they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotAcceptable

from api.answers import answer
from api.bodies import content_type, read_body
from api.current import parts
from api.schemas import loaded
from api.service_schemas import CallbackSchema
from lambdaqueue import strict_json
from lambdaqueue.errors import InvalidRequest, Issue, UnreadableRequest
from lambdaqueue.execution import Final
from lambdaqueue.media_types import MEDIA_TYPE

__all__ = ["blueprint"]

blueprint = Blueprint("callbacks", __name__, url_prefix="/api/v1")

CALLBACK = CallbackSchema()

JSON = "application/json"
MAX_BODY = 262_144

FIELDS: Mapping[str, frozenset[str]] = {
    "processing": frozenset({"progress", "extend_seconds"}),
    "success": frozenset({"summary", "state", "correlation_id"}),
    "fail": frozenset({"summary", "error", "correlation_id"}),
}
"""What may be said beside each status."""


@blueprint.post("/callback/<token>")
def hear(token: str) -> Response:
    said = _said()
    status = said.pop("status")
    if status == "processing":
        extend = said.get("extend")
        parts().callbacks.heartbeat(
            token, said.get("progress"), None if extend is None else extend * 1_000
        )
        return Response(status=204)
    parts().callbacks.finish(token, Final(status, **said))
    return answer(strict_json.dumps({"status": status}))


def _said() -> dict[str, Any]:
    """Return what the body says; a field that is null is left out.

    Raises:
        NotAcceptable: it is not of the type application/json.
        InvalidRequest: it can't be read, or breaks a rule.
    """
    _check_type()
    body = _object(read_body(MAX_BODY))
    values = loaded(CALLBACK, body)
    status = values["status"]
    allowed = FIELDS[status] | {"status"}
    foreign = [name for name in body if body[name] is not None and name not in allowed]
    if foreign:
        rule = f"means nothing with the status {status}"
        raise InvalidRequest([Issue((name,), "other_status", rule) for name in foreign])
    return {name: value for name, value in values.items() if value is not None}


def _check_type() -> None:
    given = request.environ.get("CONTENT_TYPE", "")
    if not MEDIA_TYPE.fullmatch(given) or given.partition(";")[0].strip().lower() != JSON:
        raise NotAcceptable("Unsupported Content-Type.")
    content_type()  # refuses what is compressed, as everywhere


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return strict_json.parse_object(raw)
    except UnreadableRequest as error:
        raise InvalidRequest([Issue((), error.code, str(error))]) from error
