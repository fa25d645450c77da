"""Before any page of the panel: who asks, whether they may, and whether it was really them.

A view says what it takes with `page` or `open_page`; one that says nothing is not there.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from flask import current_app, g, redirect, request, url_for
from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.wrappers import Response

from api.admin import cookies, forms, live, session
from api.admin.headers import STATIC
from api.current import parts
from lambdaqueue.account import Role, Session, new_secret

__all__ = [
    "RECENT",
    "Access",
    "access_of",
    "check",
    "is_recent",
    "keep_nonce",
    "local_path",
    "nonce",
    "open_page",
    "page",
    "was_proved",
]

View = TypeVar("View", bound=Callable[..., Any])

RECENT = 300_000
"""ms for which a password that was given counts where one is asked for again."""

SAFE = frozenset({"GET", "HEAD"})
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
HOME = "/admin"
NONCE = "lq-form"
"""The cookie that has the forms of those who aren't signed in yet."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a view takes: somebody who is signed in, a role, a password given just now."""

    signed_in: bool = True
    role: Role | None = None
    recent: bool = False


def page(role: Role | None = None, *, recent: bool = False) -> Callable[[View], View]:
    """Let only those reach the view who are signed in and have `role`, if one is named.

    On pages of an environment it is the role there, on others the one in all environments.
    `recent`: their password must have been given within 5 minutes.
    """
    return _marked(Access(True, role, recent))


def open_page(view: View) -> View:
    """Let everybody reach the view."""
    return _marked(Access(signed_in=False))(view)


def access_of(view: Callable[..., Any]) -> Access | None:
    """Return what a view says that it takes."""
    found = getattr(view, "access", None)
    return found if isinstance(found, Access) else None


def check() -> Response | None:
    """Let the request go on to its view, or answer it."""
    if request.endpoint == STATIC:
        return None
    parts().start.complete()
    view = current_app.view_functions[str(request.endpoint)]
    access = access_of(view)
    if access is None:
        raise NotFound("There is no such page.")
    # To watch is no use of a session, however often the browser asks for it anew.
    watches = access.signed_in and request.method == "GET" and live.is_wanted()
    refusal = _admit(access, touch=not watches)
    if not watches:
        return refusal
    if refusal is not None:
        return live.over()
    return live.stream(lambda: _admit(access, touch=False) is None, view)


def was_proved(found: Session) -> bool:
    """Tell whether a session's password was given within 5 minutes."""
    return found.now - found.proved < RECENT


def is_recent() -> bool:
    """Tell whether the visitor's password was given within 5 minutes, if need be by this form.

    Raises:
        Forbidden: the form has another password. TooManyRequests
    """
    if was_proved(session.current()):
        return True
    if request.method in SAFE or not forms.values().has("password"):
        return False
    if not session.prove(forms.values().secret("password")):
        raise Forbidden("That is not your password. Nothing was changed.")
    return True


def nonce() -> str:
    """Return what the forms of those bring back who aren't signed in; `keep_nonce` hands it out."""
    if "nonce" not in g:
        given = cookies.read(NONCE) or ""
        g.nonce = given if SECRET.fullmatch(given) else new_secret()
    return str(g.nonce)


def keep_nonce(response: Response) -> Response:
    """Let the browser keep the nonce."""
    cookies.keep(response, NONCE, nonce())
    return response


def local_path(text: str, default: str) -> str:
    """Return `text` if it's a path of the panel, and nothing else that a browser could follow."""
    if not text.startswith("/admin") or text[6:7] not in ("", "/", "?"):
        return default
    # To browsers an escaped dot is one: `/admin/%2e%2e/docs` is not below /admin.
    dotted = text.lower().replace("%2e", ".")
    if "\\" in text or not text.isascii() or not text.isprintable() or ".." in dotted:
        return default
    return text


def _admit(access: Access, *, touch: bool = True) -> Response | None:
    """Find out who asks; returns where they must go first, if anywhere.

    Raises:
        Forbidden: they lack the role, or their form is not one of ours.
        NotFound: the environment is not theirs.
    """
    found = session.load(touch=touch)
    if request.method not in SAFE:
        _check_origin()
        forms.read()
    if access.signed_in and found is None:
        return _to_sign_in()
    if request.method not in SAFE:
        _check_form(found.csrf if found else cookies.read(NONCE))
    if not access.signed_in:
        return None
    session.load_environment()
    if access.role is not None and not session.allows(access.role):
        raise Forbidden(f"Your account is not {access.role} here.")
    return _to_prove() if access.recent and not is_recent() else None


def _marked(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.access = access  # type: ignore[attr-defined]
        return view

    return mark


def _check_origin() -> None:
    """Raise Forbidden unless the browser says that a page of ours has sent this."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin" if origin else "")
    if site != "same-origin" or (origin is not None and not _is_ours(origin)):
        raise Forbidden("This form was not sent from here.")


def _is_ours(origin: str) -> bool:
    """Tell whether an Origin is that of LQ_PUBLIC_URL, or of the Host that was asked for.

    The Host was judged before. Its scheme is not looked at where it's http: a proxy may have
    ended TLS without telling.
    """
    if origin == parts().settings.public_url:
        return True
    asked = _split(origin)
    schemes = ("https",) if cookies.is_secure() else ("http", "https")
    return asked.scheme in schemes and asked.netloc.lower() == request.host.lower()


def _split(url: str) -> SplitResult:
    """Return the parts of a URL that a client has sent, empty ones for what is none."""
    try:
        return urlsplit(url)
    except ValueError:  # of brackets around what is no address
        return SplitResult("", "", "", "", "")


def _check_form(wanted: str | None) -> None:
    given = forms.values().text("csrf", limit=64) or request.headers.get("x-csrf", "")
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Forbidden("This form is too old or not one of ours. Load its page anew, try again.")


def _to_sign_in() -> Response:
    return session.leave(redirect(url_for("admin.sign_in.show", next=_page_asked_for()), 303))


def _to_prove() -> Response:
    return redirect(url_for("admin.account.prove", next=_page_asked_for()), 303)


def _page_asked_for() -> str:
    """Return the path of the page that is asked for, or of the one that the form is on."""
    if request.method in SAFE:
        # As it was sent: escapes in it may be part of a name.
        return local_path(request.environ.get("RAW_URI", ""), HOME)
    before = _split(request.referrer or "")
    return local_path(f"{before.path}?{before.query}".rstrip("?"), HOME)
