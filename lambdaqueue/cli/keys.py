"""`lambdaqueue keys`: make a master key, and seal everything anew with the newest one."""

from __future__ import annotations

import argparse
import os
import sys

from lambdaqueue.cli.local import add_data, managing
from lambdaqueue.cli.master_keys import MasterKeys
from lambdaqueue.vault import Vault

__all__ = ["configure", "run"]

EPILOG = """\
to change the master key:
  1. lambdaqueue keys new
  2. put it before the old one, LQ_MASTER_KEYS=new,old, and start all processes again
  3. lambdaqueue keys rotate
  4. take the old one out of LQ_MASTER_KEYS, and start all processes again

In that order: what runs without the new key can't sign any more after step 3.

`lambdaqueue up` keeps its keys in .lambdaqueue/master_keys, one in a line, the newest first.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a master key and print it")
    new.set_defaults(act=_new)
    rotate = actions.add_parser("rotate", help="seal every secret with the newest master key")
    rotate.set_defaults(act=_rotate)
    add_data(rotate)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    args.act(args)
    return 0


def _new(args: argparse.Namespace) -> None:
    print(Vault.new_key(), flush=True)
    print(
        "A master key for LQ_MASTER_KEYS. It is stored nowhere: keep a copy, because without it "
        "the secrets in Redis can't be read.",
        file=sys.stderr,
    )


def _rotate(args: argparse.Namespace) -> None:
    with managing(args.data) as administration:
        for number, count, name in administration.reseal():
            print(f"{number}/{count} {name}", flush=True)
    keys = MasterKeys.find(args.data, os.environ)
    if keys is not None and len(keys.words) > 1:
        print(f"All is sealed with the newest key: take the older ones out of {keys.source} now.")
    else:
        print("All is sealed with the only key there is; `lambdaqueue keys --help` tells more.")
