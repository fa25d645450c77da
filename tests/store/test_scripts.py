"""The scripts as files, and what holds for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
import redis

from lambdaqueue import scripts
from lambdaqueue.attempts import Kind
from lambdaqueue.commands import Idempotency, Push
from lambdaqueue.connection import Scripts
from lambdaqueue.errors import StorageFull
from lambdaqueue.identity import Actor
from lambdaqueue.job import State
from lambdaqueue.spec import Spec
from lambdaqueue.trust import TrustStore
from tests.store.desk import (
    OTHER,
    RUN,
    Desk,
    assert_ended,
    everything,
    full,
    schedule,
    token,
)
from tests.store.world import (
    ACTOR,
    ENV,
    NOW,
    TARGET,
    ImmediateScripts,
    World,
    at_once,
)  # fmt: skip

FOLDER = resources.files(scripts)
FILES = {
    file.name: file.read_text("utf-8") for file in FOLDER.iterdir() if file.name.endswith(".lua")
}
SHARED = {file.name.removesuffix(".lua") for file in FOLDER.joinpath("shared").iterdir()}
NASTY = "]]..redis.call('FLUSHALL')..[[ \" ' \\ {} * é \U0001f600"
"""Closes every kind of Lua string, and would do harm."""
SPEC = Spec(target=TARGET)


class TestFiles:
    def test_all_are_loaded(self) -> None:
        assert {f"{name}.lua" for name in scripts.load()} == set(FILES)

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_the_head_is_a_contract(self, name: str) -> None:
        head, _, code = FILES[name].partition("\n\n")
        lines = head.splitlines()
        assert lines[0].startswith("-- include: ")
        assert set(lines[0].removeprefix("-- include: ").split()) <= SHARED
        assert all(line.startswith("--") for line in lines)
        assert re.match(r"-- [A-Z]", lines[1]), "the first line says what it does"
        assert "-- Returns  " in head
        assert ("-- ARGV  " in head) == ("ARGV[" in code)
        assert ("-- KEYS  " in head) == ("KEYS[" in code)

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_the_keys_and_arguments_are_those_of_the_head(self, name: str) -> None:
        head, _, code = FILES[name].partition("\n\n")
        for array in ("KEYS", "ARGV"):
            described = re.search(rf"^-- {array}  (.*?)(?=^-- [A-Z]|\Z)", head, re.M | re.S)
            text = described.group(1) if described else ""
            told = set(map(int, re.findall(r"\b(\d+) [A-Za-z']", text)))
            used = set(map(int, re.findall(rf"{array}\[(\d+)\]", code)))
            if "then " in text:  # a list follows the last that is numbered
                used -= {max(told) + 1}
            assert used <= told, f"{array} {used - told} are not described"

    @pytest.mark.parametrize("name", sorted(FILES))
    def test_the_includes_are_needed(self, name: str) -> None:
        """Each defines something that the script or another include uses."""
        texts = {
            piece: FOLDER.joinpath("shared", f"{piece}.lua").read_text("utf-8")
            for piece in FILES[name].splitlines()[0].removeprefix("-- include: ").split()
        }
        for piece, text in texts.items():
            defined = re.findall(r"^local (?:function )?([A-Za-z_]\w*(?:, \w+)*)", text, re.M)
            names = {each for group in defined for each in group.split(", ")}
            others = FILES[name] + "".join(t for p, t in texts.items() if p != piece)
            # Or it enters itself in a list of what another piece calls.
            entered = set(re.findall(r"^(\w+)\[#\1 \+ 1\]", text, re.M)) - names
            assert entered or any(re.search(rf"\b{each}\b", others) for each in names), piece

    @pytest.mark.parametrize(
        "name", [*sorted(FILES), *(f"shared/{piece}.lua" for piece in sorted(SHARED))]
    )
    def test_no_code_is_built_from_data(self, name: str) -> None:
        text = FOLDER.joinpath(*name.split("/")).read_text("utf-8")
        assert not re.search(r"\b(loadstring|load|dofile|setfenv|EVAL|EVALSHA|SCRIPT)\b", text)
        # A digest may name an endpoint, and nothing else.
        assert "sha1hex" not in text or name == "shared/endpoints.lua"
        assert "[[" not in text

    def test_a_name_is_loaded_once(self) -> None:
        assert scripts.load() is scripts.load()


class TestServer:
    def test_script_flush_is_not_noticed(self, world: World) -> None:
        worker = world.worker()
        for call in everything(world, worker):
            world.client.script_flush()
            call()

    def test_everything_is_everything(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The lists below leave no script out."""
        called = set()
        run = Scripts.run

        def noting(self: Scripts, name: str, *args: Any) -> Any:
            called.add(name)
            return run(self, name, *args)

        monkeypatch.setattr(Scripts, "run", noting)
        for call in everything(world, world.worker()):
            call()
        assert called == set(scripts.load())

    def test_a_known_script_is_not_sent_again(self, world: World) -> None:
        world.push()
        world.client.config_resetstat()
        world.push()
        commands = world.client.info("commandstats")
        assert commands["cmdstat_evalsha"]["calls"] == 1
        assert "cmdstat_eval" not in commands

    def test_nothing_in_a_name_or_payload_is_code(self, world: World) -> None:
        payload = NASTY.encode() + b"\x00\xff\n\r"
        queue = "a/b.c-d_E"
        worker = world.worker()
        worker.store._rq_worker = NASTY
        world.queues.configure(ACTOR, queue, {"target": f"http://127.0.0.1/{NASTY}"}, None)
        spec = Spec(payload=payload, headers={"X-Nasty": NASTY}, event_type=NASTY)
        idempotency = Idempotency(NASTY, NASTY)
        push = Push(spec, NASTY)
        job = world.jobs.push(ENV, queue, [push], idempotency)[0].job
        assert world.jobs.push(ENV, queue, [push], idempotency)[0].replayed
        claim = worker.claim_one()
        assert (claim.spec, claim.key) == (spec, NASTY)
        world.jobs.push(ENV, queue, [push])
        pending = world.jobs.read_by_key(ENV, queue, NASTY)
        assert pending is not None
        assert (pending.spec, pending.pending) == (spec, True)
        answer = '{"status": 500}'
        assert worker.settle(claim, Kind.FAILED, error=NASTY, result=answer, body=payload)
        ended = world.history.newest_by_key(ENV, queue, NASTY)
        assert ended is not None
        assert (ended.id, ended.spec, ended.key) == (job.id, spec, NASTY)
        assert world.jobs.cancel(ENV, queue, "", NASTY) is not None

    def test_a_full_redis_refuses_pushes_and_lets_work_end(self, world: World) -> None:
        worker, lost = world.worker(), world.worker()
        for _ in range(3):
            world.push()
        waiting = world.push(delay=1_000).job.id
        lost.claim_one()
        claim = worker.claim_one()
        world.upkeep.tick()
        before = world.snapshot()
        world.client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StorageFull):
                world.push()
            assert world.snapshot() == before
            late = world.worker()
            assert worker.claim_one().id > claim.id
            assert worker.settle(claim)
            assert world.cancel(waiting) is not None
            world.later(1_000)
            world.upkeep.tick()
            world.upkeep.sweep()
            for _ in range(11):
                world.later(1_000)
                world.upkeep.tick()
                worker.beat()
                late.beat()
            assert world.upkeep.reclaim() == (1, 1)
            assert late.claim_one().attempt == 2
        finally:
            world.client.config_set("maxmemory", 0)


