"""Reads pushes, batches and changes: from headers and bodies to the values the service takes."""

from __future__ import annotations

import base64
import binascii
import marshal
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from flask import request

from api.current import Parts, parts
from api.option_headers import given_headers, readable
from api.schemas import BatchSchema, ChangeSchema, ItemSchema, field_loaded, loaded
from lambdaqueue import strict_json
from lambdaqueue.commands import Change, Push
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.execution import DEFAULT_HEARTBEAT, Terms
from lambdaqueue.media_types import is_json
from lambdaqueue.reading.option_headers import PUSH_HEADERS
from lambdaqueue.spec import DEFAULT_CONTENT_TYPE, Spec

__all__ = [
    "SPEC_FIELDS",
    "read_batch",
    "read_change",
    "read_payload",
    "read_push",
    "read_terms",
    "read_traceparent",
]

ITEM = ItemSchema()
BATCH = BatchSchema()
CHANGE = ChangeSchema()

OWN_HEADERS = frozenset({"HTTP_X_LQ_KEY", "HTTP_X_LQ_DELAY", "HTTP_X_LQ_ON"})
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
"""W3C Trace Context, section 3.2.2; what is not of this form is not forwarded."""

MAX_ISSUES = 100
"""So many issues are told of one batch; a thousand bad items have one cause."""

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
PER_ITEM = frozenset({"payload", "key", "delay", "on"})
"""What differs from item to item of a batch; the rest is usually the same in all of them."""


class Options(NamedTuple):
    """Checked options, apart by where they go: into the Spec or beside it."""

    spec: dict[str, Any]
    push: dict[str, Any]


def read_push(content_type: str, payload: bytes) -> Push:
    """Return the push that the request's headers and body ask for.

    Raises:
        UnreadableRequest: a header is not UTF-8.
        InvalidRequest: a header is unknown or breaks a rule; paths name the header.
    """
    given = given_headers()
    spec, rest = _shared_options(
        parts(), tuple(pair for pair in given if pair[0] not in OWN_HEADERS)
    )
    own = _own_options([pair for pair in given if pair[0] in OWN_HEADERS])
    return Push(Spec(payload, content_type, traceparent=read_traceparent(), **spec), **rest, **own)


def read_batch(body: Mapping[str, Any], max_payload: int) -> list[Push]:
    """Return the pushes of a batch, in order; raises InvalidRequest with paths from `items`."""
    reader = _BatchReader(max_payload)
    pushes: list[Push] = []
    issues: list[Issue] = []
    for index, item in enumerate(loaded(BATCH, body)["items"]):
        try:
            pushes.append(reader.read(item))
        except InvalidRequest as error:
            issues.extend(issue.at("items", index) for issue in error.issues)
        if len(issues) >= MAX_ISSUES:
            break
    if issues:
        raise InvalidRequest(issues[:MAX_ISSUES])
    traceparent = read_traceparent()
    if traceparent is None:
        return pushes
    return [replace(push, spec=replace(push.spec, traceparent=traceparent)) for push in pushes]


def read_change(body: Mapping[str, Any], max_payload: int) -> Change:
    """Return the change that a PATCH asks for.

    A new payload without a contentType is JSON, or of the type it had when it comes as base64.
    """
    values = loaded(CHANGE, body)
    read_payload(values, max_payload)
    read_terms(values)
    spec, push = _split(values)
    _check_times(push)
    return Change(spec=spec, **push)


def read_payload(values: dict[str, Any], limit: int) -> None:
    """Put the bytes that a change's payload stands for in its place.

    `values` are fields of a schema that were loaded. A payload without a content type is JSON,
    or stays of the type it had when it comes as base64.
    """
    encoding = values.pop("payload_encoding", None)
    if "payload" in values:
        kind = values.get("content_type")
        if kind is None and encoding is None:
            kind = values["content_type"] = DEFAULT_CONTENT_TYPE
        values["payload"] = _payload(values["payload"], encoding, kind or "", limit)
    elif encoding is not None:
        raise InvalidRequest.of("payloadEncoding", "alone", "needs a payload")


def read_terms(values: dict[str, Any]) -> None:
    """Put the terms that an async job's times stand for in their place.

    `values` are fields of a schema that were loaded; None takes the terms away.
    """
    heartbeat = values.pop("heartbeat", None)
    if "ttl" in values:
        ttl = values.pop("ttl")
        values["terms"] = None if ttl is None else Terms(ttl, heartbeat or DEFAULT_HEARTBEAT)
    if heartbeat is not None and values.get("terms") is None:
        raise InvalidRequest.of("heartbeat", "alone", "needs async")


