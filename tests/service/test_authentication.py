"""Authentication: whom a token stands for, what is kept of that, and who guesses too often."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.administration import Administration
from lambdaqueue.authentication import KEPT, MOST_REFUSALS, Authentication
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import StorageFull, StorageUnavailable, TooManyRefusals
from lambdaqueue.identity import ALL_SCOPES, Actor, Identity, Scope, Token
from lambdaqueue.tokens import REFUSALS_WINDOW, TokenStore
from tests.operator import TOKEN, prepared
from tests.waiting import until

ENV = keys.DEFAULT_ENVIRONMENT
ACTOR = Actor(ENV, "test")
HERE, THERE = "192.0.2.1", "192.0.2.2"
MINUTE = 60_000
UNKNOWN = f"lqk_{'u' * 8}_{'v' * 43}"


@pytest.fixture
def administration(redis_url: str) -> Administration:
    return prepared(redis_url)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def guard(administration: Administration, client: redis.Redis) -> Authentication:
    return Authentication(client)


def issue(administration: Administration, name: str = "ci", expires: int | None = None) -> Token:
    return administration.issue_token(ACTOR, name, frozenset({Scope.PUSH}), expires)[0]


def calls(client: redis.Redis, act: Callable[[], object]) -> int:
    """Return how many scripts Redis ran while something was done."""
    client.config_resetstat()
    act()
    stats = client.info("commandstats")
    return sum(int(stats[name]["calls"]) for name in stats if name.startswith("cmdstat_eval"))


def refuse(guard: Authentication, count: int, address: str = HERE) -> None:
    for _ in range(count):
        assert guard.authenticate(None, address) is None


class TestTokens:
    def test_a_good_one(self, administration: Administration, guard: Authentication) -> None:
        info = administration.create_environment("other", "test")
        token, described = administration.issue_token(
            Actor(info.id, "test"), "night shift ✓", frozenset({Scope.READ})
        )
        assert guard.authenticate(token.text, HERE) == Identity(
            info.id, frozenset({Scope.READ}), described.id, "night shift ✓"
        )
        assert guard.authenticate(TOKEN, HERE) == Identity(ENV, ALL_SCOPES, "a" * 8, "bootstrap")

    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            "Bearer",
            TOKEN[:-1],
            TOKEN + "b",
            TOKEN[:-1] + "c",
            TOKEN[:4] + "b" * 8 + TOKEN[12:],
            f" {TOKEN}",
            f"{TOKEN},{TOKEN}",
            TOKEN.upper(),
            TOKEN[:-1] + "é",
            TOKEN[:-1] + "\udce9",
            "a" * 1_000_000,
            f"lqk_{'x' * 8}_{'y' * 43}",
        ],
        ids=lambda text: ascii(text)[:30],
    )
    def test_a_bad_one(self, client: redis.Redis, guard: Authentication, text: str | None) -> None:
        """B81, B84, B85; each counts against its address, also beside the good one."""
        guard.authenticate(TOKEN, HERE)
        assert guard.authenticate(text, HERE) is None
        assert client.get(keys.refused(HERE)) == b"1"
        assert guard.authenticate(TOKEN, HERE) is not None
        assert client.get(keys.refused(HERE)) == b"1"

    @pytest.mark.parametrize(("after", "good"), [(-1, True), (0, False), (MINUTE, False)])
    def test_it_may_end(
        self, administration: Administration, client: redis.Redis, after: int, good: bool
    ) -> None:
        expires = 4_000_000_000_000
        token = issue(administration, expires=expires)
        guard = Authentication(client, now=expires + after)
        assert (guard.authenticate(token.text, HERE) is not None) is good

    def test_it_ends_by_redis_clock(
        self, administration: Administration, client: redis.Redis, guard: Authentication
    ) -> None:
        now = EnvironmentStore(client).clock()
        over, good = (
            issue(administration, name, now + left) for name, left in (("a", 0), ("b", MINUTE))
        )
        assert guard.authenticate(over.text, HERE) is None
        assert guard.authenticate(good.text, HERE) is not None

    def test_its_use_is_noted(self, administration: Administration, guard: Authentication) -> None:
        unused = issue(administration)
        guard.authenticate(TOKEN, HERE)
        guard.authenticate(unused.text[:-1] + "_", HERE)
        used = {info.name: info.last_used for info in administration.tokens(ENV, 5, None).rows}
        assert used["ci"] is None
        assert used["bootstrap"] is not None
        assert used["bootstrap"] % MINUTE == 0
        assert 0 <= time.time() * 1_000 - used["bootstrap"] < 2 * MINUTE


class TestWhatIsKept:
    def test_an_answer_serves_for_a_moment(
        self, client: redis.Redis, guard: Authentication
    ) -> None:
        guard.authenticate(TOKEN, HERE)

        def ask_again() -> None:
            for _ in range(100):
                assert guard.authenticate(TOKEN, HERE) is not None

        assert calls(client, ask_again) <= 3  # 100 of them may take longer than it's kept
        until(lambda: calls(client, lambda: guard.authenticate(TOKEN, HERE)), "asking anew")

    def test_it_serves_that_token_only(self, guard: Authentication) -> None:
        assert guard.authenticate(TOKEN, HERE) is not None
        for other in (TOKEN[:-1] + "c", TOKEN[:4] + "b" * 8 + TOKEN[12:]):
            assert guard.authenticate(other, HERE) is None

    def test_that_one_was_unknown_is_not_kept(
        self, administration: Administration, client: redis.Redis, guard: Authentication
    ) -> None:
        token = Token.generate()
        assert guard.authenticate(token.text, HERE) is None
        Administration(client, changed(administration, bootstrap_token=token.text)).prepare()
        assert guard.authenticate(token.text, HERE) is not None

    @pytest.mark.parametrize("how", ["revoked", "closed", "replaced"])
    def test_an_end_is_noticed_within_a_second(
        self, administration: Administration, client: redis.Redis, how: str
    ) -> None:
        """B87: in every process, also in the middle of a burst."""
        token = Token.parse(TOKEN)
        assert token is not None
        guards = [Authentication(client) for _ in range(3)]
        noticed: dict[int, float] = {}
        over = threading.Event()

        def burst(number: int) -> None:
            while not over.is_set():
                if guards[number].authenticate(TOKEN, f"192.0.2.{number}") is None:
                    noticed[number] = time.monotonic()
                    return

        threads = [threading.Thread(target=burst, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: all(vars(guard)["_kept"] for guard in guards), "the burst")
        if how == "revoked":
            administration.revoke_token(ACTOR, token.id)
        elif how == "closed":
            EnvironmentStore(client).close(ENV)
        else:
            other = changed(administration, bootstrap_token=Token.generate().text)
            Administration(client, other).prepare()
        ended = time.monotonic()
        try:
            until(lambda: len(noticed) == 3, "everybody's notice")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert KEPT <= 0.5
        assert max(noticed.values()) - ended < 1.0
        for guard in guards:
            assert guard.authenticate(TOKEN, THERE) is None

    def test_expiry_is_noticed_too(
        self, administration: Administration, client: redis.Redis
    ) -> None:
        expires = EnvironmentStore(client).clock() + 100
        guard = Authentication(client)
        token = issue(administration, expires=expires)
        until(lambda: guard.authenticate(token.text, HERE) is None, "its end")
        assert EnvironmentStore(client).clock() < expires + 1_000

    def test_memory_is_bounded(
        self,
        administration: Administration,
        guard: Authentication,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("lambdaqueue.authentication.MOST_KEPT", 3)
        monkeypatch.setattr("lambdaqueue.authentication.MOST_REFUSALS", 0)
        for number in range(10):
            token = issue(administration, str(number))
            assert guard.authenticate(token.text, HERE) is not None
            with pytest.raises(TooManyRefusals):
                guard.authenticate(None, f"192.0.2.{number}")
            assert len(vars(guard)["_kept"]) <= 3
            assert len(vars(guard)["_limited"]) <= 3


class TestLimit:
    def test_after_a_hundred_an_address_is_told_to_wait(self, guard: Authentication) -> None:
        refuse(guard, MOST_REFUSALS)
        for _ in range(3):
            with pytest.raises(TooManyRefusals) as caught:
                guard.authenticate(Token.generate().text, HERE)
            assert (caught.value.limit, caught.value.window) == (MOST_REFUSALS, REFUSALS_WINDOW)
            assert 50 < caught.value.after <= 60
        assert MOST_REFUSALS == 100

    def test_others_and_good_tokens_feel_nothing(
        self, administration: Administration, guard: Authentication
    ) -> None:
        """B88."""
        fresh = issue(administration)
        refuse(guard, MOST_REFUSALS)
        with pytest.raises(TooManyRefusals):
            guard.authenticate(None, HERE)
        assert guard.authenticate(TOKEN, HERE) is not None
        assert guard.authenticate(fresh.text, HERE) is not None
        assert guard.authenticate(None, THERE) is None
        with pytest.raises(TooManyRefusals):
            guard.authenticate(None, HERE)

    def test_ten_thousand_cost_redis_no_more_than_a_hundred(
        self, client: redis.Redis, guard: Authentication
    ) -> None:
        """B88. What isn't even like a token costs nothing; what is costs the one look for it."""

        def guess(text: str | None) -> None:
            for _ in range(10_000):
                with suppress(TooManyRefusals):
                    guard.authenticate(text, HERE)

        assert calls(client, lambda: guess("junk")) <= MOST_REFUSALS + 2
        client.flushall()
        guard = Authentication(client)
        assert calls(client, lambda: guess(Token.generate().text)) <= 10_000 + MOST_REFUSALS + 2

    def test_processes_count_together(self, client: redis.Redis, guard: Authentication) -> None:
        other = Authentication(client)
        refuse(guard, 60)
        refuse(other, 40)
        for each in (guard, other):
            with pytest.raises(TooManyRefusals):
                each.authenticate(None, HERE)

    def test_it_ends_with_its_window(self, client: redis.Redis, guard: Authentication) -> None:
        refuse(guard, MOST_REFUSALS)
        client.expire(keys.refused(HERE), 1)
        with pytest.raises(TooManyRefusals) as caught:
            guard.authenticate(None, HERE)
        assert caught.value.after == 1

        def is_free() -> bool:
            try:
                return guard.authenticate(None, HERE) is None
            except TooManyRefusals:
                return False

        until(is_free, "the end of the window")
        left = client.ttl(keys.refused(HERE))
        assert left > 50

    @pytest.mark.parametrize(
        ("address", "counted"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:0201", "192.0.2.1"),
            ("192.0.2.255", "192.0.2.255"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:DB8:0:0:ffff:ffff:ffff:ffff", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
            ("fe80::1%eth0", "fe80::"),
            ("::1", "::"),
            ("", "unknown"),
            ("unix:", "unknown"),
            ("a b\r\n*", "unknown"),
            ("192.0.2.1, 192.0.2.2", "unknown"),
            ("1" * 5_000, "unknown"),
        ],
        ids=lambda text: ascii(text)[:40],
    )
    def test_whose_address_it_is(
        self, client: redis.Redis, guard: Authentication, address: str, counted: str
    ) -> None:
        """Of IPv6 everybody has 2^64 addresses; a mapped one is the IPv4 address it holds."""
        assert guard.authenticate(None, address) is None
        assert list(client.scan_iter("lq:refused:*")) == [keys.refused(counted).encode()]
        assert 0 < client.ttl(keys.refused(counted)) <= REFUSALS_WINDOW


class TestRedisInTrouble:
    def test_a_full_one(
        self, administration: Administration, client: redis.Redis, guard: Authentication
    ) -> None:
        token = issue(administration)
        client.config_set("maxmemory", 1)
        try:
            assert guard.authenticate(token.text, HERE) is not None
            refuse(guard, MOST_REFUSALS)
            with pytest.raises(TooManyRefusals):
                guard.authenticate(None, HERE)
        finally:
            client.config_set("maxmemory", 0)

    def test_one_that_can_not_save(self, client: redis.Redis, guard: Authentication) -> None:
        """F29: it refuses every write, a removing one too. What only reads must go on."""
        with unsavable(client):
            assert guard.authenticate(TOKEN, HERE) is not None
            with pytest.raises(StorageFull):
                guard.authenticate(None, HERE)
        assert TokenStore(client).page(ENV, 1, None).rows[0].last_used is None

    def test_a_read_only_one(self, client: redis.Redis, guard: Authentication) -> None:
        """F28: as good as away, until the connection is made anew; nothing is known wrong."""
        client.replicaof("127.0.0.1", "1")
        try:
            for text in (TOKEN, None):
                with pytest.raises(StorageUnavailable):
                    guard.authenticate(text, HERE)
        finally:
            client.replicaof("NO", "ONE")
        assert guard.authenticate(TOKEN, HERE) is not None

    def test_one_that_is_away(self) -> None:
        """Nobody is let in, and nobody is told that his token is bad."""
        with connect(Settings(redis_url="unix:///nowhere/redis.sock")) as client:
            for text in (TOKEN, None, "junk"):
                with pytest.raises(StorageUnavailable):
                    Authentication(client).authenticate(text, HERE)


def test_nothing_shows_a_token(guard: Authentication, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    identity = guard.authenticate(TOKEN, HERE)
    guard.authenticate(TOKEN[:-1] + "c", HERE)
    refuse(guard, MOST_REFUSALS - 1)
    with pytest.raises(TooManyRefusals) as caught:
        guard.authenticate(TOKEN[:-1] + "c", HERE)
    kept = list(vars(guard)["_kept"].values())
    words = f"{guard!r} {identity!r} {kept} {caught.value!r} {caught.value} {caplog.text}"
    assert "b" * 20 not in words


@contextmanager
def unsavable(client: redis.Redis) -> Iterator[None]:
    """Let Redis fail to write its snapshot: a folder is in the place of the file."""
    place = Path(str(client.config_get("dir")["dir"]), "dump.rdb")

    def save(status: str) -> None:
        def ended() -> bool:
            info = client.info("persistence")
            return bool(
                info["rdb_last_bgsave_status"] == status and not info["rdb_bgsave_in_progress"]
            )

        client.bgsave()
        until(ended, f"a snapshot that is {status}")

    place.mkdir()
    client.config_set("save", "3600 1")
    try:
        save("err")
        yield
    finally:
        place.rmdir()
        save("ok")
        client.config_set("save", "")
        place.unlink()


def changed(administration: Administration, **settings: str) -> Settings:
    """Return the settings of `administration`, some of them changed."""
    before: Settings = vars(administration)["_settings"]
    return replace(before, **settings)  # type: ignore[arg-type]