class TestResends:
    """Whoever sends the same again gets the first answer again, and nothing happens twice."""

    @pytest.mark.parametrize(
        "act",
        [
            lambda world: world.push(),
            lambda world: world.push(key="k", payload=b"\xff]]'\x00"),
            lambda world: world.push(key="k", if_exists="keep"),
            lambda world: world.push(key="running"),
            lambda world: world.cancel(world.jobs.read_by_key(ENV, "mail", "k").id),
            lambda world: world.cancel(world.jobs.read_by_key(ENV, "mail", "running").id),
            lambda world: world.change(world.jobs.read_by_key(ENV, "mail", "k").id),
            lambda world: world.jobs.run_now(
                world.jobs.read_by_key(ENV, "mail", "k").id, ENV, None
            ),
            lambda world: world.queues.configure(ACTOR, "mail", {"timeout": 5_000}, None),
            lambda world: world.queues.pause(ACTOR, "mail"),
        ],
    )
    def test_by_request_id(self, world: World, act: Callable[[World], object]) -> None:
        world.push(key="running")
        worker = world.worker()
        worker.claim_one()
        world.push(key="k", delay=1_000)
        again = Again(world, world.jobs, world.queues)
        act(world)
        name, keys_, args, answer = again.last
        assert keys_[0].startswith("lq:request:")
        assert 0 < world.client.ttl(keys_[0]) <= 120
        # Also when the job has long gone on, or was delivered.
        for step in (lambda: None, worker.claim):
            step()
            before = world.snapshot()
            assert Scripts(world.client).run(name, keys_, *args) == answer
            after = world.snapshot()
            before.lifetimes.clear()  # they get less meanwhile
            after.lifetimes.clear()
            assert after == before

    def test_a_push_that_is_sent_again_after_the_delivery(self, world: World) -> None:
        again = Again(world, world.jobs)
        job = world.push(key="k").job.id
        name, keys_, args, answer = again.last
        worker = world.worker()
        worker.settle(worker.claim_one())
        assert Scripts(world.client).run(name, keys_, *args) == answer
        assert world.ended(job).state is State.COMPLETED
        assert world.jobs.read_by_key(ENV, "mail", "k") is None

    @pytest.mark.parametrize(
        "act",
        [
            lambda desk: desk.environments.found(OTHER, NASTY, b"\x00\xff", NASTY),
            lambda desk: desk.environments.change(ACTOR, {"retry": "{}"}),
            lambda desk: desk.environments.change(ACTOR, {"retry": ""}),
            lambda desk: desk.environments.rotate(ACTOR, b"second", 3_600_000),
            lambda desk: desk.environments.rotate(ACTOR, b"second", 0),
            lambda desk: desk.environments.note(Actor(ENV, NASTY, NASTY), NASTY, NASTY),
            lambda desk: desk.tokens.issue(ACTOR, token(NASTY)),
            lambda desk: desk.tokens.revoke(ACTOR, token("known").id),
            lambda desk: desk.schedules.put(schedule(NASTY, NOW + 1), 0),
            lambda desk: desk.schedules.put(schedule("due", NOW + 1, jitter=5), 1),
            lambda desk: desk.schedules.drop(ENV, "due"),
        ],
        ids=["found", "change", "unset", "rotate", "rotate at once", "note", "issue", "revoke",
             "new schedule", "change of a schedule", "drop of a schedule"],
    )  # fmt: skip
    def test_of_trust_by_request_id(self, world: World, act: Callable[[Desk], object]) -> None:
        desk = Desk.furnish(world)
        again = Again(world, desk.tokens, desk.environments, desk.schedules)
        act(desk)
        name, keys_, args, answer = again.last
        assert keys_[0].startswith("lq:request:")
        assert 0 < world.client.ttl(keys_[0]) <= 120
        before = world.snapshot()
        for _ in range(2):
            assert Scripts(world.client).run(name, keys_, *args) == answer
            assert world.snapshot() == before
        # Also when others went on from there.
        desk.environments.rotate(ACTOR, b"third", 0)
        desk.tokens.issue(ACTOR, token("later"))
        before = world.snapshot()
        assert Scripts(world.client).run(name, keys_, *args) == answer
        assert world.snapshot() == before

    def test_a_run_by_hand_by_request_id(self, world: World) -> None:
        desk = Desk.furnish(world)
        again = Again(world, desk.schedules)
        assert desk.run() is not None
        name, keys_, args, answer = again.last
        before = world.snapshot()
        assert Scripts(world.client).run(name, keys_, *args) == answer
        assert world.snapshot() == before

    def test_a_fired_run_by_its_being_fired(self, world: World) -> None:
        desk = Desk.furnish(world)
        again = Again(world, desk.schedules)
        assert desk.fire() != [[]]
        name, keys_, args, _ = again.last
        before = world.snapshot()
        assert Scripts(world.client).run(name, keys_, *args) == [b"stale"]
        assert world.snapshot() == before

    @pytest.mark.parametrize(
        "act",
        [
            lambda desk: desk.tokens.bootstrap(ENV, token("boot")),
            lambda desk: desk.tokens.find(token("known").id),
            lambda desk: desk.use(),
            lambda desk: desk.reseal(),
            lambda desk: desk.environments.own_secret(ENV, "set", b"mine"),
            lambda desk: desk.environments.close(ENV),
            lambda desk: desk.end(),
            lambda desk: at_once(desk.trust.look(ENV, ["b", "a"], "w")),
            lambda desk: at_once(desk.trust.give_up(ENV, ["b", "a"], "w")),
            lambda desk: at_once(desk.trust.remember_refusal(ENV, ["b", "a"], "w", NASTY)),
            lambda desk: at_once(
                desk.trust.remember_proof(ENV, ["b", "a"], "w", number=1, v1=True)
            ),
            lambda desk: at_once(desk.trust.own_secret(ENV, "set", b"mine")),
        ],
        ids=["bootstrap", "find", "use", "reseal", "own secret", "close", "forget", "look",
             "give up", "refusal", "proof", "a worker's own secret"],
    )  # fmt: skip
    def test_of_trust_by_nature(self, world: World, act: Callable[[Desk], object]) -> None:
        """What they leave is the same however often they come."""
        desk = Desk.furnish(world)
        again = Again(world, desk.tokens, desk.environments, desk.trust)
        act(desk)
        name, keys_, args, answer = again.last
        if name == "remember_target":  # by a clock that stands still
            args = (NOW, *args[1:])
            answer = Scripts(world.client).run(name, keys_, *args)
        before = world.snapshot()
        expected = [b"known"] if name == "bootstrap" else answer
        assert Scripts(world.client).run(name, keys_, *args) == expected
        after = world.snapshot()
        before.lifetimes.clear()
        after.lifetimes.clear()
        assert after == before


