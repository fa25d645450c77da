"""`lambdaqueue schedule`: push to a queue by the clock, or see when an expression runs."""

from __future__ import annotations

import argparse
from typing import Any

from lambdaqueue.cli.api_client import ApiClient
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.failures import UsageError
from lambdaqueue.cli.payloads import JSON_TYPE, read_payload
from lambdaqueue.cli.terminal import printable

__all__ = ["configure", "run"]

PREVIEW = "preview"
"""The word that asks for a preview in place of a queue's name."""

EPILOG = """\
`lambdaqueue schedule preview EXPRESSION [--tz ZONE] [--count N]` shows the next runs and makes
nothing. (A queue of that name is scheduled with any option more, like --target.)

expressions:
  "0 9 * * 1-5"              five cron fields; also @yearly @monthly @weekly @daily @hourly
  "rate(5 minutes)"          minutes, hours or days; "every(90s)" has s, m, h and d
  "cron(0 9 ? * MON-FRI *)"  six fields, as in AWS EventBridge
  "at(2030-12-24T18:00:00)"  once

examples:
  lambdaqueue schedule mail "0 9 * * 1-5" --tz Europe/Warsaw --target http://127.0.0.1:9000/ \\
    --key report --data '{"report": "daily"}'
  lambdaqueue schedule preview "0 9 * * 1-5" --tz Europe/Warsaw --count 3
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("queue", metavar="QUEUE", help=f"made when it is not there yet; or the word {PREVIEW}")
    add("schedule", metavar="EXPRESSION", help="when; see below")
    add("--tz", metavar="ZONE", help="of the tz database, like Europe/Warsaw (default: UTC)")
    add("--target", metavar="URL", help="what to call; needed unless the queue has a default")
    add("--key", help="unique key: makes the schedule that has it what is wanted now")
    add("--data", help="the payload: JSON, @FILE, or - for stdin (default: {})")
    add("--content-type", metavar="TYPE", help=f"of the payload (default: {JSON_TYPE})")
    add("--method", help="GET, POST (default), PUT, PATCH or DELETE")
    add("--retry", metavar="JSON", help='retry policy, like {"type": "constant", "delay": 1000}')
    add("--starts-at", metavar="INSTANT", help="no run before, like 2030-01-01T00:00:00Z")
    add("--ends-at", metavar="INSTANT", help="no run after")
    add("--max-runs", type=int, metavar="N", help="then it ends")
    add("--jitter", type=duration, metavar="TIME", help="each run later by up to so much, like 30s")
    add(
        "--misfire",
        choices=("once", "skip", "all"),
        help="what becomes of the runs that a downtime let pass (default: once)",
    )
    add(
        "--overlap",
        choices=("allow", "skip"),
        help="skip: none while the job of the last run is unfinished (default: allow)",
    )
    add("--count", type=int, metavar="N", help="runs that a preview shows (default: 5)")


def run(args: argparse.Namespace) -> int:
    """Make the schedule and say when it runs next, or show the preview."""
    options = _options(args)
    if args.queue == PREVIEW and not options and args.data is None and args.content_type is None:
        return _preview(args)
    if args.count is not None:
        raise UsageError("--count belongs to `schedule preview`, which takes it and --tz only")
    payload = read_payload("{}" if args.data is None else args.data, args.content_type)
    headers = {
        "x-lq-queue": args.queue,
        "x-lq-schedule": args.schedule,
        "x-lq-tz": args.tz,
        **options,
    }
    status, schedule = ApiClient().call(
        "POST",
        "/schedules",
        headers={name: str(value) for name, value in headers.items() if value is not None},
        body=payload,
        content_type=args.content_type or JSON_TYPE,
    )
    print(printable(_line(schedule, created=status == 201)))
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the headers of what a preview has no use for."""
    names = ("target", "key", "method", "retry", "starts_at", "ends_at", "max_runs", "jitter")
    given = {name: getattr(args, name) for name in (*names, "misfire", "overlap")}
    return {
        f"x-lq-{name.replace('_', '-')}": value
        for name, value in given.items()
        if value is not None
    }


def _preview(args: argparse.Namespace) -> int:
    runs = ApiClient().get(
        "/schedules/preview", schedule=args.schedule, tz=args.tz, count=args.count
    )
    for each in runs["next"]:
        print(printable(each))
    if not runs["next"]:
        print("no run is left")
    return 0


def _line(schedule: dict[str, Any], *, created: bool) -> str:
    what = "made" if created else "there already, by its key; now as wanted"
    key = f" key={schedule['key']}" if schedule.get("key") else ""
    state = "paused" if schedule["paused"] else f"next run {schedule.get('nextRun', '-')}"
    return f"{schedule['id']}{key}: {what}; {state}"
