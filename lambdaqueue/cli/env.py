"""`lambdaqueue env`: make, list and delete environments. There is no other way to do that."""

from __future__ import annotations

import argparse
import sys

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.cli.failures import UsageError
from lambdaqueue.cli.local import actor_in, add_data, managing, performer, word
from lambdaqueue.cli.terminal import table
from lambdaqueue.errors import Conflict, InvalidRequest, NotFound
from lambdaqueue.identity import ALL_SCOPES
from lambdaqueue.instants import iso

__all__ = ["configure", "run"]

FIRST_TOKEN = "first"
"""Name of the token that a new environment has."""

CREATE = """\
Its token (with all scopes) and its secret go to standard output, as variables for a shell.
"""

DELETE = """\
Its tokens are refused at once, its items are cancelled, its history is forgotten. Attempts that
are out are waited for, up to a minute for each queue. If it was broken off, call it again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make one, with a secret and a token")
    create.set_defaults(act=_create)
    create.epilog = CREATE
    create.add_argument("name", metavar="NAME", help="1 to 64 of a-z 0-9 - _ .")
    add_data(create)
    shown = actions.add_parser("list", help="show which there are")
    shown.set_defaults(act=_list)
    add_data(shown)
    delete = actions.add_parser("delete", help="delete one, with all that it holds")
    delete.set_defaults(act=_delete)
    delete.epilog = DELETE
    delete.add_argument("name", type=word, metavar="NAME")
    delete.add_argument("--yes", action="store_true", help="don't ask")
    add_data(delete)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; return the exit code."""
    return int(args.act(args))


def _create(args: argparse.Namespace) -> int:
    with managing(args.data) as administration:
        try:
            administration.create_environment(args.name, performer("env"))
        except InvalidRequest as error:
            raise UsageError(str(error)) from error
        except Conflict as error:
            raise Conflict(
                f"{error}. A token for it: lambdaqueue token create --env {args.name} --name NAME. "
                f"If its deletion was broken off: lambdaqueue env delete {args.name}"
            ) from error
        actor = actor_in(administration, args.name, "env")
        token, _ = administration.issue_token(actor, FIRST_TOKEN, ALL_SCOPES)
        secret = administration.secret(actor).secret
    print(f"LQ_TOKEN={token.text}\nLQ_SECRET={secret.reveal()}", flush=True)
    print(
        f"Made {args.name}. This token, which may do all there, will not be shown again; "
        f"the secret will: lambdaqueue secret show --env {args.name}",
        file=sys.stderr,
    )
    return 0


def _list(args: argparse.Namespace) -> int:
    with managing(args.data) as administration:
        found = administration.environments()
    rows = [[info.name, info.id, iso(info.created)] for info in found]
    print("\n".join(table(("NAME", "ID", "CREATED"), rows)))
    return 0


def _delete(args: argparse.Namespace) -> int:
    with managing(args.data) as administration:
        if _is_open(administration, args.name) and not (args.yes or _confirmed(args.name)):
            print(
                "lambdaqueue: that is not its name, so nothing was deleted (--yes doesn't ask)",
                file=sys.stderr,
            )
            return 1
        try:
            for line in administration.remove_environment(args.name, performer("env")):
                print(line, flush=True)
        except NotFound as error:
            raise NotFound(
                f"there is no environment {args.name}: `lambdaqueue env list` shows which there are"
            ) from error
    return 0


def _is_open(administration: Administration, name: str) -> bool:
    """Tell whether there is one of that name whose removal was not begun: that one is asked for.

    Raises:
        Conflict: it is the first one.
    """
    found = [info.id for info in administration.environments() if info.name == name]
    if found == [keys.DEFAULT_ENVIRONMENT]:
        raise Conflict(
            f"{name} is made again at every start, so it stays. Empty it instead: delete its "
            "queues (DELETE /api/v1/queues/{queue}) and revoke its tokens (lambdaqueue token list)"
        )
    return bool(found)


def _confirmed(name: str) -> bool:
    print(
        f"This deletes {name} with its queues, items, history, tokens and secrets. "
        "Type its name to go on: ",
        end="", file=sys.stderr, flush=True,
    )  # fmt: skip
    return sys.stdin.readline().strip() == name
