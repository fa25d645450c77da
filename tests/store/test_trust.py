"""TrustStore: what workers tell each other of targets, and the secrets of queues."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.config import Settings
from lambdaqueue.connection import Scripts, connect_async
from lambdaqueue.errors import StorageFull, StorageUnavailable
from lambdaqueue.signing import Secret
from lambdaqueue.trust import (
    PROVED_FOR,
    REFUSED_FOR,
    VALIDATION_TAKES,
    Busy,
    Proved,
    Refused,
    TrustStore,
    Yours,
    digest,
)
from tests.store.world import ACTOR, ENV, NOW, ImmediateScripts, World, at_once

OLD = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
NEW = Secret(b"n" * 32)
ENDPOINT = "https://hooks.example.com:443/private/path"
D_OLD, D_NEW = digest(ENDPOINT, OLD), digest(ENDPOINT, NEW)
BEFORE, DURING, AFTER = [D_OLD], [D_NEW, D_OLD], [D_NEW]
"""The names of the target before a rotation, in its course, and when it's over."""

NASTY = "]]..redis.call('FLUSHALL') é \U0001f600 \"'\\ \x00\n"


class Known:
    """A `TrustStore` whose calls return at once."""

    def __init__(self, world: World) -> None:
        self.store = TrustStore(world.client)  # type: ignore[arg-type]
        self.store._scripts = ImmediateScripts(world.scripts)  # type: ignore[assignment]

    def look(
        self, who: str = "a", digests: Sequence[str] = BEFORE, environment: str = ENV
    ) -> Proved | Refused | Busy | Yours:
        return at_once(self.store.look(environment, digests, who))

    def prove(
        self, who: str = "a", digests: Sequence[str] = BEFORE, number: int = 0, v1: bool = False
    ) -> None:
        at_once(self.store.remember_proof(ENV, digests, who, number=number, v1=v1))

    def refuse(
        self, who: str = "a", digests: Sequence[str] = BEFORE, reason: str = "no proof"
    ) -> int:
        return at_once(self.store.remember_refusal(ENV, digests, who, reason))

    def give_up(self, who: str = "a", digests: Sequence[str] = BEFORE) -> None:
        at_once(self.store.give_up(ENV, digests, who))


@pytest.fixture
def known(world: World) -> Known:
    return Known(world)


def about(left: int, most: int) -> bool:
    return most - 5_000 < left <= most


class TestNames:
    def test_they_are_the_same_everywhere(self) -> None:
        """Workers of two versions run side by side (F64): another name would ask again."""
        assert D_OLD == "47cfd72e964c51d8f1e66b2224c008f6"

    @pytest.mark.parametrize(
        ("endpoint", "secret"),
        [
            (ENDPOINT, NEW),
            (ENDPOINT + "/", OLD),
            (ENDPOINT.replace("443", "8443"), OLD),
            (ENDPOINT.replace("https", "http"), OLD),
            (ENDPOINT.replace("hooks", "hook"), OLD),
            ("", OLD),
        ],
    )
    def test_another_target_or_secret_has_another_name(self, endpoint: str, secret: Secret) -> None:
        assert digest(endpoint, secret) != D_OLD

    def test_who_reads_redis_learns_neither(self, world: World, known: Known) -> None:
        known.look(digests=DURING)
        known.refuse(digests=DURING)
        known.look("b", AFTER)
        known.prove("b", AFTER)
        stored = repr(world.snapshot())
        assert D_OLD in stored
        assert D_NEW in stored
        for word in (OLD.reveal(), OLD.reveal()[6:], repr(OLD.key), "hooks", "private", "n" * 24):
            assert word not in stored


