"""Tokens: make, list, revoke."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from api.access import needs
from api.answers import answer, confidential, read_query
from api.bodies import read_object
from api.current import actor, administration, environment
from api.schemas import TokenSchema, TokensQuery, loaded
from lambdaqueue.identity import Scope
from lambdaqueue.rendering import render

__all__ = ["blueprint"]

blueprint = Blueprint("tokens", __name__, url_prefix="/api/v1")

TOKEN = TokenSchema()
TOKENS_QUERY = TokensQuery()


@blueprint.post("/tokens")
@needs(Scope.MANAGE)
def issue() -> Response:
    body = read_object(current_app.config["MAX_PAYLOAD"])
    made, info = administration().issue_token(actor(), **loaded(TOKEN, body.value))
    return confidential(render.new_token(made, info), 201)


@blueprint.get("/tokens")
@needs(Scope.MANAGE)
def list_tokens() -> Response:
    found = administration().tokens(environment(), **read_query(TOKENS_QUERY))
    return answer(render.page("tokens", found, render.token))


@blueprint.delete("/tokens/<token_id>")
@needs(Scope.MANAGE)
def revoke(token_id: str) -> Response:
    administration().revoke_token(actor(), token_id)
    return Response(status=204)