class TestFullRedis:
    """Each script does all of what it should, or nothing."""

    @pytest.mark.parametrize(
        ("act", "goes_on"),
        [
            (lambda desk: desk.environments.found(OTHER, "other", b"s", "test"), False),
            (lambda desk: desk.environments.change(ACTOR, {"retry": "{}"}), False),
            (lambda desk: desk.environments.rotate(ACTOR, b"second", 5), True),
            (lambda desk: desk.environments.rotate(ACTOR, b"second", 0), True),
            (lambda desk: desk.environments.note(ACTOR, "a", "b"), True),
            (lambda desk: desk.reseal(), False),
            (lambda desk: desk.environments.own_secret(ENV, "set", b"mine"), True),
            (lambda desk: desk.environments.close(ENV), True),
            (lambda desk: desk.tokens.issue(ACTOR, token("new")), False),
            (lambda desk: desk.tokens.bootstrap(ENV, token("boot")), False),
            (lambda desk: desk.tokens.revoke(ACTOR, token("known").id), True),
            (lambda desk: desk.tokens.refuse("192.0.2.1"), True),
            (lambda desk: desk.use(), True),
            (lambda desk: at_once(desk.trust.look(ENV, ["b", "a"], "w")), True),
            (lambda desk: at_once(desk.trust.remember_refusal(ENV, ["a"], "w", "x")), False),
            (lambda desk: desk.world.queues.pause(ACTOR, "set"), True),
            (lambda desk: desk.world.queues.pause(ACTOR, "new"), True),
            (lambda desk: desk.world.queues.resume(ACTOR, "set"), True),
            (lambda desk: desk.world.queues.drop(ACTOR, "set"), True),
            (lambda desk: desk.world.push(), False),
            (lambda desk: desk.schedules.put(schedule("new", RUN), 0), False),
            (lambda desk: desk.schedules.put(schedule("due", RUN, jitter=5), 1), False),
            (lambda desk: desk.schedules.drop(ENV, "due"), True),
            (lambda desk: desk.fire(), False),
            (lambda desk: desk.run(), False),
        ],
    )
    def test_all_or_nothing(
        self, world: World, act: Callable[[Desk], object], goes_on: bool
    ) -> None:
        desk = Desk.furnish(world)
        before = world.snapshot()
        with full(world):
            try:
                act(desk)
            except StorageFull:
                assert not goes_on
                assert world.snapshot() == before
            else:
                assert goes_on
                assert world.snapshot() != before

    def test_an_environment_can_be_ended(self, world: World) -> None:
        """That may be just what the operator makes room with."""
        desk = Desk.furnish(world)
        desk.environments.found(OTHER, "other", b"s", "test")
        with full(world):
            desk.environments.close(OTHER)
            desk.environments.erase(OTHER, "other")
        assert_ended(world, OTHER)


class Again(Scripts):
    """Notes the last call, so that a test can send it again."""

    def __init__(self, world: World, *stores: Any) -> None:
        super().__init__(world.client)
        self.last: tuple[str, Any, tuple[Any, ...], Any] = ("", (), (), None)
        for store in stores:
            store._scripts = ImmediateScripts(self) if isinstance(store, TrustStore) else self

    def run(self, name: str, keys_: Any, *args: Any) -> Any:
        answer = super().run(name, keys_, *args)
        self.last = (name, keys_, args, answer)
        return answer


def test_every_script_is_called_by_name_only(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, pytest.raises(KeyError):
        Scripts(client).run("no_such_script", [])
