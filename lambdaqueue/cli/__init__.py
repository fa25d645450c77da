"""The command `lambdaqueue`. Its parser needs the standard library only; a command's module is
imported when it is called, so the client commands run where only the SDK is installed."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from lambdaqueue import __version__
from lambdaqueue.cli.failures import SERVER_MODULES, ServerNotInstalled, UsageError
from lambdaqueue.errors import LambdaQueueError

__all__ = ["COMMANDS", "main"]

EPILOG = """\
start here, in three shells:
  lambdaqueue up                                     prints URL, token and secret
  lambdaqueue listen                                 a sample endpoint on port 9000
  lambdaqueue push hello --target http://127.0.0.1:9000/ --data '{"hello": "world"}'

and then:
  lambdaqueue push hello --target http://127.0.0.1:9000/ --delay 10s --key greeting
  lambdaqueue queues
  lambdaqueue history hello --follow
  lambdaqueue schedule hello "every(10s)" --target http://127.0.0.1:9000/ --key tick
  lambdaqueue schedule preview "0 9 * * 1-5" --tz Europe/Warsaw
  lambdaqueue token create --name shop               a token for another application
  lambdaqueue admin create jan                       an account for the panel at /admin

push, queues, history, schedule and schedules talk to LQ_API_URL (http://127.0.0.1:8080) with
LQ_TOKEN; where that is not set, with the token that `lambdaqueue up` keeps in
./.lambdaqueue/credentials. token, secret, env, keys and admin work on Redis itself, with the
server's REDIS_URL and LQ_MASTER_KEYS; where those are not set, with those of the `lambdaqueue up`
that runs in ./.lambdaqueue.
"""


class CommandModule(Protocol):
    """What the module of a command offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its module, imported when it is called, and one line of help."""

    module: str
    summary: str


COMMANDS: Mapping[str, Command] = {
    "up": Command("lambdaqueue.cli.up", "start everything on this machine"),
    "worker": Command("lambdaqueue.cli.worker", "run one worker process"),
    "scheduler": Command("lambdaqueue.cli.scheduler", "run one scheduler process"),
    "listen": Command("lambdaqueue.cli.listen", "run a sample endpoint that prints deliveries"),
    "push": Command("lambdaqueue.cli.push", "push an item to a queue"),
    "queues": Command("lambdaqueue.cli.queues", "list the queues"),
    "history": Command("lambdaqueue.cli.history", "show what ended in a queue"),
    "schedule": Command("lambdaqueue.cli.schedule", "push to a queue by the clock"),
    "schedules": Command("lambdaqueue.cli.schedules", "list the schedules"),
    "token": Command("lambdaqueue.cli.token", "make, list and revoke tokens of the API"),
    "secret": Command("lambdaqueue.cli.secret", "show or rotate the signature secret"),
    "env": Command("lambdaqueue.cli.env", "make, list and delete environments"),
    "keys": Command("lambdaqueue.cli.keys", "make a master key, change to a new one"),
    "admin": Command("lambdaqueue.cli.admin", "make and list the accounts of the panel"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`; return the exit code: 0 well, 1 failed, 2 misused."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in words if not word.startswith("-")), None)
    try:
        module = _module(name) if name in COMMANDS else None
        args = _parser(name, module).parse_args(words)
        return 0 if module is None else module.run(args)
    except UsageError as error:
        return _fail(error, 2)
    except LambdaQueueError as error:
        return _fail(error, 1)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in SERVER_MODULES:
            raise
        return _fail(ServerNotInstalled(error.name), 1)
    except BrokenPipeError:  # `lambdaqueue history … | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130


def _module(name: str | None) -> CommandModule:
    module = importlib.import_module(COMMANDS[str(name)].module)
    return cast(CommandModule, module)


def _parser(name: str | None, module: CommandModule | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lambdaqueue",
        description="LambdaQueue: a job queue and scheduler for code that runs behind HTTP.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"lambdaqueue {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command, about in COMMANDS.items():
        sub = commands.add_parser(
            command,
            help=about.summary,
            description=f"{about.summary[0].upper()}{about.summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command == name and module is not None:
            module.configure(sub)
    return parser


def _fail(error: Exception, code: int) -> int:
    print(f"lambdaqueue: {error}", file=sys.stderr)
    return code
