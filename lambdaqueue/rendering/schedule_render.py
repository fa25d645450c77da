"""What the API answers about schedules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.instants import iso
from lambdaqueue.rendering.payload_render import with_payload
from lambdaqueue.rendering.render import (
    follow_up_fields,
    given,
    optional_iso,
    policy_fields,
    terms_fields,
)
from lambdaqueue.schedule import Recurrence, Schedule
from lambdaqueue.timer import Timer

__all__ = ["preview", "schedule", "timer"]


def schedule(shown: Schedule) -> bytes:
    """Return the JSON of a schedule; options that it doesn't have are left out.

    So are extra headers, as with items: they may hold what whoever reads must not know.
    """
    spec = shown.spec
    fields = {
        "id": shown.id,
        "key": shown.key,
        "created": iso(shown.created),
        "paused": shown.paused,
        "schedule": shown.recurrence.expression,
        "timezone": shown.recurrence.zone,
        "nextRun": optional_iso(shown.next_run),
        "lastRun": optional_iso(shown.last_run),
        "queue": shown.queue,
        "target": given({"url": spec.target, "method": spec.method}),
        "type": "HTTP",
        "payloadType": spec.content_type,
        "retry": policy_fields(spec.retry) if spec.retry else None,
        "timeout": spec.timeout,
        "maxAge": spec.max_age,
        "priority": shown.priority or None,
        "eventType": spec.event_type,
        "flowKey": spec.flow_key,
        **terms_fields(spec.terms),
        **follow_up_fields(spec),
        **_recurrence_fields(shown.recurrence),
    }
    return with_payload(given(fields), spec)


def preview(runs: Iterable[int]) -> bytes:
    """Return the JSON of the next runs of an expression."""
    return strict_json.dumps({"next": [iso(run) for run in runs]})


def _recurrence_fields(recurrence: Recurrence) -> dict[str, Any]:
    return {
        "startsAt": optional_iso(recurrence.starts_at),
        "endsAt": optional_iso(recurrence.ends_at),
        "maxRuns": recurrence.max_runs,
        "jitter": recurrence.jitter or None,
        "misfire": recurrence.misfire if recurrence.misfire != "once" else None,
        "overlap": recurrence.overlap if recurrence.overlap != "allow" else None,
    }


def timer(shown: Timer) -> bytes:
    """Return the JSON of a timer, with its data as the bytes that its jobs carry."""
    head = {"id": shown.id, "shardId": shown.shard, "timeShardId": shown.time_shard}
    return strict_json.dumps(head)[:-1] + b',"timerCallbackData":' + shown.data + b"}"
