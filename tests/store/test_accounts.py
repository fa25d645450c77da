"""AccountStore: accounts, their sessions, the link to the first one, attempts to sign in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lambdaqueue import keys
from lambdaqueue.account import EVERYWHERE, Account, Role
from lambdaqueue.accounts import (
    ABSOLUTE,
    FREE,
    FREE_OF_ADDRESS,
    FREE_OF_STRANGERS,
    IDLE,
    LINK_LIFE,
    LONGEST_PAUSE,
    AccountStore,
    Known,
)
from lambdaqueue.connection import Scripts
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import Conflict, NotFound, StorageFull
from lambdaqueue.identity import Author
from tests.store.desk import full
from tests.store.world import AUTHOR, ENV, NOW, World

DAY = 86_400_000
OTHER = "0ther1d0"
SITE = "192.0.2.1"
WHERE = ("192.0.2.1", SITE)
SESSION = "a" * 64
LINK = "b" * 64
BOSS = {EVERYWHERE: Role.ADMIN}


@pytest.fixture
def store(world: World) -> AccountStore:
    """Accounts at a time that the test moves, with two environments."""
    environments = EnvironmentStore(world.client, NOW)
    assert environments.found(ENV, "default", b"sealed", "test")
    assert environments.found(OTHER, "other", b"sealed", "test")
    return AccountStore(world.client, NOW)


def make(store: AccountStore, name: str = "jan", roles: dict[str, Role] | None = None) -> Known:
    assert store.make(AUTHOR, name, "hashed", BOSS if roles is None else roles)
    return known(store, name)


def known(store: AccountStore, name: str = "jan") -> Known:
    found = store.known(name)
    assert found is not None
    return found


def open_(store: AccountStore, who: Known, session: str = SESSION) -> None:
    assert store.open(who, session, f"csrf of {session}", WHERE)


def audit(world: World, environment: str = ENV) -> list[tuple[str, str, str, str]]:
    """Return who did what to whom from where, oldest first, without the environment's making."""
    page = EnvironmentStore(world.client).audit(environment, 100, None)
    rows = [(row.token, row.action, row.object, row.address) for row in page.rows]
    return [row for row in reversed(rows) if not row[1].startswith("environment.")]


