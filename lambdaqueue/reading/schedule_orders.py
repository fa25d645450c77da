"""What requests order of schedules, from fields whose rules hold already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lambdaqueue.errors import InvalidRequest
from lambdaqueue.reading.orders import SPEC_FIELDS, read_payload, read_terms
from lambdaqueue.rescheduling import ScheduleChange, Wanted
from lambdaqueue.schedule import Recurrence
from lambdaqueue.spec import Spec
from lambdaqueue.timetable import Timetable

__all__ = [
    "AS_JSON",
    "WantedSchedule",
    "is_schedule",
    "read_schedule",
    "read_schedule_change",
    "wanted_schedule",
]

AS_JSON = "application/vnd.lambdaqueue.schedule+json"
"""The type of a body that is the schedule itself; any other is the payload's own."""

RECURRENCE_FIELDS: Mapping[str, str] = {
    "schedule": "expression",
    "timezone": "zone",
    **{name: name for name in ("starts_at", "ends_at", "max_runs", "jitter", "misfire", "overlap")},
}
"""Loaded fields that say when it runs, and their names in `Recurrence`."""


class WantedSchedule(NamedTuple):
    """A schedule as a request asks for it, and its unique key if that has one."""

    wanted: Wanted
    key: str | None


def is_schedule(media_type: str) -> bool:
    """Tell whether a body of this type is the schedule itself."""
    return media_type.partition(";")[0].strip().lower() == AS_JSON


def read_schedule(
    load: Callable[[Mapping[str, Any]], dict[str, Any]],
    body: Mapping[str, Any],
    max_payload: int,
    key: str | None,
) -> WantedSchedule:
    """Return the schedule that a JSON body asks for; `key` is the one that the path names.

    `load` returns the values of a schedule's fields; raises InvalidRequest, as this does.
    """
    if key is not None and body.get("key", key) != key:
        raise InvalidRequest.of("key", "mismatch", "must be the one in the path, or left out")
    values = load(body if key is None else {**body, "key": key})
    if "payload_encoding" in values:
        values.setdefault("content_type", "application/octet-stream")
    read_payload(values, max_payload)
    return wanted_schedule(values)


def wanted_schedule(values: dict[str, Any]) -> WantedSchedule:
    """Return the schedule that loaded fields ask for; its payload is bytes already.

    Raises:
        InvalidRequest
    """
    read_terms(values)
    recurrence = Recurrence(**_recurrence(values))
    # The core reads both together, so their errors come after those of the single fields.
    Timetable.parse(recurrence.expression, recurrence.zone)
    wanted = Wanted(
        queue=values["queue"],
        spec=Spec(**_spec(values)),
        recurrence=recurrence,
        priority=values.get("priority", 0),
    )
    return WantedSchedule(wanted, values.get("key"))


def read_schedule_change(values: dict[str, Any], max_payload: int) -> ScheduleChange:
    """Return the change that the loaded fields of a PATCH ask for; raises InvalidRequest."""
    read_payload(values, max_payload)
    read_terms(values)
    return ScheduleChange(
        spec=_spec(values),
        recurrence=_recurrence(values),
        queue=values.get("queue"),
        priority=values.get("priority"),
    )


def _spec(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in SPEC_FIELDS if name in values}


def _recurrence(values: Mapping[str, Any]) -> dict[str, Any]:
    return {own: values[name] for name, own in RECURRENCE_FIELDS.items() if name in values}
