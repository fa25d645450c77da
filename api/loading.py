"""How requests are read by their schemas; every broken rule becomes an `Issue`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields

from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.reading.rules import REQUIRED, UNKNOWN, Rule

__all__ = ["Checked", "Strict", "field_loaded", "loaded"]


class Strict(Schema):
    """Base of all schemas: an undeclared field is an error."""

    class Meta:
        unknown = RAISE

    error_messages = {  # noqa: RUF012 - as marshmallow declares it
        "unknown": f"{UNKNOWN.code}: {UNKNOWN.message}",
    }


class Checked(fields.Field[Any]):
    """A field for which a rule of the core holds."""

    def __init__(self, rule: Rule, **kwargs: Any) -> None:
        super().__init__(error_messages={"required": [REQUIRED], "null": [rule.null]}, **kwargs)
        self.rule = rule

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            return self.rule(value)
        except InvalidRequest as error:
            raise ValidationError(list(error.issues)) from error


def loaded(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `data` as `schema` declares them.

    Raises:
        InvalidRequest: with an issue for every broken rule.
    """
    try:
        return dict(schema.load(data))
    except ValidationError as error:
        raise InvalidRequest(list(_issues(error.messages_dict))) from error


def field_loaded(schema: Schema, name: str, value: Any) -> Any:
    """Return the one field `name` (as in JSON) of `schema`; raises as `loaded`."""
    field = schema.load_fields[name]
    try:
        return field.deserialize(value)
    except ValidationError as error:
        shown = field.data_key or name
        raise InvalidRequest(list(_issues({shown: error.messages}))) from error


def _issues(messages: Mapping[str, Any]) -> Iterator[Issue]:
    for name, rules in messages.items():
        for each in rules:
            if isinstance(each, Issue):
                yield each.at(name)
            else:  # one of marshmallow's own, worded as "code: sentence"
                code, _, sentence = str(each).partition(": ")
                yield Issue((name,), code, sentence)
