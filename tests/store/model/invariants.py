"""What must hold in Redis after every call, whatever the call was."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from lambdaqueue import keys
from lambdaqueue.job import TRANSITIONS, State
from tests.store.model.records import Job, QueueModel
from tests.store.model.reference import Reference
from tests.store.snapshot import Snapshot

__all__ = ["Line", "check"]

SMALLEST_WINDOW = 4
LEVELS = "s9876543210"


@dataclass(slots=True)
class Line:
    """What is known of the entries of the line, also after RQ has deleted their jobs."""

    whose: dict[str, tuple[str, str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def follow(self, after: Snapshot) -> None:
        """Learn of new entries, forget those that left."""
        for rq_id, job in after.rq_jobs.items():
            self.whose.setdefault(rq_id, (job["queue"], job["level"]))
        for rq_id in self.whose.keys() - after.ready.keys() - after.rq_jobs.keys():
            del self.whose[rq_id]
            self.deleted.discard(rq_id)


def check(before: Snapshot, after: Snapshot, model: Reference, line: Line, now: int) -> None:
    """Compare Redis with the model, and its indexes with each other."""
    line.follow(after)
    _jobs_are_as_modelled(after, model)
    _each_is_in_one_place(after, model)
    _leases_are_true(after, model)
    _line_is_true(after, line)
    _counters_are_true(after, model)
    _arrows_are_in_the_table(before, after, model)
    for ref in model.queues:
        _queue_will_go_on(after, model.queues[ref], model, now)
    _admitted_in_order(before, after, model, line, now)


def _jobs_are_as_modelled(after: Snapshot, model: Reference) -> None:
    stored = after.jobs
    assert stored.keys() == model.jobs.keys(), (
        f"live jobs: unknown {stored.keys() - model.jobs.keys()}, "
        f"gone {model.jobs.keys() - stored.keys()}"
    )
    unique: dict[str, dict[str, str]] = {}
    payloads: dict[str, dict[str, str]] = {}
    for job_id, job in model.jobs.items():
        fields = {n: v for n, v in stored[job_id].items() if n != "admission"}
        for name in ("attempt", "failures", "losses", "priority", "next_priority"):
            if fields.get(name) == "0":
                del fields[name]
        assert fields == job.stored(), f"{job_id}: {fields} but should be {job.stored()}"
        env, name = job.queue.split(":", 1)
        if job.key is not None:
            unique.setdefault(keys.unique(env, name), {})[job.key] = job_id
        packed = payloads.setdefault(keys.payloads(env, name), {})
        packed[job_id] = job.current.spec
        if job.next:
            packed[f"{job_id}+"] = job.next.spec
        if job.log:
            packed[f"{job_id}#"] = json.dumps(job.log, sort_keys=True)
    _same("unique keys", _matching(after, ":keys:"), unique)
    found = _matching(after, ":payloads:")
    for packed in found.values():
        for name in packed:
            if name.endswith("#"):
                packed[name] = json.dumps(json.loads(packed[name]), sort_keys=True)
    _same("payloads", found, payloads)


def _matching(after: Snapshot, part: str) -> dict[str, dict[str, str]]:
    return {
        name: dict(fields)
        for name, fields in after.hashes.items()
        if name.startswith("lq:") and part in name
    }


def _same(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what}: {found} but should be {wanted}"


def _each_is_in_one_place(after: Snapshot, model: Reference) -> None:
    waiting: dict[str, dict[str, float]] = {}
    for name, members in after.zsets.items():
        if ":waiting:" in name:
            waiting[name] = members
    places: Counter[str] = Counter(job_id for each in waiting.values() for job_id in each)
    stored = after.jobs
    for rq_id in after.ready:
        job_id, _, admission = rq_id.rpartition("_")
        fields = stored.get(job_id, {})
        if fields.get("admission") == admission and fields["state"] != "RUNNING":
            places[job_id] += 1
    working = {job_id for held in after.held.values() for job_id in held}
    places.update(working)
    places.update(
        job_id
        for name, members in after.zsets.items()
        if ":awaiting:" in name
        for job_id in members.keys() - working
    )
    gone = places.keys() - model.jobs.keys()
    assert not gone, f"indexed but gone: {gone}"
    for job_id, job in model.jobs.items():
        assert places[job_id] == 1, f"{job_id} is in {places[job_id]} places: {stored[job_id]}"
        admitted = "admission" in stored[job_id]
        if job.running:
            assert admitted == (job_id in working), f"{job_id} runs, but admitted: {admitted}"
        elif not admitted:
            env, name = job.queue.split(":", 1)
            members = waiting.get(keys.waiting(env, name, job.level), {})
            assert members.get(job_id) == job.current.due, f"{job_id} is misplaced"
            levels = after.hashes[keys.queue(env, name)].get("levels", "")
            assert job.level in levels, f"{job.queue}: level {job.level} not in {levels!r}"


def _leases_are_true(after: Snapshot, model: Reference) -> None:
    wanted = {name: worker.held for name, worker in model.workers.items() if worker.held}
    _same("leases", after.held, wanted)
    beats = {name: worker.beat for name, worker in model.workers.items()}
    _same("beats", after.zsets.get("lq:workers", {}), beats)
    slots = sum(worker.slots for worker in model.workers.values() if not worker.dead)
    _same("slots", after.number("lq:seq", "slots"), slots)
    _same("lease clock", after.number("lq:seq", "lease_ms"), model.lease)
    for name, worker in model.workers.items():
        suspect = after.hashes[keys.worker(name)].get("suspect")
        _same(f"suspect of {name}", suspect, worker.suspect)
        suspects = [job_id for job_id in worker.held if model.jobs[job_id].suspect]
        assert len(suspects) <= 1, f"{name} holds two suspects: {suspects}"
    for name in after.hashes:
        if name.startswith("lq:worker:") and name.removeprefix("lq:worker:") not in model.workers:
            assert after.lifetimes[name] > 0, f"{name} stays for ever"


def _line_is_true(after: Snapshot, line: Line) -> None:
    missing = after.ready.keys() - after.rq_jobs.keys() - line.deleted
    assert not missing, f"{missing} are ready but RQ has no jobs of them"
    told: Counter[str] = Counter()
    untold: Counter[str] = Counter()
    for rq_id in after.ready:
        ref, level = line.whose[rq_id]
        job_id, _, admission = rq_id.rpartition("_")
        known = rq_id in after.rq_jobs or after.jobs.get(job_id, {}).get("admission") == admission
        (told if known else untold)[ref] += 1
        if level == "s":
            (told if known else untold)[f"{ref}|s"] += 1
    found = {ref: int(count) for ref, count in after.hashes.get("lq:in_line", {}).items()}
    for ref in found.keys() | told.keys():
        # A tombstone whose RQ job was deleted is counted until the sweeper comes by.
        count = found.get(ref, 0)
        assert told[ref] <= count <= told[ref] + untold[ref], f"{ref}: {count} in line, not {told}"
        assert not ref.endswith("|s") or count <= 1, f"{count} suspects of {ref} in line"
    numbers = [after.ready[rq_id] for rq_id in after.line if rq_id in after.ready]
    assert all(one < other for one, other in pairwise(numbers)), "the line is out of order"
    assert len(after.line) == len(set(after.line)), "an entry stands twice in the line"


def _counters_are_true(after: Snapshot, model: Reference) -> None:
    wip = {
        f"{job_id}_{fields['admission']}:{fields['token']}"
        for job_id, fields in after.jobs.items()
        if "token" in fields and not model.jobs[job_id].worker.startswith("stock")
    }
    _same("RQ's started registry", set(after.zsets.get("rq:wip:lambdaqueue", {})), wip)
    entries: Counter[str] = Counter()
    for name, stream in after.streams.items():
        if ":history:" in name:
            entries[name.split(":")[1]] += len(stream)
    for env in {ref.split(":")[0] for ref in model.queues}:
        _same("entries", after.number(keys.environment(env), "entries"), entries[env])
    for ref, queue in model.queues.items():
        key = keys.queue(*ref.split(":", 1))
        jobs = list(model.in_queue(ref))
        _same(f"jobs of {ref}", after.number(key, "jobs"), len(jobs))
        running = sum(job.running for job in jobs)
        _same(f"running of {ref}", after.number(key, "running"), running)
        awaiting = len(after.zsets.get(keys.awaiting(*ref.split(":", 1)), {}))
        _same(f"awaiting of {ref}", after.number(key, "awaiting"), awaiting)
        for state, count in queue.ended.items():
            _same(f"{state} of {ref}", after.number(key, state.lower()), count)
        _same(f"window of {ref}", int(after.hashes[key].get("window", 16)), queue.window)


def _arrows_are_in_the_table(before: Snapshot, after: Snapshot, model: Reference) -> None:
    then, now = before.jobs, after.jobs
    for job_id, old in then.items():
        if job_id in now and now[job_id] != old:
            old_state, new_state = State(old["state"]), State(now[job_id]["state"])
            if old_state is State.RUNNING is new_state:
                # Who awaits a callback is let go by its worker.
                token = now[job_id].get("token")
                assert token in (None, old.get("token")), f"{job_id} was started twice"
            else:
                assert new_state in TRANSITIONS[old_state], f"{old_state} -> {new_state}"
            assert int(now[job_id]["version"]) >= int(old["version"]), f"{job_id}: version fell"
    for ending in model.endings:
        old_state = State(then[ending.id]["state"]) if ending.id in then else State.PENDING
        assert State(ending.state) in TRANSITIONS[old_state], f"{old_state} -> {ending.state}"


def _queue_will_go_on(after: Snapshot, queue: QueueModel, model: Reference, now: int) -> None:
    """A queue with room and jobs that could go has a time in `lq:wake`, early enough."""
    env, name = queue.ref.split(":", 1)
    in_line = after.number("lq:in_line", queue.ref)
    if queue.paused or in_line >= SMALLEST_WINDOW:
        return
    suspect_in_line = after.number("lq:in_line", f"{queue.ref}|s") > 0
    dues = [
        due
        for level in LEVELS
        if level != "s" or not suspect_in_line
        for due in after.zsets.get(keys.waiting(env, name, level), {}).values()
    ]
    if dues:
        wake = after.zsets.get("lq:wake", {}).get(queue.ref)
        assert wake is not None, f"{queue.ref} has jobs due at {min(dues)} (now {now}), no wake"
        assert wake <= max(min(dues), now), f"{queue.ref} wakes at {wake}, due {min(dues)}"


def _admitted_in_order(
    before: Snapshot, after: Snapshot, model: Reference, line: Line, now: int
) -> None:
    by_queue: dict[str, list[str]] = {}
    for rq_id in after.ready.keys() - before.ready.keys():
        by_queue.setdefault(line.whose[rq_id][0], []).append(rq_id)
    for ref, fresh in by_queue.items():
        queue = model.queues[ref]
        assert not queue.paused, f"{ref} is paused, but {fresh} were admitted"
        slots = max(each.number("lq:seq", "slots") for each in (before, after))
        most = max(SMALLEST_WINDOW, 2 * slots)
        in_line = after.number("lq:in_line", ref)
        assert in_line <= min(queue.window, most), f"{ref}: {in_line} in line"
        fresh.sort(key=lambda rq_id: after.ready[rq_id])
        jobs = [model.jobs[rq_id.rpartition("_")[0]] for rq_id in fresh]
        order = [_rank(job) for job in jobs]
        assert order == sorted(order), f"{ref}: admitted out of order: {order}"
        assert all(job.current.due <= now for job in jobs), f"{ref}: admitted before it was due"
        overtaken = [
            job
            for job in model.in_queue(ref)
            if not job.running
            and "admission" not in after.jobs[job.id]
            and job.current.due <= now
            and not job.suspect
            and _rank(job) < max(order)
        ]
        assert not overtaken, f"{ref}: {overtaken} were overtaken by {order}"


def _rank(job: Job) -> tuple[int, int, str]:
    return LEVELS.index(job.level), job.current.due, job.id
