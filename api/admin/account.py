"""One's own account: what it may do, another password, all sessions, the password once more."""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session
from api.admin.guard import local_path, page
from api.current import address, administration, parts
from lambdaqueue.errors import InvalidRequest

__all__ = ["blueprint"]

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
@page()
def show() -> Response:
    return _page()


@blueprint.post("/account/password")
@page(recent=True)
def change_password() -> Response:
    try:
        secret = parts().signing_in.change_password(
            session.current(), forms.values().new_password("new"), address()
        )
    except InvalidRequest as error:
        return _page(error)
    # A message would be sealed with what the forms of the old session brought back.
    return session.enter(redirect(url_for("admin.account.show", changed=1), 303), secret)


@blueprint.post("/account/sign-out-everywhere")
@page()
def out_everywhere() -> Response:
    parts().signing_in.sign_out_everywhere(session.current(), address())
    return session.leave(redirect(url_for("admin.sign_in.show", out=1), 303))


@blueprint.get("/prove")
@page()
def prove() -> str:
    return _form_to_prove(_target(request.args.get("next", "")))


@blueprint.post("/prove")
@page()
def proved() -> Response | tuple[str, int]:
    given = forms.values()
    target = _target(given.raw("next"))
    if not session.prove(given.secret("password")):
        return _form_to_prove(target, {"password": "is not your password"}), 403
    return redirect(target, 303)


def _form_to_prove(target: str, issues: dict[str, str] | None = None) -> str:
    return render_template("admin/prove.html", target=target, issues=issues or {})


def _page(error: InvalidRequest | None = None) -> Response:
    roles = session.current().account.roles
    shown = [
        (name, roles[env])
        for name, env in administration().environment_ids().items()
        if env in roles
    ]
    body = render_template(
        "admin/account.html",
        roles=shown,
        issues=forms.issues(error) if error else {},
    )
    return make_response(body, 422 if error else 200)


def _target(given: str) -> str:
    return local_path(given, "/admin")
