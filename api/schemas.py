"""What requests may contain: declared fields with their bounds, nothing converted by guesswork.

Headers and JSON pass the same rules: a header's text becomes the JSON value it stands for first
(`pushes.py`). Every broken rule becomes an `Issue`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields

from api.bodies import MEDIA_TYPE
from lambdaqueue.commands import MAX_DELAY
from lambdaqueue.envelope import check_extra_headers
from lambdaqueue.errors import InvalidRequest, Issue
from lambdaqueue.instants import parse_instant
from lambdaqueue.job import State
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.statuses import StatusRange
from lambdaqueue.targets import check_target

__all__ = [
    "BatchSchema",
    "ChangeSchema",
    "HistoryQuery",
    "ItemSchema",
    "ItemsQuery",
    "ListQuery",
    "QueueSchema",
    "loaded",
]

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DIGITS = re.compile(r"[0-9]{1,18}")

TIMEOUT_BOUNDS = (1_000, 900_000)
HISTORY_LIMIT_MAX = 2_000_000
MAX_ROWS = 1_000
"""Items in one batch, rows in one page."""

MAX_CURSOR = 512


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
    for name, broken in messages.items():
        for each in broken:
            if isinstance(each, Issue):
                yield each.at(name)
            else:  # one of marshmallow's own, worded below as "code: sentence"
                code, _, sentence = str(each).partition(": ")
                yield Issue((name,), code, sentence)


class Rule(fields.Field[Any]):
    """A field of one type; a subclass says which rule holds."""

    default_error_messages = {  # noqa: RUF012 - marshmallow merges them along the classes
        "required": "required: is required",
        "null": "null: must not be null",
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.checked(value)

    def checked(self, value: Any) -> Any:
        """Return the value to use; raises ValidationError."""
        raise NotImplementedError


def broken(code: str, message: str) -> ValidationError:
    """Return the error for one broken rule."""
    return ValidationError([Issue((), code, message)])


class Whole(Rule):
    """A whole number; not a boolean, not text, not 5.0."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def checked(self, value: Any) -> int:
        if type(value) is not int:
            raise broken("not_integer", f"must be a whole number{self._bounds}")
        if not self.low <= value <= self.high:
            raise broken("out_of_range", f"must be a whole number{self._bounds}")
        return value

    @property
    def _bounds(self) -> str:
        return f" from {self.low} to {self.high}"


class Digits(Whole):
    """A whole number written in ASCII digits, as in a query."""

    def checked(self, value: Any) -> int:
        return super().checked(int(value) if DIGITS.fullmatch(value) else value)


class Text(Rule):
    """Text of `low` to `high` characters, none of them a control character."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def checked(self, value: Any) -> str:
        if type(value) is not str:
            raise broken("not_text", "must be text")
        if not self.low <= len(value) <= self.high:
            raise broken("bad_length", f"must have {self.low} to {self.high} characters")
        if CONTROL.search(value):
            raise broken("control_character", "must not have control characters")
        return value


class Choice(Rule):
    """One of a few words, spelt exactly so."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def checked(self, value: Any) -> str:
        if type(value) is not str or value not in self.words:
            raise broken("not_a_choice", f"must be one of {', '.join(self.words)}")
        return value


class ContentType(Rule):
    """A media type."""

    def checked(self, value: Any) -> str:
        if type(value) is not str or not MEDIA_TYPE.fullmatch(value):
            raise broken("bad_content_type", "must be a media type like application/json")
        return value


