"""The in-memory LambdaQueue declares the fields that the server's schemas declare.

Their rules are the same objects' equals: another limit, name or default is found here at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from marshmallow import Schema as Declared
from marshmallow import missing

from api import history_schemas, message_schemas, rules, schemas, service_schemas
from api.loading import Checked
from lambdaqueue.reading.rules import Rule
from lambdaqueue.testing import fields
from lambdaqueue.testing.loading import ABSENT, MISSING, Schema

KNOWING_THE_TIME = fields.Fields(lambda: 0)

SAME: Mapping[str, tuple[type[Declared], Schema]] = {
    "item": (schemas.ItemSchema, KNOWING_THE_TIME.item),
    "change": (schemas.ChangeSchema, KNOWING_THE_TIME.change),
    "batch": (schemas.BatchSchema, fields.BATCH),
    "follow-up": (rules.FollowUpSchema, fields.FOLLOW_UP),
    "schedule": (schemas.ScheduleSchema, fields.SCHEDULE),
    "schedule change": (schemas.ScheduleChangeSchema, fields.SCHEDULE_CHANGE),
    "queue": (schemas.QueueSchema, fields.QUEUE_SETTINGS),
    "purge": (schemas.PurgeSchema, fields.PURGE),
    "list query": (schemas.ListQuery, fields.LIST_QUERY),
    "item query": (schemas.ItemQuery, fields.ITEM_QUERY),
    "items query": (schemas.ItemsQuery, fields.ITEMS_QUERY),
    "schedules query": (schemas.SchedulesQuery, fields.SCHEDULES_QUERY),
    "runs query": (schemas.RunsQuery, fields.RUNS_QUERY),
    "preview query": (schemas.PreviewQuery, fields.PREVIEW_QUERY),
    "history query": (history_schemas.HistoryQuery, fields.HISTORY_QUERY),
    "export query": (history_schemas.ExportQuery, fields.EXPORT_QUERY),
    "replay": (history_schemas.ReplaySchema, fields.REPLAY),
    "replays": (history_schemas.ReplaysSchema, fields.REPLAYS),
    "message": (message_schemas.MessageSchema, fields.MESSAGE),
    "timer id": (message_schemas.TimerIdSchema, fields.TIMER_ID),
    "periodic timer": (message_schemas.PeriodicSchema, fields.PERIODIC),
    "timer": (message_schemas.TimerSchema, KNOWING_THE_TIME.timer),
    "service job": (service_schemas.ServiceJobSchema, fields.SERVICE_JOB),
    "callback": (service_schemas.CallbackSchema, fields.CALLBACK),
}

NOT_IN_PATHS = frozenset({"service_name", "job_name"})
"""Only searches have them, which are for a real LambdaQueue."""


class Told(NamedTuple):
    """What there is to say of a field, besides its name in JSON."""

    name: str
    rule: Rule
    required: bool
    nullable: bool
    default: Any


def _of_server(schema: type[Declared]) -> Iterator[tuple[str, Told]]:
    for name, field in schema().load_fields.items():
        assert isinstance(field, Checked)
        default = ABSENT if field.load_default is missing else field.load_default
        told = Told(name, field.rule, field.required, field.allow_none, default)
        yield field.data_key or name, told


def _in_memory(schema: Schema) -> Iterator[tuple[str, Told]]:
    for shown, field in schema.items():
        required = field.default is MISSING
        default = ABSENT if required else field.default
        nullable = field.nullable or default is None
        yield shown, Told(field.name, field.rule, required, nullable, default)


@pytest.mark.parametrize(("server", "memory"), SAME.values(), ids=SAME)
def test_the_same_fields(server: type[Declared], memory: Schema) -> None:
    """In the same order, too: in it broken rules are told."""
    assert list(_in_memory(memory)) == list(_of_server(server))


def test_the_same_search() -> None:
    known = {
        shown: told
        for shown, told in _of_server(service_schemas.ExecutionQuery)
        if shown not in NOT_IN_PATHS
    }
    assert dict(_in_memory(fields.EXECUTIONS_QUERY)) == known
