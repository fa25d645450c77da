"""The web server's own log lines, in the format of all others."""

from __future__ import annotations

import os
from typing import Any

from gunicorn.glogging import Logger

from lambdaqueue.config import Settings
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.logs import configure_logging, formatter

__all__ = ["ServerLog"]


class ServerLog(Logger):  # type: ignore[misc]
    """gunicorn's log; it comes first of all, so the application's is set up here too."""

    def setup(self, cfg: Any) -> None:
        """Take over the operator's settings."""
        super().setup(cfg)
        try:
            settings = Settings.from_env(os.environ)
        except ConfigurationError:
            settings = Settings()  # what is wrong is told by whoever starts with them
        configure_logging(settings)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter(settings.log_format))
