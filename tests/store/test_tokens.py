"""TokenStore: tokens by their hash, their uses, and bad ones by their address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from lambdaqueue import keys, tokens
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import (
    ConfigurationError,
    Conflict,
    LambdaQueueError,
    NotFound,
    StorageFull,
    StorageUnavailable,
)
from lambdaqueue.identity import ALL_SCOPES, Actor, Scope, Token, TokenInfo
from lambdaqueue.tokens import REFUSALS_WINDOW, Found, TokenStore
from tests.store.world import ACTOR, ENV, NOW, World

OTHER = "0ther1d0"
MINUTE = 60_000
NAMES = [
    " a  b ", "é \U0001f600 \u2028", "]]..redis.call('FLUSHALL')..[[", "'\"\\{}*%s", "a\x00b\n\x7f",
]  # fmt: skip


@pytest.fixture
def store(world: World) -> TokenStore:
    """Tokens at the time of `world`, with two environments that may have some."""
    environments = EnvironmentStore(world.client, NOW)
    assert environments.found(ENV, "default", b"sealed", "test")
    assert environments.found(OTHER, "other", b"sealed", "test")
    return TokenStore(world.client, NOW)


@pytest.fixture
def read_only(world: World) -> Iterator[Callable[[], None]]:
    """Make Redis a replica of nothing that can be reached: it goes on to answer, read-only."""

    def act() -> None:
        world.client.replicaof("127.0.0.1", "1")

    yield act
    world.client.replicaof("NO", "ONE")


def make(name: str = "ci", token: Token | None = None, **more: Any) -> tuple[Token, TokenInfo]:
    token = token or Token.generate()
    info = TokenInfo(token.id, name, frozenset({Scope.PUSH}), NOW, digest=token.digest)
    return token, replace(info, **more)


def issue(store: TokenStore, name: str = "ci", actor: Actor = ACTOR, **more: Any) -> Token:
    token, info = make(name, **more)
    store.issue(actor, info)
    return token


def found(store: TokenStore, token: Token) -> Found:
    result = store.find(token.id)
    assert result is not None
    assert result.info.is_of(token)
    return result


def names(store: TokenStore, environment: str = ENV) -> list[str]:
    return [info.name for info in store.page(environment, 1_000, None).rows]


def audited(world: World, environment: str = ENV) -> list[tuple[str, ...]]:
    """Who did what, oldest first, without the environment's making."""
    rows = EnvironmentStore(world.client).audit(environment, 1_000, None).rows
    return [(row.token, row.action, row.object, row.address) for row in rows[-2::-1]]


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """Do something `count` times at the same moment; returns what came, errors too."""
    start = Barrier(count)

    def one(number: int) -> object:
        start.wait()
        try:
            return act(number)
        except LambdaQueueError as error:
            return type(error)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


class TestFind:
    def test_what_was_issued_is_found(self, world: World, store: TokenStore) -> None:
        token, info = make(scopes=ALL_SCOPES, expires=NOW + 5)
        store.issue(replace(ACTOR, environment=OTHER), info)
        assert store.find(token.id) == Found(OTHER, info, NOW)

    def test_an_unknown_one(self, store: TokenStore) -> None:
        issue(store)
        assert store.find(Token.generate().id) is None

    def test_the_clock_is_that_of_redis(self, world: World, store: TokenStore) -> None:
        token = issue(store)
        live = TokenStore(world.client)
        before = world.client.time()
        now = found(live, token).now
        after = world.client.time()
        assert ms(before) <= now <= ms(after)

    def test_only_the_hash_is_stored(self, world: World, store: TokenStore) -> None:
        token = issue(store)
        store.note_use(found(store, token))
        stored = repr(world.snapshot()) + repr(world.client.keys("*"))
        assert token.digest in stored
        assert token.text[13:] not in stored

    def test_an_index_that_leads_nowhere(self, world: World, store: TokenStore) -> None:
        """No script leaves one; an operator's hand may."""
        token = issue(store)
        world.client.delete(keys.tokens(ENV))
        assert store.find(token.id) is None


