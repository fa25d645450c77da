"""EnvironmentStore: environments, their sealed secrets, their audit, their end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from threading import Barrier, Thread

import pytest

from lambdaqueue import keys
from lambdaqueue.commands import AuditEntry, EnvironmentInfo
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.environments import EnvironmentStore, Sealed
from lambdaqueue.errors import Conflict, NotFound, StorageFull, StorageUnavailable
from lambdaqueue.identity import Actor, Scope, TokenInfo
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.tokens import TokenStore
from tests.store.desk import assert_ended
from tests.store.world import ACTOR, ENV, NOW, World

OTHER = "0ther1d0"
UNKNOWN = Actor("unkn0wn0", "test")
HOUR = 3_600_000
NASTY = ["", " a  b ", "é \U0001f600", "]]..redis.call('FLUSHALL')..[[", "'\"\\{}*", "a\x00b\n"]


@pytest.fixture
def store(world: World) -> EnvironmentStore:
    """Environments at the time of `world`; there is the first one."""
    store = EnvironmentStore(world.client, NOW)
    assert store.found(ENV, "default", b"first", "first start")
    return store


def entries(store: EnvironmentStore, environment: str = ENV) -> list[AuditEntry]:
    """Return the whole audit, oldest first."""
    return list(store.audit(environment, 20_000, None).rows[::-1])


def told(store: EnvironmentStore, environment: str = ENV) -> list[tuple[str, ...]]:
    return [(row.token, row.action, row.object, row.address) for row in entries(store, environment)]


def issue(world: World, name: str, environment: str = ENV) -> TokenInfo:
    info = TokenInfo(f"{name:-<8}", name, frozenset({Scope.READ}), NOW, digest="0" * 64)
    TokenStore(world.client, NOW).issue(Actor(environment, "test"), info)
    return info


class TestFounding:
    def test_it_is_there_with_its_secret(self, world: World, store: EnvironmentStore) -> None:
        assert store.info(ENV) == EnvironmentInfo(ENV, "default", NOW)
        assert store.id_of("default") == ENV
        assert store.sealed(ENV) == Sealed(b"first", NOW)
        assert told(store) == [("first start", "environment.create", "default", "")]
        assert world.snapshot().sets["lq:environments"] == {ENV}

    @pytest.mark.parametrize(
        ("environment", "name"), [(ENV, "default"), (ENV, "other"), (OTHER, "default")]
    )
    def test_neither_name_nor_id_twice(
        self, world: World, store: EnvironmentStore, environment: str, name: str
    ) -> None:
        before = world.snapshot()
        assert not store.found(environment, name, b"second", "test")
        assert world.snapshot() == before

    def test_by_many_processes_at_once(self, world: World) -> None:
        start, made = Barrier(8), []

        def act(number: int) -> None:
            mine = EnvironmentStore(world.client, NOW)
            start.wait()
            made.append((mine.found(ENV, "default", b"%d" % number, f"p{number}"), number))

        together(8, act)
        ((_, winner),) = [each for each in made if each[0]]
        store = EnvironmentStore(world.client)
        assert store.sealed(ENV).secret == b"%d" % winner
        assert told(store) == [(f"p{winner}", "environment.create", "default", "")]

    def test_what_older_code_left_becomes_one(self, world: World) -> None:
        """F64: queues were there before environments were."""
        world.push()
        world.upkeep.limit_history(ENV, 7)
        world.client.hset(keys.environment(ENV), "entries", 5)
        store = EnvironmentStore(world.client, NOW)
        assert store.info(ENV) is None
        assert store.found(ENV, "default", b"first", "test")
        assert store.info(ENV) == EnvironmentInfo(ENV, "default", NOW)
        assert world.snapshot().number(keys.environment(ENV), "entries") == 5
        assert world.upkeep.excess(ENV) == -2

    @pytest.mark.parametrize("name", NASTY[1:])
    def test_any_name(self, store: EnvironmentStore, name: str) -> None:
        assert store.found(OTHER, name, b"\x00\xff", f"by {name}")
        assert store.id_of(name) == OTHER
        assert told(store, OTHER) == [(f"by {name}", "environment.create", name, "")]
        assert store.sealed(OTHER).secret == b"\x00\xff"

    def test_all_by_name(self, store: EnvironmentStore) -> None:
        for number, name in enumerate(("shop", "a.b", "zoo")):
            store.found(f"env0000{number}", name, b"s", "test")
        assert [info.name for info in store.all()] == ["a.b", "default", "shop", "zoo"]
        store.close("env00000")
        assert [info.name for info in store.all()] == ["a.b", "default", "zoo"]

    def test_an_unknown_one(self, store: EnvironmentStore) -> None:
        assert store.info("unkn0wn0") is None
        assert store.id_of("unknown") is None
        with pytest.raises(NotFound):
            store.sealed("unkn0wn0")
        assert entries(store, "unkn0wn0") == []


class TestChange:
    def test_a_policy_and_back(self, world: World, store: EnvironmentStore) -> None:
        policy = RetryPolicy("constant", delay=5, retries=3)
        store.change(ACTOR, {"retry": '{"type": "constant", "delay": 5, "retries": 3}'})
        changed = store.info(ENV)
        assert changed is not None
        assert changed.retry is not None
        assert (changed.retry.type, changed.retry.delay) == (policy.type, policy.delay)
        store.change(ACTOR, {"retry": ""})
        assert store.info(ENV) == EnvironmentInfo(ENV, "default", NOW)
        assert told(store)[1:] == [("test", "environment.update", "default", "192.0.2.1")] * 2
        assert "retry" not in world.snapshot().hashes[keys.environment(ENV)]


class TestRotation:
    def test_the_old_one_counts_for_a_while(self, store: EnvironmentStore) -> None:
        store.now = NOW + 5
        store.rotate(ACTOR, b"second", HOUR)
        ends = NOW + 5 + HOUR
        assert store.sealed(ENV) == Sealed(b"second", NOW + 5, b"first", ends)
        store.now = ends - 1
        assert store.sealed(ENV).previous == b"first"
        store.now = ends
        assert store.sealed(ENV) == Sealed(b"second", NOW + 5)
        assert told(store)[1:] == [("test", "secret.rotate", "default", "192.0.2.1")]

    def test_without_an_overlap_it_is_gone_at_once(
        self, world: World, store: EnvironmentStore
    ) -> None:
        store.rotate(ACTOR, b"second", HOUR)
        store.rotate(ACTOR, b"third", 0)
        assert store.sealed(ENV) == Sealed(b"third", NOW)
        stored = world.snapshot().hashes[keys.environment(ENV)]
        assert not {b"first", b"second"} & set(stored.values())
        assert stored.keys() == {"name", "created", "secret", "secret_since"}

    def test_twice(self, world: World, store: EnvironmentStore) -> None:
        """There is one previous secret: as long as it counts it is not driven out unasked."""
        store.rotate(ACTOR, b"second", HOUR)
        store.now = NOW + HOUR - 1
        before = world.snapshot()
        with pytest.raises(Conflict):
            store.rotate(ACTOR, b"third", 2 * HOUR)
        assert world.snapshot() == before
        store.now = NOW + HOUR
        store.rotate(ACTOR, b"third", 2 * HOUR)
        assert store.sealed(ENV) == Sealed(b"third", NOW + HOUR, b"second", NOW + 3 * HOUR)
        store.rotate(ACTOR, b"fourth", 0)
        assert store.sealed(ENV) == Sealed(b"fourth", NOW + HOUR)
        store.rotate(ACTOR, b"fifth", HOUR)
        assert store.sealed(ENV).previous == b"fourth"

    @pytest.mark.parametrize("overlap", [HOUR, 0])
    def test_at_once(self, world: World, store: EnvironmentStore, overlap: int) -> None:
        start, refused = Barrier(4), []

        def act(number: int) -> None:
            mine = EnvironmentStore(world.client, NOW)
            start.wait()
            try:
                mine.rotate(Actor(ENV, f"p{number}"), b"%d" % number, overlap)
            except Conflict:
                refused.append(number)

        together(4, act)
        order = [entry.token for entry in entries(store)[1:]]
        assert len(order) + len(refused) == 4
        assert len(refused) == (3 if overlap else 0)
        sealed = store.sealed(ENV)
        assert sealed.secret == order[-1][1:].encode()
        assert sealed.previous == (b"first" if overlap else None)

    def test_the_clock_is_that_of_redis(self, world: World) -> None:
        live = EnvironmentStore(world.client)
        before = live.clock()
        live.found(ENV, "default", b"first", "test")
        live.rotate(ACTOR, b"second", HOUR)
        sealed = live.sealed(ENV)
        assert before <= sealed.since <= live.clock()
        assert sealed.previous_until == sealed.since + HOUR
        assert abs(entries(live)[-1].at - sealed.since) < 1_000


class TestOwnSecret:
    def test_whoever_asks_first_makes_it(self, world: World, store: EnvironmentStore) -> None:
        world.push()
        assert store.own_secret(ENV, "mail", b"mine") == b"mine"
        assert store.own_secret(ENV, "mail", b"yours") == b"mine"

    def test_at_once(self, world: World) -> None:
        world.push()
        start, got = Barrier(8), []

        def act(number: int) -> None:
            mine = EnvironmentStore(world.client)
            start.wait()
            got.append(mine.own_secret(ENV, "mail", b"%d" % number))

        together(8, act)
        assert len(set(got)) == 1

    def test_a_queue_that_is_not_there_gets_none(
        self, world: World, store: EnvironmentStore
    ) -> None:
        before = world.snapshot()
        with pytest.raises(NotFound):
            store.own_secret(ENV, "mail", b"mine")
        assert world.snapshot() == before

    def test_a_queue_made_again_gets_a_new_one(self, world: World, store: EnvironmentStore) -> None:
        for secret in (b"old", b"new"):
            world.queues.pause(ACTOR, "mail")
            assert store.own_secret(ENV, "mail", secret) == secret
            world.queues.drop(ACTOR, "mail")

    def test_settings_leave_it_alone(self, world: World, store: EnvironmentStore) -> None:
        world.queues.pause(ACTOR, "mail")
        store.own_secret(ENV, "mail", b"mine")
        world.queues.configure(ACTOR, "mail", {"timeout": 5_000}, None)
        world.queues.resume(ACTOR, "mail")
        assert store.own_secret(ENV, "mail", b"yours") == b"mine"


class TestSealingAnew:
    def test_every_place(self, world: World, store: EnvironmentStore) -> None:
        store.found(OTHER, "other", b"not mine", "test")
        store.rotate(ACTOR, b"second", HOUR)
        for queue in ("a/b", "c", "without"):
            world.queues.pause(ACTOR, queue)
        store.own_secret(ENV, "a/b", b"of a/b")
        store.own_secret(ENV, "c", b"of c")
        assert list(store.places(ENV)) == [
            (keys.environment(ENV), "secret", b"second"),
            (keys.environment(ENV), "previous", b"first"),
            (keys.queue(ENV, "a/b"), "secret", b"of a/b"),
            (keys.queue(ENV, "c"), "secret", b"of c"),
        ]
        for key, name, before in store.places(ENV):
            assert store.reseal(key, name, before, b"new " + before)
        assert store.sealed(ENV) == Sealed(b"new second", NOW, b"new first", NOW + HOUR)
        assert [sealed for _, _, sealed in store.places(ENV)][2:] == [b"new of a/b", b"new of c"]

    def test_one_whose_time_is_over_is_a_place_too(self, store: EnvironmentStore) -> None:
        store.rotate(ACTOR, b"second", 1)
        store.now = NOW + HOUR
        assert len(list(store.places(ENV))) == 2

    def test_what_was_replaced_meanwhile_stays(self, world: World, store: EnvironmentStore) -> None:
        (place,) = store.places(ENV)
        store.rotate(ACTOR, b"second", HOUR)
        before = world.snapshot()
        assert not store.reseal(*place, b"first anew")
        assert world.snapshot() == before

    def test_what_was_deleted_meanwhile_stays_so(
        self, world: World, store: EnvironmentStore
    ) -> None:
        world.queues.pause(ACTOR, "mail")
        store.own_secret(ENV, "mail", b"mine")
        *_, place = store.places(ENV)
        world.queues.drop(ACTOR, "mail")
        before = world.snapshot()
        assert not store.reseal(*place, b"anew")
        assert world.snapshot() == before

    def test_the_first_check_value_stays(self, store: EnvironmentStore) -> None:
        assert store.known_check_value() is None
        assert store.check_value(b"a") == b"a"
        assert store.check_value(b"b") == b"a"
        assert store.known_check_value() == b"a"
        store.replace_check_value(b"c")
        assert store.check_value(b"b") == b"c"


class TestAudit:
    @pytest.mark.parametrize("text", NASTY)
    def test_anything_may_be_in_it(self, world: World, store: EnvironmentStore, text: str) -> None:
        store.note(Actor(ENV, f"t{text}", f"a{text}"), f"x{text}", f"o{text}")
        (entry,) = store.audit(ENV, 1, None).rows
        assert entry == AuditEntry(entry.id, NOW, f"t{text}", f"x{text}", f"o{text}", f"a{text}")

    def test_each_environment_has_its_own(self, store: EnvironmentStore) -> None:
        store.found(OTHER, "other", b"s", "test")
        store.note(Actor(OTHER, "a"), "secret.read", "secret")
        assert [row[1] for row in told(store)] == ["environment.create"]
        assert [row[1] for row in told(store, OTHER)] == ["environment.create", "secret.read"]

    @pytest.mark.parametrize("environment", ["unkn0wn0", OTHER])
    def test_one_that_is_gone_gets_none_back(
        self, world: World, store: EnvironmentStore, environment: str
    ) -> None:
        """Whoever shows a secret comes here first: that of an environment that ended is not."""
        store.found(OTHER, "other", b"s", "test")
        store.close(OTHER)
        before = world.snapshot()
        with pytest.raises(NotFound):
            store.note(Actor(environment, "a"), "secret.read", "secret")
        assert world.snapshot() == before

    def test_the_newest_ten_thousand_are_kept(self, world: World, store: EnvironmentStore) -> None:
        fields = {"at": NOW, "token": "t", "action": "x", "object": "o", "address": ""}
        pipeline = world.client.pipeline(transaction=False)
        for _ in range(9_998):
            pipeline.xadd(keys.audit(ENV), fields)  # type: ignore[arg-type]
        pipeline.execute()
        first, *_ = entries(store)
        assert first.action == "environment.create"
        store.note(ACTOR, "a", "the last that has room")
        assert len(entries(store)) == 10_000
        assert entries(store)[0] == first
        for number in range(3):
            store.note(ACTOR, "a", f"{number}")
            assert world.client.xlen(keys.audit(ENV)) == 10_000
        kept = entries(store)
        assert len(kept) == 10_000
        assert [row.object for row in kept[-4:]] == ["the last that has room", "0", "1", "2"]
        assert first not in kept

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_pages_have_no_gaps_and_no_repeats(self, store: EnvironmentStore, limit: int) -> None:
        """Entries are added all the while, some within one millisecond."""
        for number in range(10):
            store.note(ACTOR, "x", str(number))
        wanted = entries(store)[::-1]
        got: list[AuditEntry] = []
        cursor, pages = None, 0
        while pages == 0 or cursor:
            page = store.audit(ENV, limit, cursor)
            assert len(page.rows) <= limit
            got += page.rows
            cursor = page.cursor
            pages += 1
            store.note(ACTOR, "meanwhile", str(pages))
        assert got == wanted
        assert all(
            tuple(map(int, a.id.split("-"))) > tuple(map(int, b.id.split("-")))
            for a, b in pairwise(got)
        )

    @pytest.mark.parametrize(("limit", "more"), [(1, True), (2, True), (3, False), (4, False)])
    def test_a_cursor_means_that_there_is_more(
        self, store: EnvironmentStore, limit: int, more: bool
    ) -> None:
        for _ in range(2):
            store.note(ACTOR, "x", "")
        assert (store.audit(ENV, limit, None).cursor is not None) is more

    def test_a_cursor_of_an_entry_that_is_forgotten(
        self, world: World, store: EnvironmentStore
    ) -> None:
        for number in range(3):
            store.note(ACTOR, "x", str(number))
        first = store.audit(ENV, 2, None)
        assert first.cursor is not None
        world.client.xdel(keys.audit(ENV), first.cursor)
        assert [row.object for row in store.audit(ENV, 2, first.cursor).rows] == ["0", "default"]


class TestTheEnd:
    def test_closed_it_is_of_no_use(self, world: World, store: EnvironmentStore) -> None:
        store.found(OTHER, "other", b"s", "test")
        info = issue(world, "a", OTHER)
        issue(world, "kept")
        tokens = TokenStore(world.client, NOW)
        store.close(OTHER)
        assert tokens.find(info.id) is None
        assert tokens.page(OTHER, 5, None).rows == ()
        assert tokens.find("kept----") is not None
        assert store.info(OTHER) is None
        assert store.id_of("other") == OTHER
        before = world.snapshot()
        actor = Actor(OTHER, "a")
        for refused in (
            lambda: store.rotate(actor, b"t", HOUR),
            lambda: store.change(actor, {"retry": "{}"}),
            lambda: store.note(actor, "secret.read", "secret"),
            lambda: issue(world, "b", OTHER),
        ):
            with pytest.raises(NotFound):
                refused()
        assert not store.found("an0ther1", "other", b"s", "test")
        store.close(OTHER)
        assert world.snapshot() == before

    def test_what_is_not_there_can_not_be_closed(
        self, world: World, store: EnvironmentStore
    ) -> None:
        before = world.snapshot()
        with pytest.raises(NotFound):
            store.close("unkn0wn0")
        assert world.snapshot() == before

    def test_nothing_of_it_is_left_and_nothing_else_is_touched(
        self, world: World, store: EnvironmentStore
    ) -> None:
        before = world.snapshot()
        for environment, name in ((OTHER, "other"), (f"{OTHER}x", "longer"), ("0ther", "shorter")):
            store.found(environment, name, b"s", "test")
        neighbours = world.snapshot()
        fill(world, OTHER)
        store.close(OTHER)
        store.erase(OTHER, "other")
        after = world.snapshot()
        left = [key for key in after.lifetimes if key.startswith(f"lq:{OTHER}:")]
        assert left == [keys.environment(OTHER)]
        assert after.hashes[keys.environment(OTHER)] == {"closed": "1"}
        assert store.id_of("other") is None
        for key in neighbours.lifetimes.keys() - before.lifetimes.keys():
            if not key.startswith(f"lq:{OTHER}:"):
                assert world.client.exists(key)
        assert after.hashes["lq:names"].keys() == {"default", "longer", "shorter"}
        assert after.sets["lq:environments"] == {ENV, f"{OTHER}x", "0ther"}
        assert store.found("an0ther1", "other", b"s", "test")

    @pytest.mark.parametrize("count", [0, 1, 498, 499, 500, 501, 1_200])
    def test_in_steps(self, world: World, store: EnvironmentStore, count: int) -> None:
        store.found(OTHER, "other", b"s", "test")
        world.client.delete(keys.audit(OTHER))
        for number in range(count):
            world.client.set(keys.idempotent(OTHER, str(number)), "x")
        store.close(OTHER)
        store.erase(OTHER, "other")
        assert_ended(world, OTHER)

    def test_broken_off_before_its_name_was_forgotten_it_can_go_on(
        self, world: World, store: EnvironmentStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All but the hash is gone then."""
        store.found(OTHER, "other", b"s", "test")
        run = store._scripts.run

        def die(name: str, *args: object) -> object:
            if name == "forget_environment":
                raise StorageUnavailable("killed")
            return run(name, *args)  # type: ignore[arg-type]

        store.close(OTHER)
        with monkeypatch.context() as patch:
            patch.setattr(store._scripts, "run", die)
            with pytest.raises(StorageUnavailable):
                store.erase(OTHER, "other")
        assert list(world.client.scan_iter(f"lq:{OTHER}:*")) == [keys.environment(OTHER).encode()]
        assert store.id_of("other") == OTHER
        store.close(OTHER)
        store.erase(OTHER, "other")
        assert_ended(world, OTHER)
        assert store.id_of("other") is None
        store.erase(OTHER, "other")
        assert_ended(world, OTHER)

    def test_housekeeping_that_knew_it_a_moment_ago_brings_nothing_back(
        self, world: World, store: EnvironmentStore
    ) -> None:
        store.found(OTHER, "other", b"s", "test")
        store.close(OTHER)
        store.erase(OTHER, "other")
        world.upkeep.limit_history(OTHER, 5)
        assert_ended(world, OTHER)

    def test_not_while_it_has_queues(self, world: World, store: EnvironmentStore) -> None:
        world.push(delay=5)
        store.close(ENV)
        before = world.snapshot()
        with pytest.raises(Conflict):
            store.erase(ENV, "default")
        assert world.snapshot() == before

    def test_a_name_that_is_anothers_by_now_stays(
        self, world: World, store: EnvironmentStore
    ) -> None:
        """A copy of the last call that the network held back."""
        store.found(OTHER, "other", b"s", "test")
        store.close(OTHER)
        store.erase(OTHER, "other")
        store.found("an0ther1", "other", b"s", "test")
        before = world.snapshot().hashes
        store.erase(OTHER, "other")
        assert world.snapshot().hashes == before
        assert store.id_of("other") == "an0ther1"
        assert_ended(world, OTHER)


