"""The rules of fields: one type each, nothing converted by guesswork, in the server's own words.

The server declares the same with marshmallow (`api/rules.py`, `api/schemas.py`), which the SDK
doesn't have. tests/sdk/testing/test_same_as_the_server.py holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.instants import parse_instant
from lambdaqueue.media_types import MEDIA_TYPE

__all__ = [
    "REQUIRED",
    "Field",
    "Rule",
    "Schema",
    "anything",
    "choice",
    "cursor",
    "digits",
    "flag",
    "instant",
    "loaded",
    "media_type",
    "moment",
    "parsed",
    "plain",
    "refused",
    "rows",
    "text",
    "true",
    "whole",
]

Rule = Callable[[Any], Any]
"""Returns the value to use; raises InvalidRequest with paths from the field on."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DIGITS = re.compile(r"[0-9]{1,18}")

ABSENT = object()
REQUIRED = object()
"""Stand for a default where there is none: such a field may be left out, or it may not."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema: what it's called in values, its rule, and whether null is taken.

    A `default` stands in for a field that is left out; `null` says what is wrong with null.
    """

    name: str
    rule: Rule
    nullable: bool = False
    default: Any = ABSENT
    null: str = "must not be null"


Schema = Mapping[str, Field]
"""Fields by their names in JSON, in the order in which their issues are told."""


def loaded(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `data` as `schema` declares them.

    Raises:
        InvalidRequest: with an issue for every broken rule.
    """
    issues: list[Issue] = []
    values: dict[str, Any] = {}
    for shown, field in schema.items():
        try:
            if shown in data:
                values[field.name] = _checked(field, data[shown])
            elif field.default is REQUIRED:
                raise refused("required", "is required")
            elif field.default is not ABSENT:
                values[field.name] = field.default
        except InvalidRequest as error:
            issues += [_below(shown, issue) for issue in error.issues]
    issues += [_unknown(name) for name in data if name not in schema]
    if issues:
        raise InvalidRequest(issues)
    return values


def _checked(field: Field, value: Any) -> Any:
    if value is None:
        if not field.nullable:
            raise refused("null", field.null)
        return None
    return field.rule(value)


def _below(shown: str, issue: Issue) -> Issue:
    return issue if issue.path[:1] == (shown,) else issue.at(shown)


def _unknown(name: str) -> Issue:
    return Issue((name,), "unknown_field", "is no field here")


def refused(code: str, message: str) -> InvalidRequest:
    """Return the error for one broken rule."""
    return InvalidRequest([Issue((), code, message)])


def whole(low: int, high: int) -> Rule:
    """A whole number; not a boolean, not text, not 5.0."""
    rule = f"must be a whole number from {low} to {high}"

    def check(value: Any) -> int:
        if type(value) is not int:
            raise refused("not_integer", rule)
        if not low <= value <= high:
            raise refused("out_of_range", rule)
        return value

    return check


def digits(low: int, high: int) -> Rule:
    """A whole number written in ASCII digits, as in a query."""
    number = whole(low, high)
    return lambda value: number(int(value) if DIGITS.fullmatch(value) else value)


def text(low: int, high: int) -> Rule:
    """Text of `low` to `high` characters, none of them a control character."""

    def check(value: Any) -> str:
        if type(value) is not str:
            raise refused("not_text", "must be text")
        if not low <= len(value) <= high:
            raise refused("bad_length", f"must have {low} to {high} characters")
        if CONTROL.search(value):
            raise refused("control_character", "must not have control characters")
        return value

    return check


def plain(value: Any) -> str:
    """Any text: who reads it says what is wrong with it."""
    if type(value) is not str:
        raise refused("not_text", "must be text")
    return value


def choice(*words: str) -> Rule:
    """One of a few words, spelt exactly so."""

    def check(value: Any) -> str:
        if type(value) is not str or value not in words:
            raise refused("not_a_choice", f"must be one of {', '.join(words)}")
        return value

    return check


def flag(value: Any) -> bool:
    """True or false; not 1, not "true"."""
    if type(value) is not bool:
        raise refused("not_boolean", "must be true or false")
    return value


def true(value: Any) -> bool:
    """A flag that has to be set."""
    if not flag(value):
        raise refused("not_true", "must be true")
    return True


def media_type(value: Any) -> str:
    """A media type."""
    if type(value) is not str or not MEDIA_TYPE.fullmatch(value):
        raise refused("bad_content_type", "must be a media type like application/json")
    return value


def parsed(parse: Callable[[Any], Any], of: type) -> Rule:
    """Text or an object that the core reads, with the core's own issues."""

    def check(value: Any) -> Any:
        if type(value) is not of:
            kind = "text" if of is str else "an object"
            raise refused("not_text" if of is str else "not_object", f"must be {kind}")
        return parse(value)

    return check


def instant(latest: Callable[[], int] | None = None) -> Rule:
    """An ISO-8601 instant with zone, as Unix ms; at most `latest()`, 366 days ahead."""

    def check(value: Any) -> int:
        if type(value) is not str:
            raise refused("not_instant", "must be an ISO-8601 instant with zone")
        try:
            found = parse_instant(value)
        except ValueError as error:
            raise refused("not_instant", str(error)) from error
        if latest is not None and found > latest():
            raise refused("out_of_range", "must be at most 366 days ahead")
        return found

    return check


def moment(value: str) -> int:
    """An instant in a query: ISO-8601 with zone, or whole Unix ms."""
    if DIGITS.fullmatch(value):
        return int(value)
    try:
        return parse_instant(value)
    except ValueError as error:
        raise refused("not_instant", f"{error}; or whole Unix ms") from error


def cursor(pattern: str) -> Rule:
    """Where the next page of a list begins, in the form that an earlier page gave."""
    form = re.compile(pattern)

    def check(value: Any) -> str:
        if type(value) is not str or not form.fullmatch(value):
            raise refused("invalid_cursor", "must be the nextCursor of an earlier page")
        return value

    return check


def rows(value: Any) -> list[Any]:
    """A list of 1 to 1 000 values; each is read on its own."""
    if type(value) is not list:
        raise refused("not_list", "must be a list")
    if not 1 <= len(value) <= 1_000:
        raise refused("bad_length", "must have 1 to 1000 items")
    return value


def anything(value: Any) -> Any:
    """Any JSON value."""
    return value
