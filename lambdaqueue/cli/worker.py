"""`lambdaqueue worker`: one worker process, as the Procfile starts it."""

from __future__ import annotations

import argparse

from lambdaqueue.cli.server import import_from_server

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: none, its settings are environment variables."""
    parser.epilog = "Settings are environment variables: REDIS_URL, LQ_PUBLIC_URL, LQ_GRACE, …"


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM; return its exit code."""
    return int(import_from_server("workers.delivery").main() or 0)
