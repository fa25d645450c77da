"""Spans with OpenTelemetry's SDK, without an SDK, and without the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lambdaqueue import tracing

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What an operator's SDK would collect."""
    provider, made = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("lambdaqueue"))
    yield made
    provider.shutdown()


def test_a_push_is_a_child_of_its_caller_and_the_parent_of_its_attempts(
    exporter: InMemorySpanExporter,
) -> None:
    with tracing.pushing("mail", GIVEN, 2) as span:
        stored = tracing.traceparent_of(span, GIVEN)
    assert stored is not None
    for attempt, status in ((1, 500), (2, 200)):
        with tracing.attempting("mail", stored, job_id="a", attempt=attempt) as span:
            tracing.conclude(span, status, None)
    push, first, second = exporter.get_finished_spans()
    assert push.parent is not None
    assert f"{push.parent.span_id:016x}" == CALLER
    assert stored == f"00-{TRACE}-{push.context.span_id:016x}-01"
    for each in (first, second):
        assert each.parent is not None
        assert each.parent.span_id == push.context.span_id
        assert f"{each.context.trace_id:032x}" == TRACE
    assert (push.name, first.name) == ("push mail", "deliver mail")
    assert (push.kind, first.kind) == (trace.SpanKind.PRODUCER, trace.SpanKind.CONSUMER)
    assert [each.status.is_ok for each in (push, first, second)] == [True, False, True]
    told = first.attributes or {}
    assert told["messaging.message.id"] == "a"
    assert told["http.response.status_code"] == 500
    assert told["error.type"] == "500"
    assert (push.attributes or {})["messaging.batch.message_count"] == 2


def test_names_are_those_of_the_conventions(exporter: InMemorySpanExporter) -> None:
    """https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/"""
    with tracing.pushing("mail", None, 1):
        pass
    with tracing.attempting("mail", None, job_id="a", attempt=1):
        pass
    about = {"messaging.system": "lambdaqueue", "messaging.destination.name": "mail"}
    push, deliver = (dict(span.attributes or {}) for span in exporter.get_finished_spans())
    assert push == about | {
        "messaging.operation.name": "push",
        "messaging.operation.type": "send",
    }
    assert deliver == about | {
        "messaging.operation.name": "deliver",
        "messaging.operation.type": "process",
        "messaging.message.id": "a",
        "lambdaqueue.attempt": 1,
    }


def test_within_the_web_server_s_span(exporter: InMemorySpanExporter) -> None:
    server = tracing._tracer.start_as_current_span("POST /items")
    with server as outer, tracing.pushing("mail", GIVEN, 1):
        pass
    push, _ = exporter.get_finished_spans()
    assert push.parent is not None
    assert push.parent.span_id == outer.get_span_context().span_id


def test_without_a_parent_there_is_a_trace_all_the_same(exporter: InMemorySpanExporter) -> None:
    with tracing.pushing("mail", None, 1) as span:
        assert tracing.traceparent_of(span, None) is not None
    (push,) = exporter.get_finished_spans()
    assert push.parent is None


def test_a_failure_is_told(exporter: InMemorySpanExporter) -> None:
    with tracing.attempting("mail", None, job_id="a", attempt=1) as span:
        tracing.conclude(span, None, "timeout")
    (made,) = exporter.get_finished_spans()
    assert not made.status.is_ok
    assert (made.attributes or {})["error.type"] == "timeout"


def test_a_push_that_is_refused_is_told(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(LookupError), tracing.pushing("mail", None, 1):
        raise LookupError("no target")
    (made,) = exporter.get_finished_spans()
    assert not made.status.is_ok
    assert (made.attributes or {})["error.type"] == "LookupError"


@pytest.mark.parametrize("given", [None, GIVEN])
def test_without_an_sdk_nothing_changes(given: str | None) -> None:
    with tracing.pushing("mail", given, 1) as span:
        assert tracing.traceparent_of(span, given) == given
    with tracing.attempting("mail", given, job_id="a", attempt=1) as span:
        tracing.conclude(span, 200, None)


def test_without_the_package_there_is_nothing() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from lambdaqueue import tracing\n"
        "with tracing.pushing('q', 'given', 1) as span:\n"
        "    assert span is None and tracing.traceparent_of(span, 'given') == 'given'\n"
        "with tracing.attempting('q', None, job_id='a', attempt=1) as span:\n"
        "    tracing.conclude(span, 500, 'timeout')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
