"""`lambdaqueue schedules`: every schedule, and when it runs next."""

from __future__ import annotations

import argparse
from typing import Any

from lambdaqueue.cli.api_client import ApiClient
from lambdaqueue.cli.terminal import table

__all__ = ["configure", "run"]

HEAD = ("KEY OR ID", "SCHEDULE", "TIMEZONE", "NEXT RUN", "QUEUE", "PAUSED")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: there are none."""


def run(args: argparse.Namespace) -> int:
    """Print a table of the schedules."""
    rows = [_row(schedule) for schedule in ApiClient().rows("schedules")]
    if not rows:
        print("no schedules yet: `lambdaqueue schedule QUEUE EXPRESSION --target URL` makes one")
        return 0
    print("\n".join(table(HEAD, rows)))
    return 0


def _row(schedule: dict[str, Any]) -> list[str]:
    return [
        schedule.get("key") or schedule["id"],
        schedule["schedule"],
        schedule["timezone"],
        schedule.get("nextRun", "-"),
        schedule["queue"],
        "yes" if schedule["paused"] else "no",
    ]
