"""From the schemas that read requests to the document's: what is checked is what is written.

Each type of rule has one function here. A type without one, and a field that `MEANINGS` doesn't
explain, is an error when the document is made, which a test does.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from marshmallow import Schema as Declared
from marshmallow import fields, missing

from api import rules as api_rules
from api import service_schemas
from api.loading import Checked
from api.openapi.meanings import meaning
from api.openapi.vocabulary import (
    ANYTHING,
    Schema,
    choice,
    either,
    flag,
    instant,
    listed,
    nullable,
    number,
    ref,
    text,
    whole,
)
from lambdaqueue.identity import Scope
from lambdaqueue.ids import JOB_ID
from lambdaqueue.reading import named_rules, rules, service_rules
from lambdaqueue.targets import MAX_BYTES

__all__ = ["PLAIN_TEXT", "derived", "property_of"]

PLAIN_TEXT = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""Text without control characters."""

LINES = r"^[^\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
"""The same, with line breaks."""

MEDIA_TYPE = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+([ \t]*;[\t -~]*)?$"
NAMES = {"type": "string", "pattern": "^[a-z0-9-]{1,100}$"}

READ_BY_CORE = {
    "schedule": "ScheduleExpression",
    "timezone": "TimeZone",
    "tz": "TimeZone",
    "retry": "RetryPolicy",
    "headers": "ExtraHeaders",
    "successStatus": "StatusRange",
    "rate": "Rate",
    "ReplaysSchema.rate": "EvenRate",
    "flow": "FlowLimits",
    "breaker": "Breaker",
}
"""Text and objects that the core reads, by the field's name: the component that says how."""


def derived(declared: Declared, **more: Any) -> Schema:
    """Return the JSON Schema of what `declared` takes; `more` are keywords beside."""
    found = {field.data_key or name: field for name, field in declared.load_fields.items()}
    of = type(declared).__name__
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: property_of(of, name, field) for name, field in found.items()},
        "additionalProperties": False,
    }
    required = [name for name, field in found.items() if field.required]
    if required:
        schema["required"] = required
    return schema | more


def property_of(of: str, name: str, field: fields.Field[Any], *, in_json: bool = True) -> Schema:
    """Return the schema of one field of the declared schema `of`, with its meaning and default.

    What isn't `in_json`, but in a query or a header, is never null.
    """
    assert isinstance(field, Checked)
    read_by_core = type(field.rule) in (rules.Parsed, rules.Named, rules.Plain)
    known = READ_BY_CORE.get(f"{of}.{name}", READ_BY_CORE.get(name))
    schema = ref(known) if read_by_core and known else _schema(field.rule)
    if field.allow_none and schema and in_json:
        schema = nullable(schema)
    default = field.load_default
    given = {} if default is missing or default is None else {"default": default}
    return {**schema, **given, "description": meaning(of, name)}


@singledispatch
def _schema(rule: rules.Rule) -> Schema:
    raise TypeError(f"say here how {type(rule).__name__} is written")


@_schema.register
def _(rule: rules.Whole) -> Schema:
    return whole(rule.low, rule.high)


@_schema.register
def _(rule: rules.Text) -> Schema:
    return text(minLength=rule.low, maxLength=rule.high, pattern=PLAIN_TEXT)


@_schema.register
def _(rule: named_rules.ScheduleKey) -> Schema:
    return ref("ScheduleKey")


@_schema.register
def _(rule: named_rules.QueueName) -> Schema:
    return ref("QueueName")


@_schema.register
def _(rule: rules.Plain) -> Schema:
    return text()


@_schema.register
def _(rule: rules.Cursor) -> Schema:
    return text(pattern=f"^(?:{rule.pattern.pattern})$".replace(r"\Z", "$"))


@_schema.register
def _(rule: rules.Choice) -> Schema:
    return choice(rule.words)


@_schema.register
def _(rule: rules.Flag) -> Schema:
    return flag()


@_schema.register
def _(rule: rules.ContentType) -> Schema:
    return text(minLength=3, maxLength=255, pattern=MEDIA_TYPE)


@_schema.register
def _(rule: rules.Target) -> Schema:
    return text(format="uri", maxLength=MAX_BYTES)


@_schema.register
def _(rule: api_rules.Scopes) -> Schema:
    return listed(choice(Scope), minItems=1, uniqueItems=True)


@_schema.register
def _(rule: rules.Time) -> Schema:
    return instant()


@_schema.register
def _(rule: rules.Moment) -> Schema:
    return either(instant(), text(pattern="^[0-9]{1,18}$"))


@_schema.register
def _(rule: rules.Rows) -> Schema:
    return listed(ref("BatchItem"), minItems=1, maxItems=rule.most)


@_schema.register(rules.Anything)
@_schema.register(service_rules.Value)
def _(rule: rules.Rule) -> Schema:
    return ANYTHING


@_schema.register
def _(rule: service_rules.Reason) -> Schema:
    return either({"type": "string"}, {"type": "object"})


@_schema.register
def _(rule: rules.Always) -> Schema:
    return {"type": "boolean", "const": True}


@_schema.register
def _(rule: service_rules.Expression) -> Schema:
    return ref("ServiceExpression")


@_schema.register
def _(rule: service_rules.Percentage) -> Schema:
    return number(0, 100)


@_schema.register
def _(rule: service_rules.Summary) -> Schema:
    return text(maxLength=service_rules.MAX_SUMMARY, pattern=LINES)


@_schema.register
def _(rule: service_schemas.Names) -> Schema:
    names = listed(NAMES, minItems=1, maxItems=service_schemas.MAX_NAMES)
    return either(NAMES, names)


@_schema.register
def _(rule: service_schemas.Guids) -> Schema:
    return either(text(), listed(text(), minItems=1, maxItems=service_schemas.MAX_NAMES))


@_schema.register
def _(rule: service_rules.More) -> Schema:
    return text(pattern=f"^{JOB_ID.pattern}$")


@_schema.register
def _(rule: named_rules.Follow) -> Schema:
    return ref("FollowUp")


@_schema.register
def _(rule: named_rules.OwnFollow) -> Schema:
    return either(ref("FollowUp"), {"const": "none"})
