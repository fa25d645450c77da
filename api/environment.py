"""The environment that a token belongs to: its settings, its signature secret, its audit."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from api import current
from api.access import needs
from api.answers import answer, confidential, read_query
from api.bodies import read_object, read_optional_object
from api.current import actor, administration
from api.schemas import AuditQuery, EnvironmentSchema, RotationSchema, loaded
from lambdaqueue.identity import Scope
from lambdaqueue.rendering import render

__all__ = ["blueprint"]

blueprint = Blueprint("environment", __name__, url_prefix="/api/v1")

ENVIRONMENT = EnvironmentSchema()
ROTATION = RotationSchema()
AUDIT_QUERY = AuditQuery()


@blueprint.get("/environment")
@needs(Scope.MANAGE)
def show() -> Response:
    return answer(render.environment(administration().environment(current.environment())))


@blueprint.patch("/environment")
@needs(Scope.MANAGE)
def change() -> Response:
    body = read_object(current_app.config["MAX_PAYLOAD"])
    changes = loaded(ENVIRONMENT, body.value)
    return answer(render.environment(administration().change_environment(actor(), changes)))


@blueprint.get("/secret")
@needs(Scope.MANAGE)
def show_secret() -> Response:
    return confidential(render.secret(administration().secret(actor())))


@blueprint.post("/secret/rotate")
@needs(Scope.MANAGE)
def rotate_secret() -> Response:
    body = read_optional_object(current_app.config["MAX_PAYLOAD"])
    overlap = loaded(ROTATION, body.value)["overlap"]
    return confidential(render.secret(administration().rotate_secret(actor(), overlap)))


@blueprint.get("/audit")
@needs(Scope.MANAGE)
def list_audit() -> Response:
    found = administration().audit(current.environment(), **read_query(AUDIT_QUERY))
    return answer(render.page("entries", found, render.audit_entry))
