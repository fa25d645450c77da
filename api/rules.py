"""The rules that fields of a request may have: one type each, nothing converted by guesswork.

A broken rule is a ValidationError that holds Issues; `loading.loaded` gives them their paths.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError, fields

from api.current import parts
from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.identity import Scope
from lambdaqueue.instants import parse_instant
from lambdaqueue.job import State
from lambdaqueue.media_types import MEDIA_TYPE

__all__ = [
    "MAX_ROWS",
    "Choice",
    "ContentType",
    "Cursor",
    "Digits",
    "Ended",
    "Expiry",
    "Flag",
    "Instant",
    "Moment",
    "Parsed",
    "Plain",
    "Printable",
    "Purgeable",
    "Rows",
    "Rule",
    "Scopes",
    "Target",
    "Text",
    "Time",
    "Whole",
    "broken",
]

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DIGITS = re.compile(r"[0-9]{1,18}")

MAX_ROWS = 1_000
"""Items in one batch, rows in one page."""

TEN_YEARS = 3_653 * 86_400_000
"""ms for which a token may be good: ten years have three leap days at most."""


class Rule(fields.Field[Any]):
    """A field of one type; a subclass says which rule holds."""

    default_error_messages = {  # noqa: RUF012 - marshmallow merges them along the classes
        "required": "required: is required",
        "null": "null: must not be null",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.checked(value)

    def checked(self, value: Any) -> Any:
        """Return the value to use; raises ValidationError."""
        raise NotImplementedError


def broken(code: str, message: str) -> ValidationError:
    """Return the error for one broken rule."""
    return ValidationError([Issue((), code, message)])


def _at(index: int, code: str, message: str) -> ValidationError:
    return ValidationError([Issue((index,), code, message)])


class Whole(Rule):
    """A whole number; not a boolean, not text, not 5.0."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def checked(self, value: Any) -> int:
        if type(value) is not int:
            raise broken("not_integer", f"must be a whole number{self._bounds}")
        if not self.low <= value <= self.high:
            raise broken("out_of_range", f"must be a whole number{self._bounds}")
        return value

    @property
    def _bounds(self) -> str:
        return f" from {self.low} to {self.high}"


class Digits(Whole):
    """A whole number written in ASCII digits, as in a query."""

    def checked(self, value: Any) -> int:
        return super().checked(int(value) if DIGITS.fullmatch(value) else value)


class Text(Rule):
    """Text of `low` to `high` characters, none of them a control character."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def checked(self, value: Any) -> str:
        if type(value) is not str:
            raise broken("not_text", "must be text")
        if not self.low <= len(value) <= self.high:
            raise broken("bad_length", f"must have {self.low} to {self.high} characters")
        if CONTROL.search(value):
            raise broken("control_character", "must not have control characters")
        return value


class Plain(Rule):
    """Any text: the core says what is wrong with it."""

    def checked(self, value: Any) -> str:
        if type(value) is not str:
            raise broken("not_text", "must be text")
        return value


class Printable(Text):
    """Text that shows what it is: no characters that hide, or turn others around."""

    def checked(self, value: Any) -> str:
        text = super().checked(value)
        if not text.isprintable():
            raise broken("not_printable", "must have printable characters only")
        return text


class Cursor(Rule):
    """Where the next page of a list begins, in the form that an earlier page gave."""

    def __init__(self, pattern: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pattern = re.compile(pattern)

    def checked(self, value: Any) -> str:
        if type(value) is not str or not self.pattern.fullmatch(value):
            raise broken("invalid_cursor", "must be the nextCursor of an earlier page")
        return value


class Choice(Rule):
    """One of a few words, spelt exactly so."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def checked(self, value: Any) -> str:
        if type(value) is not str or value not in self.words:
            raise broken("not_a_choice", f"must be one of {', '.join(self.words)}")
        return value


class Flag(Rule):
    """True or false; not 1, not "true"."""

    def checked(self, value: Any) -> bool:
        if type(value) is not bool:
            raise broken("not_boolean", "must be true or false")
        return value


