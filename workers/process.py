"""What our processes do at their start: make an event loop."""

from __future__ import annotations

try:  # a third off the cost of a delivery; it isn't made for every platform
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop  # type: ignore[assignment]

__all__ = ["new_event_loop"]
