"""JSON as this service takes it: RFC 8259 to the letter, unambiguous, and of bounded size.

What the standard library lets through and other readers see differently is refused: NaN, a
repeated key, half a surrogate pair, numbers that no double can hold, endless nesting. Integers
within that range are kept exactly, however large, and so is the order of keys.
"""

from __future__ import annotations

import json
import math
from typing import Any

from lambdaqueue.errors import InvalidRequest, Issue, UnreadableRequest

__all__ = ["MAX_DEPTH", "MAX_KEYS", "MAX_OBJECT_KEYS", "dumps", "parse", "parse_object"]

MAX_DEPTH = 64
"""How deep arrays and objects may be nested; a plain value has depth 0."""

MAX_OBJECT_KEYS = 1_000
MAX_KEYS = 100_000
"""How many keys one object and a whole body may have."""

MAX_DIGITS = 308
"""An integer with more digits may exceed every double (about 1.8e308): most readers lose it."""

MAX_FLOAT_LENGTH = 1_000
"""Characters of a number with fraction or exponent; a double is written in full with 767."""

INT_DIGITS_READABLE = 4_300
"""Above this CPython refuses to convert (quadratic time), so such bytes are not readable."""


def parse(body: bytes) -> Any:
    """Return the value that `body` says.

    Raises:
        UnreadableRequest: it is not JSON in UTF-8 (`bad_json`), or has a key twice in one object
            (`duplicate_key`).
        InvalidRequest: it is, but breaks one of our bounds (`number_range`, `bad_unicode`,
            `bad_name`, `too_deep`, `too_many_keys`).
    """
    text = _decoded(body)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise UnreadableRequest("bad_json", f"The JSON can't be read: {error}.") from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(text, value)
    _check_key_count(text, value)
    _check_unicode(text, value)
    return value


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the object that `body` says; as `parse`, and `not_object` for any other value."""
    value = parse(body)
    if type(value) is not dict:
        raise _invalid("not_object", "The body must be a JSON object.")
    return value


def dumps(value: Any) -> bytes:
    """Return `value` as compact JSON in UTF-8, keys in their order, integers exact."""
    return _ENCODER.encode(value).encode()


def _decoded(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise UnreadableRequest("bad_json", "The JSON is not valid UTF-8.") from error
    if text.startswith("\ufeff"):
        raise UnreadableRequest("bad_json", "The JSON starts with a byte order mark.")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise UnreadableRequest("duplicate_key", "A key occurs twice in one JSON object.")
    if len(value) > MAX_OBJECT_KEYS:
        raise _too_many_keys()
    return value


def _integer(digits: str) -> int:
    if len(digits) <= MAX_DIGITS:
        return int(digits)
    size = len(digits.removeprefix("-"))
    if size <= MAX_DIGITS:
        return int(digits)
    if size > INT_DIGITS_READABLE:
        raise UnreadableRequest("bad_json", "The JSON has an integer of over 4300 digits.")
    raise _number_range()


def _float(text: str) -> float:
    value = float(text) if len(text) <= MAX_FLOAT_LENGTH else math.inf
    if math.isinf(value):
        raise _number_range()
    return value


def _constant(name: str) -> Any:
    raise UnreadableRequest("bad_json", f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)


def _check_depth(text: str, value: Any) -> None:
    """Refuse nesting beyond `MAX_DEPTH`, looking closer only where so many brackets are."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = _containers_below(level)
        if not level:
            return
    raise _too_deep()


def _containers_below(level: list[Any]) -> list[Any]:
    return [
        child
        for container in level
        for child in (container.values() if type(container) is dict else container)
        if type(child) is dict or type(child) is list
    ]


def _check_key_count(text: str, value: Any) -> None:
    """Refuse more than `MAX_KEYS` keys, counting only where there are so many colons."""
    if text.count(":") <= MAX_KEYS:
        return
    keys = 0
    level = [value]
    while level:
        keys += sum(len(container) for container in level if type(container) is dict)
        if keys > MAX_KEYS:
            raise _too_many_keys()
        level = _containers_below(level) if isinstance(level[0], (dict, list)) else []


def _check_unicode(text: str, value: Any) -> None:
    """Refuse lone surrogates, and NUL in names; only an escape can have brought them in."""
    if "\\u" not in text:
        return
    if "\\ud" in text or "\\uD" in text:
        try:
            dumps(value)
        except UnicodeEncodeError as error:
            raise _invalid("bad_unicode", "A string has half a surrogate pair.") from error
    if "\\u0000" in text:
        _check_names(value)


def _check_names(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    while level:
        for container in level:
            if type(container) is dict and any("\0" in name for name in container):
                raise _invalid("bad_name", "A name has a NUL character.")
        level = _containers_below(level)


def _invalid(code: str, message: str) -> InvalidRequest:
    return InvalidRequest([Issue((), code, message)])


def _number_range() -> InvalidRequest:
    return _invalid("number_range", "A number is beyond what a double can hold.")


def _too_deep() -> InvalidRequest:
    return _invalid("too_deep", f"is nested deeper than {MAX_DEPTH} levels.")


def _too_many_keys() -> InvalidRequest:
    return _invalid(
        "too_many_keys", f"More than {MAX_OBJECT_KEYS} keys in one object or {MAX_KEYS} in all."
    )
