"""What an operation of the API is, and how the document says it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.openapi.parameters import in_path
from api.openapi.problems import problem_name
from api.openapi.vocabulary import Schema, ref
from lambdaqueue.identity import Scope

__all__ = ["JSON", "Answer", "Body", "Operation", "answered", "json_body"]

JSON = "application/json"

GUARDED = (400, 401, 403, 429, 431, 503)
"""Errors of every request that brings a token."""

OPEN = (400, 431)
"""Errors of every other one, whose Host is judged as well."""

AT_THE_ROOT = frozenset({"/health", "/ready", "/metrics"})

_ARGUMENT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Answer:
    """A successful answer, or one that is no problem document. `headers` are components."""

    about: str
    schema: Schema | None = None
    example: Any = None
    media: str = JSON
    headers: tuple[str, ...] = ()

    def written(self) -> dict[str, Any]:
        """Return the answer as the document has it."""
        names = ("x-request-id", *self.headers)
        found: dict[str, Any] = {
            "description": self.about,
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        }
        if self.schema is not None:
            found["content"] = {self.media: _with_example(self.schema, self.example)}
        return found


@dataclass(frozen=True)
class Body:
    """What a request may send: by media type its schema, and an example of the first."""

    content: Mapping[str, Schema]
    example: Any = None
    required: bool = True
    about: str = ""

    def written(self) -> dict[str, Any]:
        """Return the body as the document has it."""
        media = {name: {"schema": schema} for name, schema in self.content.items()}
        if self.example is not None:
            first = next(iter(media))
            media[first] = _with_example(self.content[first], self.example)
        told = {"description": self.about} if self.about else {}
        return {**told, "required": self.required, "content": media}


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `scope` None: it needs no token, or one of another kind, which `security` names. `problems`
    are the statuses of its errors beside those that every request may have. `given` has examples
    of parameters, which its curl line has.
    """

    id: str
    route: str
    tag: str
    summary: str
    scope: Scope | None
    answers: Mapping[int, Answer]
    about: str = ""
    parameters: tuple[Mapping[str, Any], ...] = ()
    body: Body | None = None
    problems: tuple[int, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    security: tuple[Mapping[str, list[str]], ...] = ()

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """The whole path with its arguments in braces."""
        path = self.route.partition(" ")[2]
        return path if path in AT_THE_ROOT else f"/api/v1{path}"

    def written(self) -> dict[str, Any]:
        """Return the operation as the document has it."""
        found: dict[str, Any] = {
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
        }
        if self.about:
            found["description"] = self.about
        scoped = [{"bearer": [self.scope.value]}] if self.scope else []
        found["security"] = [*self.security, *scoped]
        parameters = [*self._arguments(), *map(self._exemplified, self.parameters)]
        if parameters:
            found["parameters"] = parameters
        if self.body:
            found["requestBody"] = self.body.written()
        found["responses"] = dict(sorted(self._responses()))
        return found

    def _arguments(self) -> Iterator[Mapping[str, Any]]:
        for argument in _ARGUMENT.finditer(self.path):
            yield self._exemplified(in_path(self.path[: argument.start()], argument[1]))

    def _exemplified(self, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
        example = self.given.get(parameter["name"])
        return parameter if example is None else {**parameter, "example": example}

    def _responses(self) -> Iterator[tuple[str, Any]]:
        for status, answer in self.answers.items():
            yield str(status), answer.written()
        for status in {*(GUARDED if self.scope else OPEN), *self.problems} - self.answers.keys():
            yield str(status), {"$ref": f"#/components/responses/{problem_name(status)}"}


def answered(name: str, about: str, example: Any = None, *headers: str) -> Answer:
    """Return the answer whose body is the component `name`."""
    return Answer(about, ref(name), example, headers=headers)


def json_body(name: str, example: Any, *, required: bool = True, about: str = "") -> Body:
    """Return the body that is JSON of the component `name`."""
    return Body({JSON: ref(name)}, example, required, about)


def _with_example(schema: Schema, example: Any) -> dict[str, Any]:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}
