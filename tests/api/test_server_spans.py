"""Spans leave the real web server, whose workers are forked after the exporter was set up."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lambdaqueue.embedded import EmbeddedRedis
from tests.api.web import HEAD, PUSH, Web

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

# What `opentelemetry-instrument` does as docs/operations.md starts it: an SDK before all else.
SETUP = """\
from gevent import monkey
monkey.patch_all()
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(
    out=open(os.environ["SPANS"], "a"),
    formatter=lambda span: f"{os.getpid()} {span.to_json(indent=None)}\\n",
)))
trace.set_tracer_provider(provider)
"""


def test_a_push_is_told_by_the_forked_worker(tmp_path: Path) -> None:
    tmp_path.joinpath("sitecustomize.py").write_text(SETUP)
    spans = tmp_path / "spans"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with EmbeddedRedis(tmp_path / "r", append_only=False) as server:
        web = Web(server.url, tmp_path / "web.log", PYTHONPATH=path, SPANS=str(spans))
        try:
            given = f"traceparent: 00-{TRACE}-{CALLER}-01\r\nContent-Length: 2\r\n"
            assert web.ask(f"{PUSH}\r\n{HEAD}{given}\r\n{{}}").status == 201
            workers = web.workers()
        finally:
            web.stop()
    (line,) = spans.read_text().splitlines()
    pid, _, told = line.partition(" ")
    span = json.loads(told)
    assert int(pid) in workers
    assert span["name"] == "push mail"
    assert (span["context"]["trace_id"], span["parent_id"]) == (f"0x{TRACE}", f"0x{CALLER}")
