"""Events that AWS calls a Lambda function with for an HTTP request, as its documentation has them.

Function URL and HTTP API:
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
REST API:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
Load balancer:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

__all__ = ["FORMATS", "STAGE", "Headers", "Make"]

Headers = Iterable[tuple[str, str]]
Event = dict[str, Any]
Make = Callable[[str, str, Headers, bytes], Event]
"""Makes the event of a method, a URL without its origin, headers and a body."""

STAGE = "prod"


def function_url(method: str, url: str, headers: Headers, body: bytes) -> Event:
    """Format 2.0, of a function URL."""
    return _format_2(method, url, headers, body, stage="$default")


def http_api(method: str, url: str, headers: Headers, body: bytes) -> Event:
    """Format 2.0, of an HTTP API with a named stage, which is in the path."""
    return _format_2(method, url, headers, body, stage=STAGE)


def http_api_1(method: str, url: str, headers: Headers, body: bytes) -> Event:
    """Format 1.0, of an HTTP API with a named stage, which is in the path."""
    event = _format_1(method, url, headers, body)
    return {"version": "1.0", **event}


def rest_api(method: str, url: str, headers: Headers, body: bytes) -> Event:
    """Format 1.0, of a REST API: its stage, which every one has, isn't in the path."""
    return _format_1(method, url.removeprefix(f"/{STAGE}"), headers, body)


def load_balancer(method: str, url: str, headers: Headers, body: bytes) -> Event:
    """The event of an Application Load Balancer."""
    event = _balanced(method, url, body)
    joined = {name.lower(): value for name, value in headers}
    return {**event, "queryStringParameters": _query(url), "headers": joined}


def load_balancer_many(method: str, url: str, headers: Headers, body: bytes) -> Event:
    """The event of an Application Load Balancer whose target group has multi-value headers."""
    event = _balanced(method, url, body)
    query = {name: [value] for name, value in _query(url).items()}
    many = _many((name.lower(), value) for name, value in headers)
    return {**event, "multiValueQueryStringParameters": query, "multiValueHeaders": many}


FORMATS: dict[str, Make] = {
    "function_url": function_url,
    "http_api": http_api,
    "http_api_1": http_api_1,
    "rest_api": rest_api,
    "load_balancer": load_balancer,
    "load_balancer_many": load_balancer_many,
}


def _format_2(method: str, url: str, headers: Headers, body: bytes, *, stage: str) -> Event:
    path, _, query = url.partition("?")
    text, encoded = _body(body)
    many = _many((name.lower(), value) for name, value in headers)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name: ",".join(values) for name, values in many.items()},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.eu-west-1.on.aws",
            "domainPrefix": "abc",
            "http": {
                "method": method,
                "path": unquote(path),
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "LambdaQueue",
            },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": stage,
            "time": "21/Nov/2026:09:00:00 +0000",
            "timeEpoch": 1795251600000,
        },
        **({"body": text} if body else {}),
        "isBase64Encoded": encoded,
    }


def _format_1(method: str, url: str, headers: Headers, body: bytes) -> Event:
    path = unquote(url.partition("?")[0])
    text, encoded = _body(body)
    query, many = _query(url), _many(headers)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in many.items()} or None,
        "multiValueHeaders": many or None,
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {n: [v] for n, v in query.items()} or None,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "gy415nuibc",
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "LambdaQueue"},
            "path": f"/{STAGE}{path}",
            "protocol": "HTTP/1.1",
            "requestId": "deef4878-7910-11e6-8f14-25afc3e9ae33",
            "resourceId": "roq9wj",
            "resourcePath": "/{proxy+}",
            "stage": STAGE,
        },
        "body": text if body else None,
        "isBase64Encoded": encoded,
    }


def _balanced(method: str, url: str, body: bytes) -> Event:
    text, encoded = _body(body)
    return {
        "requestContext": {
            "elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/1"}
        },
        "httpMethod": method,
        "path": url.partition("?")[0],
        "body": text,
        "isBase64Encoded": encoded,
    }


def _many(headers: Headers) -> dict[str, list[str]]:
    many: dict[str, list[str]] = {}
    for name, value in headers:
        many.setdefault(name, []).append(value)
    return many


def _query(url: str) -> dict[str, str]:
    query = url.partition("?")[2]
    return dict(pair.partition("=")[::2] for pair in query.split("&")) if query else {}


def _body(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
