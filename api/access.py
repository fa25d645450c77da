"""Who may ask for what: the Host a request names, its bearer token, and the token's scopes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Forbidden, Unauthorized

from api.current import address, identity, parts
from lambdaqueue.authentication import KEPT
from lambdaqueue.config import Settings
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.identity import Identity, Scope
from lambdaqueue.logs import Log

__all__ = [
    "LOOPBACK_NAMES",
    "bearer_token",
    "confirm_identity",
    "host_name",
    "install",
    "needs",
]

log = Log("lambdaqueue.api")

P = ParamSpec("P")
R = TypeVar("R")

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
BEARER = re.compile(r"Bearer:? ([^ ]+)")
"""With the stray colon of a published client, too."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
UNGUARDED = frozenset({"/health", "/metrics", "/ready"})
OPEN = "/api/v1/openapi.json"
"""It says what everybody may know, also while Redis is away."""

CALLBACK = "/api/v1/callback/"
"""Below it, a POST brings its own token in the path."""


def install(app: Flask, settings: Settings) -> None:
    """Check Host and token of every request to `app` before it's looked at any further."""
    trusted = _trusted_names(settings)

    @app.before_request
    def check_host() -> None:
        if request.path not in UNGUARDED and host_name() not in trusted:
            raise BadRequest("The Host header names none of LQ_PUBLIC_URL and LQ_TRUSTED_HOSTS.")

    @app.before_request
    def authenticate() -> None:
        if request.path.startswith("/api/") and request.path != OPEN:
            _complete_start()
            if request.method == "POST" and request.path.startswith(CALLBACK):
                return
            g.identity = _identity()
            g.identified_at = time.monotonic()


def confirm_identity() -> None:
    """Ask again who the client is, if its body took so long that the token may be revoked."""
    if "identity" in g and time.monotonic() - g.identified_at > KEPT:
        g.identity = _identity()


def needs(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only tokens with `scope` reach the decorated view."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if scope not in identity().scopes:
                raise Forbidden(f"The token lacks the scope {scope}.")
            return view(*args, **kwargs)

        return guarded

    return decorate


def _trusted_names(settings: Settings) -> frozenset[str]:
    names = {_bare(host) for host in settings.trusted_hosts}
    names.add(urlsplit(settings.public_url).hostname or "")
    if settings.development:
        names.update(LOOPBACK_NAMES)
    return frozenset(names - {""})


def host_name() -> str:
    """Return the name in the request's Host header, "" if it is malformed."""
    return _bare(request.environ.get("HTTP_HOST", ""))


def _bare(host: str) -> str:
    """Return the name in a Host header without brackets and port, "" if it is malformed."""
    found = HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else ""


def _complete_start() -> None:
    try:
        parts().start.complete()
    except ConfigurationError as error:
        # At the start Redis was away, so nobody could know it then.
        log.error("request_refused", request=g.request_id, reason=error)
        raise


def _identity() -> Identity:
    found = parts().authentication.authenticate(bearer_token(), address())
    if found is None:
        raise Unauthorized(www_authenticate=WWWAuthenticate("bearer"))
    return found


def bearer_token() -> str | None:
    """Return what the request gives as its token, None unless it's exactly one.

    A repeated header arrives joined with commas, which no token has.
    """
    environ = request.environ
    authorization: str | None = environ.get("HTTP_AUTHORIZATION")
    stray: str | None = environ.get("HTTP_BEARER")
    if authorization is None:
        return stray
    found = BEARER.fullmatch(authorization)
    return found[1] if found and stray is None else None
