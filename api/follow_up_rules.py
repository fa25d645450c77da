"""The rules of follow-ups: jobs that are pushed when others have ended."""

from __future__ import annotations

from typing import Any, Literal

from marshmallow import ValidationError

from api.loading import Strict, loaded
from api.named_rules import QueueName
from api.rules import Choice, Rule, Target, broken
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.spec import FollowUp

__all__ = ["Follow", "OwnFollow"]


class FollowUpSchema(Strict):
    """A job that is pushed when another has ended."""

    queue = QueueName(required=True)
    target = Target(required=True)
    format = Choice("json", "slack", load_default="json")


FOLLOW_UP = FollowUpSchema()


class Follow(Rule):
    """What is to follow each of a queue's jobs, as an object of its own."""

    wanted = "must be an object"

    def checked(self, value: Any) -> FollowUp | Literal["none"]:
        if type(value) is not dict:
            raise broken("not_object", self.wanted)
        try:
            return FollowUp(**loaded(FOLLOW_UP, value))
        except InvalidRequest as error:
            raise ValidationError(list(error.issues)) from error


class OwnFollow(Follow):
    """What is to follow one job: the same, or "none" where its queue's is not wanted."""

    wanted = 'must be an object or "none"'
    default_error_messages = {"null": f"null: {wanted}"}  # noqa: RUF012 - as in Rule

    def checked(self, value: Any) -> FollowUp | Literal["none"]:
        return "none" if value == "none" else super().checked(value)