class TestOneAtATime:
    def test_the_first_finds_out_and_the_others_wait(self, known: Known) -> None:
        assert known.look("a") == Yours()
        busy = known.look("b")
        assert isinstance(busy, Busy)
        assert about(busy.left, VALIDATION_TAKES)
        assert known.look("a") == Yours(), "the answer was lost: it asks again"
        assert isinstance(known.look("c"), Busy)

    def test_a_call_that_came_twice_prolongs_nothing_for_others(
        self, world: World, known: Known
    ) -> None:
        known.look("a")
        world.client.pexpire(keys.validating(ENV, D_OLD), 500)
        busy = known.look("b")
        assert isinstance(busy, Busy)
        assert 0 < busy.left <= 500

    def test_who_gives_up_lets_the_next_one_try(self, world: World, known: Known) -> None:
        before = world.snapshot()
        known.look("a")
        known.give_up("a")
        assert world.snapshot() == before
        assert known.look("b") == Yours()

    def test_who_dies_holds_the_others_up_no_longer_than_it_may_take(
        self, world: World, known: Known
    ) -> None:
        known.look("a")
        assert 0 < world.client.pttl(keys.validating(ENV, D_OLD)) <= VALIDATION_TAKES
        world.client.delete(keys.validating(ENV, D_OLD))  # what Redis does then
        assert known.look("b") == Yours()
        known.give_up("a")
        assert isinstance(known.look("c"), Busy), "it is b's by now"
        known.refuse("a")
        assert world.client.get(keys.validating(ENV, D_OLD)) == b"b"

    @pytest.mark.parametrize("first", [BEFORE, DURING])
    def test_also_when_some_know_the_new_secret_already(
        self, known: Known, first: list[str]
    ) -> None:
        second = DURING if first is BEFORE else BEFORE
        assert known.look("a", first) == Yours()
        assert isinstance(known.look("b", second), Busy)

    def test_environments_do_not_share(self, known: Known) -> None:
        known.look("a")
        assert known.look("b", environment="0ther1d0") == Yours()
        known.prove("a")
        assert isinstance(known.look("c", environment="0ther1d0"), Busy)

    def test_targets_do_not_wait_for_each_other(self, known: Known) -> None:
        known.look("a")
        assert known.look("a", [digest(ENDPOINT + "2", OLD)]) == Yours()

    def test_on_an_event_loop(self, world: World, redis_url: str) -> None:
        """Many workers at once, over connections that wait."""

        async def live() -> list[Any]:
            clients = [connect_async(Settings(redis_url=redis_url), 5) for _ in range(8)]
            try:
                stores = [TrustStore(client) for client in clients]
                looks = [store.look(ENV, BEFORE, f"w{at}") for at, store in enumerate(stores)]
                return await asyncio.gather(*looks)
            finally:
                for client in clients:
                    await client.aclose()

        got = asyncio.run(live())
        assert got.count(Yours()) == 1
        assert len([each for each in got if isinstance(each, Busy)]) == 7


class TestWhatIsRemembered:
    @pytest.mark.parametrize("v1", [False, True])
    def test_a_proof(self, world: World, known: Known, v1: bool) -> None:
        known.look("a")
        known.prove("a", v1=v1)
        for who in ("a", "b"):
            proved = known.look(who)
            assert isinstance(proved, Proved)
            assert (proved.number, proved.v1) == (0, v1)
            assert about(proved.left, PROVED_FOR)
        assert PROVED_FOR == 24 * 3_600_000
        assert about(world.client.pttl(keys.target(ENV, D_OLD)), PROVED_FOR)
        assert not world.client.exists(keys.validating(ENV, D_OLD))

    def test_a_refusal(self, world: World, known: Known) -> None:
        known.look("a")
        before = ms(world.client.time())
        until = known.refuse("a", reason=NASTY)
        assert REFUSED_FOR == 2 * 60_000
        assert before + REFUSED_FOR <= until <= ms(world.client.time()) + REFUSED_FOR
        refused = known.look("b")
        assert isinstance(refused, Refused)
        assert (refused.reason, refused.until) == (NASTY, until)
        assert about(refused.left, REFUSED_FOR)
        assert about(world.client.pttl(keys.target(ENV, D_OLD)), REFUSED_FOR)
        assert not world.client.exists(keys.validating(ENV, D_OLD))

    @pytest.mark.parametrize("proved", [False, True])
    def test_what_ran_out_is_found_out_anew(self, world: World, known: Known, proved: bool) -> None:
        known.prove() if proved else known.refuse()
        world.client.delete(keys.target(ENV, D_OLD))
        assert known.look("b") == Yours()

    def test_the_last_moment(self, world: World) -> None:
        """Redis keeps a key until its time, by its own clock: none is remembered longer."""
        scripts = Scripts(world.client)
        places = [keys.validating(ENV, D_OLD), keys.target(ENV, D_OLD)]
        scripts.run("remember_target", places, NOW, "a", "refused", "", "x", 1_000)
        for now, left in (
            (NOW, b"1000"),
            (NOW + 999, b"1"),
            (NOW + 1_000, b"0"),
            (NOW + 5, b"995"),
        ):
            row = scripts.run("look_at_target", places, now, "b", 12_000)
            assert row == [b"refused", b"x", b"%d" % (NOW + 1_000), left]

    def test_a_proof_stands_whoever_comes_late_with_a_refusal(self, known: Known) -> None:
        known.prove("a", v1=True)
        known.refuse("b")
        proved = known.look("c")
        assert isinstance(proved, Proved)
        assert proved.v1

    def test_a_proof_takes_the_place_of_a_refusal(self, world: World, known: Known) -> None:
        known.refuse("a", reason="old")
        known.prove("b")
        assert isinstance(known.look("c"), Proved)
        assert "old" not in repr(world.snapshot())
        assert about(world.client.pttl(keys.target(ENV, D_OLD)), PROVED_FOR)

    def test_a_newer_refusal_counts_from_its_own_time(self, world: World, known: Known) -> None:
        known.refuse("a", reason="old")
        world.client.pexpire(keys.target(ENV, D_OLD), 100)
        known.refuse("b", reason="new")
        refused = known.look("c")
        assert isinstance(refused, Refused)
        assert refused.reason == "new"
        assert about(world.client.pttl(keys.target(ENV, D_OLD)), REFUSED_FOR)

    def test_speaking_v1_may_end(self, known: Known) -> None:
        known.prove("a", v1=True)
        known.prove("b", v1=False)
        proved = known.look("c")
        assert isinstance(proved, Proved)
        assert not proved.v1

    def test_nothing_when_no_answer_came(self, world: World, known: Known) -> None:
        known.refuse("a")
        before = world.snapshot()
        known.look("b", [digest("else", OLD)])
        known.give_up("b", [digest("else", OLD)])
        assert world.snapshot().hashes == before.hashes


