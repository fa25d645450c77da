"""Signing in and out, and the first account by the link that the first start prints."""

from __future__ import annotations

import math

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, guard, session
from api.admin.guard import local_path, open_page, page
from api.current import address, parts
from lambdaqueue.errors import InvalidRequest, NotFound, TooManyRequests
from lambdaqueue.logs import Log
from lambdaqueue.signing_in import STRANGERS

__all__ = ["blueprint"]

log = Log("lambdaqueue.api")

blueprint = Blueprint("sign_in", __name__)

HOME = "/admin"
WRONG = "The name or the password is wrong."
USED = "This link is used up or too old. `lambdaqueue admin create NAME` makes an account, too."


@blueprint.get("/sign-in")
@open_page
def show() -> Response:
    target = local_path(request.args.get("next", ""), HOME)
    if session.found() is not None:
        return redirect(target, 303)
    return _form(target, signed_out="out" in request.args)


@blueprint.post("/sign-in")
@open_page
def enter() -> Response:
    given = forms.values()
    target = local_path(given.raw("next"), HOME)
    name, password = given.raw("name"), given.secret("password")
    try:
        secret = parts().signing_in.sign_in(name, password, address())
    except TooManyRequests as error:
        where = " at one name" if error.policy == STRANGERS else ""
        log.warning("sign_in_refused", client=address(), reason=f"too many attempts{where}")
        response = _form(target, _refusal(error), name, status=429)
        response.headers["Retry-After"] = str(error.after)
        return response
    if secret is None:
        # Without the name: it may be a password in the wrong field.
        log.warning("sign_in_refused", client=address(), reason="wrong name or password")
        return _form(target, WRONG, name, status=403)
    before = session.found()
    if before is not None:  # by a form that was open still; nobody would ever sign out of it
        parts().signing_in.sign_out(before, address())
    return session.enter(redirect(target, 303), secret)


@blueprint.post("/sign-out")
@page()
def out() -> Response:
    parts().signing_in.sign_out(session.current(), address())
    return session.leave(redirect(url_for("admin.sign_in.show", out=1), 303))


@blueprint.get("/first")
@open_page
def first() -> Response:
    return _first_form(request.args.get("link", ""))


@blueprint.post("/first")
@open_page
def make_first() -> Response:
    given = forms.values()
    link = given.raw("link")
    try:
        made = parts().signing_in.create_first(
            link, given.raw("name"), given.new_password("password"), address()
        )
    except InvalidRequest as error:
        return _first_form(link, error, given.raw("name"))
    return session.enter(redirect(HOME, 303), made)


def _refusal(error: TooManyRequests) -> str:
    # The same for every name: it must not tell whether there is an account.
    after = error.after
    wait = f"Wait {after} s" if after < 120 else f"Wait {math.ceil(after / 60)} min"
    if error.policy != STRANGERS:
        return f"Too many attempts. {wait}."
    return (
        f"Too many attempts at this name, from many addresses. {wait}, or sign in from where you "
        "have signed in before."
    )


def _form(
    target: str, problem: str = "", name: str = "", *, status: int = 200, signed_out: bool = False
) -> Response:
    body = render_template(
        "admin/sign_in.html", target=target, problem=problem, name=name, signed_out=signed_out
    )
    return guard.keep_nonce(make_response(body, status))


def _first_form(link: str, error: InvalidRequest | None = None, name: str = "") -> Response:
    if not parts().signing_in.is_first(link):
        raise NotFound(USED)
    found = forms.issues(error) if error else {}
    body = render_template("admin/first.html", link=link, issues=found, name=name)
    return guard.keep_nonce(make_response(body, 422 if error else 200))
