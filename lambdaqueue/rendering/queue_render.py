"""What the API answers about queues: their settings, counters, endpoints, as documented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.commands import Endings, Endpoint, LastError, Purged, QueueInfo, QueueStats
from lambdaqueue.instants import iso
from lambdaqueue.rendering.render import follow_up_json, given, optional_iso, policy_fields

__all__ = ["purged", "queue"]


def queue(
    info: QueueInfo, stats: QueueStats | None = None, endpoints: Sequence[Endpoint] | None = None
) -> bytes:
    """Return the JSON of a queue with its settings; those it doesn't have are left out."""
    settings = info.settings
    fields = {
        "name": info.name,
        "paused": info.paused,
        "waiting": info.waiting,
        "running": info.running,
        "completed": info.completed,
        "failed": info.failed,
        "cancelled": info.cancelled,
        "target": settings.target,
        "retry": policy_fields(settings.retry) if settings.retry else None,
        "timeout": settings.timeout,
        "successStatus": str(settings.success_status),
        "historyLimit": settings.history_limit,
        "failedLimit": settings.failed_limit,
        "historyDays": settings.history_days,
        "resultBytes": settings.result_bytes,
        "validation": settings.validation,
        "concurrency": settings.concurrency,
        "rate": settings.rate.to_json() if settings.rate else None,
        "flow": settings.flow.to_json() if settings.flow else None,
        "ordered": settings.ordered,
        "breaker": settings.breaker.to_json() if settings.breaker else None,
        "breakerState": info.breaker_state,
        "onSuccess": follow_up_json(settings.on_success),
        "onFailure": follow_up_json(settings.on_failure),
        "lastError": _last_error(info.last_error) if info.last_error else None,
        "lastHour": _endings(stats.last_hour) if stats else None,
        "today": _endings(stats.today) if stats else None,
        "endpoints": None if endpoints is None else [_endpoint(each) for each in endpoints],
    }
    return strict_json.dumps(given(fields))


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return given(
        {
            "url": endpoint.url,
            "state": endpoint.state,
            "restsUntil": optional_iso(endpoint.rests_until),
            "opened": endpoint.opened,
            "aside": endpoint.aside,
        }
    )


def purged(deleted: Purged) -> bytes:
    """Return the JSON of what a purge has done."""
    return strict_json.dumps({"purged": deleted.count, "more": deleted.more})


def _endings(counted: Endings) -> dict[str, Any]:
    return {
        "completed": counted.completed,
        "failed": counted.failed,
        "cancelled": counted.cancelled,
        "byClass": dict(counted.classes),
    }


def _last_error(last: LastError) -> dict[str, str]:
    return {"error": last.error, "at": iso(last.at)}