class TestAbsent:
    @pytest.mark.parametrize(
        "act",
        [
            lambda store: store.change(UNKNOWN, {"retry": "{}"}),
            lambda store: store.rotate(UNKNOWN, b"s", HOUR),
            lambda store: store.rotate(UNKNOWN, b"s", 0),
            lambda store: store.note(UNKNOWN, "a", "b"),
            lambda store: store.close(UNKNOWN.environment),
            lambda store: store.own_secret(UNKNOWN.environment, "mail", b"s"),
        ],
        ids=["change", "rotate", "rotate at once", "note", "close", "own secret"],
    )
    def test_nothing_is_made(
        self, world: World, store: EnvironmentStore, act: Callable[[EnvironmentStore], object]
    ) -> None:
        before = world.snapshot()
        with pytest.raises(NotFound):
            act(store)
        assert world.snapshot() == before


class TestRedisInTrouble:
    def test_a_full_one(self, world: World, store: EnvironmentStore) -> None:
        """What would grow is refused whole; what deletes, reads or may be urgent goes on."""
        store.found(OTHER, "other", b"s", "test")
        issue(world, "a", OTHER)
        store.check_value(b"a")
        world.queues.pause(ACTOR, "mail")
        before = world.snapshot()
        world.client.config_set("maxmemory", 1)
        try:
            for refused in (
                lambda: store.found("an0ther1", "new", b"s", "test"),
                lambda: store.change(ACTOR, {"retry": "{}"}),
            ):
                with pytest.raises(StorageFull):
                    refused()
            assert world.snapshot() == before
            store.note(ACTOR, "secret.read", "secret")
            store.rotate(ACTOR, b"second", HOUR)
            assert not store.found(ENV, "default", b"s", "test"), "a start finds what is there"
            assert store.check_value(b"b") == b"a"
            assert store.own_secret(ENV, "mail", b"mine") == b"mine"
            store.close(OTHER)
            store.erase(OTHER, "other")
        finally:
            world.client.config_set("maxmemory", 0)
        assert store.id_of("other") is None
        assert_ended(world, OTHER)

    def test_a_read_only_one(self, world: World, store: EnvironmentStore) -> None:
        store.check_value(b"a")
        before = world.snapshot()
        world.client.replicaof("127.0.0.1", "1")
        try:
            assert not store.found(ENV, "default", b"s", "test")
            assert store.check_value(b"b") == b"a"
            assert store.sealed(ENV) == Sealed(b"first", NOW)
            assert len(entries(store)) == 1
            writes: list[Callable[[], object]] = [
                lambda: store.rotate(ACTOR, b"second", 0),
                lambda: store.note(ACTOR, "a", "b"),
                lambda: store.close(ENV),
                lambda: store.replace_check_value(b"c"),
            ]
            for write in writes:
                with pytest.raises(StorageUnavailable):
                    write()
        finally:
            world.client.replicaof("NO", "ONE")
        assert world.snapshot() == before

    def test_one_that_is_away(self) -> None:
        with connect(Settings(redis_url="unix:///nowhere/redis.sock")) as client:
            away = EnvironmentStore(client)
            calls: list[Callable[[], object]] = [
                away.clock,
                away.all,
                away.known_check_value,
                lambda: away.check_value(b""),
                lambda: away.info(ENV),
                lambda: away.id_of("default"),
                lambda: away.sealed(ENV),
                lambda: list(away.places(ENV)),
                lambda: away.audit(ENV, 1, None),
                lambda: away.erase(ENV, "default"),
                lambda: away.note(ACTOR, "a", "b"),
            ]
            for call in calls:
                with pytest.raises(StorageUnavailable):
                    call()


def fill(world: World, environment: str) -> None:
    """Leave a key of every kind that an environment has beside its queues."""
    issue(world, "a", environment)
    tokens = TokenStore(world.client, NOW)
    used = tokens.find("a-------")
    assert used is not None
    tokens.note_use(used)
    EnvironmentStore(world.client, NOW).change(Actor(environment, "x"), {"retry": "{}"})
    for key in (
        keys.target(environment, "d" * 32),
        keys.validating(environment, "d" * 32),
        keys.idempotent(environment, "k"),
        keys.ended(environment),
    ):
        world.client.set(key, "x")


def together(count: int, act: Callable[[int], None]) -> None:
    """Do something in as many threads."""
    threads = [Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
