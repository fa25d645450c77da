"""Logs: an event with a stable name and its fields, as a line of text or of JSON.

Whatever users, endpoints or other libraries sent stays in its line: newlines and the escape
sequences of terminals are escaped. Secrets, tokens and payloads are nobody's fields.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from lambdaqueue.config import Settings

__all__ = ["Log", "configure_logging", "formatter"]

PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+")
"""Values that need no quotes."""

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters but tab and newline, which belong to a traceback."""

QUIET = ("rq", "rq_scheduler")
"""RQ logs every job description and its own comings and goings: ours say what matters."""


class Log:
    """Logs events by name: `log.warning("workers_lost", count=2)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    @property
    def tells_all(self) -> bool:
        """Whether what `debug` is told goes anywhere: for those who would say it often."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, event: str, /, **fields: object) -> None:
        """Log what is of interest to whoever looks for something, like each delivery."""
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Log what happens rarely, like a start."""
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log what went wrong and is dealt with."""
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, /, *, cause: BaseException | None = None, **fields: object) -> None:
        """Log what somebody should look at; with the traceback of `cause`."""
        self._emit(logging.ERROR, event, fields, cause)

    def _emit(
        self,
        level: int,
        event: str,
        fields: Mapping[str, object],
        cause: BaseException | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            text = " ".join([event, *(f"{name}={_quoted(v)}" for name, v in fields.items())])
            extra = {"event": event, "fields": fields}
            self._logger.log(level, "%s", text, extra=extra, exc_info=cause)


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Log to stderr, or to `stream`, as the operator wants it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(settings.log_format))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def formatter(log_format: str) -> logging.Formatter:
    """Return what makes lines of records: of ours, and of libraries'."""
    return _Json() if log_format == "json" else _Text()


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text = UNPRINTABLE.sub(_escaped, super().format(record))
        if record.exc_info:
            return text
        return text.replace("\n", "\\n")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _instant(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
        }
        event = getattr(record, "event", None)
        if event is None:  # a library's
            line |= {"event": "log", "message": record.getMessage()}
        else:
            line |= {"event": event, **getattr(record, "fields", {})}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _quoted(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
