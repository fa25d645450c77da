"""Cookies of the panel: for its own host alone, out of reach for scripts and for other sites."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from api.current import parts

__all__ = ["drop", "is_secure", "keep", "name_of", "read"]


def is_secure() -> bool:
    """Tell whether browsers reach us by https."""
    return parts().settings.public_url.startswith("https://")


def name_of(base: str) -> str:
    """Return the name of a cookie; a browser takes `__Host-` from this host by https alone."""
    return f"__Host-{base}" if is_secure() else base


def read(base: str) -> str | None:
    """Return what the browser has kept, None for nothing."""
    return request.cookies.get(name_of(base))


def keep(response: Response, base: str, value: str, seconds: int | None = None) -> None:
    """Let the browser keep something: for a while, or until it's closed."""
    response.set_cookie(
        name_of(base), value, seconds, path="/", secure=is_secure(), httponly=True, samesite="Lax"
    )


def drop(response: Response, base: str) -> None:
    """Let the browser forget it."""
    response.delete_cookie(
        name_of(base), path="/", secure=is_secure(), httponly=True, samesite="Lax"
    )
