"""What older code has stored is delivered; what newer code has added is passed over.

There is no version number in what is stored: fields are added, and a missing one has a meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.job import Job, State
from tests.waiting import until
from tests.workers.stage import ACTOR, ENVIRONMENT, Stage

# One after the other: each starts many processes, and watches the clock.
pytestmark = pytest.mark.xdist_group("faults")

FUTURE = {"fromTheFuture": {"a": [1, None]}}
PAYLOAD = b'{"n":\n1}'
LATER = 600_000
"""ms until a job is due: time enough to change what is stored."""

Record = Callable[[str, object], None]


def change_spec(stage: Stage, job: Job, options: Mapping[str, Any]) -> None:
    """Write a waiting job's spec anew, as other code would have."""
    name = keys.payloads(ENVIRONMENT, "q")
    assert stage.client.hexists(name, job.id)
    stage.client.hset(name, job.id, json.dumps(options).encode() + b"\n" + PAYLOAD)


def check_delivered(stage: Stage, job: Job) -> Job:
    """Make a job due; it must be delivered once, as it was stored."""
    stage.service.run_now(ENVIRONMENT, job.id)
    (ended,) = stage.until_ended(job)
    assert ended.state is State.COMPLETED, ended
    (call,) = (each for each in stage.hook.deliveries if each.headers["x-lq-id"] == job.id)
    assert (call.body, call.headers["content-type"]) == (PAYLOAD, "application/json")
    return ended


@pytest.mark.parametrize(
    ("stored", "row"),
    [
        pytest.param({}, "the oldest form: a target alone", id="old"),
        pytest.param(FUTURE, "an unknown option", id="new"),
    ],
)
def test_a_spec_of_other_code(
    stored: dict[str, Any], row: str, tmp_path: Path, record_property: Record
) -> None:
    with Stage(tmp_path) as stage:
        worker = stage.worker()
        job = stage.push(payload=PAYLOAD, delay=LATER, key="k", flow_key="f")
        change_spec(stage, job, {"target": stage.hook.url(), **stored})
        assert stage.job(job).spec.payload == PAYLOAD
        check_delivered(stage, job)
        assert worker.running
    record_property("fault", f"F64 {row}: delivered")


def test_settings_of_other_code(tmp_path: Path) -> None:
    """Of a queue and of its job's hash: an unknown field changes nothing."""
    with Stage(tmp_path) as stage:
        worker = stage.worker()
        job = stage.push(payload=PAYLOAD, delay=LATER)
        stage.service.configure(ACTOR, "q", {"concurrency": 3}, False)
        stage.client.hset(
            keys.queue(ENVIRONMENT, "q"), "settings", json.dumps({"concurrency": 3, **FUTURE})
        )
        stage.client.hset(keys.queue(ENVIRONMENT, "q"), "fromTheFuture", "1")
        stage.client.hset(f"lq:{ENVIRONMENT}:job:{job.id}", "fromTheFuture", "1")
        assert stage.service.queue(ENVIRONMENT, "q").settings.concurrency == 3
        check_delivered(stage, job)
        assert worker.running


def test_scripts_of_other_code_beside_ours(tmp_path: Path, record_property: Record) -> None:
    """Scripts go by their SHA: what others have loaded is never called by us, nor ours by them."""
    with Stage(tmp_path) as stage:
        stage.client.script_flush()
        other = stage.client.script_load("return {'dead'}")
        worker = stage.worker()
        job = stage.push(payload=PAYLOAD, delay=LATER)
        assert stage.client.evalsha(other, 0) == [b"dead"]
        check_delivered(stage, job)
        until(lambda: "declared_dead" not in worker.text, "it lives")
    record_property("fault", "F64 scripts of two versions at once: each calls its own, by SHA")
