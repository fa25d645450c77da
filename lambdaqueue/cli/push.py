"""`lambdaqueue push`: push one item to a queue."""

from __future__ import annotations

import argparse
from typing import Any

from lambdaqueue.cli.api_client import ApiClient, queue_path
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.payloads import JSON_TYPE, read_payload
from lambdaqueue.cli.terminal import printable

__all__ = ["configure", "run"]

EPILOG = """\
examples:
  lambdaqueue push mail --target http://127.0.0.1:9000/ --data '{"to": "ada@example.com"}'
  lambdaqueue push mail --target http://127.0.0.1:9000/ --key greeting --delay 10s
  lambdaqueue push mail --target http://127.0.0.1:9000/ --data @letter.txt --content-type text/plain
  echo '[1, 2]' | lambdaqueue push numbers --target http://127.0.0.1:9000/ --data -
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("queue", metavar="QUEUE", help="made when it is not there yet")
    add("--target", metavar="URL", help="what to call; needed unless the queue has a default")
    add("--data", default="{}", help="the payload: JSON, @FILE, or - for stdin (default: {})")
    add("--content-type", metavar="TYPE", help=f"of the payload (default: {JSON_TYPE})")
    add("--method", help="GET, POST (default), PUT, PATCH or DELETE")
    add("--delay", type=duration, metavar="TIME", help="from now: 500ms, 10s, 5m, 2h, 1d")
    add("--key", help="unique key: replaces the waiting item that has it")
    add("--if-exists", choices=("replace", "keep"), help="when an item with the key waits")
    add("--retry", metavar="JSON", help='retry policy, like {"type": "constant", "delay": 1000}')


def run(args: argparse.Namespace) -> int:
    """Push it and say what became of it."""
    payload = read_payload(args.data, args.content_type)
    options = {
        "x-lq-target": args.target,
        "x-lq-method": args.method,
        "x-lq-delay": args.delay,
        "x-lq-key": args.key,
        "x-lq-if-exists": args.if_exists,
        "x-lq-retry": args.retry,
    }
    status, item = ApiClient().call(
        "POST",
        queue_path(args.queue, "/items"),
        headers={name: str(value) for name, value in options.items() if value is not None},
        body=payload,
        content_type=args.content_type or JSON_TYPE,
    )
    print(printable(_line(item, created=status == 201)))
    return 0


def _line(item: dict[str, Any], *, created: bool) -> str:
    what = "pushed" if created else "kept or replaced, by its key"
    key = f" key={item['key']}" if item.get("key") else ""
    return (
        f"{item['id']}{key} version {item['version']}: {what}; {item['state']}, due {item['dueAt']}"
    )
