"""The fields of the form that a queue's settings are edited by.

A field's name is its path in the API's JSON, so what is wrong with it is shown beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from api.admin import forms
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.retry import PolicyType

__all__ = ["BY_NAME", "GROUPS", "RETRY", "Field", "Group", "as_json", "beside_fields", "flat"]

WHOLE = re.compile(r"-?[0-9]{1,15}")
DECIMAL = re.compile(r"-?[0-9]{1,9}\.[0-9]{1,9}")

Kind = Literal["text", "number", "numbers", "check", "choice"]
"""What a field takes; numbers are separated by commas."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its path, its label, what it takes."""

    name: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    choices: Sequence[tuple[str, str]] = ()

    def read(self, text: str) -> Any:
        """Return the JSON value that `text` stands for, None for an empty field.

        What is no number stays a text: the schema says what is wrong with it.
        """
        if not text:
            return None
        if self.kind == "check":
            return True
        if self.kind == "numbers":
            return [_number(part.strip()) for part in text.split(",")]
        return _number(text) if self.kind == "number" else text

    def write(self, value: Any) -> str:
        """Return the text that `read` turns into `value`."""
        if isinstance(value, bool):
            return "1" if value else ""
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    title: str
    fields: Sequence[Field]


def _number(text: str) -> int | float | str:
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if DECIMAL.fullmatch(text) else text


def _follow_up(path: str) -> list[Field]:
    return [
        Field(f"{path}.target", "Target", hint="a URL; empty: nothing follows"),
        Field(f"{path}.queue", "Queue"),
        Field(f"{path}.format", "Format", "choice", "", [("", "json"), ("slack", "slack")]),
    ]


POLICIES = [("", "as the environment"), *((word, word) for word in get_args(PolicyType))]

RETRY = Group(
    "Retries",
    [
        Field("retry.type", "Policy", "choice", "", POLICIES),
        Field("retry.retries", "Retries", "number", "0 to 50"),
        Field("retry.delay", "Delay", "number", "ms"),
        Field("retry.max", "Longest delay", "number", "ms"),
        Field("retry.factor", "Factor", "number", "of exponential: 1 to 10"),
        Field("retry.exponent", "Exponent", "number", "of power: 1 to 5"),
        Field("retry.delays", "Delays", "numbers", "of list: ms, separated by commas"),
        Field("retry.jitter", "Jitter", "number", "0 to 1: the share that chance adds"),
    ],
)

GROUPS: Sequence[Group] = (
    Group(
        "Delivery",
        [
            Field("target", "Default target", hint="a URL, for items that name none"),
            Field("timeout", "Timeout", "number", "ms for one attempt; empty: 30 000"),
            Field("successStatus", "Success", hint="statuses, like 200-299,304"),
            Field(
                "validation", "Validation", "choice", "whether targets must prove that they know "
                "the secret", [("", "required"), ("none", "none")],
            ),
        ],
    ),
    RETRY,
    Group(
        "Limits",
        [
            Field("concurrency", "At once", "number", "attempts over all workers"),
            Field("rate.limit", "Rate", "number", "attempts …"),
            Field("rate.period", "per", "number", "… in so many ms"),
            Field("rate.burst", "Burst", "number", "saved up for a pause"),
            Field("ordered", "One at a time, in order", "check"),
        ],
    ),
    Group(
        "Limits of each flow key",
        [
            Field("flow.concurrency", "At once", "number"),
            Field("flow.rate.limit", "Rate", "number", "attempts …"),
            Field("flow.rate.period", "per", "number", "… in so many ms"),
            Field("flow.rate.burst", "Burst", "number"),
            Field("flow.ordered", "One at a time, in order", "check"),
        ],
    ),
    Group(
        "Breaker",
        [
            Field("breaker.ratio", "Share of failures", "number", "above 0, up to 1"),
            Field("breaker.window", "Window", "number", "ms in which they are counted"),
        ],
    ),
    Group("After a success", _follow_up("onSuccess")),
    Group("After a failure", _follow_up("onFailure")),
    Group(
        "History",
        [
            Field("historyLimit", "Successes kept", "number"),
            Field("failedLimit", "Failures kept", "number"),
            Field("historyDays", "Days kept", "number", "1 to 30"),
            Field("resultBytes", "Bytes of answers kept", "number", "up to 65 536"),
        ],
    ),
)  # fmt: skip

BY_NAME: Mapping[str, Field] = {field.name: field for group in GROUPS for field in group.fields}


def as_json(fields: Iterable[Field]) -> dict[str, Any]:
    """Return the filled ones of `fields`, in the request's form, as the JSON that the API takes."""
    body: dict[str, Any] = {}
    for field in fields:
        value = field.read(forms.values().text(field.name, limit=4_096))
        if value is not None:
            _put(body, field.name.split("."), value)
    return body


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield what the API answers as names and texts of fields."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        elif name in BY_NAME:
            yield name, BY_NAME[name].write(value)


def beside_fields(error: InvalidRequest) -> dict[str, str]:
    """Return what is wrong by the names of fields, also with a part of a field or a group."""
    found: dict[str, str] = {}
    for path, message in forms.issues(error).items():
        name = path
        while name not in BY_NAME and "." in name:
            name = name.rpartition(".")[0]
        if name not in BY_NAME:
            name = next((each for each in BY_NAME if each.startswith(f"{path}.")), name)
        found[name] = f"{found[name]}; {message}" if name in found else message
    return found


def _put(body: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *outer, name = path
    for each in outer:
        body = body.setdefault(each, {})
    body[name] = value
