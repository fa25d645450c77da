"""Who is signed in, what they may do, and which environment they look at.

`load` reads it once for a request; the rest only looks at what was read.
"""

from __future__ import annotations

from typing import Any, cast

from flask import current_app, g
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response

from api.admin import cookies
from api.current import address, administration, parts
from lambdaqueue.account import Role, Session
from lambdaqueue.commands import EnvironmentInfo
from lambdaqueue.errors import NotFound, TooManyRequests
from lambdaqueue.identity import Actor
from lambdaqueue.logs import Log

__all__ = [
    "actor",
    "allows",
    "current",
    "enter",
    "environment",
    "environments",
    "found",
    "give_environment",
    "here",
    "leave",
    "load",
    "load_environment",
    "prove",
    "role",
    "take_environment",
]

log = Log("lambdaqueue.api")

COOKIE = "lq"
NOWHERE = "there is no such environment"


def load(*, touch: bool = True) -> Session | None:
    """Read who is signed in; without `touch` that doesn't count as being busy."""
    secret = cookies.read(COOKIE)
    g.session = parts().signing_in.session(secret, touch=touch) if secret else None
    # At once, so that the frame of a page that says that Redis is gone needs nothing of it.
    g.environments = administration().environment_ids() if g.session else {}
    return found()


def found() -> Session | None:
    """Return who is signed in, None for nobody (yet)."""
    return cast("Session | None", g.get("session"))


def current() -> Session:
    """Return who is signed in; raises Unauthorized for nobody."""
    session = found()
    if session is None:
        raise Unauthorized("Sign in first.")
    return session


def load_environment() -> None:
    """Find the environment that the path names; raises NotFound, also where it's not one's own."""
    name = g.get("environment_name")
    if name is None:
        return
    environment = g.environments.get(name)
    if environment is None or current().account.role_in(environment) is None:
        raise NotFound(NOWHERE)
    g.here = administration().environment(environment)


def environments() -> list[str]:
    """Return the names of the environments that the visitor may look at."""
    session = found()
    if session is None:
        return []
    held = session.account.role_in
    return [name for name, each in g.get("environments", {}).items() if held(each)]


def here() -> EnvironmentInfo | None:
    """Return the environment that the page is about, None for pages about none."""
    return cast("EnvironmentInfo | None", g.get("here"))


def environment() -> str:
    """Return the id of the environment that the page is about."""
    info = here()
    if info is None:
        raise NotFound(NOWHERE)
    return info.id


def role() -> Role | None:
    """Return what may be done here; on pages about no environment, what may be done everywhere."""
    session, info = found(), here()
    if session is None:
        return None
    return session.account.role_in(info.id) if info else session.account.everywhere


def allows(needed: str) -> bool:
    """Tell whether what takes the role `needed` may be done here."""
    held = role()
    return held is not None and held.includes(Role(needed))


def actor() -> Actor:
    """Return whom the audit names for what this request does."""
    return Actor(environment(), current().account.name, address())


def prove(password: str) -> bool:
    """Tell whether it's the visitor's password, and keep that it was given just now.

    Raises:
        InvalidRequest, TooManyRequests: as in `SigningIn.prove`.
    """
    try:
        right = parts().signing_in.prove(current(), password, address())
    except TooManyRequests:
        _tell_of_refusal("too many attempts")
        raise
    if not right:
        _tell_of_refusal("wrong password")
    return right


def _tell_of_refusal(reason: str) -> None:
    # Whoever has got hold of a session tries passwords here.
    account = current().account.name
    log.warning("proof_refused", client=address(), account=account, reason=reason)


def enter(response: Response, secret: str) -> Response:
    """Let the browser keep what proves its session."""
    cookies.keep(response, COOKIE, secret)
    return response


def leave(response: Response) -> Response:
    """Let the browser forget it."""
    cookies.drop(response, COOKIE)
    return response


# The environment in paths: no view takes it as an argument, and url_for knows it


def take_environment(endpoint: str | None, arguments: dict[str, Any] | None) -> None:
    """Keep the name of the environment in the path, instead of giving it to the view."""
    if arguments and "environment" in arguments:
        g.environment_name = arguments.pop("environment")


def give_environment(endpoint: str, arguments: dict[str, Any]) -> None:
    """Make links lead to the same environment."""
    name = g.get("environment_name")
    if name is None or "environment" in arguments:
        return
    if current_app.url_map.is_endpoint_expecting(endpoint, "environment"):
        arguments["environment"] = name
