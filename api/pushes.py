"""Reads pushes, batches and changes: from headers and bodies to the values the service takes."""

from __future__ import annotations

import base64
import binascii
import marshal
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from flask import request

from api.bodies import is_json
from api.current import Parts, parts
from api.idempotency import OURS
from api.schemas import BatchSchema, ChangeSchema, ItemSchema, field_loaded, loaded
from lambdaqueue import strict_json
from lambdaqueue.commands import Change, Push
from lambdaqueue.errors import InvalidRequest, Issue, UnreadableRequest
from lambdaqueue.job import DEFAULT_CONTENT_TYPE, Spec

__all__ = ["read_batch", "read_change", "read_push", "told_by_headers"]

ITEM = ItemSchema()
BATCH = BatchSchema()
CHANGE = ChangeSchema()

HEADERS: Mapping[str, tuple[str, str]] = {
    "HTTP_X_LQ_TARGET": ("target", "text"),
    "HTTP_X_LQ_METHOD": ("method", "text"),
    "HTTP_X_LQ_DELAY": ("delay", "number"),
    "HTTP_X_LQ_ON": ("on", "text"),
    "HTTP_X_LQ_KEY": ("key", "text"),
    "HTTP_X_LQ_IF_EXISTS": ("ifExists", "text"),
    "HTTP_X_LQ_HEADERS": ("headers", "json"),
    "HTTP_X_LQ_RETRY": ("retry", "json"),
    "HTTP_X_LQ_TIMEOUT": ("timeout", "number"),
    "HTTP_X_LQ_MAX_AGE": ("maxAge", "number"),
    "HTTP_X_LQ_PRIORITY": ("priority", "number"),
    "HTTP_X_LQ_EVENT_TYPE": ("eventType", "text"),
}
"""The headers of a push, as WSGI names them: the field of `ItemSchema`, and how it's written."""

OWN_HEADERS = frozenset({"HTTP_X_LQ_KEY", "HTTP_X_LQ_DELAY", "HTTP_X_LQ_ON"})
HEADER_OF = {field: name for name, (field, _) in HEADERS.items()}
NUMBER = re.compile(r"[0-9]{1,18}")
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
"""W3C Trace Context, section 3.2.2; what is not of this form is not forwarded."""

MAX_ISSUES = 100
"""So many issues are told of one batch; a thousand bad items have one cause."""

SPEC_FIELDS = frozenset(
    {"content_type", "target", "method", "headers", "retry", "timeout", "max_age", "event_type"}
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
    environ = request.environ
    given = [(name, environ[name]) for name in environ if name.startswith(OURS)]
    spec, rest = _shared_options(
        parts(), tuple(pair for pair in given if pair[0] not in OWN_HEADERS)
    )
    own = _own_options([pair for pair in given if pair[0] in OWN_HEADERS])
    return Push(Spec(payload, content_type, traceparent=_traceparent(), **spec), **rest, **own)


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
    return pushes


def read_change(body: Mapping[str, Any], max_payload: int) -> Change:
    """Return the change that a PATCH asks for.

    A new payload without a contentType is JSON, or of the type it had when it comes as base64.
    """
    options = _split(loaded(CHANGE, body))
    _check_times(options.push)
    spec, push = options
    if "payload" in body:
        encoding = push.pop("payload_encoding", None)
        kind = spec.get("content_type")
        if kind is None and encoding is None:
            kind = spec["content_type"] = DEFAULT_CONTENT_TYPE
        spec["payload"] = _payload(push.pop("payload"), encoding, kind or "", max_payload)
    elif "payload_encoding" in push:
        raise InvalidRequest.of("payloadEncoding", "alone", "needs a payload")
    return Change(spec=spec, **push)


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
    return _split(loaded(ITEM, given))


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
    values: dict[str, Any] = {}
    issues: list[Issue] = []
    for name, value in given:
        try:
            field = _field(name)
            values[field] = _header_value(name, value)
        except InvalidRequest as error:
            issues.extend(issue.at(_header(name)) for issue in error.issues)
    if issues:
        raise InvalidRequest(issues)
    with told_by_headers():
        return _options(values)


def _own_options(given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the options in headers that every push has of its own."""
    with told_by_headers():
        own = {
            _field(name): field_loaded(ITEM, _field(name), _header_value(name, value))
            for name, value in given
        }
        _check_times(own)
    return own


def _field(name: str) -> str:
    if name not in HEADERS:
        raise InvalidRequest([Issue((), "unknown_header", "is no header of a push")])
    return HEADERS[name][0]


def _header_value(name: str, value: str) -> Any:
    """Return the JSON value that a header stands for; what doesn't fit, the schema refuses."""
    text = _decoded(name, value)
    written = HEADERS[name][1]
    if written == "number":
        return int(text) if NUMBER.fullmatch(text) else text
    return _header_json(text) if written == "json" else text


def _header_json(text: str) -> Any:
    try:
        return strict_json.parse(text.encode())
    except UnreadableRequest as error:
        raise InvalidRequest([Issue((), error.code, str(error))]) from error


def _decoded(name: str, value: str) -> str:
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError as error:
        raise UnreadableRequest("bad_header", f"{_header(name)} is not valid UTF-8.") from error


def _header(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").lower()


@contextmanager
def told_by_headers() -> Iterator[None]:
    """Name the headers where the service names the fields of an item."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest([_in_header(issue) for issue in error.issues]) from error


def _in_header(issue: Issue) -> Issue:
    """Return the issue with the header's name in place of the field's."""
    field: Sequence[str | int] = issue.path[:1]
    if not field or field[0] not in HEADER_OF:
        return issue
    return Issue((_header(HEADER_OF[str(field[0])]), *issue.path[1:]), issue.code, issue.message)


def _traceparent() -> str | None:
    given = request.environ.get("HTTP_TRACEPARENT", "")
    return given if TRACEPARENT.fullmatch(given) else None
