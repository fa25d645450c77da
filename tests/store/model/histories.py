"""The history streams of all queues and the indexes into them, followed from call to call."""

from __future__ import annotations

import json
from collections import Counter

from lambdaqueue import keys
from tests.store.model.records import Ending
from tests.store.model.reference import Reference
from tests.store.snapshot import Entry, Snapshot

__all__ = ["Histories"]

OF_EXECUTIONS = ("tokens", "awaiting", "final", "service", "retry_of", "occurrence")


class Histories:
    """The streams of all queues, and the indexes into them, as they should be."""

    def __init__(self) -> None:
        self.streams: dict[str, list[Entry]] = {}
        self.ended: dict[str, str] = {}
        self.latest: dict[tuple[str, str], str] = {}
        self.seen: set[tuple[str, int]] = set()

    def follow(self, after: Snapshot, model: Reference) -> None:
        """Take over what the last call added, and check that it added and trimmed just that."""
        added: dict[str, list[Ending]] = {}
        for ending in model.endings:
            version = (ending.id, ending.version)
            assert version not in self.seen, f"{version} ended twice"
            self.seen.add(version)
            kind = "c" if ending.state == "COMPLETED" else "f"
            env, name = ending.queue.split(":", 1)
            key = keys.history(env, name, kind)
            added.setdefault(key, []).append(ending)
        model.endings.clear()
        stored = {key for key in after.streams if ":history:" in key}
        for key in self.streams.keys() | added.keys() | stored:
            self._follow_stream(key, after.streams.get(key, []), added.get(key, []), model)
        self._indexes_are_true(after)

    def trimmed(self, key: str, count: int) -> None:
        """The oldest `count` entries were trimmed on purpose."""
        self._forget(key, self.streams[key][:count])
        del self.streams[key][:count]

    def _follow_stream(
        self, key: str, found: list[Entry], added: list[Ending], model: Reference
    ) -> None:
        old = self.streams.get(key, [])
        _, env, _, queue, kind = key.split(":")
        model_queue = model.queues[f"{env}:{queue}"]
        limit = model_queue.history_limit if kind == "c" else model_queue.failed_limit
        size = min(limit, len(old) + len(added)) if added else len(old)
        assert len(found) == size, f"{key} has {len(found)} entries, not {size}"
        known = {entry.name for entry in old}
        fresh = [entry for entry in found if entry.name not in known]
        kept = len(found) - len(fresh)
        assert [e.name for e in found[:kept]] == [e.name for e in old[len(old) - kept :]], key
        wanted = Counter(map(_told_by_model, added))
        stored = Counter(map(_told_by_entry, fresh))
        assert stored <= wanted, f"{key}: {stored - wanted} should be {wanted}"
        assert not kept or stored == wanted, f"{key}: {wanted - stored} is missing"
        for ending in added:
            self.ended.pop(ending.id, None)
            self.latest.pop((queue_ref(key), ending.key), None)
        for entry in fresh:
            self.ended[entry.fields["id"]] = f"{kind}{entry.name} {queue}"
            if "key" in entry.fields:
                self.latest[queue_ref(key), entry.fields["key"]] = f"{kind}{entry.name}"
        self._forget(key, old[: len(old) - kept])
        self.streams[key] = list(found)

    def _forget(self, key: str, gone: list[Entry]) -> None:
        _, _, _, queue, kind = key.split(":")
        for entry in gone:
            name = f"{kind}{entry.name}"
            if self.ended.get(entry.fields["id"]) == f"{name} {queue}":
                del self.ended[entry.fields["id"]]
            unique = (queue_ref(key), entry.fields.get("key", ""))
            if self.latest.get(unique) == name:
                del self.latest[unique]

    def _indexes_are_true(self, after: Snapshot) -> None:
        ended: dict[str, str] = {}
        latest: dict[tuple[str, str], str] = {}
        for key, fields in after.hashes.items():
            if key.startswith("lq:") and key.endswith(":ended"):
                ended |= fields
            elif key.startswith("lq:") and ":latest:" in key:
                for unique, name in fields.items():
                    latest[queue_ref(key), unique] = name
        assert ended == self.ended, "index from id to entry"
        assert latest == self.latest, "index from key to entry"


def queue_ref(key: str) -> str:
    """The queue that a key `lq:E:…:Q…` belongs to."""
    parts = key.split(":")
    return f"{parts[1]}:{parts[3]}"


def _told_by_model(ending: Ending) -> str:
    return json.dumps(
        [
            ending.id, str(ending.version), ending.state, str(ending.attempt), ending.error,
            ending.key, list(ending.log), ending.spec, " ".join(ending.tokens),
            "" if ending.awaiting is None else str(ending.awaiting), ending.final,
            ending.service, ending.retry_of, ending.occurrence,
        ],
        sort_keys=True,
    )  # fmt: skip


def _told_by_entry(entry: Entry) -> str:
    f = entry.fields
    return json.dumps(
        [
            f["id"], f["version"], f["state"], f["attempt"], f.get("error", ""),
            f.get("key", ""), json.loads(f.get("attempts", "[]")), f["spec"],
            *(f.get(name, "") for name in OF_EXECUTIONS),
        ],
        sort_keys=True,
    )  # fmt: skip
