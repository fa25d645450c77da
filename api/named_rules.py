"""The rules of fields that name something: a queue, a schedule, a way of validation."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from api.current import parts
from api.rules import Choice, Parsed, Text, broken
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.rendering.paths import check_queue_name, check_schedule_key

__all__ = ["QueueName", "ScheduleKey", "Validation"]


class QueueName(Parsed):
    """The name of a queue."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(check_queue_name, str, **kwargs)


class ScheduleKey(Text):
    """A schedule's unique key, which must not end as the paths below it do."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 255, **kwargs)

    def checked(self, value: Any) -> str:
        key = super().checked(value)
        try:
            return check_schedule_key(key)
        except InvalidRequest as error:
            raise ValidationError([Issue((), i.code, i.message) for i in error.issues]) from error


class Validation(Choice):
    """Whether targets must prove that they know a secret; the operator may insist on it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("required", "none", **kwargs)

    def checked(self, value: Any) -> str:
        word = super().checked(value)
        if word == "none" and not parts().settings.allow_unvalidated:
            raise broken(
                "not_allowed_here",
                "must be required: the operator of this server has not set LQ_ALLOW_UNVALIDATED",
            )
        return word
