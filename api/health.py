"""Is the process alive, and can it do its work? For load balancers, without token or Host."""

from __future__ import annotations

from flask import Blueprint, Response

from api import render
from api.access import service
from api.answers import answer
from lambdaqueue import __version__, strict_json

__all__ = ["blueprint"]

blueprint = Blueprint("health", __name__)

HEALTHY = strict_json.dumps({"status": "ok", "version": __version__})


@blueprint.get("/health")
def health() -> Response:
    return answer(HEALTHY)


@blueprint.get("/ready")
def ready() -> Response:
    found = service().ready()
    return answer(render.readiness(found), 503 if found.failures else 200)
