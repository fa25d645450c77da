"""`lambdaqueue admin`: make, list, change and remove the accounts of people who use the panel."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping

from lambdaqueue.account import EVERYWHERE, Account, Role
from lambdaqueue.administration import Administration
from lambdaqueue.cli.failures import UsageError
from lambdaqueue.cli.local import actor_in, add_data, managing, performer, word
from lambdaqueue.cli.terminal import table
from lambdaqueue.errors import InvalidRequest, NotFound
from lambdaqueue.identity import Author
from lambdaqueue.instants import iso
from lambdaqueue.passwords import check_new

__all__ = ["configure", "run"]

COLUMNS = ("NAME", "ROLES", "CREATED", "LAST SIGN-IN")
ALL = "all environments"
ROLES = (*map(str, Role), "none")

EXAMPLES = """\
examples:
  lambdaqueue admin create jan
  lambdaqueue admin create eva --role viewer --env shop --env wages
  pass show lambdaqueue | lambdaqueue admin password jan

The password is asked for; where standard input is no terminal it's the first line of that.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make an account", epilog=EXAMPLES)
    create.set_defaults(act=_create)
    create.add_argument("name", type=word, metavar="NAME", help="a-z 0-9 . _ @ + -")
    create.add_argument(
        "--role", type=Role, choices=tuple(Role), default=Role.ADMIN,
        help="what it may do: look (viewer), or change (default: admin)",
    )  # fmt: skip
    _add_places(create)
    shown = actions.add_parser("list", help="show what there is")
    shown.set_defaults(act=_list)
    add_data(shown)
    role = actions.add_parser("role", help="give or take a role, at once")
    role.set_defaults(act=_role)
    role.add_argument("name", type=word, metavar="NAME")
    role.add_argument("--role", choices=ROLES, required=True)
    _add_places(role)
    password = actions.add_parser("password", help="set another password, end all sessions")
    password.set_defaults(act=_password)
    password.add_argument("name", type=word, metavar="NAME")
    add_data(password)
    remove = actions.add_parser("remove", help="remove an account, end all its sessions")
    remove.set_defaults(act=_remove)
    remove.add_argument("name", type=word, metavar="NAME")
    add_data(remove)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    try:
        args.act(args)
    except InvalidRequest as error:
        raise UsageError(
            "; ".join(_said(issue.path, issue.message) for issue in error.issues)
        ) from error
    return 0


def _create(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        roles = dict.fromkeys(_places(administration, args.env), args.role)
        administration.signing_in().create(_author(), args.name, _new_password(), roles)
    where = ", ".join(args.env or [ALL])
    print(f"{args.name.lower()} is made: {args.role} in {where}", file=sys.stderr)


def _list(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        accounts = administration.signing_in().accounts()
        names = {env: name for name, env in administration.environment_ids().items()}
    if not accounts:
        print("no accounts: `lambdaqueue admin create NAME` makes one", file=sys.stderr)
        return
    print("\n".join(table(COLUMNS, [_row(account, names) for account in accounts])))


def _role(args: argparse.Namespace) -> None:
    role = None if args.role == "none" else Role(args.role)
    with managing(args.data) as administration:
        signing_in = administration.signing_in()
        _account(administration, args.name)
        for place in _places(administration, args.env):
            signing_in.set_role(_author(), args.name, place, role)
    where = ", ".join(args.env or [ALL])
    print(f"{args.name} has the role {args.role} in {where}", file=sys.stderr)


def _password(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        _account(administration, args.name)
        administration.signing_in().set_password(_author(), args.name, _new_password())
    print(f"{args.name} has another password; all its sessions have ended", file=sys.stderr)


def _remove(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        _account(administration, args.name)
        administration.signing_in().remove(_author(), args.name)
    print(f"{args.name} is removed", file=sys.stderr)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--env", type=word, action="append", metavar="NAME",
        help="only in this environment; may be given again (default: in all, also later ones)",
    )  # fmt: skip
    add_data(parser)


def _places(administration: Administration, names: list[str] | None) -> list[str]:
    """Return the ids of environments, or everywhere where none is named."""
    if names is None:
        return [EVERYWHERE]
    return [actor_in(administration, name, "admin").environment for name in names]


def _account(administration: Administration, name: str) -> Account:
    try:
        return administration.signing_in().account(name)
    except NotFound as error:
        raise NotFound(f"{error}: `lambdaqueue admin list` shows which there are") from error


def _author() -> Author:
    return Author(performer("admin"))


def _new_password() -> str:
    """Ask for a password, twice; or read it from what is piped in.

    Raises:
        InvalidRequest: it can't be one. UsageError: the two are not the same.
    """
    if not sys.stdin.isatty():
        return check_new(sys.stdin.readline().rstrip("\r\n"))
    password = check_new(getpass.getpass("Password: "))
    if getpass.getpass("The same again: ") != password:
        raise UsageError("that was not the same password; nothing was changed")
    return password


def _row(account: Account, names: Mapping[str, str]) -> tuple[str, str, str, str]:
    places = {EVERYWHERE: ALL, **names}
    roles = sorted(f"{role} in {places.get(env, env)}" for env, role in account.roles.items())
    last = account.last_sign_in
    return (
        account.name,
        ", ".join(roles) or "none",
        iso(account.created),
        "never" if last is None else iso(last),
    )


def _said(path: tuple[str | int, ...], message: str) -> str:
    return f"the {'.'.join(map(str, path))} {message}"
