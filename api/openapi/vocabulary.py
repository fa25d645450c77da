"""The words that the OpenAPI document is written in: JSON Schema (2020-12), said shortly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "ANYTHING",
    "Schema",
    "choice",
    "count",
    "either",
    "flag",
    "instant",
    "listed",
    "nullable",
    "number",
    "record",
    "ref",
    "text",
    "whole",
]

Schema = Mapping[str, Any]

ANYTHING: Schema = {}
"""Any JSON value."""


def ref(name: str, about: str = "") -> Schema:
    """Return a reference to a schema of the document's components."""
    return _told({"$ref": f"#/components/schemas/{name}"}, about)


def record(fields: Mapping[str, Schema], about: str = "", **more: Any) -> Schema:
    """Return an object's schema; a name that ends in `?` is of a field that may be missing."""
    required = [name for name in fields if not name.endswith("?")]
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {name.removesuffix("?"): fields[name] for name in fields}
    if required:
        schema["required"] = required
    return _told(schema | more, about)


def text(about: str = "", **more: Any) -> Schema:
    """Return the schema of text."""
    return _told({"type": "string", **more}, about)


def whole(low: int, high: int, about: str = "") -> Schema:
    """Return the schema of a whole number within bounds."""
    return _told({"type": "integer", "minimum": low, "maximum": high}, about)


def count(about: str = "", low: int = 0) -> Schema:
    """Return the schema of a whole number that has no upper bound."""
    return _told({"type": "integer", "minimum": low}, about)


def number(low: float, high: float, about: str = "") -> Schema:
    """Return the schema of a number within bounds, a fraction or not."""
    return _told({"type": "number", "minimum": low, "maximum": high}, about)


def flag(about: str = "") -> Schema:
    """Return the schema of true or false."""
    return _told({"type": "boolean"}, about)


def instant(about: str = "") -> Schema:
    """Return the schema of an instant: ISO-8601 in UTC with milliseconds where we write it."""
    return _told({"type": "string", "format": "date-time"}, about)


def choice(words: Iterable[str], about: str = "") -> Schema:
    """Return the schema of one of a few words."""
    return _told({"type": "string", "enum": [str(word) for word in words]}, about)


def listed(items: Schema, about: str = "", **more: Any) -> Schema:
    """Return the schema of a list."""
    return _told({"type": "array", "items": items, **more}, about)


def either(*schemas: Schema, about: str = "") -> Schema:
    """Return the schema of what fits at least one of `schemas`."""
    return _told({"anyOf": list(schemas)}, about)


def nullable(schema: Schema) -> Schema:
    """Return the schema of what fits `schema`, or is null."""
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema and "const" not in schema:
        return {**schema, "type": [kind, "null"]}
    inner = {name: value for name, value in schema.items() if name != "description"}
    outer = [*inner["anyOf"], {"type": "null"}] if "anyOf" in inner else [inner, {"type": "null"}]
    return _told({"anyOf": outer}, schema.get("description", ""))


def _told(schema: dict[str, Any], about: str) -> Schema:
    return {**schema, "description": about} if about else schema
