"""Who may ask for what: the Host a request names, its bearer token, and the token's scopes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Forbidden, Unauthorized

from lambdaqueue.config import TOKEN, Settings
from lambdaqueue.service import Identity, Service

__all__ = ["environment", "install", "needs", "service"]

P = ParamSpec("P")
R = TypeVar("R")

MAX_LENGTH = 128
"""Characters of what may be a token (it has 56); longer ones aren't looked at."""

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
UNGUARDED = frozenset({"/health", "/ready"})


def install(app: Flask, settings: Settings) -> None:
    """Check Host and token of every request to `app` before it's looked at any further."""
    trusted = _trusted_names(settings)

    @app.before_request
    def check_host() -> None:
        if request.path not in UNGUARDED and _host_name() not in trusted:
            raise BadRequest("The Host header names none of this server's names.")

    @app.before_request
    def authenticate() -> None:
        if request.path.startswith("/api/"):
            g.identity = _identity()


def needs(scope: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only tokens with `scope` reach the decorated view."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if scope not in g.identity.scopes:
                raise Forbidden(f"The token lacks the scope {scope}.")
            return view(*args, **kwargs)

        return guarded

    return decorate


def environment() -> str:
    """Return the environment that the request's token belongs to."""
    return cast(str, g.identity.environment)


def service() -> Service:
    """Return the service that this app was built with."""
    return cast(Service, current_app.extensions["lambdaqueue"])


def _trusted_names(settings: Settings) -> frozenset[str]:
    names = {_bare(host) for host in settings.trusted_hosts}
    names.add(urlsplit(settings.public_url).hostname or "")
    if settings.development:
        names.update(LOOPBACK_NAMES)
    return frozenset(names - {""})


def _host_name() -> str:
    return _bare(request.environ.get("HTTP_HOST", ""))


def _bare(host: str) -> str:
    """Return the name in a Host header without brackets and port, "" if it is malformed."""
    found = HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else ""


def _identity() -> Identity:
    token = _token()
    identity = service().authenticate(token) if token else None
    if identity is None:
        raise Unauthorized(www_authenticate=WWWAuthenticate("bearer"))
    return identity


def _token() -> str | None:
    """Return the request's token if there is exactly one and it is well-formed.

    A repeated header arrives joined with commas, which no token has.
    """
    environ = request.environ
    authorization = environ.get("HTTP_AUTHORIZATION")
    stray = environ.get("HTTP_BEARER")
    if authorization is None:
        return _well_formed(stray or "")
    if stray is not None or not authorization.startswith("Bearer "):
        return None
    return _well_formed(authorization.removeprefix("Bearer "))


def _well_formed(token: str) -> str | None:
    return token if len(token) <= MAX_LENGTH and TOKEN.fullmatch(token) else None
