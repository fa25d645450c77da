"""An attempt's span, where somebody collects them: around the call as the worker makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lambdaqueue import tracing
from lambdaqueue.outcome import Answer
from lambdaqueue.signing import Secret
from tests.operator import SECRET
from tests.workers.test_crowding import WORKS, claim
from workers.caller import Caller
from workers.invoking import NoExecutions
from workers.sender import Outgoing
from workers.voucher import Credulous

TRACE, PUSH = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Endpoint:
    """Answers as it's told; `within` is the span in which it was called, `told` its header."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.within = ""
        self.told: str | None = None

    async def send(self, request: Outgoing) -> Answer:
        self.within = f"{trace.get_current_span().get_span_context().span_id:016x}"
        self.told = dict(request.headers).get("traceparent")
        return self._answer

    async def close(self) -> None:
        """There is no connection."""


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What an operator's SDK would collect."""
    provider, made = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("lambdaqueue"))
    yield made
    provider.shutdown()


def call(endpoint: Endpoint, traceparent: str | None = None) -> Answer:
    """Make the call of a job that was pushed with `traceparent`."""
    caller = Caller(endpoint, Credulous(Secret.parse(SECRET)), NoExecutions())
    one = claim(WORKS)
    return asyncio.run(caller.call(replace(one, spec=replace(one.spec, traceparent=traceparent))))


@pytest.mark.parametrize(
    ("answer", "is_error"), [(Answer(status=200), False), (Answer(status=503), True)]
)
def test_the_call_is_within_it(
    answer: Answer, is_error: bool, exporter: InMemorySpanExporter
) -> None:
    endpoint = Endpoint(answer)
    assert call(endpoint, f"00-{TRACE}-{PUSH}-01").status == answer.status
    (span,) = exporter.get_finished_spans()
    assert f"{span.context.span_id:016x}" == endpoint.within
    assert endpoint.told == f"00-{TRACE}-{endpoint.within}-01"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PUSH
    assert (span.attributes or {})["http.response.status_code"] == answer.status
    assert span.status.is_ok is not is_error


def test_who_samples_is_heeded(exporter: InMemorySpanExporter) -> None:
    """What the caller doesn't record nobody does, and the endpoint gets the caller's own header."""
    endpoint, given = Endpoint(Answer(status=200)), f"00-{TRACE}-{PUSH}-00"
    assert call(endpoint, given).status == 200
    assert endpoint.told == given
    assert not exporter.get_finished_spans()


def test_without_a_collector_there_is_none() -> None:
    endpoint = Endpoint(Answer(status=200))
    assert call(endpoint).status == 200
    assert endpoint.within == f"{0:016x}"
