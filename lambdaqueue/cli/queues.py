"""`lambdaqueue queues`: every queue with waiting items or history."""

from __future__ import annotations

import argparse
from typing import Any

from lambdaqueue.cli.api_client import ApiClient
from lambdaqueue.cli.terminal import table

__all__ = ["configure", "run"]

COLUMNS = ("name", "paused", "waiting", "running", "completed", "failed")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(args: argparse.Namespace) -> int:
    """Print a table of the queues."""
    rows = [[_cell(queue.get(name)) for name in COLUMNS] for queue in ApiClient().rows("queues")]
    if not rows:
        print("no queues yet: `lambdaqueue push QUEUE --target URL` makes one")
        return 0
    print("\n".join(table([name.upper() for name in COLUMNS], rows)))
    return 0


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
