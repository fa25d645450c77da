"""Reads requests by declared fields, in the server's words, without the server's marshmallow.

tests/sdk/testing/test_same_fields.py holds the declarations against the server's schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.reading.rules import REQUIRED, UNKNOWN, Rule

__all__ = ["ABSENT", "MISSING", "Field", "Schema", "field_loaded", "loaded"]

ABSENT = object()
MISSING = object()
"""Stand for a default where there is none: such a field may be left out, or it may not."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema: what it's called in values, its rule, and whether null is taken.

    A `default` stands in for a field that is left out; where that is None, null is taken as well.
    """

    name: str
    rule: Rule
    nullable: bool = False
    default: Any = ABSENT

    def read(self, value: Any) -> Any:
        """Return the value to use; raises InvalidRequest."""
        if value is not None:
            return self.rule(value)
        if not self.nullable and self.default is not None:
            raise InvalidRequest([self.rule.null])
        return None


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
                values[field.name] = field.read(data[shown])
            elif field.default is MISSING:
                raise InvalidRequest([REQUIRED])
            elif field.default is not ABSENT:
                values[field.name] = field.default
        except InvalidRequest as error:
            issues += [issue.at(shown) for issue in error.issues]
    issues += [UNKNOWN.at(name) for name in data if name not in schema]
    if issues:
        raise InvalidRequest(issues)
    return values


def field_loaded(schema: Schema, name: str, value: Any) -> Any:
    """Return the one field `name` (as in JSON) of `schema`; raises as `loaded`."""
    try:
        return schema[name].read(value)
    except InvalidRequest as error:
        raise InvalidRequest([issue.at(name) for issue in error.issues]) from error
