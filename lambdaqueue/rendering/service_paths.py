"""Names of services and their jobs in paths, which are judged before anything else of a request."""

from __future__ import annotations

import re

from lambdaqueue.errors import UnreadableRequest
from lambdaqueue.service_job import check_name

__all__ = ["check_names", "misnamed_service"]

_UNDER_SERVICE = re.compile(
    r"/api/v1/services/(.*?)/(?:jobs/(.*?)(?:/run|/test|/executions)?|jobs|executions)/?",
    re.DOTALL,
)


def check_names(*names: str) -> None:
    """Refuse what can be the name of no service and no job; raises UnreadableRequest."""
    for name in names:
        check_name(name)


def misnamed_service(path: str) -> UnreadableRequest | None:
    """Return what is wrong with the names in `path`, which no route has taken.

    `…/services/a/b/jobs/c` is about a service `a/b`, `…/services/a/jobs/` about a job `""`.
    """
    found = _UNDER_SERVICE.fullmatch(path)
    if found is None:
        return None
    try:
        check_names(*(name for name in found.groups() if name is not None))
    except UnreadableRequest as error:
        return error
    return None
