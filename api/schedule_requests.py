"""Reads schedules and changes of them: from headers or JSON to the values that the core takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from api.option_headers import given_headers, readable
from api.schemas import ScheduleChangeSchema, ScheduleSchema, loaded
from lambdaqueue.reading import schedule_orders
from lambdaqueue.reading.option_headers import SCHEDULE_HEADERS
from lambdaqueue.reading.schedule_orders import WantedSchedule
from lambdaqueue.rescheduling import ScheduleChange

__all__ = ["SCHEDULE", "read_change", "read_headers", "read_json"]

SCHEDULE = ScheduleSchema()
CHANGE = ScheduleChangeSchema()


def read_headers(content_type: str, payload: bytes) -> WantedSchedule:
    """Return the schedule that the request's headers and body ask for.

    Raises:
        UnreadableRequest: a header is not UTF-8.
        InvalidRequest: a header is unknown, missing or breaks a rule; paths name the header.
    """
    values = SCHEDULE_HEADERS.values(readable(given_headers(), SCHEDULE_HEADERS.fields))
    with SCHEDULE_HEADERS.named():
        given = {**loaded(SCHEDULE, values), "payload": payload, "content_type": content_type}
        return schedule_orders.wanted_schedule(given)


def read_json(body: Mapping[str, Any], max_payload: int, key: str | None) -> WantedSchedule:
    """Return the schedule that a JSON body asks for; `key` is the one that the path names."""
    return schedule_orders.read_schedule(partial(loaded, SCHEDULE), body, max_payload, key)


def read_change(body: Mapping[str, Any], max_payload: int) -> ScheduleChange:
    """Return the change that a PATCH asks for."""
    return schedule_orders.read_schedule_change(loaded(CHANGE, body), max_payload)
