"""What the SDK costs an application: its import, and answering one delivery."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from standardwebhooks import Webhook

from benchmarks.context import Context
from benchmarks.figures import Figure, at_most
from benchmarks.processes import ROOT, BenchmarkFailed
from lambdaqueue.sdk.client import LambdaQueue
from lambdaqueue.sdk.delivery import Delivery, Job
from lambdaqueue.signing import Secret, sign, verify

__all__ = ["measure"]

BODY = b'{"text":"' + b"x" * 280 + b'"}'
"""As long as the payload of the other benchmarks."""

SECRET = Secret.generate()

REQUESTS = "import requests"
CLIENT = "from lambdaqueue import LambdaQueue"
BOTH = "from lambdaqueue import LambdaQueue, RequestsTransport"

IMPORT = """
import time
began = time.process_time()
{}
print(time.process_time() - began)
"""
"""CPU time: it's what an import takes where nobody else wants the core, and files are cached."""


def measure(context: Context) -> Sequence[Figure]:
    """Import in fresh processes in turn, then verify the same delivery by ours and by theirs."""
    imports = context.size(10, 3)
    rounds: dict[str, list[float]] = {CLIENT: [], REQUESTS: [], BOTH: []}
    for code in rounds:
        _seconds(code)  # So that none writes .pyc files.
    for _ in range(context.repeats):
        for code, times in rounds.items():
            times.append(1_000 * min(_seconds(code) for _ in range(imports)))
    client, requests, both = rounds.values()
    calls = context.size(20_000, 4_000)
    ours, theirs, answers = _verification(context.repeats, calls)
    return [
        Figure("import of LambdaQueue, without requests", "ms", client, at_most(150)),
        Figure("÷ import of requests", "", _ratios(client, requests)),
        Figure("import with what the first call needs", "ms", both, at_most(150)),
        Figure("÷ import of requests", "", _ratios(both, requests)),
        Figure("verify a delivery of 291 bytes", "µs", ours),
        Figure("÷ standardwebhooks'", "", _ratios(ours, theirs), at_most(1)),
        Figure("answer a delivery: verify, decode, call, reply", "µs", answers),
        Figure("÷ standardwebhooks' verification alone", "", _ratios(answers, theirs)),
    ]


def _seconds(code: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.format(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise BenchmarkFailed(done.stderr)
    return float(done.stdout)


def _verification(repeats: int, calls: int) -> tuple[list[float], list[float], list[float]]:
    """Return the µs of our verification, of theirs, and of an endpoint's whole answer."""
    now = time.time()
    headers = {
        "webhook-id": "0mwq84k4200001_1",
        "webhook-timestamp": str(int(now)),
        "webhook-signature": sign([SECRET], "0mwq84k4200001_1", int(now), BODY),
        "content-type": "application/json",
        "x-lq-id": "0mwq84k4200001",
        "x-lq-queue": "bench",
        "x-lq-attempt": "1",
        "x-lq-max-attempts": "6",
        "x-lq-scheduled-for": "2026-11-21T09:46:55.058Z",
    }
    webhook = Webhook(SECRET.reveal())
    queue = LambdaQueue(secret=SECRET.reveal(), env={}).queue("/bench")
    queue.handler(_handler)
    endpoint, delivery = queue.endpoint, Delivery("POST", headers, BODY)
    if endpoint.answer(delivery).status != 204:
        raise BenchmarkFailed("the endpoint refuses what is signed")
    ours, theirs, answers = [], [], []
    for _ in range(repeats):
        ours.append(_each(lambda: verify([SECRET], headers, BODY, now), calls))
        theirs.append(_each(lambda: webhook.verify(BODY, headers, json_parse=False), calls))
        answers.append(_each(lambda: endpoint.answer(delivery), calls))
    return ours, theirs, answers


def _handler(payload: Any, job: Job) -> None:
    """Do nothing, so that all that is measured is ours."""


def _each(call: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return 1e6 * (time.perf_counter() - began) / calls


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]
