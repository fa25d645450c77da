"""The rules that fields of a request may have: one type each, nothing converted by guesswork.

A rule is called with what the field holds and returns the value to use. A broken one is an
InvalidRequest whose paths begin below the field.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.instants import parse_instant
from lambdaqueue.job import State
from lambdaqueue.media_types import MEDIA_TYPE

__all__ = [
    "REQUIRED",
    "UNKNOWN",
    "Always",
    "Anything",
    "Choice",
    "ContentType",
    "Cursor",
    "Digits",
    "Flag",
    "Instant",
    "Moment",
    "Named",
    "Parsed",
    "Plain",
    "Rows",
    "Rule",
    "States",
    "Target",
    "Text",
    "Time",
    "Whole",
    "refused",
]

REQUIRED = Issue((), "required", "is required")
UNKNOWN = Issue((), "unknown_field", "is no field here")
"""What is said of a field that is missing, and of one that nobody has declared."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DIGITS = re.compile(r"[0-9]{1,18}")


class Rule(ABC):
    """What holds for a field; `null` is what is said where it doesn't take null."""

    null: ClassVar[Issue] = Issue((), "null", "must not be null")

    @abstractmethod
    def __call__(self, value: Any) -> Any:
        """Return the value to use; raises InvalidRequest."""


def refused(code: str, message: str) -> InvalidRequest:
    """Return the error for one broken rule."""
    return InvalidRequest([Issue((), code, message)])


@dataclass(frozen=True)
class Whole(Rule):
    """A whole number; not a boolean, not text, not 5.0."""

    low: int
    high: int

    def __call__(self, value: Any) -> int:
        if type(value) is not int:
            raise refused("not_integer", self._bounds)
        if not self.low <= value <= self.high:
            raise refused("out_of_range", self._bounds)
        return value

    @property
    def _bounds(self) -> str:
        return f"must be a whole number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Digits(Whole):
    """A whole number written in ASCII digits, as in a query."""

    def __call__(self, value: Any) -> int:
        return super().__call__(int(value) if DIGITS.fullmatch(value) else value)


@dataclass(frozen=True)
class Text(Rule):
    """Text of `low` to `high` characters, none of them a control character."""

    low: int
    high: int

    def __call__(self, value: Any) -> str:
        if type(value) is not str:
            raise refused("not_text", "must be text")
        if not self.low <= len(value) <= self.high:
            raise refused("bad_length", f"must have {self.low} to {self.high} characters")
        if CONTROL.search(value):
            raise refused("control_character", "must not have control characters")
        return value


@dataclass(frozen=True)
class Plain(Rule):
    """Any text: the core says what is wrong with it."""

    def __call__(self, value: Any) -> str:
        if type(value) is not str:
            raise refused("not_text", "must be text")
        return value


@dataclass(frozen=True)
class Cursor(Rule):
    """Where the next page of a list begins, in the form that an earlier page gave."""

    pattern: re.Pattern[str]

    def __call__(self, value: Any) -> str:
        if type(value) is not str or not self.pattern.fullmatch(value):
            raise refused("invalid_cursor", "must be the nextCursor of an earlier page")
        return value


@dataclass(frozen=True)
class Choice(Rule):
    """One of a few words, spelt exactly so."""

    words: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        if type(value) is not str or value not in self.words:
            raise refused("not_a_choice", f"must be one of {', '.join(self.words)}")
        return value


@dataclass(frozen=True)
class States(Choice):
    """One of some states of jobs."""

    def __call__(self, value: Any) -> State:
        return State(super().__call__(value))


@dataclass(frozen=True)
class Flag(Rule):
    """True or false; not 1, not "true"."""

    def __call__(self, value: Any) -> bool:
        if type(value) is not bool:
            raise refused("not_boolean", "must be true or false")
        return value


@dataclass(frozen=True)
class Always(Flag):
    """A flag that has to be set: whoever sends it knows what he agrees to."""

    def __call__(self, value: Any) -> bool:
        if not super().__call__(value):
            raise refused("not_true", "must be true")
        return True


@dataclass(frozen=True)
class ContentType(Rule):
    """A media type."""

    def __call__(self, value: Any) -> str:
        if type(value) is not str or not MEDIA_TYPE.fullmatch(value):
            raise refused("bad_content_type", "must be a media type like application/json")
        return value


@dataclass(frozen=True)
class Parsed(Rule):
    """Text or an object that the core reads, with the core's own issues."""

    parse: Callable[[Any], Any]
    of: type

    def __call__(self, value: Any) -> Any:
        if type(value) is not self.of:
            kind = "text" if self.of is str else "an object"
            raise refused("not_text" if self.of is str else "not_object", f"must be {kind}")
        return self.parse(value)


@dataclass(frozen=True)
class Named(Parsed):
    """The same, where the core names the field, which may have another name here."""

    def __call__(self, value: Any) -> Any:
        try:
            return super().__call__(value)
        except InvalidRequest as error:
            raise InvalidRequest([Issue((), i.code, i.message) for i in error.issues]) from error


@dataclass(frozen=True)
class Target(Named):
    """The URL of a target; `parse` knows which ones may be called here."""

    parse: Callable[[str], str] = field(compare=False)
    of: type = str


@dataclass(frozen=True)
class Time(Rule):
    """An ISO-8601 instant with zone, as Unix ms."""

    def __call__(self, value: Any) -> int:
        if type(value) is not str:
            raise refused("not_instant", "must be an ISO-8601 instant with zone")
        try:
            return parse_instant(value)
        except ValueError as error:
            raise refused("not_instant", str(error)) from error


@dataclass(frozen=True)
class Instant(Time):
    """An instant at most `farthest` ms ahead of `now()` (Unix ms)."""

    now: Callable[[], float] = field(compare=False)
    farthest: int = MAX_DELAY
    too_far: str = "must be at most 366 days ahead"

    def __call__(self, value: Any) -> int:
        instant = super().__call__(value)
        if instant > self.now() + self.farthest:
            raise refused("out_of_range", self.too_far)
        return instant


@dataclass(frozen=True)
class Moment(Rule):
    """An instant in a query: ISO-8601 with zone, or whole Unix ms."""

    def __call__(self, value: Any) -> int:
        if DIGITS.fullmatch(value):
            return int(value)
        try:
            return parse_instant(value)
        except ValueError as error:
            raise refused("not_instant", f"{error}; or whole Unix ms") from error


@dataclass(frozen=True)
class Rows(Rule):
    """A list of 1 to `most` values; each is read on its own."""

    most: int

    def __call__(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise refused("not_list", "must be a list")
        if not 1 <= len(value) <= self.most:
            raise refused("bad_length", f"must have 1 to {self.most} items")
        return value


@dataclass(frozen=True)
class Anything(Rule):
    """Any JSON value."""

    def __call__(self, value: Any) -> Any:
        return value
