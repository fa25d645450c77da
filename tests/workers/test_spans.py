"""An attempt's span, where somebody collects them: around the call as the worker makes it."""

from __future__ import annotations

import asyncio
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
from workers.validation import Credulous

TRACE, PUSH = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Endpoint:
    """Answers as it's told; `within` is the span in which it was called."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.within = ""

    async def send(self, request: Outgoing) -> Answer:
        self.within = f"{trace.get_current_span().get_span_context().span_id:016x}"
        return self._answer

    async def close(self) -> None:
        """There is no connection."""


@pytest.mark.parametrize(
    ("answer", "is_error"), [(Answer(status=200), False), (Answer(status=503), True)]
)
def test_the_call_is_within_it(
    answer: Answer, is_error: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, made = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("lambdaqueue"))
    endpoint = Endpoint(answer)
    caller = Caller(endpoint, Credulous(Secret.parse(SECRET)), NoExecutions())
    one = claim(WORKS)
    one = replace(one, spec=replace(one.spec, traceparent=f"00-{TRACE}-{PUSH}-01"))
    assert asyncio.run(caller.call(one)).status == answer.status
    (span,) = made.get_finished_spans()
    assert f"{span.context.span_id:016x}" == endpoint.within
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PUSH
    assert (span.attributes or {})["http.response.status_code"] == answer.status
    assert span.status.is_ok is not is_error
    provider.shutdown()


def test_without_a_collector_there_is_none() -> None:
    endpoint = Endpoint(Answer(status=200))
    caller = Caller(endpoint, Credulous(Secret.parse(SECRET)), NoExecutions())
    assert asyncio.run(caller.call(claim(WORKS))).status == 200
    assert endpoint.within == f"{0:016x}"
