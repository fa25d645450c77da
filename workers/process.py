"""What all our processes do at their start: logging, and the event loop."""

from __future__ import annotations

import logging
import sys

from lambdaqueue.config import Settings

try:  # a third off the cost of a delivery; it isn't made for every platform
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop  # type: ignore[assignment]

__all__ = ["configure_logging", "new_event_loop"]

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def configure_logging(settings: Settings) -> None:
    """Log to stderr, one line each."""
    logging.basicConfig(level=settings.log_level, format=FORMAT, stream=sys.stderr)
    # RQ logs every job description and its own comings and goings: ours say what matters.
    logging.getLogger("rq").setLevel(logging.WARNING)
    logging.getLogger("rq_scheduler").setLevel(logging.WARNING)
