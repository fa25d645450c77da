"""What must hold of executions after every call: who awaits, who is listed, whose token counts."""

from __future__ import annotations

from typing import Any

from lambdaqueue import keys
from lambdaqueue.ids import environment_of
from tests.store.model.executions import ExecutionReference
from tests.store.model.histories import Histories
from tests.store.snapshot import Snapshot

__all__ = ["check"]


def check(after: Snapshot, model: ExecutionReference, histories: Histories) -> None:
    """Compare what stands in Redis of executions with the model, and with each other."""
    _deadlines_are_watched(after, model)
    _tokens_are_true(after)
    _all_are_listed(after, model)
    _locks_are_true(after, model)
    _same("last successes", after.strings, "last_success", model.left)
    retried = {
        (environment_of(was), was): new
        for was, new in model.retried.items()
        if was in histories.ended
    }
    model.retried = {was: new for (_, was), new in retried.items()}
    found = {
        (name.split(":")[1], was): new
        for name, fields in after.hashes.items()
        if name.endswith(":retried")
        for was, new in fields.items()
    }
    assert found == retried, f"retried: {found} but should be {retried}"


def _deadlines_are_watched(after: Snapshot, model: ExecutionReference) -> None:
    wanted: dict[str, dict[str, float]] = {}
    for job in model.jobs.values():
        if job.course.awaiting is not None:
            assert job.running, f"{job.id} awaits a callback, but is {job.state}"
            name = keys.awaiting(*job.queue.split(":", 1))
            wanted.setdefault(name, {})[job.id] = job.course.deadline
    found = {name: members for name, members in after.zsets.items() if ":awaiting:" in name}
    assert found == wanted, f"awaiting: {found} but should be {wanted}"
    watched = after.zsets.get(keys.deadlines, {})
    for name, members in wanted.items():
        _, env, _, queue = name.split(":", 3)
        soonest = watched.get(keys.queue_ref(env, queue))
        assert soonest is not None, f"nobody watches the deadlines of {name}"
        assert soonest <= min(members.values()), f"{name} is looked at too late, at {soonest}"


def _tokens_are_true(after: Snapshot) -> None:
    """One token counts at most, and none of those that did before; who awaits has one."""
    for job_id, fields in after.jobs.items():
        old = [each.partition("=")[0] for each in fields.get("tokens", "").split()]
        counts = fields.get("callback")
        assert len(old) == len(set(old)), f"{job_id}: {old}"
        assert counts is None or counts not in old, f"{job_id}: an old token counts"
        assert counts or "awaiting" not in fields, f"{job_id} awaits a callback without a token"
        if fields["state"] == "RUNNING":
            assert "awaiting" in fields or "token" in fields, f"{job_id} runs nowhere"


def _all_are_listed(after: Snapshot, model: ExecutionReference) -> None:
    named = [(job.id, job.service) for job in model.jobs.values() if job.service]
    for name, stream in after.streams.items():
        if ":history:" in name:
            named += [
                (entry.fields["id"], entry.fields["service"])
                for entry in stream
                if "service" in entry.fields
            ]
    wanted: dict[str, dict[str, float]] = {}
    for job_id, service_job in named:
        for scope in ("", service_job.partition("/")[0], service_job):
            listed = keys.executions(environment_of(job_id), scope)
            wanted.setdefault(listed, {})[job_id] = 0
    found = {
        name: members
        for name, members in after.zsets.items()
        if name.startswith("lq:") and name.split(":")[2:3] == ["executions"]
    }
    assert found == wanted, f"lists: {found} but should be {wanted}"


def _locks_are_true(after: Snapshot, model: ExecutionReference) -> None:
    wanted: dict[tuple[str, str], set[str]] = {}
    for job in model.jobs.values():
        if job.service:
            names = (environment_of(job.id), job.service)
            wanted.setdefault(names, set()).add(job.id)
    _same("unfinished", after.sets, "unfinished", wanted)
    for service_job, unfinished in wanted.items():
        both = unfinished & model.locked
        assert len(both) <= 1, f"{service_job}: {both} began under one lock"


def _same(what: str, stored: dict[str, Any], kind: str, wanted: dict[Any, Any]) -> None:
    found = {
        (parts[1], parts[3]): value
        for name, value in stored.items()
        if name.startswith("lq:") and (parts := name.split(":"))[2:3] == [kind]
    }
    assert found == wanted, f"{what}: {found} but should be {wanted}"