class Parsed(Rule):
    """Text or an object that the core reads, with the core's own issues."""

    def __init__(self, parse: Callable[[Any], Any], of: type, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parse = parse
        self.type = of

    def checked(self, value: Any) -> Any:
        if type(value) is not self.type:
            kind = "text" if self.type is str else "an object"
            raise broken("not_text" if self.type is str else "not_object", f"must be {kind}")
        try:
            return self.parse(value)
        except InvalidRequest as error:
            raise ValidationError([self._below(issue) for issue in error.issues]) from error

    def _below(self, issue: Issue) -> Issue:
        """Drop the field's own name from the path: `_issues` puts it there."""
        own = self.data_key or self.name
        path = issue.path[1:] if issue.path[:1] == (own,) else issue.path
        return Issue(path, issue.code, issue.message)


class Instant(Rule):
    """An ISO-8601 instant with zone, as Unix ms; at most `MAX_DELAY` ahead."""

    def checked(self, value: Any) -> int:
        if type(value) is not str:
            raise broken("not_instant", "must be an ISO-8601 instant with zone")
        try:
            instant = parse_instant(value)
        except ValueError as error:
            raise broken("not_instant", str(error)) from error
        if instant > time.time() * 1_000 + MAX_DELAY:
            raise broken("out_of_range", "must be at most 366 days ahead")
        return instant


class Moment(Rule):
    """An instant in a query: ISO-8601 with zone, or whole Unix ms."""

    def checked(self, value: Any) -> int:
        if DIGITS.fullmatch(value):
            return int(value)
        try:
            return parse_instant(value)
        except ValueError as error:
            raise broken("not_instant", f"{error}; or whole Unix ms") from error


class Rows(Rule):
    """A list of 1 to `MAX_ROWS` values; each is read on its own."""

    def checked(self, value: Any) -> list[Any]:
        if type(value) is not list:
            raise broken("not_list", "must be a list")
        if not 1 <= len(value) <= MAX_ROWS:
            raise broken("bad_length", f"must have 1 to {MAX_ROWS} items")
        return value


class Ended(Choice):
    """The state of a job that has ended, or of one that has not."""

    def __init__(self, *, ended: bool, **kwargs: Any) -> None:
        super().__init__(*(state for state in State if state.ended is ended), **kwargs)

    def checked(self, value: Any) -> State:
        return State(super().checked(value))


def _extra_headers(headers: dict[str, Any]) -> dict[str, str]:
    check_extra_headers(headers)
    return headers


class Strict(Schema):
    """Base of all schemas: an undeclared field is an error."""

    class Meta:
        unknown = RAISE

    error_messages = {  # noqa: RUF012 - as marshmallow declares it
        "unknown": "unknown_field: is no field here",
    }


class ItemSchema(Strict):
    """An item of a batch; a single push has the same options in its headers."""

    payload = fields.Raw(allow_none=True)
    payload_encoding = Choice("base64", data_key="payloadEncoding")
    content_type = ContentType(data_key="contentType")
    key = Text(1, 255)
    if_exists = Choice("replace", "keep", data_key="ifExists")
    delay = Whole(0, MAX_DELAY)
    on = Instant()
    target = Parsed(check_target, str)
    method = Choice("GET", "POST", "PUT", "PATCH", "DELETE")
    headers = Parsed(_extra_headers, dict)
    retry = Parsed(RetryPolicy.from_json, dict)
    timeout = Whole(*TIMEOUT_BOUNDS)
    max_age = Whole(1, MAX_DELAY, data_key="maxAge")
    priority = Whole(0, 9)
    event_type = Text(0, 128, data_key="eventType")


class ChangeSchema(ItemSchema):
    """A PATCH of an item: what a batch's item has, but for its key and what the key does."""

    class Meta(Strict.Meta):
        exclude = ("key", "if_exists")


class BatchSchema(Strict):
    """The body of a batch."""

    items = Rows(required=True)


class QueueSchema(Strict):
    """The settings of a queue; null sets one back to its default."""

    target = Parsed(check_target, str, allow_none=True)
    retry = Parsed(RetryPolicy.from_json, dict, allow_none=True)
    timeout = Whole(*TIMEOUT_BOUNDS, allow_none=True)
    success_status = Parsed(StatusRange.parse, str, allow_none=True, data_key="successStatus")
    history_limit = Whole(0, HISTORY_LIMIT_MAX, allow_none=True, data_key="historyLimit")
    failed_limit = Whole(0, HISTORY_LIMIT_MAX, allow_none=True, data_key="failedLimit")
    history_days = Whole(1, 30, allow_none=True, data_key="historyDays")
    result_bytes = Whole(0, 65_536, allow_none=True, data_key="resultBytes")


class ListQuery(Strict):
    """The query of every list."""

    limit = Digits(1, MAX_ROWS, load_default=100)
    cursor = Text(1, MAX_CURSOR, load_default=None)


class ItemsQuery(ListQuery):
    """The query of the list of a queue's items."""

    state = Ended(ended=False, load_default=None)


class HistoryQuery(ListQuery):
    """The query of a queue's history."""

    state = Ended(ended=True, load_default=None)
    key = Text(1, 255, load_default=None)
    since = Moment(load_default=None)
    until = Moment(load_default=None)
