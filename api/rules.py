"""The rules of fields that ask the application or the clock, and those of its tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from api.current import parts
from api.loading import Checked, Strict, loaded
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.identity import Scope
from lambdaqueue.reading import fields
from lambdaqueue.reading.named_rules import Follow, OwnFollow, Validation
from lambdaqueue.reading.rules import Instant, Rule, Target, Text, refused

__all__ = [
    "EXPIRY",
    "FOLLOW",
    "INSTANT",
    "OWN_FOLLOW",
    "SCOPES",
    "TARGET",
    "TOKEN_NAME",
    "VALIDATION",
    "Expiry",
    "Printable",
    "Scopes",
]

TEN_YEARS = 3_653 * 86_400_000
"""ms for which a token may be good: ten years have three leap days at most."""


def _now() -> float:
    return time.time() * 1_000


@dataclass(frozen=True)
class Printable(Text):
    """Text that shows what it is: no characters that hide, or turn others around."""

    def __call__(self, value: Any) -> str:
        text = super().__call__(value)
        if not text.isprintable():
            raise refused("not_printable", "must have printable characters only")
        return text


@dataclass(frozen=True)
class Scopes(Rule):
    """What a token is to allow: at least one scope, none twice."""

    def __call__(self, value: Any) -> frozenset[Scope]:
        if type(value) is not list:
            raise refused("not_list", "must be a list")
        words = tuple(Scope)
        for index, word in enumerate(value):
            if type(word) is not str or word not in words:
                raise _at(index, "not_a_choice", f"must be one of {', '.join(words)}")
            if word in value[:index]:
                raise _at(index, "duplicate", "is given twice")
        if not value:
            raise refused("bad_length", "must have at least one scope")
        return frozenset(map(Scope, value))


@dataclass(frozen=True)
class Expiry(Instant):
    """An instant ahead, at most ten years."""

    farthest: int = TEN_YEARS
    too_far: str = "must be at most ten years ahead"

    def __call__(self, value: Any) -> int:
        instant = super().__call__(value)
        if instant <= self.now():
            raise refused("out_of_range", "must be in the future")
        return instant


def _at(index: int, code: str, message: str) -> InvalidRequest:
    return InvalidRequest([Issue((index,), code, message)])


TARGET = Target(lambda url: parts().targets.check(url))
"""The URL of a target that this app may call."""

INSTANT = Instant(_now)
VALIDATION = Validation(may_go_without=lambda: parts().settings.allow_unvalidated)

TOKEN_NAME = Printable(1, 64)
SCOPES = Scopes()
EXPIRY = Expiry(_now)


class FollowUpSchema(Strict):
    """A job that is pushed when another has ended."""

    queue = Checked(fields.QUEUE, required=True)
    target = Checked(TARGET, required=True)
    format = Checked(fields.FOLLOW_UP_FORMAT, load_default="json")


FOLLOW_UP = FollowUpSchema()
FOLLOW = Follow(lambda value: loaded(FOLLOW_UP, value))
OWN_FOLLOW = OwnFollow(lambda value: loaded(FOLLOW_UP, value))
