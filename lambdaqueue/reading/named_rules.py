"""The rules of fields that name something: a queue, a schedule, a follow-up, a validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from lambdaqueue.errors import Issue
from lambdaqueue.reading.rules import Choice, Named, Rule, Text, refused
from lambdaqueue.rendering.paths import check_queue_name, check_schedule_key
from lambdaqueue.spec import FollowUp

__all__ = ["Follow", "OwnFollow", "QueueName", "ScheduleKey", "Validation"]


@dataclass(frozen=True)
class QueueName(Named):
    """The name of a queue."""

    parse: Callable[[str], str] = check_queue_name
    of: type = str


@dataclass(frozen=True)
class ScheduleKey(Rule):
    """A schedule's unique key, which must not end as the paths below it do."""

    def __call__(self, value: Any) -> str:
        key = _KEY(value)
        _ENDING(key)
        return key


_KEY = Text(1, 255)
_ENDING = Named(check_schedule_key, str)


@dataclass(frozen=True)
class Validation(Choice):
    """Whether targets must prove that they know a secret; the operator may insist on it."""

    words: tuple[str, ...] = ("required", "none")
    may_go_without: Callable[[], bool] = field(kw_only=True, compare=False)

    def __call__(self, value: Any) -> str:
        word = super().__call__(value)
        if word == "none" and not self.may_go_without():
            raise refused(
                "not_allowed_here",
                "must be required: the operator of this server has not set LQ_ALLOW_UNVALIDATED",
            )
        return word


@dataclass(frozen=True)
class Follow(Rule):
    """What is to follow each of a queue's jobs; `load` reads the fields of a `FollowUp`."""

    load: Callable[[Mapping[str, Any]], Mapping[str, Any]] = field(compare=False)
    wanted: ClassVar[str] = "must be an object"

    def __call__(self, value: Any) -> FollowUp | Literal["none"]:
        if type(value) is not dict:
            raise refused("not_object", self.wanted)
        return FollowUp(**self.load(value))


@dataclass(frozen=True)
class OwnFollow(Follow):
    """What is to follow one job: the same, or "none" where its queue's is not wanted."""

    wanted = 'must be an object or "none"'
    null = Issue((), "null", wanted)

    def __call__(self, value: Any) -> FollowUp | Literal["none"]:
        return "none" if value == "none" else super().__call__(value)
