"""The API described by OpenAPI 3.1, for programs: `/api/v1/openapi.json`.

What requests may contain is derived from the schemas that read them (`derive.py`); what is
answered, and what each operation is for, is written here by resource. tests/api/test_openapi*.py
hold all of it against the routes, the renderers and the running application.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

from flask import Blueprint, Response, request

from api.answers import answer
from api.current import parts
from api.openapi.document import OPERATIONS, TAGS, document
from lambdaqueue import strict_json

__all__ = ["OPERATIONS", "TAGS", "blueprint", "document"]

blueprint = Blueprint("openapi", __name__, url_prefix="/api/v1")


class Written(NamedTuple):
    """The document as it is sent, and what its ETag says."""

    body: bytes
    tag: str


@blueprint.get("/openapi.json")
def show() -> Response:
    found = _written(parts().settings.public_url)
    response = answer(found.body)
    response.set_etag(found.tag)
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@lru_cache(maxsize=8)
def _written(public_url: str) -> Written:
    body = strict_json.dumps(document(public_url))
    return Written(body, hashlib.sha256(body).hexdigest()[:16])
