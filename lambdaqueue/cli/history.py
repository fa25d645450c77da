"""`lambdaqueue history`: what ended in a queue, and how it came to that."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from typing import Any

from lambdaqueue.cli.api_client import ApiClient, queue_path
from lambdaqueue.cli.failures import ApiError
from lambdaqueue.cli.terminal import printable

__all__ = ["configure", "run"]

FOLLOW_EVERY = 1.0
"""Seconds between two looks with --follow."""

PAGE = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("queue", metavar="QUEUE")
    add("--limit", type=_limit, default=20, help="how many of the newest, to 1000 (default: 20)")
    add("--follow", action="store_true", help="then print what ends from now on, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Print the newest entries, the newest last."""
    api = ApiClient()
    page = api.get(queue_path(args.queue, "/history"), limit=args.limit)["entries"]
    _show(reversed(page))
    if args.follow:
        _follow(api, args.queue, {entry["entry"] for entry in page})
    elif not page:
        print(f"nothing has ended in {printable(args.queue)} yet", file=sys.stderr)
    return 0


def _follow(api: ApiClient, queue: str, seen: set[str]) -> None:
    """Look again and again; a server that is away for a while is waited for."""
    pause, away = threading.Event(), False
    while not pause.wait(FOLLOW_EVERY):
        try:
            newest = _down_to(api, queue, seen)
        except ApiError as error:
            if not away:
                print(f"lambdaqueue: {error}; still waiting", file=sys.stderr)
            away = True
            continue
        away = False
        _show(entry for entry in reversed(newest) if entry["entry"] not in seen)
        seen = {entry["entry"] for entry in newest}


def _down_to(api: ApiClient, queue: str, seen: set[str]) -> list[dict[str, Any]]:
    """Return the entries from the newest to the end of the page that has a seen one."""
    entries: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = api.get(queue_path(queue, "/history"), limit=PAGE, cursor=cursor)
        entries += page["entries"]
        cursor = page.get("nextCursor")
        if cursor is None or any(entry["entry"] in seen for entry in page["entries"]):
            return entries


def _show(entries: Iterator[dict[str, Any]]) -> None:
    for entry in entries:
        for line in _lines(entry):
            print(line, flush=True)


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    """The entry, and below it every attempt when there was more than one."""
    attempts = entry.get("attempts") or []
    last = attempts[-1] if attempts else entry.get("lastAttempt") or {}
    key = f"  key={entry['key']}" if entry.get("key") else ""
    count = f"attempt {entry.get('attempt', 0)}/{entry.get('maxAttempts', '?')}"
    yield printable(
        f"{entry['endedAt']}  {entry['state']:<9}  {entry['id']}{key}  {count}  "
        f"{_how(last, entry.get('error'))}"
    )
    for attempt in attempts if len(attempts) > 1 else ():
        how = _how(attempt, attempt.get("error"))
        yield printable(f"    {attempt['startedAt']}  attempt {attempt['attempt']}  {how}")


def _how(attempt: dict[str, Any], error: str | None) -> str:
    status = f"HTTP {attempt['status']}" if attempt.get("status") else ""
    took = f"{attempt['durationMs']} ms" if "durationMs" in attempt else ""
    return "  ".join(filter(None, (status, took, error)))


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 1000")
    return int(text)
