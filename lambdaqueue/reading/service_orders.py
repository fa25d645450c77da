"""What services order and say: definitions of jobs, and callbacks of their executions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lambdaqueue import strict_json
from lambdaqueue.errors import InvalidRequest, Issue, UnreadableRequest
from lambdaqueue.media_types import MEDIA_TYPE
from lambdaqueue.reading.orders import check_size
from lambdaqueue.service_job import LEAST_TTL, ServiceJob

__all__ = ["CALLBACK_FIELDS", "MAX_CALLBACK", "may_say", "read_callback", "read_service_job"]

MAX_CALLBACK = 262_144
"""Bytes of a callback's body."""

CALLBACK_FIELDS: Mapping[str, frozenset[str]] = {
    "processing": frozenset({"progress", "extend_seconds"}),
    "success": frozenset({"summary", "state", "correlation_id"}),
    "fail": frozenset({"summary", "error", "correlation_id"}),
}
"""What may be said beside each status."""


def read_service_job(
    values: Mapping[str, Any], max_payload: int, *, service: str, job: str
) -> ServiceJob:
    """Return the definition that loaded fields ask for; raises InvalidRequest."""
    payload = values["payload"] or None
    check_size((payload or "").encode(), max_payload)
    return ServiceJob(
        service=service,
        job=job,
        target=values["target"],
        schedule=values["schedule"],
        ttl=max(LEAST_TTL, values["ttl"]),
        heartbeat=values["heartbeat"],
        enabled=values["enabled"],
        exclusive=values["exclusive"],
        payload=payload,
        retry=values["retry"],
    )


def may_say(media_type: str) -> bool:
    """Tell whether a callback may come as a body of this type."""
    kind = media_type.partition(";")[0].strip().lower()
    return kind == "application/json" and MEDIA_TYPE.fullmatch(media_type) is not None


def read_callback(
    load: Callable[[Mapping[str, Any]], dict[str, Any]], raw: bytes
) -> dict[str, Any]:
    """Return what the body of a callback says; a field that is null is left out.

    `load` returns the values of a callback's fields, or raises as this does.

    Raises:
        InvalidRequest: it can't be read, or breaks a rule.
    """
    body = _object(raw)
    values = load(body)
    status = values["status"]
    allowed = CALLBACK_FIELDS[status] | {"status"}
    foreign = [name for name in body if body[name] is not None and name not in allowed]
    if foreign:
        rule = f"means nothing with the status {status}"
        raise InvalidRequest([Issue((name,), "other_status", rule) for name in foreign])
    return {name: value for name, value in values.items() if value is not None}


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return strict_json.parse_object(raw)
    except UnreadableRequest as error:
        raise InvalidRequest([Issue((), error.code, str(error))]) from error
