"""Runs benchmarks and prints each figure beside its target.

python -m benchmarks [name ...] [--quick] [--repeats N] [--redis-server PATH]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import (
    executions,
    fairness,
    latency,
    lateness,
    limits,
    memory,
    metrics,
    million,
    pages,
    push,
    schedules,
    sdk,
    slow,
    throughput,
)
from benchmarks.context import Context
from benchmarks.figures import Figure, table, write_json
from benchmarks.processes import ROOT, BenchmarkFailed
from lambdaqueue import __version__
from lambdaqueue.errors import LambdaQueueError
from lambdaqueue.redis_servers import RedisServer, find_server

BENCHMARKS: Mapping[str, Callable[[Context], Sequence[Figure]]] = {
    "throughput": throughput.measure,
    "slow": slow.measure,
    "latency": latency.measure,
    "lateness": lateness.measure,
    "push": push.measure,
    "memory": memory.measure,
    "metrics": metrics.measure,
    "pages": pages.measure,
    "million": million.measure,
    "schedules": schedules.measure,
    "executions": executions.measure,
    "limits": limits.measure,
    "fairness": fairness.measure,
    "sdk": sdk.measure,
}

RESULTS = ROOT / "benchmarks" / "results"


def main() -> int:
    """Run what is asked for; 1 when one of them could not be measured."""
    options = _read_options()
    signal.signal(signal.SIGTERM, _interrupt)
    server = options.redis_server or _newest_server()
    about = _about(server)
    print("\n".join(f"{name}: {value}" for name, value in about.items()), flush=True)
    failed = False
    try:
        for name in options.names or BENCHMARKS:
            failed |= not _run(name, server, about, options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return int(failed)


def _run(name: str, server: Path, about: dict[str, Any], options: argparse.Namespace) -> bool:
    print(f"\n{name}: {_title(name)}", flush=True)
    repeats = options.repeats or (3 if options.quick else 5)
    with tempfile.TemporaryDirectory(prefix="lq-bench-") as folder:
        try:
            figures = BENCHMARKS[name](Context(Path(folder), server, options.quick, repeats))
        except (BenchmarkFailed, LambdaQueueError) as error:
            print(f"could not be measured: {error}", file=sys.stderr)
            return False
    print(table(figures), flush=True)
    about = {"benchmark": name, "quick": options.quick, **about}
    write_json(RESULTS / f"{name}.json", about, figures)
    return True


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks.")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer jobs and repeats")
    parser.add_argument("--repeats", type=int, help="5, with --quick 3")
    parser.add_argument("--redis-server", type=Path, metavar="PATH", help="7 from the system")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return options


def _title(name: str) -> str:
    return (sys.modules[f"benchmarks.{name}"].__doc__ or "").partition("\n")[0]


def _newest_server() -> Path:
    """Return the system's redis-server if it is 7 or newer, else the one that `up` would take."""
    system = shutil.which("redis-server", path="/usr/bin")
    if system and RedisServer.at(Path(system)).version >= (7,):
        return Path(system)
    return find_server(Path("/nonexistent")).path


def _about(server: Path) -> dict[str, Any]:
    """Return what a figure means little without."""
    return {
        "lambdaqueue": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "redis": f"{RedisServer.at(server)}, AOF everysec, Unix socket",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
    }


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
