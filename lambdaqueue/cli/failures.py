"""What can go wrong in a command, said so that the reader knows what to do next."""

from __future__ import annotations

from lambdaqueue.errors import LambdaQueueError

__all__ = ["SERVER_MODULES", "ApiError", "ServerNotInstalled", "UsageError"]

SERVER_MODULES = (
    "certifi",
    "croniter",
    "cryptography",
    "flask",
    "gevent",
    "gunicorn",
    "hiredis",
    "marshmallow",
    "pycares",
    "pycurl",
    "redis",
    "rq",
    "rq_scheduler",
)
"""Top-level modules that the extra [server] brings, and the SDK alone does not."""


class UsageError(LambdaQueueError):
    """Raised when the command line can't be meant as it is; exit code 2."""


class ApiError(LambdaQueueError):
    """Raised when the server can't be reached, or answered with an error."""


class ServerNotInstalled(LambdaQueueError):
    """Raised when a server command is called where only the SDK is installed."""

    def __init__(self, missing: str | None) -> None:
        super().__init__(
            f"this command needs the server's packages, and {missing} is not installed. "
            "Install them: pip install 'lambdaqueue[server]'"
        )
