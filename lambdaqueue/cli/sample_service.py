"""`lambdaqueue listen --service`: works on what it is asked for, and tells of it by callbacks.

Each execution is worked on in a thread of its own; a newer attempt of it takes its place.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from lambdaqueue import __version__
from lambdaqueue.cli.api_client import api_origin
from lambdaqueue.cli.durations import duration
from lambdaqueue.cli.endpoint import REMEMBERED, Verdict
from lambdaqueue.cli.failures import UsageError
from lambdaqueue.cli.invocation import Invocation, Stranger, json_object
from lambdaqueue.cli.terminal import printable

__all__ = ["Plan", "SampleService", "declare", "pause_after", "sample_service"]

TIMEOUT = 10.0
"""Seconds to connect for a callback, and to wait for its answer."""

READ = 65_536
"""Bytes of a refusal that are read."""

AT_ONCE = 500
"""Executions that are worked on at the same time, a thread each; further ones get 503."""

OFTEN, SELDOM = 0.2, 2.0
"""Seconds between two heartbeats: the server takes ten a second; and there shall be something to
watch, however long the interval is."""

FIRST_PAUSE = 0.5
"""Seconds until the final callback is repeated; doubled each time."""

SHOWN = 120
"""Characters of a name or a reason that are printed."""

HEAD = {"Content-Type": "application/json", "User-Agent": f"LambdaQueue-listen/{__version__}"}

OVER = {410: "the execution is over", 404: "there is no such execution"}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the work goes: how long, the chance that it fails, and whether anything is told of it.

    The final callback is repeated for `patience`, with pauses of at most `longest_pause`. Times
    are seconds.
    """

    work: float = 10.0
    fail_rate: float = 0.25
    silent: bool = False
    patience: float = 120.0
    longest_pause: float = 10.0


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sample service."""
    add = parser.add_argument
    add("--service", action="store_true", help="work for a while and call back, as a service does")
    add("--work", type=duration, metavar="TIME", help="how long it works (default: 10s)")
    add("--fail-rate", type=_chance, metavar="0…1", help="chance that it fails (default: 0.25)")
    add("--silent", action="store_true", help="never call back: see what a missed heartbeat does")


def sample_service(
    args: argparse.Namespace, env: Mapping[str, str], say: Say
) -> SampleService | None:
    """Return what `declare`'s arguments ask for; None without --service.

    Raises:
        UsageError: they don't go together, or LQ_API_URL is no origin.
    """
    if not args.service:
        if args.silent or args.work is not None or args.fail_rate is not None:
            raise UsageError("--work, --fail-rate and --silent go with --service")
        return None
    usual = Plan()
    plan = Plan(
        work=usual.work if args.work is None else args.work / 1_000,
        fail_rate=usual.fail_rate if args.fail_rate is None else args.fail_rate,
        silent=args.silent,
    )
    return SampleService(plan, api_origin(env), say)


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a callback: `status` is None when nobody answered, `wait` is the seconds
    after which it may come again."""

    status: int | None
    words: str = ""
    wait: float | None = None

    @property
    def good(self) -> bool:
        """True when it was taken."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def again(self) -> bool:
        """True when the same callback may be taken later."""
        return self.status is None or self.status == 429 or self.status >= 500

    def __str__(self) -> str:
        shown = "no answer" if self.status is None else str(self.status)
        return f"-> {shown}  {self.words}".rstrip()


def pause_after(tries: int, wait: float | None, longest: float) -> float:
    """Return the seconds until a final callback is repeated that came `tries` times before, and
    was told to `wait`."""
    pause = FIRST_PAUSE * 2.0 ** min(tries, 10) if wait is None else wait
    return min(longest, max(FIRST_PAUSE, pause))


class Work:
    """One execution being worked on; `run` is its thread's."""

    def __init__(self, asked: Invocation, plan: Plan, api: str, say: Say) -> None:
        self.asked = asked
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self._plan = plan
        self._url = f"{api}/api/v1/callback/{asked.token}"
        self._say = say
        self._session = requests.Session()
        # Neither proxies nor credentials from the environment: the token says all.
        self._session.trust_env = False

    def run(self) -> None:
        """Work, and tell of it, to the end."""
        with self._session:
            heard = self._labour()
            if heard is not None:
                self._finish(self._outcome(heard))

    def _labour(self) -> int | None:
        """Work with heartbeats; return how many were taken, None when there is no sense in more."""
        interval = pause = min(SELDOM, max(OFTEN, self.asked.interval / 3))
        end, heard = time.monotonic() + self._plan.work, 0
        while (left := end - time.monotonic()) > 0:
            if self.stopped.wait(min(pause, left)):
                return None
            done = 1 - (end - time.monotonic()) / self._plan.work
            if done >= 1:
                break
            progress = int(done * 100)
            # One that hangs must not keep the next ones back until they are missed.
            timeout = min(TIMEOUT, max(1.0, self.asked.interval / 3))
            reply = self._call({"status": "processing", "progress": progress}, timeout)
            self._tell(f"progress {progress}%  {reply}")
            if not (reply.good or reply.again):
                self._tell_end(reply)
                return None
            heard += reply.good
            pause = max(interval, reply.wait or 0.0) if reply.status == 429 else interval
        return heard

    def _outcome(self, heard: int) -> dict[str, Any]:
        """Return the final callback, decided by chance."""
        said: dict[str, Any] = {"correlation_id": f"listen-{self.asked.key}"[:SHOWN]}
        if random.random() < self._plan.fail_rate:
            error = f"by chance, as --fail-rate {self._plan.fail_rate:g} says"
            return {"status": "fail", "error": error, **said}
        if self.asked.runs is not None:
            said["state"] = {"runs": self.asked.runs + 1}
        summary = f"worked for {self._plan.work:g} s, with {heard} heartbeats"
        return {"status": "success", "summary": summary, **said}

    def _finish(self, final: Mapping[str, Any]) -> None:
        """Say how it ended until that is answered: nobody else knows it."""
        until = time.monotonic() + self._plan.patience
        for tries in itertools.count():
            if self.stopped.is_set():
                return
            reply = self._call(final)
            self._tell(f"{final['status']}  {reply}")
            if reply.good:
                return
            if not reply.again:
                self._tell_end(reply)
                return
            pause = pause_after(tries, reply.wait, self._plan.longest_pause)
            if time.monotonic() + pause > until:
                self._tell("gives up: nobody has taken how it ended")
                return
            self.stopped.wait(pause)

    def _call(self, said: Mapping[str, Any], timeout: float = TIMEOUT) -> Reply:
        try:
            with self._session.post(
                self._url,
                data=json.dumps(said).encode(),
                headers=HEAD,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                read = b"" if answer.ok else next(answer.iter_content(READ), b"")
        except requests.RequestException as error:
            return Reply(None, f"({type(error).__name__})")
        wait = answer.headers.get("Retry-After", "")
        return Reply(
            answer.status_code,
            printable(str(json_object(read).get("detail") or ""), SHOWN),
            float(wait) if re.fullmatch("[0-9]{1,4}", wait) else None,
        )

    def _tell_end(self, reply: Reply) -> None:
        self._tell(f"stops: {OVER.get(reply.status or 0, 'no callback of it is taken')}")

    def _tell(self, step: str) -> None:
        if not self.stopped.is_set():
            again = f" attempt {self.asked.attempt}" if self.asked.attempt > 1 else ""
            self._say(f"{printable(self.asked.name, SHOWN)}{again}  {step}")


class SampleService:
    """Takes invocations, and works on each in a thread; calls back to the origin `api` only."""

    def __init__(self, plan: Plan, api: str, say: Say) -> None:
        self.api = api
        self._plan = plan
        self._say = say
        self._works: OrderedDict[str, Work] = OrderedDict()
        self._lock = threading.Lock()

    def judge(
        self, verdict: Verdict, headers: Mapping[str, str], body: bytes
    ) -> tuple[Verdict, Invocation | None]:
        """Return the answer to a delivery that got `verdict` so far, and what to begin with then.

        `headers` have lower-case names.
        """
        if not 200 <= verdict.status <= 299:
            return verdict, None
        try:
            asked = Invocation.read(headers, body, self.api)
        except Stranger as error:
            return Verdict(422, f"{verdict.words}, REFUSED ({error})"), None
        if asked is None:
            return verdict, None
        with self._lock:
            known = self._works.get(asked.key)
            busy = sum(work.thread.is_alive() for work in self._works.values())
        if known is not None and not asked.follows(known.asked):
            return Verdict(202, f"{verdict.words}, known already"), None
        if busy >= AT_ONCE:
            return Verdict(503, f"{verdict.words}, REFUSED (works on {busy} already)"), None
        words = "begins, and will say nothing" if self._plan.silent else "begins"
        return Verdict(202, f"{verdict.words}, {words}"), asked

    def begin(self, asked: Invocation) -> None:
        """Work on it, and no more on an older attempt of it."""
        work = Work(asked, self._plan, self.api, self._say)
        with self._lock:
            known = self._works.get(asked.key)
            if known is not None:
                if not asked.follows(known.asked):
                    return  # It came twice at the same time.
                known.stopped.set()
            self._works[asked.key] = work
            self._works.move_to_end(asked.key)
            if len(self._works) > REMEMBERED:
                self._works.popitem(last=False)
            if not self._plan.silent:
                work.thread.start()

    def close(self) -> None:
        """Stop all work; nothing more is told of it."""
        with self._lock:
            for work in self._works.values():
                work.stopped.set()


def _chance(text: str) -> float:
    if not re.fullmatch(r"0(\.[0-9]+)?|1(\.0+)?|\.[0-9]+", text):
        raise argparse.ArgumentTypeError("must be a number from 0 to 1")
    return float(text)