class ContentType(Rule):
    """A media type."""

    def checked(self, value: Any) -> str:
        if type(value) is not str or not MEDIA_TYPE.fullmatch(value):
            raise broken("bad_content_type", "must be a media type like application/json")
        return value


class Parsed(Rule):
    """Text or an object that the core reads, with the core's own issues."""

    def __init__(self, parse: Callable[[Any], Any], of: type, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parse = parse
        self.type = of

    def checked(self, value: Any) -> Any:
        if type(value) is not self.type:
            kind = "text" if self.type is str else "an object"
            raise broken("not_text" if self.type is str else "not_object", f"must be {kind}")
        try:
            return self.parse(value)
        except InvalidRequest as error:
            raise ValidationError([self._below(issue) for issue in error.issues]) from error

    def _below(self, issue: Issue) -> Issue:
        """Drop the field's own name from the path: `_issues` puts it there."""
        own = self.data_key or self.name
        path = issue.path[1:] if issue.path[:1] == (own,) else issue.path
        return Issue(path, issue.code, issue.message)


class Target(Parsed):
    """The URL of a target that this app may call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(lambda url: parts().targets.check(url), str, **kwargs)


class Scopes(Rule):
    """What a token is to allow: at least one scope, none twice."""

    def checked(self, value: Any) -> frozenset[Scope]:
        if type(value) is not list:
            raise broken("not_list", "must be a list")
        words = tuple(Scope)
        for index, word in enumerate(value):
            if type(word) is not str or word not in words:
                raise _at(index, "not_a_choice", f"must be one of {', '.join(words)}")
            if word in value[:index]:
                raise _at(index, "duplicate", "is given twice")
        if not value:
            raise broken("bad_length", "must have at least one scope")
        return frozenset(map(Scope, value))


class Time(Rule):
    """An ISO-8601 instant with zone, as Unix ms."""

    def checked(self, value: Any) -> int:
        if type(value) is not str:
            raise broken("not_instant", "must be an ISO-8601 instant with zone")
        try:
            return parse_instant(value)
        except ValueError as error:
            raise broken("not_instant", str(error)) from error


class Instant(Time):
    """An instant at most `MAX_DELAY` ahead."""

    farthest = MAX_DELAY
    too_far = "must be at most 366 days ahead"

    def checked(self, value: Any) -> int:
        instant = super().checked(value)
        if instant > time.time() * 1_000 + self.farthest:
            raise broken("out_of_range", self.too_far)
        return instant


class Expiry(Instant):
    """An instant ahead, at most ten years."""

    farthest = TEN_YEARS
    too_far = "must be at most ten years ahead"

    def checked(self, value: Any) -> int:
        instant = super().checked(value)
        if instant <= time.time() * 1_000:
            raise broken("out_of_range", "must be in the future")
        return instant


class Moment(Rule):
    """An instant in a query: ISO-8601 with zone, or whole Unix ms."""

    def checked(self, value: Any) -> int:
        if DIGITS.fullmatch(value):
            return int(value)
        try:
            return parse_instant(value)
        except ValueError as error:
            raise broken("not_instant", f"{error}; or whole Unix ms") from error


class Rows(Rule):
    """A list of 1 to `MAX_ROWS` values; each is read on its own."""

    def checked(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise broken("not_list", "must be a list")
        if not 1 <= len(value) <= MAX_ROWS:
            raise broken("bad_length", f"must have 1 to {MAX_ROWS} items")
        return value


class Purgeable(Choice):
    """The state of jobs that can be deleted: what runs can't."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(*(state for state in State if state is not State.RUNNING), **kwargs)

    def checked(self, value: Any) -> State:
        return State(super().checked(value))


class Ended(Choice):
    """The state of a job that has ended, or of one that has not."""

    def __init__(self, *, ended: bool, **kwargs: Any) -> None:
        super().__init__(*(state for state in State if state.ended is ended), **kwargs)

    def checked(self, value: Any) -> State:
        return State(super().checked(value))
