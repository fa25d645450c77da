"""Is the process alive, and can it do its work? For load balancers, without token or Host."""

from __future__ import annotations

from flask import Blueprint, Response

from api.answers import answer
from api.current import parts
from lambdaqueue import __version__, strict_json
from lambdaqueue.commands import Readiness
from lambdaqueue.errors import ConfigurationError, StorageUnavailable
from lambdaqueue.rendering import render

__all__ = ["blueprint"]

blueprint = Blueprint("health", __name__)

HEALTHY = strict_json.dumps({"status": "ok", "version": __version__})


@blueprint.get("/health")
def health() -> Response:
    return answer(HEALTHY)


@blueprint.get("/ready")
def ready() -> Response:
    found = _readiness()
    return answer(render.readiness(found), 503 if found.failures else 200)


def _readiness() -> Readiness:
    try:
        parts().start.complete()
    except StorageUnavailable as error:
        return Readiness({"redis": str(error)}, {})
    except ConfigurationError as error:
        found = parts().administration.ready()
        return Readiness({"start": str(error), **found.failures}, found.warnings)
    return parts().administration.ready()
