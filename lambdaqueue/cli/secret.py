"""`lambdaqueue secret`: show the signature secrets of an environment, or make a new one."""

from __future__ import annotations

import argparse
import sys

from lambdaqueue.administration import OVERLAP
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.local import actor_in, add_environment, managing, word
from lambdaqueue.commands import SecretInfo
from lambdaqueue.errors import NotFound
from lambdaqueue.instants import iso

__all__ = ["configure", "run"]

LONGEST_OVERLAP = 7 * 86_400_000
"""ms, as the API has it."""

SHOW = "The secret alone goes to standard output; that it was shown is written into the audit.\n"

ROTATE = """\
For the time of --overlap every delivery is signed with both secrets, so give the new one to all
endpoints in that time. With --overlap 0 the old one counts no more: for one that leaked.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser("show", help="show the one that deliveries are signed with")
    show.set_defaults(act=_show)
    show.epilog = SHOW
    show.add_argument("--queue", type=word, help="a queue's own, for targets without validation")
    add_environment(show)
    rotate = actions.add_parser("rotate", help="make a new one, and show it")
    rotate.set_defaults(act=_rotate)
    rotate.epilog = ROTATE
    rotate.add_argument(
        "--overlap", type=_overlap, default=OVERLAP, metavar="TIME",
        help="for which the one before still counts, to 7d (default: 24h)",
    )  # fmt: skip
    add_environment(rotate)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    args.act(args)
    return 0


def _show(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        actor = actor_in(administration, args.env, "secret")
        if args.queue is None:
            _print(administration.secret(actor))
            return
        try:
            print(administration.queue_secret(actor, args.queue).reveal())
        except NotFound as error:
            raise NotFound(
                f"there is no queue {args.queue} in {args.env}: a push or its settings make it; "
                "`lambdaqueue queues` shows which there are"
            ) from error


def _rotate(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        actor = actor_in(administration, args.env, "secret")
        _print(administration.rotate_secret(actor, args.overlap))
    print(
        "Give it to the endpoints. A sample `lambdaqueue listen` takes it with --secret.",
        file=sys.stderr,
    )


def _print(info: SecretInfo) -> None:
    """Print the secret alone to stdout, what there is to say of it to stderr."""
    print(info.secret.reveal(), flush=True)
    words = f"Deliveries are signed with it since {iso(info.since)}"
    if info.previous_until is not None:
        words += f"; the one before still counts until {iso(info.previous_until)}"
    print(f"{words}.", file=sys.stderr)


def _overlap(text: str) -> int:
    ms = duration(text)
    if ms > LONGEST_OVERLAP:
        raise argparse.ArgumentTypeError("must be at most 7d")
    return ms