class TestIssue:
    @pytest.mark.parametrize("name", NAMES)
    def test_any_name(self, world: World, store: TokenStore, name: str) -> None:
        actor = Actor(ENV, f"by {name}", f"from {name}")
        token = issue(store, name, actor)
        assert found(store, token).info.name == name
        assert audited(world) == [(actor.name, "token.create", name, actor.address)]
        with pytest.raises(Conflict, match="of that name"):
            issue(store, name)

    def test_names_belong_to_an_environment(self, world: World, store: TokenStore) -> None:
        mine, yours = issue(store), issue(store, actor=replace(ACTOR, environment=OTHER))
        assert [found(store, token).environment for token in (mine, yours)] == [ENV, OTHER]
        assert len(audited(world)) == len(audited(world, OTHER)) == 1

    @pytest.mark.parametrize(
        ("refused", "error"),
        [
            (lambda store, taken: issue(store, "ci"), Conflict),
            (lambda store, taken: issue(store, "b", token=taken), Conflict),
            (lambda store, taken: issue(store, "b", Actor(OTHER, "x"), token=taken), Conflict),
            (lambda store, taken: issue(store, "b", Actor("unknown1", "x")), NotFound),
            (lambda store, taken: issue(store, "b", Actor("closed00", "x")), NotFound),
            (lambda store, taken: store.revoke(ACTOR, "unknown-"), NotFound),
            (lambda store, taken: store.revoke(Actor(OTHER, "x"), taken.id), NotFound),
        ],
        ids=["name", "id", "id elsewhere", "absent", "closed", "revoke unknown", "revoke foreign"],
    )
    def test_what_is_refused_changes_nothing(
        self,
        world: World,
        store: TokenStore,
        refused: Callable[[TokenStore, Token], object],
        error: type[Exception],
    ) -> None:
        environments = EnvironmentStore(world.client, NOW)
        environments.found("closed00", "closed", b"sealed", "test")
        environments.close("closed00")
        token = issue(store)
        before = world.snapshot()
        with pytest.raises(error):
            refused(store, token)
        assert world.snapshot() == before

    def test_there_may_be_so_many(
        self, world: World, store: TokenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tokens, "MOST_TOKENS", 3)
        made = [issue(store, name) for name in "abc"]
        with pytest.raises(Conflict, match="3 tokens"):
            issue(store, "d")
        issue(store, "d", replace(ACTOR, environment=OTHER))
        store.revoke(ACTOR, made[0].id)
        issue(store, "d")
        assert sorted(names(store)) == ["b", "c", "d"]

    def test_one_name_at_once(self, world: World, store: TokenStore) -> None:
        got = at_once(8, lambda _: issue(store))
        assert got.count(Conflict) == 7
        (winner,) = (token for token in got if isinstance(token, Token))
        assert names(store) == ["ci"]
        found(store, winner)
        assert world.client.hlen(keys.all_tokens) == 1
        assert len(audited(world)) == 1


class TestRevoke:
    def test_it_is_gone_at_once(self, world: World, store: TokenStore) -> None:
        before = world.snapshot()
        token = issue(store, "x ]]")
        store.note_use(found(store, token))
        store.revoke(Actor(ENV, "night shift", "2001:db8::1"), token.id)
        assert store.find(token.id) is None
        assert audited(world)[-1] == ("night shift", "token.revoke", "x ]]", "2001:db8::1")
        world.client.delete(keys.audit(ENV))
        after = world.snapshot()
        assert after.hashes == before.hashes
        with pytest.raises(NotFound):
            store.revoke(ACTOR, token.id)

    def test_others_stay(self, store: TokenStore) -> None:
        gone, kept = issue(store, "a"), issue(store, "b")
        store.note_use(found(store, kept))
        store.revoke(ACTOR, gone.id)
        assert found(store, kept).info.last_used == NOW - NOW % MINUTE
        issue(store, "a")


class TestLastUse:
    @pytest.mark.parametrize("after", [0, 1, MINUTE - 1 - NOW % MINUTE])
    def test_it_is_kept_to_the_minute(self, store: TokenStore, after: int) -> None:
        token = issue(store)
        assert found(store, token).info.last_used is None
        store.now = NOW + after
        store.note_use(found(store, token))
        assert found(store, token).info.last_used == NOW - NOW % MINUTE
        assert store.page(ENV, 10, None).rows[0].last_used == NOW - NOW % MINUTE

    def test_it_is_written_once_a_minute(self, world: World, store: TokenStore) -> None:
        token = issue(store)

        def writes() -> int:
            world.client.config_resetstat()
            store.note_use(found(store, token))
            return int(world.client.info("commandstats").get("cmdstat_hset", {"calls": 0})["calls"])

        assert writes() == 1
        assert writes() == 0
        store.now = NOW - NOW % MINUTE + MINUTE
        assert writes() == 1
        assert found(store, token).info.last_used == store.now

    def test_it_never_brings_a_revoked_one_back(self, world: World, store: TokenStore) -> None:
        """Another process found it just before."""
        token = issue(store)
        in_use = found(store, token)
        store.revoke(ACTOR, token.id)
        before = world.snapshot()
        store.note_use(in_use)
        assert world.snapshot() == before
        assert not world.client.exists(keys.token_uses(ENV))


