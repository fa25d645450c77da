"""Reads schedules and changes of them: from headers or JSON to the values that the core takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from api.option_headers import given_headers, readable
from api.schemas import ScheduleChangeSchema, ScheduleSchema, loaded
from lambdaqueue.errors import InvalidRequest
from lambdaqueue.reading.option_headers import SCHEDULE_HEADERS
from lambdaqueue.reading.orders import SPEC_FIELDS, read_payload, read_terms
from lambdaqueue.schedule import Recurrence
from lambdaqueue.scheduling import ScheduleChange, Wanted
from lambdaqueue.spec import Spec
from lambdaqueue.timetable import Timetable

__all__ = ["WantedSchedule", "read_change", "read_headers", "read_json"]

SCHEDULE = ScheduleSchema()
CHANGE = ScheduleChangeSchema()

RECURRENCE_FIELDS: Mapping[str, str] = {
    "schedule": "expression",
    "timezone": "zone",
    **{name: name for name in ("starts_at", "ends_at", "max_runs", "jitter", "misfire", "overlap")},
}
"""Fields of the schema that say when it runs, and their names in `Recurrence`."""


class WantedSchedule(NamedTuple):
    """A schedule as a request asks for it, and its unique key if that has one."""

    wanted: Wanted
    key: str | None


def read_headers(content_type: str, payload: bytes) -> WantedSchedule:
    """Return the schedule that the request's headers and body ask for.

    Raises:
        UnreadableRequest: a header is not UTF-8.
        InvalidRequest: a header is unknown, missing or breaks a rule; paths name the header.
    """
    values = SCHEDULE_HEADERS.values(readable(given_headers(), SCHEDULE_HEADERS.fields))
    with SCHEDULE_HEADERS.named():
        return _wanted(
            {
                **loaded(SCHEDULE, values),
                "payload": payload,
                "content_type": content_type,
            }
        )


def read_json(body: Mapping[str, Any], max_payload: int, key: str | None) -> WantedSchedule:
    """Return the schedule that a JSON body asks for; `key` is the one that the path names."""
    if key is not None and body.get("key", key) != key:
        raise InvalidRequest.of("key", "mismatch", "must be the one in the path, or left out")
    values = loaded(SCHEDULE, body if key is None else {**body, "key": key})
    if "payload_encoding" in values:
        values.setdefault("content_type", "application/octet-stream")
    read_payload(values, max_payload)
    return _wanted(values)


def read_change(body: Mapping[str, Any], max_payload: int) -> ScheduleChange:
    """Return the change that a PATCH asks for."""
    values = loaded(CHANGE, body)
    read_payload(values, max_payload)
    read_terms(values)
    return ScheduleChange(
        spec=_spec(values),
        recurrence=_recurrence(values),
        queue=values.get("queue"),
        priority=values.get("priority"),
    )


def _wanted(values: dict[str, Any]) -> WantedSchedule:
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


def _spec(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in SPEC_FIELDS if name in values}


def _recurrence(values: Mapping[str, Any]) -> dict[str, Any]:
    return {own: values[name] for name, own in RECURRENCE_FIELDS.items() if name in values}
