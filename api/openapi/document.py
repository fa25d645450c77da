"""The OpenAPI document of the whole API, put together from its pieces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from api.access import LOOPBACK_NAMES
from api.openapi.components import REQUESTS, VALUES
from api.openapi.item_answers import ITEM_ANSWERS
from api.openapi.item_operations import ITEM_OPERATIONS
from api.openapi.managing_operations import MANAGING_OPERATIONS
from api.openapi.operations import Operation
from api.openapi.other_answers import OTHER_ANSWERS
from api.openapi.problems import HEADERS, RESPONSES
from api.openapi.queue_operations import QUEUE_OPERATIONS
from api.openapi.schedule_operations import SCHEDULE_OPERATIONS
from api.openapi.service_operations import SERVICE_OPERATIONS
from lambdaqueue import __version__

__all__ = ["OPERATIONS", "TAGS", "document"]

OPERATIONS: tuple[Operation, ...] = (
    *ITEM_OPERATIONS,
    *QUEUE_OPERATIONS,
    *SCHEDULE_OPERATIONS,
    *SERVICE_OPERATIONS,
    *MANAGING_OPERATIONS,
)
"""Every operation, in the order of the page."""

TAGS: Mapping[str, str] = {
    "Items": "Jobs in a queue: a target is called until it answers with success.",
    "Messages": "Post this to that URL, and try again for most of an hour.",
    "Queues": "Named lines of items, made on demand; their settings and counters.",
    "History": "Items that have ended: look, take along, push again.",
    "Schedules": "What pushes items to a queue by the clock.",
    "Timers": "Small schedules that their clients name themselves.",
    "Service jobs": "Long work by the clock, ended by a callback. JSON is in snake_case.",
    "Executions": "The single runs of service jobs, and async items.",
    "Callbacks": "What a service says of an execution.",
    "Managing": "Tokens, the signature secret, the environment, the audit.",
    "Server": "The server itself; no token is needed.",
}

LOCAL_TARGET = "http://127.0.0.1:9000"
"""Where `lambdaqueue listen` listens: the target of all examples, as in docs/api.md."""

PUBLIC_TARGET = "https://app.example.com"

ABOUT = """\
A job queue and scheduler for code that runs behind HTTP. Push a payload with a target, and \
LambdaQueue calls it: signed, with retries, at the time that you say.

JSON is in camelCase, that of service jobs in snake_case. Times are ISO-8601 in UTC with \
milliseconds, durations milliseconds, unless a name says otherwise. No redirect is ever answered. \
Errors are JSON, as `application/problem+json` where `Accept` asks for it. JSON bodies may have \
any type that ends in `+json`; unknown fields are refused, unknown parameters of a query mean \
nothing. The web server itself may answer 408, 417 and 501 in the same form."""

BEARER = """\
`Authorization: Bearer <token>`; a token of the form `lqk_…` belongs to one environment and has \
scopes: `push`, `read`, `manage`. The header `Bearer: <token>`, which a published client sends, \
and `Authorization: Bearer: <token>` are taken as well; two tokens in one request are none."""

METRICS = "`LQ_METRICS_TOKEN`, which the operator sets; not one of an environment."


@lru_cache(maxsize=8)
def document(public_url: str) -> Mapping[str, Any]:
    """Return the OpenAPI 3.1 document of a server with this origin."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = operation.written()
    found = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "LambdaQueue",
            "version": __version__,
            "summary": "A self-hosted job queue and scheduler for code that runs behind HTTP.",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": public_url}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(
                sorted({**VALUES, **REQUESTS, **ITEM_ANSWERS, **OTHER_ANSWERS}.items())
            ),
            "responses": RESPONSES,
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": BEARER},
                "metrics": {"type": "http", "scheme": "bearer", "description": METRICS},
            },
        },
    }
    return found if urlsplit(public_url).hostname in LOOPBACK_NAMES else _for_the_public(found)


def _for_the_public(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document with targets that a server on the internet may call."""
    text = json.dumps(found).replace(LOCAL_TARGET, PUBLIC_TARGET)
    return cast(Mapping[str, Any], json.loads(text))
