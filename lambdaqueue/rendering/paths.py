"""Queue names in paths: which parts of `/queues/…` are the name, and which names are allowed."""

from __future__ import annotations

import re

from lambdaqueue.errors import InvalidRequest

__all__ = [
    "KEY",
    "QUEUE",
    "SCHEDULE_KEY",
    "check_queue_cursor",
    "check_queue_name",
    "check_schedule_key",
    "misnamed_queue",
]

RESERVED = ("items", "history", "history.jsonl", "secret", "pause", "resume", "purge")
"""Words that end the queue's name in a path, and so can be no part of one."""

SCHEDULE_ACTIONS = ("pause", "resume", "run", "history")
"""Words that follow a schedule's key in a path, and so can't end one."""

_RESERVED = "(?:" + "|".join(map(re.escape, RESERVED)) + ")"
_FREE_PART = rf"(?!{_RESERVED}(?:/|\Z))[^/]*"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_RESERVED_PART = re.compile(rf"(?:\A|/){_RESERVED}(?:/|\Z)")
_UNDER_QUEUE = re.compile(
    r"/api/v1/queues/(.*?)/(?:items|items/batch|items/byKey/.*|history|history\.jsonl"
    r"|history/replay|history/[^/]*/replay|secret|pause|resume|purge)/?",
    re.DOTALL,
)
_RESERVED_QUEUE = re.compile(rf"/api/v1/queues/({_RESERVED})/?")

KEY = "(?s:.+)"
"""The expression of a unique key: everything to the end of the path, slashes and all."""

SCHEDULE_KEY = "(?s:.+)" + "".join(f"(?<!/{action})" for action in SCHEDULE_ACTIONS)
"""That of a schedule's key: everything up to one of these words, or to the end of the path."""

QUEUE = f"{_FREE_PART}(?:/{_FREE_PART})*"
"""That of a queue's name with its slashes, up to the first reserved word."""


def check_queue_name(name: str) -> str:
    """Return `name` unchanged if a queue may have it.

    Raises:
        InvalidRequest: for the field `queue`.
    """
    if _NAME.fullmatch(name) and not _oddly_divided(name):
        return name
    raise InvalidRequest.of(
        "queue",
        "bad_queue_name",
        "must have 1 to 128 of A-Z a-z 0-9 . _ - /, begin with a letter or digit, "
        f"and have no '..', no empty part and no part named {', '.join(RESERVED)}",
    )


def check_queue_cursor(cursor: str | None) -> None:
    """Refuse what can't be the last name on a page of queues; None stands for the first page.

    Raises:
        InvalidRequest: for the field `cursor`.
    """
    try:
        check_queue_name("none" if cursor is None else cursor)
    except InvalidRequest as error:
        rule = "must be the nextCursor of an earlier page"
        raise InvalidRequest.of("cursor", "invalid_cursor", rule) from error


def check_schedule_key(key: str) -> str:
    """Return `key` unchanged if a path can name a schedule by it.

    Raises:
        InvalidRequest: for the field `key`.
    """
    if key.endswith(tuple(f"/{action}" for action in SCHEDULE_ACTIONS)):
        endings = ", ".join(f"/{action}" for action in SCHEDULE_ACTIONS)
        raise InvalidRequest.of("key", "reserved", f"must not end in {endings}")
    return key


def misnamed_queue(path: str) -> InvalidRequest | None:
    """Return what is wrong with the queue's name in `path`, which no route has taken.

    `…/queues/a/items/items` is about a queue `a/items`; `…/queues/a/items/x` about nothing.
    """
    found = _UNDER_QUEUE.fullmatch(path) or _RESERVED_QUEUE.fullmatch(path)
    if found is None:
        return None
    try:
        check_queue_name(found[1])
    except InvalidRequest as error:
        return error
    return None


def _oddly_divided(name: str) -> bool:
    if name.isalnum():
        return name in RESERVED
    return (
        ".." in name
        or "//" in name
        or name.endswith("/")
        or _RESERVED_PART.search(name) is not None
    )
