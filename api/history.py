"""History: the jobs of a queue that have ended."""

from __future__ import annotations

from flask import Blueprint, Response

from api import render
from api.access import needs
from api.answers import answer, read_query
from api.current import environment, service
from api.paths import check_queue_name
from api.schemas import HistoryQuery
from lambdaqueue.commands import HistoryFilter
from lambdaqueue.identity import Scope

__all__ = ["blueprint"]

blueprint = Blueprint("history", __name__, url_prefix="/api/v1")

HISTORY_QUERY = HistoryQuery()


@blueprint.get("/queues/<queue:queue>/history")
@needs(Scope.READ)
def list_entries(queue: str) -> Response:
    check_queue_name(queue)
    query = read_query(HISTORY_QUERY)
    limit, cursor = query.pop("limit"), query.pop("cursor")
    found = service().history(environment(), queue, HistoryFilter(**query), limit, cursor)
    return answer(render.page("entries", found, render.entry))