class TestAccounts:
    def test_made_and_read(self, store: AccountStore) -> None:
        roles = {EVERYWHERE: Role.VIEWER, OTHER: Role.ADMIN}
        made = make(store, roles=roles)
        assert made == Known(Account(made.account.id, "jan", roles, NOW), "hashed")
        assert store.known_by_id(made.account.id) == made
        assert store.all() == [made.account]
        assert "hashed" not in repr(made)

    def test_a_name_is_taken_once(self, store: AccountStore) -> None:
        first = make(store)
        with pytest.raises(Conflict, match="an account jan already"):
            store.make(AUTHOR, "jan", "other", {})
        assert known(store) == first

    def test_by_name(self, store: AccountStore) -> None:
        for name in ("eva", "jan", "adam"):
            make(store, name)
        assert [account.name for account in store.all()] == ["adam", "eva", "jan"]

    def test_unknown(self, store: AccountStore) -> None:
        assert store.known("jan") is None
        assert store.known_by_id("12345678") is None
        assert store.all() == []

    @pytest.mark.parametrize(
        "act",
        [
            lambda store: store.change_password(AUTHOR, "12345678", "x"),
            lambda store: store.set_role(AUTHOR, "12345678", ENV, Role.ADMIN),
            lambda store: store.end_sessions(AUTHOR, "12345678"),
            lambda store: store.drop(AUTHOR, "12345678"),
        ],
    )
    def test_changes_of_nobody(self, store: AccountStore, act: Callable[[Any], object]) -> None:
        with pytest.raises(NotFound):
            act(store)

    def test_a_role_of_newer_code_allows_nothing(self, world: World, store: AccountStore) -> None:
        made = make(store)
        world.client.hset(keys.account(made.account.id), "role:*", "owner")
        assert known(store).account.roles == {}

    def test_roles_come_and_go(self, store: AccountStore) -> None:
        made = make(store, roles={})
        store.set_role(AUTHOR, made.account.id, OTHER, Role.VIEWER)
        store.set_role(AUTHOR, made.account.id, EVERYWHERE, Role.ADMIN)
        assert known(store).account.roles == {OTHER: Role.VIEWER, EVERYWHERE: Role.ADMIN}
        store.set_role(AUTHOR, made.account.id, EVERYWHERE, None)
        assert known(store).account.roles == {OTHER: Role.VIEWER}

    def test_an_environment_takes_its_roles_along(self, world: World, store: AccountStore) -> None:
        make(store, "jan", {OTHER: Role.ADMIN, ENV: Role.VIEWER})
        make(store, "eva", {EVERYWHERE: Role.VIEWER})
        environments = EnvironmentStore(world.client, NOW)
        environments.close(OTHER)
        environments.erase(OTHER, "other")
        assert known(store, "jan").account.roles == {ENV: Role.VIEWER}
        assert known(store, "eva").account.roles == {EVERYWHERE: Role.VIEWER}

    def test_removed_for_good(self, world: World, store: AccountStore) -> None:
        made = make(store)
        open_(store, made)
        store.drop(AUTHOR, made.account.id)
        assert store.known("jan") is None
        assert not world.client.exists(keys.account(made.account.id), keys.accounts)
        # Nor does another one of that name get its session.
        make(store)
        assert store.session(SESSION, touch=True) is None

    def test_the_audits_of_its_environments_are_told(
        self, world: World, store: AccountStore
    ) -> None:
        boss, other = make(store), make(store, "eva", {OTHER: Role.VIEWER})
        open_(store, other)
        store.set_role(AUTHOR, other.account.id, OTHER, None)
        store.drop(Author("jan", "::1"), boss.account.id)
        assert audit(world) == [
            ("test", "account.create", "jan", "192.0.2.1"),
            ("jan", "account.delete", "jan", "::1"),
        ]
        assert audit(world, OTHER) == [
            ("test", "account.create", "eva", "192.0.2.1"),
            ("eva", "account.sign_in", "eva", "192.0.2.1"),
            ("test", "account.role", "eva: none in other", "192.0.2.1"),
        ]

    def test_the_audit_says_which_role(self, world: World, store: AccountStore) -> None:
        made = make(store, roles={})
        for place, role in ((ENV, Role.VIEWER), (EVERYWHERE, Role.ADMIN), (EVERYWHERE, None)):
            store.set_role(AUTHOR, made.account.id, place, role)
        assert [row[2] for row in audit(world) if row[1] == "account.role"] == [
            "jan: viewer in default",
            "jan: admin everywhere",
            "jan: none everywhere",
        ]

    def test_an_environment_that_is_gone_gets_no_audit(
        self, world: World, store: AccountStore
    ) -> None:
        make(store, roles={"g0ne1234": Role.ADMIN})
        assert not world.client.exists(keys.audit("g0ne1234"))

    def test_one_sent_again_is_made_once(
        self, world: World, store: AccountStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = Scripts.run

        def twice(scripts: Scripts, *args: Any) -> Any:
            first = run(scripts, *args)
            assert run(scripts, *args) == first
            return first

        monkeypatch.setattr(Scripts, "run", twice)
        assert store.offer(LINK, again=False)
        made = make(store)
        for _ in range(2):
            store.admit("jan", SITE)  # an attempt may be counted twice
            store.admit_stranger("jan", SITE)
        open_(store, made)
        session = store.session(SESSION, touch=True)
        assert session is not None
        store.prove(session, SITE)
        assert world.client.hget(keys.sign_in(SITE), "count") == b"2"
        store.end_sessions(AUTHOR, made.account.id)
        assert world.client.hget(keys.account(made.account.id), "epoch") == b"2"
        store.drop(AUTHOR, made.account.id)
        actions = [action for _, action, _, _ in audit(world)]
        assert actions == [
            "account.create",
            "account.sign_in",
            "account.sign_out_everywhere",
            "account.delete",
        ]


class TestFirst:
    def test_the_link_is_good_once(self, world: World, store: AccountStore) -> None:
        assert store.offer(LINK, again=False)
        assert store.is_offered(LINK)
        assert not store.is_offered("c" * 64)
        assert 0 < world.client.ttl(keys.first_link) <= LINK_LIFE
        assert store.make(AUTHOR, "jan", "hashed", BOSS, link="c" * 64) is None
        assert store.make(AUTHOR, "jan", "hashed", BOSS, link=LINK)
        assert not store.is_offered(LINK)
        assert store.make(AUTHOR, "eva", "hashed", BOSS, link=LINK) is None
        assert [account.name for account in store.all()] == ["jan"]

    def test_one_process_tells(self, store: AccountStore) -> None:
        assert [store.offer(link, again=False) for link in ("1" * 64, "2" * 64)] == [True, False]
        assert store.is_offered("1" * 64)
        assert store.offer("3" * 64, again=True)
        assert not store.is_offered("1" * 64)

    def test_an_account_by_the_command_ends_it(self, store: AccountStore) -> None:
        store.offer(LINK, again=False)
        make(store)
        assert not store.is_offered(LINK)
        assert not store.offer(LINK, again=True)
        assert store.make(AUTHOR, "eva", "hashed", BOSS, link=LINK) is None

    def test_two_at_the_same_time(self, store: AccountStore) -> None:
        store.offer(LINK, again=False)
        with ThreadPoolExecutor(8) as threads:
            made = list(
                threads.map(
                    lambda number: store.make(AUTHOR, f"n{number}", "hashed", BOSS, link=LINK),
                    range(8),
                )
            )
        assert len([each for each in made if each]) == 1
        assert len(store.all()) == 1


class TestSessions:
    def test_begun_and_read(self, world: World, store: AccountStore) -> None:
        made = make(store)
        open_(store, made)
        found = store.session(SESSION, touch=True)
        assert found is not None
        assert (found.account.name, found.account.last_sign_in) == ("jan", NOW)
        assert (found.created, found.proved, found.now) == (NOW, NOW, NOW)
        assert found.csrf == f"csrf of {SESSION}"
        assert 0 < world.client.pttl(keys.session(SESSION)) <= IDLE
        assert store.session("f" * 64, touch=True) is None
        assert found.csrf not in repr(found)

    @pytest.mark.parametrize(
        ("steps", "good"),
        [
            ([IDLE - 1], True),
            ([IDLE], False),
            ([IDLE - 1] * 12, True),  # 12 h less 12 ms
            ([IDLE - 1] * 12 + [11], True),
            ([IDLE - 1] * 12 + [12], False),
            ([-3_600_000], True),  # a clock that is set back
        ],
    )
    def test_limits(self, store: AccountStore, steps: list[int], good: bool) -> None:
        assert ABSOLUTE == 12 * IDLE
        open_(store, make(store))
        now = NOW
        for step in steps[:-1]:
            now += step
            store.now = now
            assert store.session(SESSION, touch=True) is not None
        store.now = now + steps[-1]
        assert (store.session(SESSION, touch=True) is not None) is good

    def test_its_life_in_redis_ends_with_it(self, world: World, store: AccountStore) -> None:
        open_(store, make(store))
        store.now = NOW + IDLE - 60_000
        for _ in range(11):
            assert store.session(SESSION, touch=True) is not None
            store.now += IDLE - 60_000
        assert store.session(SESSION, touch=True) is not None
        # 12 h less 12 times 59 min are 12 min.
        assert 11 * 60_000 < world.client.pttl(keys.session(SESSION)) <= 12 * 60_000

    def test_a_look_is_no_use(self, store: AccountStore) -> None:
        open_(store, make(store))
        store.now = NOW + IDLE - 1
        assert store.session(SESSION, touch=False) is not None
        store.now = NOW + IDLE
        assert store.session(SESSION, touch=False) is None

    @pytest.mark.parametrize(
        "act",
        [
            lambda store, who: store.change_password(AUTHOR, who.account.id, "other"),
            lambda store, who: store.end_sessions(AUTHOR, who.account.id),
            lambda store, who: store.drop(AUTHOR, who.account.id),
        ],
    )
    def test_all_end(self, store: AccountStore, act: Callable[[Any, Known], object]) -> None:
        made, other = make(store), make(store, "eva")
        for session, who in (("1" * 64, made), ("2" * 64, made), ("3" * 64, other)):
            open_(store, who, session)
        act(store, made)
        found = [store.session(digit * 64, touch=True) is not None for digit in "123"]
        assert found == [False, False, True]

    def test_one_ends(self, world: World, store: AccountStore) -> None:
        made = make(store)
        for digit in "12":
            open_(store, made, digit * 64)
        session = store.session("1" * 64, touch=True)
        assert session is not None
        store.close(session, "::1")
        store.close(session, "::1")
        assert store.session("1" * 64, touch=True) is None
        assert store.session("2" * 64, touch=True) is not None
        assert audit(world)[-1] == ("jan", "account.sign_out", "jan", "::1")

    def test_roles_count_at_once(self, store: AccountStore) -> None:
        made = make(store)
        open_(store, made)
        store.set_role(AUTHOR, made.account.id, EVERYWHERE, Role.VIEWER)
        session = store.session(SESSION, touch=True)
        assert session is not None
        assert session.account.role_in(ENV) is Role.VIEWER

    def test_a_password_that_changed_meanwhile_opens_nothing(self, store: AccountStore) -> None:
        before = make(store)
        store.change_password(AUTHOR, before.account.id, "other")
        assert not store.open(before, SESSION, "csrf", WHERE)
        assert store.session(SESSION, touch=True) is None

    def test_proved(self, store: AccountStore) -> None:
        open_(store, make(store))
        store.now = NOW + 600_000
        session = store.session(SESSION, touch=True)
        assert session is not None
        store.prove(session, SITE)
        again = store.session(SESSION, touch=True)
        assert again is not None
        assert (session.proved, again.proved) == (NOW, NOW + 600_000)

    def test_a_full_redis_lets_people_look(self, world: World, store: AccountStore) -> None:
        made = make(store)
        with full(world):
            assert store.admit("jan", SITE) == 0
            open_(store, made)
            store.now = NOW + 120_000
            assert store.session(SESSION, touch=True) is not None
            store.end_sessions(AUTHOR, made.account.id)
            with pytest.raises(StorageFull):
                store.make(AUTHOR, "eva", "hashed", BOSS)
        assert store.session(SESSION, touch=True) is None


class TestAttempts:
    def test_some_are_free_then_pauses_double(self, store: AccountStore) -> None:
        assert [store.admit("jan", SITE) for _ in range(FREE)] == [0] * FREE
        pauses = []
        for _ in range(12):
            assert store.admit("jan", SITE) == 0
            pauses.append(store.admit("jan", SITE))
            assert store.now is not None
            store.now += pauses[-1]
        doubled = [1_000 * 2**number for number in range(10)]  # 1 s to 512 s, then the longest
        assert pauses == [*doubled, LONGEST_PAUSE, LONGEST_PAUSE]

    def test_waiting_is_not_counted(self, store: AccountStore) -> None:
        for _ in range(FREE + 1):
            assert store.admit("jan", SITE) == 0
        assert {store.admit("jan", SITE) for _ in range(50)} == {1_000}

    def test_names_and_addresses_are_apart(self, store: AccountStore) -> None:
        for _ in range(FREE + 1):
            store.admit("jan", SITE)
        assert store.admit("jan", SITE) == 1_000
        assert store.admit("eva", SITE) == 0
        assert store.admit("jan", "198.51.100.1") == 0

    def test_an_address_that_tries_many_names(self, store: AccountStore) -> None:
        for number in range(FREE_OF_ADDRESS + 1):
            assert store.admit(f"name{number}", SITE) == 0
        assert store.admit("jan", SITE) == 1_000
        assert store.admit("jan", "198.51.100.1") == 0

    def test_a_right_password_takes_its_own_back(self, world: World, store: AccountStore) -> None:
        made = make(store)
        for _ in range(FREE):
            store.admit("jan", SITE)
        open_(store, made)
        assert not world.client.exists(keys.sign_in("jan", SITE))
        assert world.client.hget(keys.sign_in(SITE), "count") == str(FREE - 1).encode()

    def test_so_does_one_that_is_given_once_more(self, world: World, store: AccountStore) -> None:
        """Else an office that proves itself often would be locked out by its right passwords."""
        open_(store, make(store))
        session = store.session(SESSION, touch=True)
        assert session is not None
        for _ in range(FREE_OF_ADDRESS + 2):
            assert store.admit("jan", SITE) == 0
            store.prove(session, SITE)
        assert not world.client.exists(keys.sign_in("jan", SITE))
        assert world.client.hgetall(keys.sign_in(SITE)) == {b"count": b"0"}

    def test_many_at_once_are_counted_before_they_are_looked_at(self, store: AccountStore) -> None:
        with ThreadPoolExecutor(8) as threads:
            pauses = list(threads.map(lambda _: store.admit("jan", SITE), range(40)))
        assert pauses.count(0) == FREE + 1

    def test_they_are_forgotten(self, world: World, store: AccountStore) -> None:
        store.admit("jan", SITE)
        for key in (keys.sign_in("jan", SITE), keys.sign_in(SITE)):
            assert 0 < world.client.ttl(key) <= 3_600


class TestStrangers:
    """Guesses at one name from many addresses."""

    def guess(self, store: AccountStore, name: str = "jan", times: int = 1) -> list[int]:
        return [store.admit_stranger(name, f"198.51.100.{number}") for number in range(times)]

    @pytest.mark.parametrize("name", ["jan", "nobody", "", "]]..redis.call('FLUSHALL')..[["])
    def test_so_many_in_an_hour_and_no_more(
        self, world: World, store: AccountStore, name: str
    ) -> None:
        """Whether there is such an account or not."""
        make(store)
        assert self.guess(store, name, FREE_OF_STRANGERS) == [0] * FREE_OF_STRANGERS
        for wait in (*self.guess(store, name, 3), store.admit_stranger(name, SITE)):
            assert 3_590_000 < wait <= 3_600_000
        world.client.pexpire(keys.guesses(name), 1_234)
        assert 0 < store.admit_stranger(name, SITE) <= 1_234  # waiting doesn't make it longer
        world.client.delete(keys.guesses(name))
        assert self.guess(store, name) == [0]

    def test_nobody_is_locked_out_from_where_they_have_signed_in(self, store: AccountStore) -> None:
        open_(store, make(store))
        make(store, "eva")
        for name in ("jan", "eva"):
            self.guess(store, name, FREE_OF_STRANGERS)
        assert store.admit_stranger("jan", SITE) == 0
        assert store.admit_stranger("eva", SITE) > 0
        assert store.admit_stranger("jan", "192.0.2.2") > 0

    def test_they_use_up_nothing(self, world: World, store: AccountStore) -> None:
        """Who is known, however often: only the one attempt that was a stranger's is taken back."""
        made = make(store)
        self.guess(store, times=3)
        for _ in range(3):
            assert store.admit_stranger("jan", SITE) == 0
            open_(store, made)
        assert world.client.get(keys.guesses("jan")) == b"3"

    def test_what_is_remembered_is_bounded(self, world: World, store: AccountStore) -> None:
        made = make(store)
        key = f"lq:sites:{made.account.id}"
        for number in range(25):
            store.now = NOW + number
            assert store.open(made, SESSION, "csrf", ("", f"site {number:02}"))
        assert world.client.zrange(key, 0, -1) == [f"site {n:02}".encode() for n in range(5, 25)]
        assert 0 < world.client.pttl(key) <= 90 * DAY
        store.now = NOW + 90 * DAY + 10
        open_(store, made)
        left = [f"site {n:02}".encode() for n in range(11, 25)]
        assert world.client.zrange(key, 0, -1) == [*left, SITE.encode()]
        store.drop(AUTHOR, made.account.id)
        assert not world.client.exists(key)

    def test_a_link_to_the_first_account_takes_back_nothing(
        self, world: World, store: AccountStore
    ) -> None:
        open_(store, make(store))
        assert not world.client.exists(keys.guesses("jan"))


class TestNames:
    @pytest.mark.parametrize("name", ["]]..redis.call('FLUSHALL')..[[", "é\x00\n", "x" * 100_000])
    def test_any_name(self, store: AccountStore, name: str) -> None:
        assert store.admit(name, SITE) == 0
        assert store.known(name) is None
