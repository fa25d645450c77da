"""Direct messages: post this to that URL."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, current_app

from api.access import needs
from api.answers import answer
from api.bodies import read_object
from api.current import environment, parts, service
from api.idempotency import read_idempotency
from api.message_schemas import MessageSchema
from api.pushes import read_traceparent
from api.schemas import loaded
from lambdaqueue import strict_json
from lambdaqueue.commands import Push
from lambdaqueue.identity import Scope
from lambdaqueue.messages import QUEUE, message_spec
from lambdaqueue.reading.orders import compact
from lambdaqueue.spec import Message

__all__ = ["blueprint"]

blueprint = Blueprint("messages", __name__, url_prefix="/api/v1")

MESSAGE = MessageSchema()


@blueprint.post("/messages")
@needs(Scope.PUSH)
def send() -> Response:
    body = read_object(current_app.config["MAX_BATCH"])
    wanted = loaded(MESSAGE, body.value)
    payload = compact(wanted["payload"], "payload", current_app.config["MAX_PAYLOAD"])
    message = Message(parts().settings.header_name, wanted["attempt"])
    spec = message_spec(payload, wanted["url"], wanted["event_type"], message)
    spec = replace(spec, traceparent=read_traceparent())
    idempotency = read_idempotency(body.raw)
    pushed = service().push(environment(), QUEUE, Push(spec), idempotency)
    return answer(strict_json.dumps({"id": pushed.job.id}), 202, replayed=pushed.replayed)
