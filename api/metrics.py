"""Metrics for Prometheus: read from Redis when they are asked for, so true over all processes."""

from __future__ import annotations

import hmac
import ipaddress
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Forbidden, Unauthorized

from api.access import LOOPBACK_NAMES, bearer_token, host_name
from api.current import EXTENSION, Parts, parts
from lambdaqueue import __version__
from lambdaqueue.histogram import BOUNDS, Histogram
from lambdaqueue.metrics import Metrics, MetricsStore, QueueMetrics

__all__ = ["blueprint"]

blueprint = Blueprint("metrics", __name__)

EXPOSITION = "lambdaqueue.metrics"
"""The name under which an app keeps what it tells."""

FRESH = 1.0
"""Seconds for which an answer is given again: any number of scrapers load Redis like one."""

QUEUE = ("environment", "queue")

PROXIED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA")
"""Whoever sends one of these is a proxy, which may ask for anybody."""


@blueprint.get("/metrics")
def metrics() -> Response:
    _check_access()
    exposition = cast(Exposition, current_app.extensions[EXPOSITION])
    return Response(exposition.text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


@blueprint.record
def _keep(state: BlueprintSetupState) -> None:
    made = cast(Parts, state.app.extensions[EXTENSION])
    state.app.extensions[EXPOSITION] = Exposition(
        MetricsStore(made.client), made.settings.metrics_queues
    )


class Exposition:
    """The text of the metrics, made at most once a second."""

    def __init__(self, store: MetricsStore, most: int) -> None:
        self._store = store
        self._most = most
        self._lock = threading.Lock()
        self._text = b""
        self._made_at = -FRESH

    def text(self) -> bytes:
        """Return it; raises StorageUnavailable."""
        with self._lock:
            if time.monotonic() - self._made_at >= FRESH:
                registry = CollectorRegistry()
                registry.register(_Snapshot(self._store.read(self._most)))
                self._text = generate_latest(registry)
                self._made_at = time.monotonic()
            return self._text


class _Snapshot(Collector):
    """Metrics as they were read."""

    def __init__(self, found: Metrics) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        yield from _of_queues(self._found.queues)
        yield from _of_processes(self._found)
        yield from _of_redis(self._found)


def _of_queues(queues: Sequence[QueueMetrics]) -> Iterator[Metric]:
    yield _counter("pushes", "Jobs pushed, and new versions of them.", queues, "pushed")
    yield _deliveries(queues)
    # It begins with 0, as a class can't that nobody has seen yet: only so is the first one a rise.
    yield _counter("jobs_failed", "Jobs that have failed, by whatever class.", queues, "failed")
    yield _counter("attempts_lost", "Attempts whose worker died or lost its lease.", queues, "lost")
    yield _histogram("attempt_duration_seconds", "Time that an attempt took.", queues, "took")
    yield _histogram(
        "lateness_seconds", "Time from when a job was due to its first start.", queues, "late"
    )
    waiting = _gauge("waiting", "Jobs that wait: due, delayed, or for another attempt.")
    running = _gauge("running", "Jobs that run, those that await a callback included.")
    awaiting = _gauge("awaiting", "Jobs that a callback is to end.")
    paused = _gauge("queue_paused", "1 while a queue is paused.")
    for queue in queues:
        labels = (queue.environment, queue.name)
        waiting.add_metric(labels, queue.waiting)
        running.add_metric(labels, queue.running)
        awaiting.add_metric(labels, queue.awaiting)
        if queue.paused is not None:
            paused.add_metric(labels, queue.paused)
    yield from (waiting, running, awaiting, paused)


def _of_processes(found: Metrics) -> Iterator[Metric]:
    info = InfoMetricFamily("lambdaqueue_build", "The version of the process that answers.")
    info.add_metric((), {"version": __version__})
    yield info
    yield _single("queues", "Queues of all environments.", found.all_queues)
    yield _single("ready", "Jobs in the workers' line.", found.ready)
    yield _single("workers", "Workers that live.", found.workers)
    yield _single("worker_slots", "Calls that all workers may have out at once.", found.slots)
    yield _single(
        "scheduler_tick_timestamp_seconds",
        "Unix time of a scheduler's last round, by Redis' clock; 0: none yet.",
        found.ticked / 1_000,
    )
    yield _total("workers_lost", "Workers that were declared dead.", found.workers_lost)
    fired = CounterMetricFamily(
        "lambdaqueue_schedules_fired", "Jobs that schedules pushed.", labels=("collection",)
    )
    for collection, number in sorted(found.fired.items()):
        fired.add_metric((collection,), number)
    yield fired


def _of_redis(found: Metrics) -> Iterator[Metric]:
    redis = found.redis
    yield _total("script_calls", "Scripts that Redis ran since its start.", redis.script_calls)
    yield _total("script_seconds", "Time that Redis spent in them.", redis.script_seconds)
    yield _single("redis_memory_bytes", "Memory that Redis uses.", redis.memory)
    yield _single("redis_memory_limit_bytes", "maxmemory of Redis; 0: none.", redis.limit)
    yield _total("redis_evicted_keys", "Keys that Redis threw away: must be 0.", redis.evicted)


def _deliveries(queues: Sequence[QueueMetrics]) -> Metric:
    family = CounterMetricFamily(
        "lambdaqueue_deliveries",
        "Jobs by how they ended, and attempts that another one follows (retried).",
        labels=(*QUEUE, "outcome", "class"),
    )
    for queue in queues:
        labels = (queue.environment, queue.name)
        for outcome in ("completed", "cancelled"):
            family.add_metric((*labels, outcome, ""), queue.counts.get(outcome, 0))
        for what, number in sorted(queue.counts.items()):
            kind, _, error = what.partition(":")
            if kind in ("failed", "retry") and error:
                outcome = "retried" if kind == "retry" else kind
                family.add_metric((*labels, outcome, error), number)
    return family


def _counter(name: str, text: str, queues: Sequence[QueueMetrics], what: str) -> Metric:
    family = CounterMetricFamily(f"lambdaqueue_{name}", text, labels=QUEUE)
    for queue in queues:
        family.add_metric((queue.environment, queue.name), queue.counts.get(what, 0))
    return family


def _histogram(name: str, text: str, queues: Sequence[QueueMetrics], what: str) -> Metric:
    family = HistogramMetricFamily(f"lambdaqueue_{name}", text, labels=QUEUE)
    bounds = [*(f"{bound / 1_000:g}" for bound in BOUNDS), "+Inf"]
    for queue in queues:
        found = Histogram.read(queue.counts, what)
        if found.count:
            buckets = list(zip(bounds, found.cumulative, strict=True))
            labels = (queue.environment, queue.name)
            family.add_metric(labels, buckets, sum_value=found.total / 1_000)
    return family


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"lambdaqueue_{name}", text, labels=QUEUE)


def _single(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"lambdaqueue_{name}", text, value=value)


def _total(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"lambdaqueue_{name}", text, value=value)


def _check_access() -> None:
    """Let in who has the token, or asks from this machine, under a name that only it has.

    Otherwise a web page could have a browser on this machine ask for it, under a name of the page's
    own.
    """
    wanted = parts().settings.metrics_token
    given = bearer_token() or ""
    if wanted and hmac.compare_digest(given.encode("latin-1"), wanted.encode()):
        return
    if not _asks_from_here():
        if wanted:
            raise Unauthorized(www_authenticate=WWWAuthenticate("bearer"))
        raise Forbidden("Metrics are shown on this machine only, or with LQ_METRICS_TOKEN.")
    if host_name() not in LOOPBACK_NAMES:
        raise BadRequest("The Host header names none of 127.0.0.1, ::1 and localhost.")


def _asks_from_here() -> bool:
    if any(name in request.environ for name in PROXIED):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
