"""LambdaQueue: a job queue and scheduler for code that runs behind HTTP.

    from lambdaqueue import LambdaQueue

    lq = LambdaQueue()                  # LQ_TOKEN, LQ_SECRET, LQ_API_URL, LQ_BASE_URL
    welcome = lq.queue("/welcome")

    @welcome.handler
    def send_welcome(payload, job):
        return {"message": f"Hello, {payload['name']}"}

    welcome.push({"name": "Al"}, key="user-42", delay="10m")

`lambdaqueue.integrations` brings handlers into web frameworks, `lambdaqueue.testing` is for an
application's own tests. The names here are imported when they're used first, so that the server
and the command, which need none of them, don't wait for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambdaqueue.sdk.client import LambdaQueue
    from lambdaqueue.sdk.delivery import Delivery, Job, Reply
    from lambdaqueue.sdk.endpoint import Endpoint
    from lambdaqueue.sdk.errors import (
        ApiError,
        ConfigurationError,
        Conflict,
        DoNotRetry,
        ExecutionOver,
        Forbidden,
        InvalidRequest,
        InvalidSignature,
        Issue,
        LambdaQueueError,
        NotFound,
        RetryLater,
        TooManyRequests,
        Unauthorized,
        Unavailable,
        UnexpectedAnswer,
        Unreachable,
    )
    from lambdaqueue.sdk.execution import Execution
    from lambdaqueue.sdk.models import Attempt, Entry, Item, Result, Schedule
    from lambdaqueue.sdk.pushes import Push
    from lambdaqueue.sdk.queue import Queue
    from lambdaqueue.sdk.queue_settings import QueueInfo
    from lambdaqueue.sdk.replay_guard import MemoryGuard, ReplayGuard, Seen
    from lambdaqueue.sdk.requests_transport import RequestsTransport
    from lambdaqueue.sdk.transport import Request, Response, Transport
    from lambdaqueue.sdk.working import Working

__all__ = [
    "ApiError",
    "Attempt",
    "ConfigurationError",
    "Conflict",
    "Delivery",
    "DoNotRetry",
    "Endpoint",
    "Entry",
    "Execution",
    "ExecutionOver",
    "Forbidden",
    "InvalidRequest",
    "InvalidSignature",
    "Issue",
    "Item",
    "Job",
    "LambdaQueue",
    "LambdaQueueError",
    "MemoryGuard",
    "NotFound",
    "Push",
    "Queue",
    "QueueInfo",
    "ReplayGuard",
    "Reply",
    "Request",
    "RequestsTransport",
    "Response",
    "Result",
    "RetryLater",
    "Schedule",
    "Seen",
    "TooManyRequests",
    "Transport",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "Working",
    "__version__",
]

__version__ = "0.1.0"

WHERE = {
    "client": ("LambdaQueue",),
    "delivery": ("Delivery", "Job", "Reply"),
    "endpoint": ("Endpoint",),
    "errors": (
        "ApiError",
        "ConfigurationError",
        "Conflict",
        "DoNotRetry",
        "ExecutionOver",
        "Forbidden",
        "InvalidRequest",
        "InvalidSignature",
        "Issue",
        "LambdaQueueError",
        "NotFound",
        "RetryLater",
        "TooManyRequests",
        "Unauthorized",
        "Unavailable",
        "UnexpectedAnswer",
        "Unreachable",
    ),
    "execution": ("Execution",),
    "models": ("Attempt", "Entry", "Item", "Result", "Schedule"),
    "pushes": ("Push",),
    "queue": ("Queue",),
    "queue_settings": ("QueueInfo",),
    "replay_guard": ("MemoryGuard", "ReplayGuard", "Seen"),
    "requests_transport": ("RequestsTransport",),
    "transport": ("Request", "Response", "Transport"),
    "working": ("Working",),
}
"""The public names, by the module of the SDK that has them."""

MODULES = {name: module for module, names in WHERE.items() for name in names}


if not TYPE_CHECKING:
    # Type checkers are to know the names above and no others.

    def __getattr__(name: str) -> Any:
        """Import a public name when it's used first (PEP 562)."""
        if name not in MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"lambdaqueue.sdk.{MODULES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
