"""AWS Lambda behind a function URL, API Gateway (HTTP API, REST API) or a load balancer.

    from lambdaqueue.integrations.aws_lambda import handler, mount

    lambda_handler = handler(lq)                  # deliveries are all that comes here
    lambda_handler = mount(lambda_handler, lq)    # other events go to the function that is there

Events in format 2.0 and 1.0 and those of Application Load Balancers are answered alike. The stage
of an API is taken off the path, so LQ_BASE_URL ends in it: `https://….amazonaws.com/prod`. With a
custom domain that maps a base path to the API, say it: `handler(lq, prefix="/shop")`.

The signature is over the bytes that were sent, so a body must not be changed on its way. Function
URLs and HTTP APIs pass text on as it is, which must be UTF-8, and other content types in base64. A
REST API and its answers do so only with `*/*` among its binary media types.

A coroutine function as handler runs in an event loop of its own.

Sources:
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from lambdaqueue.integrations.routes import Refused, Routes, Source, answered, without_prefix
from lambdaqueue.sdk.delivery import Reply
from lambdaqueue.sdk.errors import ConfigurationError

__all__ = ["Function", "handler", "mount"]

Event = Mapping[str, Any]
Function = Callable[[Any, Any], Any]
"""What Lambda calls with event and context."""

PHRASES = {status.value: status.phrase for status in HTTPStatus}


def handler(queues: Source, *, prefix: str = "") -> Function:
    """Return a Lambda function that answers the deliveries of `queues`, and 404 elsewhere.

    It raises ConfigurationError for an event that is no HTTP request.
    """
    routes = Routes(queues, prefix, alone=True)

    def deliveries(event: Event, context: object) -> dict[str, Any]:
        if not _is_http(event):
            raise ConfigurationError(
                "this event is no HTTP request: call the function by a function URL, API Gateway "
                "or a load balancer, or mount(…) another function for such events"
            )
        return _answer(routes, event)

    return deliveries


def mount(function: Function, queues: Source, *, prefix: str = "") -> Function:
    """Return a Lambda function that answers deliveries of `queues`; `function` gets the rest."""
    routes = Routes(queues, prefix)

    @functools.wraps(function)
    def either(event: Any, context: Any) -> Any:
        if _is_http(event) and routes.find(*_paths(event)) is not None:
            return _answer(routes, event)
        return function(event, context)

    return either


def _is_http(event: Any) -> bool:
    """Return whether this is an event of format 2.0, 1.0 or a load balancer.

    What asks a Lambda authorizer looks like one, but wants another answer.
    """
    if not isinstance(event, Mapping) or event.get("type") == "REQUEST":
        return False
    return "rawPath" in event or {"httpMethod", "path"} <= set(event)


def _answer(routes: Routes, event: Event) -> dict[str, Any]:
    method = _method(event)
    reply = answered(
        routes.find(*_paths(event)), method, _headers(event), lambda limit: _body(event, limit)
    )
    return _response(event, method, reply)


def _method(event: Event) -> str:
    if "rawPath" in event:
        return str(event["requestContext"]["http"]["method"])
    return str(event["httpMethod"])


def _paths(event: Event) -> list[str]:
    """Return the path, without the stage and with it: whether it's there depends on the domain."""
    path = unquote(event["rawPath"] if "rawPath" in event else event["path"])
    stage = (event.get("requestContext") or {}).get("stage")
    below = without_prefix(path, f"/{stage}") if stage else None
    return [path] if below is None else [below, path]


def _headers(event: Event) -> Iterator[tuple[str, str]]:
    many: Mapping[str, list[str]] | None = event.get("multiValueHeaders")
    if many:
        for name, values in many.items():
            for value in values:
                yield name, value
    else:
        yield from (event.get("headers") or {}).items()


def _body(event: Event, limit: int) -> bytes:
    text: str = event.get("body") or ""
    # Base64 makes four characters of three bytes; the endpoint counts them exactly.
    if len(text) > (limit + 2) // 3 * 4:
        raise Refused(Reply.too_large(limit))
    # Half of a surrogate pair, which no signature has been made over, must not be an error here.
    return _decoded(text) if event.get("isBase64Encoded") else text.encode("utf-8", "surrogatepass")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Reply.error(400, "the body is not base64")) from None


def _response(event: Event, method: str, reply: Reply) -> dict[str, Any]:
    body, encoded = _text(b"" if method.upper() == "HEAD" else reply.body)
    answer: dict[str, Any] = {
        "statusCode": reply.status,
        "body": body,
        "isBase64Encoded": encoded,
    }
    if "elb" in (event.get("requestContext") or {}):
        answer["statusDescription"] = f"{reply.status} {PHRASES.get(reply.status, 'Unknown')}"
    if event.get("multiValueHeaders"):
        # A load balancer that sends them reads no others.
        answer["multiValueHeaders"] = {name: [value] for name, value in reply.headers}
    else:
        answer["headers"] = dict(reply.headers)
    return answer


def _text(body: bytes) -> tuple[str, bool]:
    """Return a body as text, and whether that is base64."""
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
