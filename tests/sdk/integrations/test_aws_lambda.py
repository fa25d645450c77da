"""What is particular to AWS Lambda: events."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lambdaqueue import ConfigurationError
from lambdaqueue.integrations.aws_lambda import handler, mount
from tests.sdk.integrations.deliveries import Taken, error_of, signed, validation
from tests.sdk.integrations.events import FORMATS, STAGE, function_url, load_balancer, rest_api


@pytest.fixture
def taken() -> Taken:
    """A queue with a handler."""
    taken = Taken()
    taken.add("/welcome")
    return taken


def own(event: Any, context: Any) -> Any:
    """A function of its own."""
    return {"own": event, "context": context}


SQS = {"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}]}
AUTHORIZER = {
    **rest_api("POST", "/welcome", [], b""),
    "type": "REQUEST",
    "methodArn": "arn:aws:execute-api:eu-west-1:1:abc/prod/POST/welcome",
}


@pytest.mark.parametrize("name", FORMATS)
def test_other_paths_are_the_function_s(taken: Taken, name: str) -> None:
    function = mount(own, taken)
    event = FORMATS[name]("POST", "/own", [], b"")
    assert function(event, "context") == {"own": event, "context": "context"}
    event = FORMATS[name]("POST", "/welcome", signed(), b"{}")
    assert function(event, None)["statusCode"] == 200


@pytest.mark.parametrize("event", [SQS, AUTHORIZER, {}, [], "x", None])
def test_so_is_what_is_no_http_request(taken: Taken, event: Any) -> None:
    assert mount(own, taken)(event, None) == {"own": event, "context": None}
    with pytest.raises(ConfigurationError, match="no HTTP request"):
        handler(taken)(event, None)
    assert taken.calls == []


@pytest.mark.parametrize("name", ["http_api", "http_api_1"])
def test_the_stage_is_no_part_of_the_path(taken: Taken, name: str) -> None:
    event = FORMATS[name]("POST", f"/{STAGE}/welcome", signed(), b"{}")
    assert handler(taken)(event, None)["statusCode"] == 200
    other = FORMATS[name]("POST", "/test/welcome", signed(), b"{}")
    assert handler(taken)(other, None)["statusCode"] == 404


def test_a_base_path_is_said(taken: Taken) -> None:
    event = rest_api("POST", "/shop/welcome", signed(), b"{}")
    assert handler(taken)(event, None)["statusCode"] == 404
    assert handler(taken, prefix="/shop")(event, None)["statusCode"] == 200


def test_an_encoded_path(taken: Taken) -> None:
    taken.add("/mail/eu")
    event = function_url("POST", "/mail%2Feu", signed(), b"{}")
    assert handler(taken)(event, None)["statusCode"] == 200


@pytest.mark.parametrize("name", FORMATS)
def test_base64_is_decoded(taken: Taken, name: str) -> None:
    body = b'{"a": 1}'
    event = FORMATS[name]("POST", "/welcome", signed(body), body)
    event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    assert handler(taken)(event, None)["statusCode"] == 200
    assert taken.payloads == [{"a": 1}]


@pytest.mark.parametrize("text", ["*", "e30", "e3 0=", "é", "e30=e30=="])
def test_what_is_not_base64(taken: Taken, text: str) -> None:
    event = function_url("POST", "/welcome", signed(), b"{}")
    answer = handler(taken)({**event, "body": text, "isBase64Encoded": True}, None)
    assert answer["statusCode"] == 400
    assert error_of(answer["body"]) == "the body is not base64"


@pytest.mark.parametrize(
    ("body", "encoded", "status"),
    [
        ("x" * 1_000, False, 401),
        ("x" * 1_001, False, 413),
        ("x" * 100_000, False, 413),
        ("é" * 501, False, 413),
        (base64.b64encode(bytes(1_000)).decode(), True, 401),
        (base64.b64encode(bytes(1_001)).decode(), True, 413),
        ("A" * 100_000, True, 413),
        ("\ud800", False, 401),
        (None, False, 401),
        (None, True, 401),
    ],
)
def test_the_limit_counts_bytes(taken: Taken, body: str | None, encoded: bool, status: int) -> None:
    event = {**function_url("POST", "/welcome", signed(), b""), "isBase64Encoded": encoded}
    assert handler(taken)({**event, "body": body}, None)["statusCode"] == status
    assert taken.calls == []


@pytest.mark.parametrize("name", FORMATS)
def test_no_headers_at_all(taken: Taken, name: str) -> None:
    event = FORMATS[name]("POST", "/welcome", [], b"")
    event |= {"headers": None, "multiValueHeaders": None}
    assert handler(taken)(event, None)["statusCode"] == 401
    del event["headers"], event["multiValueHeaders"]
    assert handler(taken)(event, None)["statusCode"] == 401


def test_the_answer_has_the_documented_fields(taken: Taken) -> None:
    deliveries = handler(taken)
    headers = {"Content-Type": "application/json"}
    body = '{"from":"/welcome"}'
    plain = {"statusCode": 200, "body": body, "isBase64Encoded": False}
    answer = deliveries(function_url("POST", "/welcome", signed(), b"{}"), None)
    assert answer == {**plain, "headers": headers}
    many = {"multiValueHeaders": {"Content-Type": ["application/json"]}}
    assert deliveries(rest_api("POST", "/welcome", signed(), b"{}"), None) == plain | many
    balanced = {**plain, "statusDescription": "200 OK"}
    answer = deliveries(load_balancer("POST", "/welcome", signed(), b"{}"), None)
    assert answer == {**balanced, "headers": headers}
    event = FORMATS["load_balancer_many"]("POST", "/welcome", signed(), b"{}")
    assert deliveries(event, None) == balanced | many
    json.dumps(answer)


def test_bytes_are_encoded(taken: Taken) -> None:
    taken.add("/bytes", lambda payload: b"\xff")
    answer = handler(taken)(function_url("POST", "/bytes", signed(), b"{}"), None)
    assert (answer["body"], answer["isBase64Encoded"]) == ("/w==", True)


@pytest.mark.parametrize("name", FORMATS)
def test_head_has_no_body(taken: Taken, name: str) -> None:
    for headers in (validation("/welcome"), []):
        answer = handler(taken)(FORMATS[name]("HEAD", "/welcome", headers, b""), None)
        assert (answer["statusCode"], answer["body"]) == (200 if headers else 401, "")