class TestRefusals:
    def test_they_are_counted_for_each_address(self, store: TokenStore) -> None:
        got = [store.refuse(address) for address in ("192.0.2.1", "192.0.2.1", "2001:db8::", "a b")]
        assert got == [(1, 60), (2, 60), (1, 60), (1, 60)]

    def test_they_are_forgotten_after_a_minute_whoever_goes_on(
        self, world: World, store: TokenStore
    ) -> None:
        assert REFUSALS_WINDOW == 60
        store.refuse("192.0.2.1")
        key = keys.refused("192.0.2.1")
        assert 59_000 < world.client.pttl(key) <= 60_000
        world.client.expire(key, 7)
        assert store.refuse("192.0.2.1") == (2, 7)
        world.client.delete(key)
        assert store.refuse("192.0.2.1") == (1, 60)

    def test_at_once(self, store: TokenStore) -> None:
        got = at_once(8, lambda _: [store.refuse("192.0.2.1")[0] for _ in range(10)])
        assert sorted(count for counts in got for count in counts) == [*range(1, 81)]  # type: ignore[attr-defined]


class TestBootstrap:
    def start(self, store: TokenStore, token: Token) -> None:
        _, info = make("bootstrap", token, scopes=ALL_SCOPES)
        store.bootstrap(ENV, info)

    def test_it_is_stored_at_the_first_start_only(self, world: World, store: TokenStore) -> None:
        token = Token.generate()
        self.start(store, token)
        assert found(store, token).info.scopes == ALL_SCOPES
        assert audited(world) == [("LQ_BOOTSTRAP_TOKEN", "token.create", "bootstrap", "")]
        before = world.snapshot()
        store.now = NOW + 5
        self.start(store, token)
        assert world.snapshot() == before

    def test_revoked_it_stays_so_while_the_variable_is_the_same(
        self, world: World, store: TokenStore
    ) -> None:
        token = Token.generate()
        self.start(store, token)
        store.revoke(ACTOR, token.id)
        before = world.snapshot()
        self.start(store, token)
        assert world.snapshot() == before
        assert store.find(token.id) is None

    @pytest.mark.parametrize("revoked", [False, True])
    def test_another_one_replaces_it(self, world: World, store: TokenStore, revoked: bool) -> None:
        first, second = Token.generate(), Token.generate()
        self.start(store, first)
        store.note_use(found(store, first))
        if revoked:
            store.revoke(ACTOR, first.id)
        self.start(store, second)
        assert store.find(first.id) is None
        assert found(store, second).info.last_used is None
        assert names(store) == ["bootstrap"]
        assert world.client.hlen(keys.all_tokens) == 1
        assert not world.client.exists(keys.token_uses(ENV))
        self.start(store, first)  # and back
        found(store, first)
        assert store.find(second.id) is None

    def test_of_the_same_id_only_the_newer_is_good(self, store: TokenStore) -> None:
        first = Token.generate()
        second = Token.parse(first.text[:13] + Token.generate().text[13:])
        assert second is not None
        self.start(store, first)
        self.start(store, second)
        stored = store.find(first.id)
        assert stored is not None
        assert (stored.info.is_of(first), stored.info.is_of(second)) == (False, True)

    @pytest.mark.parametrize("environment", [ENV, OTHER])
    def test_it_takes_no_other_tokens_id(
        self, world: World, store: TokenStore, environment: str
    ) -> None:
        theirs = issue(store, actor=Actor(environment, "x"))
        before = world.snapshot()
        for token in (theirs, Token(theirs.id, Token.generate().text)):
            with pytest.raises(ConfigurationError) as caught:
                self.start(store, token)
            assert token.text[13:] not in str(caught.value)
        assert world.snapshot() == before
        mine = Token.generate()
        self.start(store, mine)
        with pytest.raises(ConfigurationError):
            self.start(store, theirs)
        found(store, mine)
        found(store, theirs)

    def test_an_id_that_became_anothers(self, store: TokenStore) -> None:
        """The operator's was revoked, then somebody elsewhere got its id."""
        token = Token.generate()
        self.start(store, token)
        store.revoke(ACTOR, token.id)
        theirs = Token(token.id, Token.generate().text)
        issue(store, token=theirs, actor=Actor(OTHER, "x"))
        with pytest.raises(ConfigurationError):
            self.start(store, Token(token.id, Token.generate().text))
        assert found(store, theirs).environment == OTHER

    def test_two_processes_at_once(self, world: World, store: TokenStore) -> None:
        token = Token.generate()
        at_once(8, lambda _: self.start(store, token))
        found(store, token)
        assert len(audited(world)) == 1

    def test_two_processes_with_different_ones_at_once(
        self, world: World, store: TokenStore
    ) -> None:
        """As in the middle of a deploy: one of them is good, whichever came last."""
        two = [Token.generate(), Token.generate()]
        at_once(8, lambda number: self.start(store, two[number % 2]))
        good = [token for token in two if store.find(token.id)]
        assert len(good) == 1
        assert names(store) == ["bootstrap"]
        assert world.client.hlen(keys.all_tokens) == world.client.hlen(keys.tokens(ENV)) == 1


