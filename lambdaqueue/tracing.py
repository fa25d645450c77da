"""OpenTelemetry spans, where the package opentelemetry-api is installed; else nothing at all.

A push is a span of whoever sends its `traceparent`, or of the web server's own span where that is
recorded. An attempt is one of its item's, and what the endpoint does is the attempt's. Names are
those of OpenTelemetry's conventions for messaging. Who collects them is the operator's choice, as
usual with OpenTelemetry (`opentelemetry-instrument`, `OTEL_EXPORTER_OTLP_ENDPOINT`, …).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

try:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

__all__ = ["are_collected", "attempting", "conclude", "pushing", "traceparent_of"]

BAD_REQUEST = 400
"""The first HTTP status that is no success, whatever a queue takes for one."""

NOTHING: AbstractContextManager[Any] = nullcontext()

if INSTALLED:
    _propagator = TraceContextTextMapPropagator()
    _tracer = trace.get_tracer("lambdaqueue")


def are_collected() -> bool:
    """Tell whether spans go anywhere: making them for nobody costs a tenth of a delivery."""
    return INSTALLED and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def pushing(queue: str, traceparent: str | None, count: int) -> AbstractContextManager[Any]:
    """Return the span of a push of `count` items; its value is None where there are no spans."""
    if not are_collected():
        return NOTHING
    parent = None if trace.get_current_span().is_recording() else _context(traceparent)
    batch: dict[str, str | int] = {} if count == 1 else {"messaging.batch.message_count": count}
    about = _about(queue, "push", "send") | batch
    return _span(f"push {queue}", parent, trace.SpanKind.PRODUCER, about)


def attempting(
    queue: str, traceparent: str | None, *, job_id: str, attempt: int
) -> AbstractContextManager[Any]:
    """Return the span of an attempt; its value is None where there are no spans."""
    if not are_collected():
        return NOTHING
    one: dict[str, str | int] = {"messaging.message.id": job_id, "lambdaqueue.attempt": attempt}
    about = _about(queue, "deliver", "process") | one
    return _span(f"deliver {queue}", _context(traceparent), trace.SpanKind.CONSUMER, about)


def conclude(span: Any, status: int | None, failure: str | None) -> None:
    """Say in an attempt's span what was answered."""
    if span is None:
        return
    if status is not None:
        span.set_attribute("http.response.status_code", status)
    if failure is not None or (status is not None and status >= BAD_REQUEST):
        span.set_attribute("error.type", failure or str(status))
        span.set_status(trace.StatusCode.ERROR)


def traceparent_of(span: Any, given: str | None) -> str | None:
    """Return the traceparent that what follows from a span belongs to: `given` where none is
    recorded."""
    if span is None or not span.is_recording():
        return given
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span))
    return carrier["traceparent"]


@contextmanager
def _span(name: str, parent: Any, kind: Any, about: Mapping[str, str | int]) -> Iterator[Any]:
    with _tracer.start_as_current_span(name, parent, kind=kind, attributes=about) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            raise


def _context(traceparent: str | None) -> Any:
    return _propagator.extract({"traceparent": traceparent}) if traceparent else None


def _about(queue: str, name: str, kind: str) -> dict[str, str | int]:
    return {
        "messaging.system": "lambdaqueue",
        "messaging.destination.name": queue,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
    }
