"""What requests order: pushes, batches and changes, from fields whose rules hold already."""

from __future__ import annotations

import base64
import binascii
import marshal
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lambdaqueue import strict_json
from lambdaqueue.commands import Change, Push
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.execution import DEFAULT_HEARTBEAT, Terms
from lambdaqueue.media_types import is_json
from lambdaqueue.reading.rules import REQUIRED, refused
from lambdaqueue.spec import DEFAULT_CONTENT_TYPE, Spec

__all__ = [
    "OWN",
    "SPEC_FIELDS",
    "ItemReader",
    "Options",
    "check_size",
    "compact",
    "read_change",
    "read_payload",
    "read_terms",
    "valid_traceparent",
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

OWN = ("key", "delay", "on")
"""What differs from push to push; the rest is usually the same in all of a client's."""

PER_ITEM = frozenset({"payload", *OWN})

MAX_ISSUES = 100
"""So many issues are told of one batch; a thousand bad items have one cause."""

TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
"""W3C Trace Context, section 3.2.2; what is not of this form is not forwarded."""


class Options(NamedTuple):
    """Checked options, apart by where they go: into the Spec or beside it."""

    spec: dict[str, Any]
    push: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ItemReader:
    """Reads the options of pushes by their fields, as one server declares them.

    `load` returns the values of some fields by their names in JSON, `load_one` that of one; both
    raise InvalidRequest with paths from the fields' names.
    """

    load: Callable[[Mapping[str, Any]], dict[str, Any]]
    load_one: Callable[[str, Any], Any]

    def shared(self, given: Mapping[str, Any]) -> Options:
        """Return the options that pushes have in common; raises InvalidRequest."""
        values = self.load(given)
        read_terms(values)
        return _split(values)

    def own(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of `OWN`; raises InvalidRequest for the first that is wrong."""
        own = {name: self.load_one(name, value) for name, value in given.items()}
        _check_times(own)
        return own

    def batch(
        self, items: Iterable[Any], max_payload: int, traceparent: str | None = None
    ) -> list[Push]:
        """Return the pushes of a batch, in order; raises InvalidRequest with paths from `items`."""
        reader = _BatchReader(self, max_payload, traceparent)
        pushes: list[Push] = []
        issues: list[Issue] = []
        for index, item in enumerate(items):
            try:
                pushes.append(reader.read(item))
            except InvalidRequest as error:
                issues.extend(issue.at("items", index) for issue in error.issues)
            if len(issues) >= MAX_ISSUES:
                break
        if issues:
            raise InvalidRequest(issues[:MAX_ISSUES])
        return pushes


@dataclass(slots=True)
class _BatchReader:
    """Reads the items of one batch; each distinct set of options is checked only once."""

    reader: ItemReader
    max_payload: int
    traceparent: str | None
    _known: dict[bytes, Options] = field(default_factory=dict)
    _keys: set[str] = field(default_factory=set)

    def read(self, item: Any) -> Push:
        if type(item) is not dict:
            raise refused("not_object", "must be an object")
        if "payload" not in item:
            raise InvalidRequest([REQUIRED.at("payload")])
        spec, push = self._options({name: item[name] for name in item if name not in PER_ITEM})
        load_one = self.reader.load_one
        own = {name: load_one(name, item[name]) for name in OWN if name in item}
        _check_times(own)
        self._check_key(own.get("key"))
        kind, encoding = spec["content_type"], push.get("payload_encoding")
        payload = check_size(_payload(item["payload"], encoding, kind), self.max_payload)
        rest = {name: push[name] for name in ("if_exists", "priority") if name in push}
        return Push(Spec(payload, traceparent=self.traceparent, **spec), **rest, **own)

    def _options(self, given: dict[str, Any]) -> Options:
        # Version 2 writes equal values alike and tells true from 1; the later ones don't.
        known = marshal.dumps(given, 2)
        options = self._known.get(known)
        if options is None:
            options = self._known[known] = self.reader.shared(given)
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


def read_change(values: dict[str, Any], max_payload: int) -> Change:
    """Return the change that the loaded fields of a PATCH ask for.

    A new payload without a contentType is JSON, or of the type it had when it comes as base64.
    """
    read_payload(values, max_payload)
    read_terms(values)
    spec, push = _split(values)
    _check_times(push)
    return Change(spec=spec, **push)


def read_payload(values: dict[str, Any], limit: int) -> None:
    """Put the bytes that a change's payload stands for in its place.

    `values` are fields that were loaded. A payload without a content type is JSON, or stays of the
    type it had when it comes as base64.
    """
    encoding = values.pop("payload_encoding", None)
    if "payload" in values:
        kind = values.get("content_type")
        if kind is None and encoding is None:
            kind = values["content_type"] = DEFAULT_CONTENT_TYPE
        values["payload"] = check_size(_payload(values["payload"], encoding, kind or ""), limit)
    elif encoding is not None:
        raise InvalidRequest.of("payloadEncoding", "alone", "needs a payload")


def read_terms(values: dict[str, Any]) -> None:
    """Put the terms that an async job's times stand for in their place.

    `values` are fields that were loaded; None takes the terms away.
    """
    heartbeat = values.pop("heartbeat", None)
    if "ttl" in values:
        ttl = values.pop("ttl")
        values["terms"] = None if ttl is None else Terms(ttl, heartbeat or DEFAULT_HEARTBEAT)
    if heartbeat is not None and values.get("terms") is None:
        raise InvalidRequest.of("heartbeat", "alone", "needs async")


def compact(value: Any, name: str, limit: int) -> bytes:
    """Return `value` as compact JSON; raises as `check_size` for the field `name`."""
    return check_size(strict_json.dumps(value), limit, name)


def check_size(payload: bytes, limit: int, name: str = "payload") -> bytes:
    """Return a payload unchanged.

    Raises:
        InvalidRequest: for the field `name`: it has more than `limit` bytes.
    """
    if len(payload) > limit:
        raise InvalidRequest.of(name, "too_large", f"must have at most {limit} bytes")
    return payload


def valid_traceparent(given: str) -> str | None:
    """Return a W3C trace context as it came, None where it is not valid."""
    return given if TRACEPARENT.fullmatch(given) else None


def _split(values: dict[str, Any]) -> Options:
    spec = {name: value for name, value in values.items() if name in SPEC_FIELDS}
    return Options(spec, {name: value for name, value in values.items() if name not in spec})


def _check_times(given: Mapping[str, Any]) -> None:
    if "delay" in given and "on" in given:
        raise InvalidRequest.of("on", "delay_and_on", "must not be given with a delay")


def _payload(value: Any, encoding: str | None, content_type: str) -> bytes:
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
