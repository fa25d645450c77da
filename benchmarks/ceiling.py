"""The bare client loop: claim in batches, send, acknowledge in batches, nothing else.

    python -m benchmarks.ceiling REDIS_URL TARGET_URL SLOTS JOBS

What one process could do with the same libcurl if jobs had no states, policies, signatures,
leases or history. Prints its CPU µs for each delivery.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final
from urllib.parse import urlsplit

import certifi
import pycurl

from benchmarks.rig import PAYLOAD
from lambdaqueue.addresses import AddressRules
from lambdaqueue.config import Settings
from lambdaqueue.connection import AsyncRedis, Redis, connect_async
from workers.exchange import CONNECT_TIMEOUT, Exchange, Outgoing
from workers.process import new_event_loop
from workers.routes import Route
from workers.transfers import Ended, Transfers

__all__ = ["LINE", "PAYLOADS", "fill", "main"]

LINE: Final = "benchmarks:line"
PAYLOADS: Final = "benchmarks:payloads"
"""A list of ids and a hash of their payloads: an acknowledged one is deleted from it."""

HEADERS: Final = (
    ("Content-Type", "application/json"),
    ("User-Agent", "LambdaQueue/1.0"),
    ("Content-Digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
    ("webhook-timestamp", "1614265330"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ("x-lq-queue", "bench"),
    ("x-lq-attempt", "1"),
    ("x-lq-max-attempts", "6"),
    ("x-lq-scheduled-for", "2026-01-01T00:00:00.000Z"),
)
"""As many bytes as a delivery of ours has, but none of them computed."""


def fill(client: Redis, jobs: int) -> None:
    """Make the backlog."""
    for at in range(0, jobs, 1_000):
        ids = [f"ceiling{n:08}_1" for n in range(at, min(at + 1_000, jobs))]
        client.hset(PAYLOADS, mapping=dict.fromkeys(ids, PAYLOAD))
        client.rpush(LINE, *ids)


class Ceiling:
    """Sends everything in the line. One instance for one run."""

    def __init__(self, client: AsyncRedis, url: str, slots: int) -> None:
        self._client = client
        self._url = url
        self._slots = slots
        self._transfers = Transfers(2 * slots)
        bundle = certifi.where()
        self._idle = [Exchange(AddressRules(), CONNECT_TIMEOUT, bundle) for _ in range(slots)]
        self._route = Route((str(urlsplit(url).hostname),))
        self._sent: list[str] = []
        self._news = asyncio.Event()

    async def run(self, jobs: int) -> None:
        """Deliver `jobs` and acknowledge them."""
        acknowledged = 0
        while acknowledged < jobs:
            self._news.clear()
            sent, self._sent = self._sent, []
            if sent:
                await self._client.hdel(PAYLOADS, *sent)
                acknowledged += len(sent)
            await self._claim()
            if not self._sent and acknowledged < jobs:
                await self._news.wait()
        await self._transfers.close()

    async def _claim(self) -> None:
        if not self._idle:
            return
        ids: Any = await self._client.lpop(LINE, len(self._idle)) or []
        payloads: Any = await self._client.hmget(PAYLOADS, ids) if ids else []
        for job_id, payload in zip(ids, payloads, strict=True):
            self._send(job_id.decode(), payload)

    def _send(self, job_id: str, payload: bytes) -> None:
        exchange = self._idle.pop()
        headers = (*HEADERS, ("webhook-id", job_id), ("x-lq-id", job_id))
        exchange.prepare(Outgoing(self._url, "POST", headers, payload, 30_000), self._route, 0)
        future = self._transfers.start(exchange.curl)
        future.add_done_callback(lambda done: self._take(exchange, job_id, done))

    def _take(self, exchange: Exchange, job_id: str, done: asyncio.Future[Ended]) -> None:
        status = exchange.curl.getinfo(pycurl.RESPONSE_CODE)
        if status != 200:
            raise RuntimeError(f"the sink answered {status}: {done.result()}")
        self._transfers.drop(exchange.curl)
        exchange.clear()
        self._idle.append(exchange)
        self._sent.append(job_id)
        self._news.set()


async def deliver(redis_url: str, url: str, slots: int, jobs: int) -> float:
    """Run it; returns CPU µs each."""
    client = connect_async(Settings(redis_url=redis_url), answer_within=30.0)
    before = time.process_time()
    await Ceiling(client, url, slots).run(jobs)
    cpu = time.process_time() - before
    await client.aclose()
    return cpu / jobs * 1e6


def main() -> None:
    """Run it from the command line."""
    redis_url, url, slots, jobs = sys.argv[1:]
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        print(runner.run(deliver(redis_url, url, int(slots), int(jobs))))


if __name__ == "__main__":
    main()