class TestRotation:
    """While two secrets count either may prove; what is known belongs to one of them."""

    @pytest.mark.parametrize(
        ("remembered", "number"),
        [
            ([("prove", BEFORE, 0)], 1),
            ([("prove", DURING, 1)], 1),
            ([("prove", DURING, 0)], 0),
            ([("prove", BEFORE, 0), ("prove", DURING, 0)], 0),
            ([("prove", BEFORE, 0), ("refuse", AFTER, 0)], 1),
            ([("refuse", BEFORE, 0), ("prove", AFTER, 0)], 0),
            ([("refuse", DURING, 0)], None),
            ([("refuse", BEFORE, 0), ("refuse", AFTER, 0)], None),
            ([("refuse", BEFORE, 0)], "yours"),
            ([("refuse", AFTER, 0)], "yours"),
            ([], "yours"),
        ],
    )
    def test_in_its_course(
        self, known: Known, remembered: list[tuple[str, list[str], int]], number: int | str | None
    ) -> None:
        for what, digests, proven in remembered:
            if what == "prove":
                known.prove("a", digests, proven)
            else:
                known.refuse("a", digests)
        got = known.look("b", DURING)
        match number:
            case None:
                assert isinstance(got, Refused)
            case "yours":
                assert got == Yours()
            case _:
                assert isinstance(got, Proved)
                assert got.number == number

    def test_a_proof_says_nothing_of_the_other_secret(self, known: Known) -> None:
        known.prove("a", DURING, 1)
        assert isinstance(known.look("b", BEFORE), Proved)
        assert known.look("b", AFTER) == Yours()

    def test_a_refusal_was_one_of_both(self, known: Known) -> None:
        known.refuse("a", DURING)
        assert isinstance(known.look("b", BEFORE), Refused)
        assert isinstance(known.look("b", AFTER), Refused)


class TestOwnSecret:
    def test_an_attempt_may_be_the_first_to_need_it(self, world: World, known: Known) -> None:
        assert at_once(known.store.own_secret(ENV, "mail", b"a")) is None
        world.queues.pause(ACTOR, "mail")
        assert at_once(known.store.own_secret(ENV, "mail", b"b\x00\xff")) == b"b\x00\xff"
        assert at_once(known.store.own_secret(ENV, "mail", b"c")) == b"b\x00\xff"

    def test_of_a_queue_that_is_gone_nothing_is_made(self, world: World, known: Known) -> None:
        before = world.snapshot()
        assert at_once(known.store.own_secret(ENV, "mail", b"a")) is None
        assert world.snapshot() == before


class TestRedisInTrouble:
    def test_a_full_one_lets_deliveries_go_on(self, world: World, known: Known) -> None:
        """What is found out then is not remembered; what was known before is."""
        known.prove("a")
        world.queues.pause(ACTOR, "mail")
        world.client.config_set("maxmemory", 1)
        try:
            assert isinstance(known.look("b"), Proved)
            assert known.look("a", AFTER) == Yours()
            for remember in (known.prove, known.refuse):
                with pytest.raises(StorageFull):
                    remember("a", AFTER)
            assert isinstance(known.look("b", AFTER), Busy)
            known.give_up("a", AFTER)
            assert known.look("b", AFTER) == Yours()
            assert at_once(known.store.own_secret(ENV, "mail", b"a")) == b"a"
        finally:
            world.client.config_set("maxmemory", 0)

    def test_a_read_only_one(self, world: World, known: Known) -> None:
        known.prove("a")
        world.client.replicaof("127.0.0.1", "1")
        try:
            writes: list[Callable[[], object]] = [
                known.look, known.prove, lambda: known.refuse(digests=AFTER),
            ]  # fmt: skip
            for write in writes:
                with pytest.raises(StorageUnavailable):
                    write()
        finally:
            world.client.replicaof("NO", "ONE")
        assert isinstance(known.look(), Proved)


def ms(time: Any) -> int:
    seconds, micros = time
    return int(seconds * 1_000 + micros // 1_000)
