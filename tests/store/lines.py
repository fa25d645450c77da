"""Jobs with flow keys, workers that take all they get, and what must be true of lanes after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lambdaqueue import keys
from lambdaqueue.claims import Claim
from lambdaqueue.commands import Push
from lambdaqueue.spec import Spec
from tests.store.snapshot import Snapshot
from tests.store.world import ACTOR, ENV, TARGET, Hand, World

__all__ = ["check", "lane_keys", "push", "push_many", "set_up", "take"]


def set_up(world: World, **changes: Any) -> None:
    """Change settings of the queue `mail`."""
    world.queues.configure(ACTOR, "mail", changes, None)


def push(world: World, flow: str | None = None, *, key: str | None = None, **options: Any) -> str:
    """Push one job into `mail`; returns its id."""
    max_age, target = options.pop("max_age", None), options.pop("target", TARGET)
    spec = Spec(b"{}", target=target, flow_key=flow, max_age=max_age)
    (pushed,) = world.jobs.push(ENV, "mail", [Push(spec, key, **options)])
    return pushed.job.id


def push_many(world: World, count: int, flow: str | None = None, **options: Any) -> list[str]:
    """Push `count` jobs alike; returns their ids in order."""
    order = Push(Spec(b"{}", target=options.pop("target", TARGET), flow_key=flow), **options)
    ids: list[str] = []
    while len(ids) < count:
        orders = [order] * min(500, count - len(ids))
        ids += [each.job.id for each in world.jobs.push(ENV, "mail", orders)]
    return ids


def take(hand: Hand, most: int = 20) -> list[Claim]:
    """Claim until nothing comes any more."""
    taken: list[Claim] = []
    for _ in range(2_000):
        got = hand.claim(most)
        taken += got
        if not got and not hand._world.line:
            return taken
    raise AssertionError("the same jobs come into the line again and again")


def check(world: World) -> Snapshot:
    """Hold counters, indexes and lanes against the jobs themselves; returns what stands there."""
    snapshot = world.snapshot()
    for name in snapshot.zsets.get(keys.queues(ENV), {}):
        assert world.upkeep.inspect(keys.queue_ref(ENV, name)) == []
    expected = _lanes_of(snapshot)
    for key, (staged, running, backlog) in expected.items():
        fields = snapshot.hashes.get(f"lq:{ENV}:flow:{key}", {})
        assert int(fields.get("staged", 0)) == staged, key
        assert int(fields.get("running", 0)) == running, key
        assert set(snapshot.zsets.get(f"lq:{ENV}:backlog:{key}", {})) == backlog, key
    for key in lane_keys(snapshot, "flow", "backlog"):
        fields = snapshot.hashes.get(f"lq:{ENV}:flow:{key}", {})
        if key not in expected:
            # All that may be left of a lane is its rate, for a while.
            assert fields.keys() == {"tat"}, f"{key} has no jobs, but {fields}"
            assert snapshot.lifetimes[f"lq:{ENV}:flow:{key}"] >= 0, f"{key} stays for ever"
    _check_flows(snapshot, {key for key, lane in expected.items() if lane[2]})
    _check_endpoints(snapshot)
    return snapshot


def _check_endpoints(snapshot: Snapshot) -> None:
    aside: dict[str, set[str]] = {}
    for job_id, job in snapshot.jobs.items():
        if "aside" in job:
            assert job["state"] != "RUNNING"
            assert not {"staged", "admission"} & job.keys()
            aside.setdefault(f"{job['queue']}:{job['aside']}", set()).add(job_id)
    prefix = f"lq:{ENV}:"
    stands = {
        name.removeprefix(f"{prefix}aside:"): set(ids)
        for name, ids in snapshot.zsets.items()
        if name.startswith(f"{prefix}aside:")
    }
    assert stands == aside
    opened: Counter[str] = Counter()
    for name, stored in snapshot.hashes.items():
        if name.startswith(f"{prefix}endpoint:"):
            queue, digest = name.removeprefix(f"{prefix}endpoint:").split(":")
            listed = digest in snapshot.zsets.get(f"{prefix}resting:{queue}", {})
            assert listed == (snapshot.lifetimes[name] == -1), f"{name}: {stored}"
            assert listed or not {"opened", "rest"} & stored.keys(), f"{name}: {stored}"
            opened[queue] += "opened" in stored
    for name in snapshot.zsets.get(keys.queues(ENV), {}):
        fields = snapshot.hashes[keys.queue(ENV, name)]
        assert int(fields.get("opened", 0)) == opened[name], name


def _check_flows(snapshot: Snapshot, backlogs: set[str]) -> None:
    listed = {
        f"{name.rpartition(':')[2]}:{flow}"
        for name, flows in snapshot.zsets.items()
        if name.startswith(f"lq:{ENV}:flows:")
        for flow in flows
    }
    assert listed == backlogs


def _lanes_of(snapshot: Snapshot) -> dict[str, tuple[int, int, set[str]]]:
    """Return of each lane how many are staged and run, and who must be in its backlog."""
    staged: Counter[str] = Counter()
    running: Counter[str] = Counter()
    backlogs: dict[str, set[str]] = {}
    for job_id, job in snapshot.jobs.items():
        if "flow" not in job:
            assert "staged" not in job
            continue
        key = f"{job['queue']}:{job['flow']}"
        backlog = backlogs.setdefault(key, set())
        if job["state"] == "RUNNING":
            assert "staged" not in job
            running[key] += 1
        elif "aside" in job:
            continue
        elif "staged" in job:
            staged[key] += 1
        else:
            backlog.add(job_id)
    return {key: (staged[key], running[key], backlog) for key, backlog in backlogs.items()}


def lane_keys(snapshot: Snapshot, *kinds: str) -> Iterator[str]:
    """Yield `queue:flow` of the lanes' keys of these kinds."""
    for name in snapshot.lifetimes:
        parts = name.split(":")
        if len(parts) == 5 and parts[0] == "lq" and parts[2] in kinds:
            yield f"{parts[3]}:{parts[4]}"
