"""The `x-lq-` headers of a request, from the environment that WSGI keeps them in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from flask import request

from api.idempotency import OURS
from lambdaqueue.errors import UnreadableRequest

__all__ = ["given_headers", "readable"]


def given_headers() -> list[tuple[str, str]]:
    """Return the request's `x-lq-` headers, named as WSGI does."""
    environ = request.environ
    return [(name, environ[name]) for name in environ if name.startswith(OURS)]


def readable(
    given: Iterable[tuple[str, str]], known: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield headers with their usual names, in lower case, and their text as it was sent.

    Nobody reads those that are not `known`.

    Raises:
        UnreadableRequest: a known one is not UTF-8.
    """
    for wsgi_name, text in given:
        name = _usual(wsgi_name)
        yield name, text if text.isascii() or name not in known else _decoded(name, text)


def _decoded(name: str, text: str) -> str:
    """Undo what WSGI does with bytes, which is to take them for Latin-1."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError as error:
        raise UnreadableRequest("bad_header", f"{name} is not valid UTF-8.") from error


@lru_cache(maxsize=256)
def _usual(wsgi_name: str) -> str:
    return wsgi_name.removeprefix("HTTP_").replace("_", "-").lower()
