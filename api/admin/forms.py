"""Forms: their values, read once, and what follows a change: a message, and another page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl

from flask import g, redirect, request
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.wrappers import Response

from api.admin import cookies, session
from api.bodies import read_body
from lambdaqueue.errors import InvalidRequest, UnreadableRequest

__all__ = ["Said", "Values", "done", "forget_said", "issues", "read", "said", "values"]

MOST_BYTES = 2 * 1024 * 1024
"""The largest payload that may be edited, percent-encoded, and more."""

MOST_FIELDS = 1_000
SECONDS = 60
"""How long a message waits for the page that shows it."""

LONGEST_SAID = 500
"""Characters; a cookie has room for 4 KB."""

COOKIE = "lq-said"
TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Values:
    """What a form has sent: for each name the values, in order."""

    given: Mapping[str, tuple[str, ...]]

    def has(self, name: str) -> bool:
        """Tell whether there is such a field: that a box is ticked."""
        return name in self.given

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a name."""
        return self.given.get(name, ())

    def raw(self, name: str, default: str = "") -> str:
        """Return a value just as it was sent, with the line ends of forms (CRLF) made plain."""
        found = self.all(name)
        return found[0].replace("\r\n", "\n") if found else default

    def secret(self, name: str) -> str:
        """Return a value to the letter: a password."""
        found = self.all(name)
        return found[0] if found else ""

    def new_password(self, name: str) -> str:
        """Return a password that was given twice, to the letter.

        Raises:
            InvalidRequest: for the field `repeated`.
        """
        if self.secret(name) != self.secret("repeated"):
            raise InvalidRequest.of("repeated", "different", "is not the same password")
        return self.secret(name)

    def text(self, name: str, default: str = "", limit: int = 255) -> str:
        """Return a value without the space around it.

        Raises:
            InvalidRequest: it has more than `limit` characters.
        """
        found = self.raw(name).strip()
        if len(found) > limit:
            raise InvalidRequest.of(name, "too_long", f"must have at most {limit} characters")
        return found or default

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int | None:
        """Return a whole number, `default` where the field is empty.

        Raises:
            InvalidRequest: it's something else, or not from `low` to `high`.
        """
        found = self.text(name)
        if not found:
            return default
        digits = found.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or not low <= int(found) <= high:
            rule = f"must be a whole number from {low} to {high}"
            raise InvalidRequest.of(name, "number", rule)
        return int(found)


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the page before; its tone is good, bad or warn."""

    text: str
    tone: str


def read() -> None:
    """Read the request's form.

    Raises:
        UnreadableRequest: it's not what forms send. UnsupportedMediaType, RequestEntityTooLarge
    """
    kind = request.mimetype
    if kind not in ("", TYPE):
        raise UnsupportedMediaType(f"Forms come as {TYPE}.")
    body = read_body(MOST_BYTES)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise UnreadableRequest("bad_form", "The form can't be read.") from error
    given: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        given[name] = (*given.get(name, ()), value)
    g.form = Values(given)


def values() -> Values:
    """Return the request's form; an empty one for requests that have none."""
    return cast(Values, g.get("form") or Values({}))


def done(message: str, target: str, tone: str = "good") -> Response:
    """Go on to the page `target`, a path of ours, which shows `message`. Never a secret in it."""
    response = redirect(target, 303)
    found = session.found()
    if found is not None:
        raw = json.dumps([message[:LONGEST_SAID], tone], ensure_ascii=False).encode()
        value = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        cookies.keep(response, COOKIE, f"{value}.{_seal(value, found.csrf)}", SECONDS)
    return response


def said() -> Said | None:
    """Return the message of the page before; it's shown once."""
    given = cookies.read(COOKIE)
    found = session.found()
    if given is None or found is None:
        return None
    g.said = True
    value, _, seal = given.partition(".")
    if not hmac.compare_digest(seal.encode(), _seal(value, found.csrf).encode()):
        return None
    try:
        text, tone = json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except (ValueError, binascii.Error):
        return None
    return Said(text, tone)


def forget_said(response: Response) -> Response:
    """Let a message that was shown not be shown again."""
    if g.get("said") and not _sets_said(response):
        cookies.drop(response, COOKIE)
    return response


def issues(error: InvalidRequest) -> dict[str, str]:
    """Return what is wrong, by the name of the field: for the template to show beside it."""
    found: dict[str, str] = {}
    for issue in error.issues:
        name = ".".join(str(part) for part in issue.path)
        found[name] = f"{found[name]}; {issue.message}" if name in found else issue.message
    return found


def _seal(value: str, key: str) -> str:
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()


def _sets_said(response: Response) -> bool:
    name = cookies.name_of(COOKIE)
    return any(each.startswith(f"{name}=") for each in response.headers.getlist("Set-Cookie"))
