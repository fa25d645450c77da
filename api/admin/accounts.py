"""People's accounts: who may look or change where. For those who may change everything."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from api.admin import forms, session
from api.admin.guard import page
from api.current import address, administration, parts
from lambdaqueue.account import EVERYWHERE, Role
from lambdaqueue.errors import Conflict, InvalidRequest
from lambdaqueue.identity import Author

__all__ = ["blueprint"]

blueprint = Blueprint("accounts", __name__)

ALL = "all environments"
NOTHING = "none"
ROLES = ((str(Role.VIEWER), "look"), (str(Role.ADMIN), "look and change"))


@blueprint.get("/accounts")
@page(Role.ADMIN)
def index() -> str:
    return _list()


@blueprint.post("/accounts")
@page(Role.ADMIN, recent=True)
def create() -> Response | tuple[str, int]:
    given = forms.values()
    try:
        roles = {_place(): Role(_chosen([role for role, _ in ROLES]))}
        parts().signing_in.create(_author(), given.text("name"), given.new_password("new"), roles)
    except (InvalidRequest, Conflict) as error:
        return _list(_issues(error)), 422
    name = given.text("name").lower()
    return forms.done(f"{name} can sign in now.", _of(name))


@blueprint.get("/accounts/<account>")
@page(Role.ADMIN)
def show(account: str) -> str:
    return _account(account)


@blueprint.post("/accounts/<account>/role")
@page(Role.ADMIN, recent=True)
def change_role(account: str) -> Response | tuple[str, int]:
    name = parts().signing_in.account(account).name
    _check_other(name)
    try:
        chosen = _chosen([NOTHING, *(role for role, _ in ROLES)])
        role = None if chosen == NOTHING else Role(chosen)
        parts().signing_in.set_role(_author(), name, _place(), role)
    except InvalidRequest as error:
        return _account(name, _issues(error)), 422
    return forms.done(f"{name} has another role.", _of(name))


@blueprint.post("/accounts/<account>/password")
@page(Role.ADMIN, recent=True)
def change_password(account: str) -> Response | tuple[str, int]:
    name = parts().signing_in.account(account).name
    _check_other(name)
    try:
        parts().signing_in.set_password(_author(), name, forms.values().new_password("new"))
    except InvalidRequest as error:
        return _account(name, _issues(error)), 422
    said = f"{name} has another password; all sessions of the account have ended."
    return forms.done(said, _of(name))


@blueprint.post("/accounts/<account>/remove")
@page(Role.ADMIN, recent=True)
def remove(account: str) -> Response:
    name = parts().signing_in.account(account).name
    _check_other(name)
    parts().signing_in.remove(_author(), name)
    return forms.done(f"{name} is removed.", url_for("admin.accounts.index"))


def _list(issues: dict[str, str] | None = None) -> str:
    return render_template(
        "admin/accounts.html",
        accounts=parts().signing_in.accounts(),
        given=forms.values(),
        issues=issues or {},
        places=_places(),
        roles=ROLES,
    )


def _account(name: str, issues: dict[str, str] | None = None) -> str:
    return render_template(
        "admin/account_of.html",
        account=parts().signing_in.account(name),
        given=forms.values(),
        issues=issues or {},
        places=_places(),
        roles=[*ROLES, (NOTHING, "nothing")],
    )


def _places() -> dict[str, str]:
    """Return the names of places where a role may be held, by what is stored of them."""
    ids = administration().environment_ids()
    return {EVERYWHERE: ALL, **{env: name for name, env in ids.items()}}


def _place() -> str:
    given = forms.values().text("place")
    if given not in _places():
        raise InvalidRequest.of("place", "unknown", "is no environment here")
    return given


def _chosen(roles: list[str]) -> str:
    given = forms.values().text("role")
    if given not in roles:
        raise InvalidRequest.of("role", "unknown", f"must be one of {', '.join(roles)}")
    return given


def _check_other(name: str) -> None:
    """Raise Conflict for one's own account: a slip there locks out who could mend it."""
    if name == session.current().account.name:
        raise Conflict(
            "This is your own account: somebody else, or `lambdaqueue admin` on the server, must "
            "do that. Your password is changed under your name, above."
        )


def _issues(error: InvalidRequest | Conflict) -> dict[str, str]:
    """Return what is wrong by the name of the field; `password` is the visitor's own one here."""
    if isinstance(error, Conflict):
        return {"name": str(error)}
    found = forms.issues(error)
    return {"new" if name == "password" else name: text for name, text in found.items()}


def _author() -> Author:
    return Author(session.current().account.name, address())


def _of(name: str) -> str:
    return url_for("admin.accounts.show", account=name)
