"""`lambdaqueue token`: make, list and revoke the tokens of an environment."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from lambdaqueue.administration import Administration
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.local import actor_in, add_environment, managing
from lambdaqueue.cli.terminal import printable, table
from lambdaqueue.errors import NotFound
from lambdaqueue.identity import Scope, Token, TokenInfo
from lambdaqueue.instants import iso, parse_instant

__all__ = ["configure", "every_token", "run"]

USUAL_SCOPES = frozenset({Scope.PUSH, Scope.READ})
"""What applications need; `manage` opens the tokens themselves, so it is asked for by name."""

LONGEST_NAME = 64

LONGEST_LIFE = 3_653 * 86_400_000
"""ms that a token may live: ten years, as the API has it."""

PAGE = 1_000

COLUMNS = ("ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED")

EXAMPLES = """\
examples:
  lambdaqueue token create --name shop
  export LQ_TOKEN=$(lambdaqueue token create --name ci --scope push --expires 90d --quiet)

The token alone goes to standard output, and is nowhere to be had again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a token", epilog=EXAMPLES)
    create.set_defaults(act=_create)
    add = create.add_argument
    add("--name", type=_name, required=True, help="what the audit calls it")
    add(
        "--scope", type=_scopes, action="append", metavar="SCOPE",
        help="push, read, manage; again, or separated by commas (default: push,read)",
    )  # fmt: skip
    add("--expires", type=_expires, metavar="WHEN", help="90d, or an instant (default: never)")
    add("--quiet", action="store_true", help="the token, and no words about it")
    add_environment(create)
    shown = actions.add_parser("list", help="show what there is, never the tokens themselves")
    shown.set_defaults(act=_list)
    add_environment(shown)
    revoke = actions.add_parser("revoke", help="make a token useless, at once")
    revoke.set_defaults(act=_revoke)
    revoke.add_argument("id", type=_id, metavar="ID", help="as `list` shows it")
    add_environment(revoke)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    args.act(args)
    return 0


def every_token(administration: Administration, environment: str) -> Iterator[TokenInfo]:
    """Yield all tokens of the environment with the id `environment`."""
    cursor = None
    while True:
        page = administration.tokens(environment, PAGE, cursor)
        yield from page.rows
        cursor = page.cursor
        if cursor is None:
            return


def _create(args: argparse.Namespace) -> None:
    scopes = frozenset[Scope]().union(*args.scope) if args.scope else USUAL_SCOPES
    with managing(args.data) as administration:
        actor = actor_in(administration, args.env, "token")
        token, info = administration.issue_token(actor, args.name, scopes, args.expires)
    print(token.text, flush=True)
    if not args.quiet:
        until = "for ever" if info.expires is None else f"until {iso(info.expires)}"
        print(
            f"Good for {_listed(scopes)} in {args.env}, {until}. This token will not be shown "
            f"again. To revoke it: lambdaqueue token revoke {_shown(token.id)}{_where(args.env)}",
            file=sys.stderr,
        )


def _list(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        environment = actor_in(administration, args.env, "token").environment
        rows = [_row(info) for info in every_token(administration, environment)]
    if rows:
        print("\n".join(table(COLUMNS, rows)))
    else:
        print(f"no tokens in {args.env}: `lambdaqueue token create --name NAME` makes one")


def _revoke(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        actor = actor_in(administration, args.env, "token")
        try:
            administration.revoke_token(actor, args.id)
        except NotFound as error:
            raise NotFound(
                f"there is no token {_shown(args.id)} in {args.env}: "
                f"`lambdaqueue token list{_where(args.env)}` shows which there are"
            ) from error
    print(f"{_shown(args.id)} is revoked")


def _row(info: TokenInfo) -> list[str]:
    return [
        _shown(info.id),
        info.name,
        _listed(info.scopes),
        iso(info.created),
        "never" if info.expires is None else iso(info.expires),
        "never" if info.last_used is None else iso(info.last_used),
    ]


def _listed(scopes: frozenset[Scope]) -> str:
    return ",".join(scope for scope in Scope if scope in scopes)


def _shown(token_id: str) -> str:
    """Return how a token begins: a bare id may begin with a dash, and look like an option."""
    return f"lqk_{token_id}"


def _where(environment: str) -> str:
    return f" --env {environment}"


def _id(text: str) -> str:
    """Take an id as it is shown here or by the API, or the token itself."""
    token = Token.parse(text)
    found = token.id if token else text.removeprefix("lqk_")
    if not Token.is_id(found):
        # It isn't quoted: it may be a token that was cut off.
        raise argparse.ArgumentTypeError("that is no id of a token, like lqk_AbCd1234")
    return found


def _name(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"must be 1 to {LONGEST_NAME} printable characters")
    return text


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"'{printable(text)}' is none of {', '.join(Scope)}"
        ) from error


def _expires(text: str) -> int:
    """Return the Unix ms of an instant, or of a time from now."""
    now = int(time.time() * 1_000)
    try:
        if text.isdecimal():
            raise ValueError("a bare number would be milliseconds: nobody means that here")
        at = parse_instant(text) if "T" in text else now + duration(text)
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(
            "must be a time from now like 12h or 90d, or an instant like 2027-03-01T12:00:00Z"
        ) from error
    if not now < at <= now + LONGEST_LIFE:
        raise argparse.ArgumentTypeError("must be in the future, and at most ten years ahead")
    return at
