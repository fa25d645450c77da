"""The document read for people: types and bounds in words, examples as JSON and as curl lines."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

__all__ = ["Field", "bounds", "curl", "fields", "kind", "pieces", "pretty", "referred"]

_ARGUMENT = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/"


class Field(NamedTuple):
    """A field of an object, a parameter, or a header."""

    name: str
    schema: Mapping[str, Any]
    required: bool
    about: str
    place: str = ""


def referred(schema: Mapping[str, Any]) -> str:
    """Return the name of the component that a schema is about, "" where it is about none."""
    for inner in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        if "$ref" in inner:
            return str(inner["$ref"]).removeprefix(_REF)
    return ""


def kind(schema: Mapping[str, Any]) -> str:
    """Return the type in words, like `whole number or null`."""
    if "$ref" in schema:
        return referred(schema)
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(schema["enum"])
    named = schema.get("type", "any JSON")
    kinds = named if isinstance(named, list) else [named]
    return " or ".join(_named(each, schema) for each in kinds)


def _named(kind_name: str, schema: Mapping[str, Any]) -> str:
    if kind_name == "array":
        return f"list of {kind(schema.get('items', {}))}"
    if kind_name == "string":
        return {"date-time": "instant", "uri": "URL"}.get(schema.get("format", ""), "text")
    return {"integer": "whole number", "boolean": "true or false"}.get(kind_name, kind_name)


def bounds(schema: Mapping[str, Any]) -> str:
    """Return the bounds in words, "" where there are none."""
    found = []
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        found.append(f"{_grouped(low)}–{_grouped(high)}")
    elif low:
        found.append(f"from {_grouped(low)}")
    longest = schema.get("maxLength")
    if longest is not None:
        found.append(f"{schema.get('minLength', 0)}–{longest} characters")
    if "maxItems" in schema:
        found.append(f"{schema.get('minItems', 0)}–{schema['maxItems']} of them")
    if "default" in schema:
        default = schema["default"]
        shown = _grouped(default) if type(default) is int else json.dumps(default)
        found.append(f"default {shown}")
    return ", ".join(found)


def _grouped(value: float) -> str:
    """Return a number in groups of three digits that no line break tears apart."""
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")


def fields(schema: Mapping[str, Any]) -> Iterator[Field]:
    """Yield the fields of an object's schema."""
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield Field(name, inner, name in required, inner.get("description", ""))


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a text, each with whether it stands in backticks."""
    for index, piece in enumerate(text.split("`")):
        if piece:
            yield piece, index % 2 == 1


def pretty(value: Any) -> str:
    """Return an example as JSON, short values on one line."""
    short = json.dumps(value, ensure_ascii=False)
    return short if len(short) <= 60 else json.dumps(value, ensure_ascii=False, indent=2)


def curl(public_url: str, method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Return a command that sends the operation's example to the server."""
    given = {
        (each["in"], each["name"]): str(each["example"])
        for each in operation.get("parameters", ())
        if "example" in each
    }
    query = "&".join(
        f"{name}={quote(value)}" for (place, name), value in given.items() if place == "query"
    )
    url = public_url + _ARGUMENT.sub(lambda found: quote(given["path", found[1]]), path)
    lines = [shlex.quote(f"{url}?{query}") if query else url]
    if any("bearer" in each for each in operation["security"]):
        lines.append('-H "Authorization: Bearer $LQ_TOKEN"')
    media, example = _body(operation)
    if media:
        lines.append(f"-H {shlex.quote(f'Content-Type: {media}')}")
    for (place, name), value in given.items():
        if place == "header":
            lines.append(f"-H {shlex.quote(f'{name}: {value}')}")
    if media:
        lines.append(f"-d {shlex.quote(json.dumps(example, ensure_ascii=False))}")
    own = "POST" if media else "GET"
    return f"curl {'' if method == own else f'-X {method} '}" + " \\\n  ".join(lines)


def _body(operation: Mapping[str, Any]) -> tuple[str, Any]:
    """Return media type and example of the body, "" without one."""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        if "example" in content:
            return media, content["example"]
    return "", None
