"""Reads what a request orders: pushes, batches, changes and schedules (`api/pushes.py`)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.commands import Change, Push
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.execution import DEFAULT_HEARTBEAT, Terms
from lambdaqueue.media_types import is_json
from lambdaqueue.reading.option_headers import PUSH_HEADERS
from lambdaqueue.reading.rules import refused
from lambdaqueue.spec import DEFAULT_CONTENT_TYPE, Spec
from lambdaqueue.testing.calls import MAX_PAYLOAD, Call
from lambdaqueue.testing.fields import BATCH, Fields
from lambdaqueue.testing.loading import loaded

__all__ = [
    "SPEC_FIELDS",
    "Orders",
    "check_size",
    "compact",
    "read_payload",
    "read_terms",
]

SPEC_FIELDS = frozenset(
    {
        "payload",
        "content_type",
        "target",
        "method",
        "headers",
        "retry",
        "timeout",
        "max_age",
        "event_type",
        "flow_key",
        "terms",
        "on_success",
        "on_failure",
    }
)

TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

OWN = ("key", "delay", "on")
"""What differs from push to push."""

MAX_ISSUES = 100


class Orders:
    """Reads pushes and changes; `now` returns Unix ms."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.fields = Fields(now)

    def push(self, call: Call) -> Push:
        """Return the push that the headers and the body ask for; paths name the header."""
        content_type, payload = call.content_type(), call.payload()
        values = PUSH_HEADERS.values(call.options())
        with PUSH_HEADERS.named():
            spec, rest = self._options(values)
        trace = call.headers.get("traceparent", "")
        traceparent = trace if TRACEPARENT.fullmatch(trace) else None
        return Push(Spec(payload, content_type, traceparent=traceparent, **spec), **rest)

    def batch(self, call: Call) -> list[Push]:
        """Return the pushes of a batch, in order; paths begin with `items`."""
        body = call.object()
        pushes: list[Push] = []
        issues: list[Issue] = []
        keys: set[str] = set()
        for index, item in enumerate(loaded(BATCH, body)["items"]):
            try:
                pushes.append(self._batch_item(item, keys))
            except InvalidRequest as error:
                issues += [issue.at("items", index) for issue in error.issues]
        if issues:
            raise InvalidRequest(issues[:MAX_ISSUES])
        return pushes

    def change(self, call: Call) -> Change:
        """Return the change that a PATCH asks for."""
        values = loaded(self.fields.change, call.object())
        read_payload(values)
        read_terms(values)
        spec, rest = _split(values)
        _check_times(rest)
        return Change(spec=spec, **rest)

    def _batch_item(self, item: Any, keys: set[str]) -> Push:
        if type(item) is not dict:
            raise refused("not_object", "must be an object")
        if "payload" not in item:
            raise InvalidRequest.of("payload", "required", "is required")
        spec, rest = self._options({n: v for n, v in item.items() if n != "payload"})
        key = rest.get("key")
        if key is not None and key in keys:
            raise InvalidRequest.of("key", "duplicate", "is the key of an earlier item, too")
        keys.update(() if key is None else (key,))
        encoding = rest.pop("payload_encoding", None)
        default = "application/octet-stream" if encoding else DEFAULT_CONTENT_TYPE
        kind = spec.setdefault("content_type", default)
        return Push(Spec(_payload(item["payload"], encoding, kind), **spec), **rest)

    def _options(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return checked options, those of `Spec` and those beside it.

        First what many pushes have in common, then one by one what each has of its own: so the
        server tells of what is wrong.
        """
        values = loaded(self.fields.item, {n: v for n, v in given.items() if n not in OWN})
        read_terms(values)
        for name in OWN:
            if name in given:
                values |= loaded({name: self.fields.item[name]}, {name: given[name]})
        _check_times(values)
        return _split(values)


def read_payload(values: dict[str, Any]) -> None:
    """Put the bytes that a change's payload stands for in its place.

    A payload without a content type is JSON, or stays of the type it had when it comes as base64.
    """
    encoding = values.pop("payload_encoding", None)
    if "payload" in values:
        kind = values.get("content_type")
        if kind is None and encoding is None:
            kind = values["content_type"] = DEFAULT_CONTENT_TYPE
        values["payload"] = _payload(values["payload"], encoding, kind or "")
    elif encoding is not None:
        raise InvalidRequest.of("payloadEncoding", "alone", "needs a payload")


def read_terms(values: dict[str, Any]) -> None:
    """Put the terms that an async job's times stand for in their place; None takes them away."""
    heartbeat = values.pop("heartbeat", None)
    if "ttl" in values:
        ttl = values.pop("ttl")
        values["terms"] = None if ttl is None else Terms(ttl, heartbeat or DEFAULT_HEARTBEAT)
    if heartbeat is not None and values.get("terms") is None:
        raise InvalidRequest.of("heartbeat", "alone", "needs async")


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = {name: value for name, value in values.items() if name in SPEC_FIELDS}
    return spec, {name: value for name, value in values.items() if name not in spec}


def _check_times(given: Mapping[str, Any]) -> None:
    if "delay" in given and "on" in given:
        raise InvalidRequest.of("on", "delay_and_on", "must not be given with a delay")


def compact(value: Any, name: str) -> bytes:
    """Return `value` as compact JSON; raises InvalidRequest for `name` when it's too large."""
    return check_size(strict_json.dumps(value), name)


def check_size(payload: bytes, name: str) -> bytes:
    """Return a payload unchanged unless it's too large: InvalidRequest for `name`."""
    if len(payload) > MAX_PAYLOAD:
        raise InvalidRequest.of(name, "too_large", f"must have at most {MAX_PAYLOAD} bytes")
    return payload


def _payload(value: Any, encoding: str | None, content_type: str) -> bytes:
    return check_size(_payload_bytes(value, encoding, content_type), "payload")


def _payload_bytes(value: Any, encoding: str | None, content_type: str) -> bytes:
    if encoding is not None:
        return _from_base64(value)
    if is_json(content_type):
        return strict_json.dumps(value)
    if type(value) is not str:
        raise InvalidRequest.of("payload", "not_text", "must be text for this contentType")
    return value.encode()


def _from_base64(value: Any) -> bytes:
    try:
        payload = base64.b64decode(value, validate=True) if type(value) is str else None
    except (binascii.Error, ValueError):
        payload = None
    if payload is None or base64.b64encode(payload).decode() != value:
        raise InvalidRequest.of("payload", "not_base64", "must be base64 text with padding")
    return payload