class _BatchReader:
    """Reads the items of one batch; each distinct set of options is checked only once."""

    def __init__(self, max_payload: int) -> None:
        self._max_payload = max_payload
        self._known: dict[bytes, Options] = {}
        self._keys: set[str] = set()

    def read(self, item: Any) -> Push:
        if type(item) is not dict:
            raise InvalidRequest([Issue((), "not_object", "must be an object")])
        if "payload" not in item:
            raise InvalidRequest.of("payload", "required", "is required")
        spec, push = self._options({name: item[name] for name in item if name not in PER_ITEM})
        own = {
            name: field_loaded(ITEM, name, item[name])
            for name in ("key", "delay", "on")
            if name in item
        }
        _check_times(own)
        self._check_key(own.get("key"))
        kind, encoding = spec["content_type"], push.get("payload_encoding")
        payload = _payload(item["payload"], encoding, kind, self._max_payload)
        rest = {name: push[name] for name in ("if_exists", "priority") if name in push}
        return Push(Spec(payload, **spec), **rest, **own)

    def _options(self, given: dict[str, Any]) -> Options:
        # Version 2 writes equal values alike and tells true from 1; the later ones don't.
        known = marshal.dumps(given, 2)
        options = self._known.get(known)
        if options is None:
            options = self._known[known] = _options(given)
            base64_given = "payload_encoding" in options.push
            default = "application/octet-stream" if base64_given else DEFAULT_CONTENT_TYPE
            options.spec.setdefault("content_type", default)
        return options

    def _check_key(self, key: str | None) -> None:
        if key is None:
            return
        if key in self._keys:
            raise InvalidRequest.of("key", "duplicate", "is the key of an earlier item, too")
        self._keys.add(key)


def _options(given: Mapping[str, Any]) -> Options:
    values = loaded(ITEM, given)
    read_terms(values)
    return _split(values)


def _split(values: dict[str, Any]) -> Options:
    spec = {name: value for name, value in values.items() if name in SPEC_FIELDS}
    return Options(spec, {name: value for name, value in values.items() if name not in spec})


def _check_times(given: Mapping[str, Any]) -> None:
    if "delay" in given and "on" in given:
        raise InvalidRequest.of("on", "delay_and_on", "must not be given with a delay")


def _payload(value: Any, encoding: str | None, content_type: str, limit: int) -> bytes:
    payload = _payload_bytes(value, encoding, content_type)
    if len(payload) > limit:
        raise InvalidRequest.of("payload", "too_large", f"must have at most {limit} bytes")
    return payload


def _payload_bytes(value: Any, encoding: str | None, content_type: str) -> bytes:
    if encoding is not None:
        return _from_base64(value)
    if is_json(content_type):
        return strict_json.dumps(value)
    if type(value) is not str:
        raise InvalidRequest.of("payload", "not_text", "must be text for this contentType")
    return value.encode()


def _from_base64(value: Any) -> bytes:
    """Decode standard base64 with padding, refusing every spelling but the canonical one."""
    try:
        payload = base64.b64decode(value, validate=True) if type(value) is str else None
    except (binascii.Error, ValueError):
        payload = None
    if payload is None or base64.b64encode(payload).decode() != value:
        raise InvalidRequest.of("payload", "not_base64", "must be base64 text with padding")
    return payload


@lru_cache(maxsize=256)
def _shared_options(app: Parts, given: tuple[tuple[str, str], ...]) -> Options:
    """Return the options in headers that clients send alike with every push: read them once.

    `app` is the one that is asked: the fields' rules depend on what its operator allows.
    """
    values = PUSH_HEADERS.values(readable(given, PUSH_HEADERS.fields))
    with PUSH_HEADERS.named():
        return _options(values)


def _own_options(given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the options in headers that every push has of its own."""
    values = PUSH_HEADERS.values(readable(given, PUSH_HEADERS.fields))
    with PUSH_HEADERS.named():
        own = {field: field_loaded(ITEM, field, value) for field, value in values.items()}
        _check_times(own)
    return own


def read_traceparent() -> str | None:
    """Return the request's W3C trace context, None where there is no valid one."""
    given = request.environ.get("HTTP_TRACEPARENT", "")
    return given if TRACEPARENT.fullmatch(given) else None
