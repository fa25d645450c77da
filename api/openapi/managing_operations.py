"""Operations on tokens and on the environment, and what tells of the server itself."""

from __future__ import annotations

from typing import Any

from api.openapi.operations import Answer, Operation, answered, json_body
from api.openapi.parameters import query_of
from api.schemas import AuditQuery, TokensQuery
from lambdaqueue.identity import Scope

__all__ = ["MANAGING_OPERATIONS"]

TAG = "Managing"
SERVER = "Server"

TOKEN: dict[str, Any] = {
    "id": "pW3kx_2a",
    "name": "ci",
    "scopes": ["push"],
    "created": "2026-11-21T12:16:33.000Z",
    "expires": "2027-06-30T00:00:00.000Z",
}
ISSUED = {**TOKEN, "token": "lqk_pW3kx_2a_0123456789abcdefghijABCDEFGHIJ0123456789_-x"}
SECRET: dict[str, Any] = {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "since": "2026-11-21T12:16:33.000Z",
}
ENVIRONMENT: dict[str, Any] = {
    "id": "1",
    "name": "default",
    "created": "2026-11-21T09:40:00.000Z",
}
AUDITED = {
    "id": "1795254417017-0",
    "at": "2026-11-21T09:46:57.017Z",
    "token": "ci",
    "action": "queue.pause",
    "object": "mail",
    "address": "127.0.0.1",
}
NO_STORE = "Cache-Control"

_TOKENS = (
    Operation(
        "createToken",
        "POST /tokens",
        TAG,
        "Make a token",
        Scope.MANAGE,
        {201: answered("IssuedToken", "Its `token` is shown this once.", ISSUED, NO_STORE)},
        about="409 where the name is taken.",
        body=json_body(
            "NewToken", {"name": "ci", "scopes": ["push"], "expires": "2027-06-30T00:00:00Z"}
        ),
        problems=(409, 413, 415, 422),
    ),
    Operation(
        "listTokens",
        "GET /tokens",
        TAG,
        "List the tokens",
        Scope.MANAGE,
        {200: answered("TokenPage", "In the order of their making.", {"tokens": [TOKEN]})},
        parameters=query_of(TokensQuery()),
        problems=(422,),
    ),
    Operation(
        "revokeToken",
        "DELETE /tokens/{id}",
        TAG,
        "Revoke a token",
        Scope.MANAGE,
        {204: Answer("It opens nothing any more.")},
        problems=(404,),
    ),
)

_ENVIRONMENT = (
    Operation(
        "getEnvironment",
        "GET /environment",
        TAG,
        "Read the environment",
        Scope.MANAGE,
        {200: answered("Environment", "The one that the token belongs to.", ENVIRONMENT)},
    ),
    Operation(
        "changeEnvironment",
        "PATCH /environment",
        TAG,
        "Change the default retry policy",
        Scope.MANAGE,
        {200: answered("Environment", "The environment as it is now.", ENVIRONMENT)},
        body=json_body("EnvironmentChange", {"retry": {"retries": 3}}),
        problems=(413, 415, 422),
    ),
    Operation(
        "getSecret",
        "GET /secret",
        TAG,
        "Show the signature secret",
        Scope.MANAGE,
        {
            200: answered(
                "Secret", "The secret, and the one before while it counts.", SECRET, NO_STORE
            )
        },
    ),
    Operation(
        "rotateSecret",
        "POST /secret/rotate",
        TAG,
        "Replace the signature secret",
        Scope.MANAGE,
        {
            200: answered(
                "Secret", "The new one; the old one signs too for a while.", SECRET, NO_STORE
            )
        },
        about="409 while an older one still counts, unless `overlap` is 0.",
        body=json_body("Rotation", {"overlap": 0}, required=False),
        problems=(409, 413, 415, 422),
    ),
    Operation(
        "listAudit",
        "GET /audit",
        TAG,
        "List who did what",
        Scope.MANAGE,
        {200: answered("AuditPage", "Newest first.", {"entries": [AUDITED]})},
        parameters=query_of(AuditQuery()),
        problems=(422,),
    ),
)

_SERVER = (
    Operation(
        "getDocument",
        "GET /openapi.json",
        SERVER,
        "This document",
        None,
        {
            200: Answer("OpenAPI 3.1.", {"type": "object"}, headers=("ETag",)),
            304: Answer("The same as the one that `If-None-Match` names.", headers=("ETag",)),
        },
    ),
    Operation(
        "getHealth",
        "GET /health",
        SERVER,
        "Is the process alive?",
        None,
        {200: answered("Health", "It is.", {"status": "ok", "version": "0.1.0"})},
        about="For load balancers; its Host isn't looked at.",
    ),
    Operation(
        "getReadiness",
        "GET /ready",
        SERVER,
        "Can it do its work?",
        None,
        {
            200: answered("Readiness", "It can.", {"status": "ok", "checks": {}, "warnings": {}}),
            503: answered(
                "Readiness",
                "It can't.",
                {
                    "status": "unavailable",
                    "checks": {
                        "eviction": "maxmemory-policy is allkeys-lru, it must be noeviction: "
                        "jobs get lost"
                    },
                    "warnings": {},
                },
            ),
        },
        about="For load balancers; its Host isn't looked at.",
    ),
    Operation(
        "getMetrics",
        "GET /metrics",
        SERVER,
        "Metrics for Prometheus",
        None,
        {200: Answer("Prometheus' text.", {"type": "string"}, media="text/plain")},
        about="For the server's own machine, or with the token that its operator has set.",
        problems=(401, 403, 503),
        security=({"metrics": []}, {}),
    ),
)

MANAGING_OPERATIONS: tuple[Operation, ...] = (*_TOKENS, *_ENVIRONMENT, *_SERVER)
