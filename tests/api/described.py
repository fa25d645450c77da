"""The OpenAPI document as tests read it: plain JSON, and validators that take no further field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse

from api.openapi import document

__all__ = ["DOCUMENT", "complaints", "complaints_about", "operation_of", "resolved"]

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document("https://queue.example.org")))

PROBLEM = "application/problem+json"

_CONVERTER = re.compile(r"<(?:\w+:)?(?:\w+_(?=id>))?(\w+)>")
_END = re.compile(r"\$\Z")
_COMPONENT = re.compile(r"#/components/(\w+)/(\w+)")


def _closed(schema: Any) -> Any:
    """Return the schema with every object that names its fields taking no others, for Python."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _closed(value) for name, value in schema.items() if name != "example"}
    if isinstance(found.get("pattern"), str):
        # To JSON Schema `$` is the end; to Python also what stands before a last line break.
        found["pattern"] = _END.sub(r"\\Z", found["pattern"])
    if "properties" in found and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


_CLOSED = {"schemas": _closed(DOCUMENT["components"]["schemas"])}


def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a part of the document refers to, itself where it refers to nothing."""
    found = _COMPONENT.fullmatch(part.get("$ref", ""))
    return DOCUMENT["components"][found[1]][found[2]] if found else part


def operation_of(name: str) -> Mapping[str, Any]:
    """Return the operation of a route, named as in tests/api/routes.py."""
    method, _, rule = name.partition(" ")
    path = _CONVERTER.sub(r"{\1}", rule.rstrip("/"))
    operation: Mapping[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return operation


def complaints(schema: Mapping[str, Any], value: object) -> list[str]:
    """Return what is wrong with a value; a field that the schema doesn't name is."""
    whole = {**_closed(dict(schema)), "components": _CLOSED}
    errors = OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER).iter_errors(value)
    return [f"{list(each.absolute_path)}: {each.message}" for each in errors]


def complaints_about(name: str, response: TestResponse) -> list[str]:
    """Return what is wrong with an answer to a request of the route `name`."""
    given = operation_of(name)["responses"].get(str(response.status_code))
    if given is None:
        return [f"{response.status_code} is not documented: {response.text[:300]}"]
    known = resolved(given)
    missing = [
        header
        for header, about in known.get("headers", {}).items()
        if resolved(about).get("required") and header not in response.headers
    ]
    content = known.get("content")
    if content is None:
        return [*missing, *(["a body"] if response.data else [])]
    held = content.get(response.mimetype)
    if held is None:
        return [*missing, f"{response.mimetype} is not documented"]
    shown = response.json if response.is_json else response.text
    return [*missing, *complaints(held["schema"], shown)]