class TestPage:
    def test_in_the_order_of_their_making(self, store: TokenStore) -> None:
        times = {"c": NOW + 2, "a": NOW + 1, "d": NOW + 10_000_000, "b": NOW + 1}
        made = {name: issue(store, name, created=at) for name, at in times.items()}
        order = sorted(times, key=lambda name: (times[name], made[name].id))
        assert names(store) == order
        assert names(store, OTHER) == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
    def test_pages_have_no_gaps_and_no_repeats(self, store: TokenStore, limit: int) -> None:
        """Tokens come and go meanwhile."""
        kept = [issue(store, f"kept {number}", created=NOW + number) for number in range(4)]
        gone = issue(store, "gone", created=NOW + 3)
        seen: list[str] = []
        cursor, pages = None, 0
        while pages == 0 or cursor:
            page = store.page(ENV, limit, cursor)
            seen += [info.id for info in page.rows]
            cursor = page.cursor
            if pages == 0:
                store.revoke(ACTOR, gone.id)
                issue(store, "earlier", created=NOW - 1)
            pages += 1
            assert len(page.rows) <= limit
        assert [each for each in seen if each != gone.id] == [token.id for token in kept]

    @pytest.mark.parametrize(("count", "limit", "more"), [(2, 2, False), (3, 2, True)])
    def test_a_cursor_means_that_there_is_more(
        self, store: TokenStore, count: int, limit: int, more: bool
    ) -> None:
        for number in range(count):
            issue(store, str(number))
        assert (store.page(ENV, limit, None).cursor is not None) is more

    def test_a_cursor_of_a_token_that_is_gone(self, store: TokenStore) -> None:
        made = [issue(store, str(number), created=NOW + number) for number in range(3)]
        cursor = store.page(ENV, 1, None).cursor
        store.revoke(ACTOR, made[0].id)
        assert [info.name for info in store.page(ENV, 5, cursor).rows] == ["1", "2"]


class TestRedisInTrouble:
    def test_a_full_one_stores_no_token_and_knows_those_it_has(
        self, world: World, store: TokenStore
    ) -> None:
        token, other = issue(store, "a"), issue(store, "b")
        before = world.snapshot()
        world.client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StorageFull):
                issue(store, "c")
            with pytest.raises(StorageFull):
                store.bootstrap(ENV, make("bootstrap")[1])
            assert world.snapshot() == before
            store.note_use(found(store, token))
            assert found(store, token).info.last_used is not None
            assert store.refuse("192.0.2.1") == (1, 60)
            store.revoke(ACTOR, other.id)
            assert store.find(other.id) is None
            assert len(store.page(ENV, 10, None).rows) == 1
        finally:
            world.client.config_set("maxmemory", 0)
        assert audited(world)[-1][1:3] == ("token.revoke", "b")

    def test_a_full_one_replaces_no_bootstrap_token_half(
        self, world: World, store: TokenStore
    ) -> None:
        token = Token.generate()
        store.bootstrap(ENV, make("bootstrap", token)[1])
        second = Token.generate()
        world.client.config_set("maxmemory", 1)
        try:
            store.bootstrap(ENV, make("bootstrap", second)[1])
        finally:
            world.client.config_set("maxmemory", 0)
        assert store.find(token.id) is None
        found(store, second)

    def test_a_read_only_one_knows_tokens(
        self, world: World, store: TokenStore, read_only: Callable[[], None]
    ) -> None:
        token = issue(store)
        before = world.snapshot()
        read_only()
        found(store, token)
        assert names(store) == ["ci"]
        for write in (
            lambda: issue(store, "b"),
            lambda: store.revoke(ACTOR, token.id),
            lambda: store.refuse("192.0.2.1"),
            lambda: store.bootstrap(ENV, make("bootstrap")[1]),
        ):
            with pytest.raises(StorageUnavailable):
                write()
        assert world.snapshot() == before

    def test_one_that_is_away(self) -> None:
        with connect(Settings(redis_url="unix:///nowhere/redis.sock")) as client:
            away = TokenStore(client)
            for call in (
                lambda: away.find("abcdefgh"),
                lambda: away.page(ENV, 1, None),
                lambda: away.refuse("192.0.2.1"),
                lambda: issue(away),
            ):
                with pytest.raises(StorageUnavailable):
                    call()


def ms(time: Any) -> int:
    seconds, micros = time
    return int(seconds * 1_000 + micros // 1_000)
