"""Callbacks: a service's heartbeats, and how it ends an execution. Their token is all they need."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotAcceptable

from api.answers import answer
from api.bodies import content_type, read_body
from api.current import parts
from api.schemas import loaded
from api.service_schemas import CallbackSchema
from lambdaqueue import strict_json
from lambdaqueue.execution import Final
from lambdaqueue.reading.service_orders import MAX_CALLBACK, may_say, read_callback

__all__ = ["blueprint"]

blueprint = Blueprint("callbacks", __name__, url_prefix="/api/v1")

CALLBACK = CallbackSchema()


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
    """Return what the body says.

    Raises:
        NotAcceptable: it is not of the type application/json.
        InvalidRequest: it can't be read, or breaks a rule.
    """
    given = request.environ.get("CONTENT_TYPE", "")
    if not may_say(given):
        raise NotAcceptable("Unsupported Content-Type.")
    content_type()  # refuses what is compressed, as everywhere
    return read_callback(partial(loaded, CALLBACK), read_body(MAX_CALLBACK))
