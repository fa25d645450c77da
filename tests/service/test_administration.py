"""Administration: the start, environments, tokens, secrets, what is sealed with which key."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
import redis

from lambdaqueue import keys
from lambdaqueue.administration import OVERLAP, Administration
from lambdaqueue.authentication import Authentication
from lambdaqueue.commands import AuditEntry
from lambdaqueue.config import Settings
from lambdaqueue.connection import connect
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import (
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotFound,
    SecretUnreadable,
    StorageFull,
    StorageUnavailable,
)
from lambdaqueue.identity import ALL_SCOPES, Actor, Scope, Token
from lambdaqueue.queues import QueueStore
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret
from lambdaqueue.tokens import TokenStore
from lambdaqueue.vault import Vault
from tests.operator import MASTER_KEY, SECRET, TOKEN, prepared

ENV = keys.DEFAULT_ENVIRONMENT
ACTOR = Actor(ENV, "night shift", "2001:db8::1")
PUSH = frozenset({Scope.PUSH})
OTHER_KEY = Vault.new_key()
HOUR = 3_600_000


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Those of `tests.operator.prepared`."""
    return Settings(
        redis_url=redis_url,
        bootstrap_secret=SECRET,
        bootstrap_token=TOKEN,
        master_keys=(MASTER_KEY,),
        development=True,
    )


@pytest.fixture
def administration(redis_url: str) -> Administration:
    return prepared(redis_url)


def audit(administration: Administration, environment: str = ENV) -> list[AuditEntry]:
    """Return all of it, oldest first."""
    return list(administration.audit(environment, 20_000, None).rows[::-1])


def told(administration: Administration, environment: str = ENV) -> list[tuple[str, ...]]:
    rows = audit(administration, environment)
    return [(row.token, row.action, row.object, row.address) for row in rows]


def values(client: Any) -> dict[str, object]:
    """Return all that stands in Redis, by key."""
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    found = client.scan_iter("*", count=10_000)
    return {key.decode(): read[client.type(key)](key) for key in found}


def dump(client: redis.Redis) -> dict[str, object]:
    """Return what matters of it: not the answers that are remembered for a while."""
    passing = ("lq:writable", "lq:instance", "lq:request:")
    return {key: value for key, value in values(client).items() if not key.startswith(passing)}


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    start = Barrier(count)

    def one(number: int) -> object:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def everything(administration: Administration, *environments: str) -> list[Secret]:
    """Return every secret that can be read now, in an order that stays."""
    found = []
    for environment in environments or (ENV,):
        info = administration.secret(Actor(environment, "test"))
        found += [info.secret, *([info.previous] if info.previous else [])]
        for queue in ("a/b", "mail"):
            found.append(administration.queue_secret(Actor(environment, "test"), queue))
    return found


class TestStart:
    def test_the_first_one_makes_what_is_needed(
        self, client: redis.Redis, settings: Settings
    ) -> None:
        started = Administration(connect(settings), settings)
        with pytest.raises(NotFound):
            started.environment(ENV)
        started.prepare()
        assert [(info.id, info.name) for info in started.environments()] == [(ENV, "default")]
        assert started.secret(ACTOR).secret.reveal() == SECRET
        identity = Authentication(client).authenticate(TOKEN, "")
        assert identity is not None
        assert (identity.environment, identity.scopes) == (ENV, ALL_SCOPES)
        assert told(started)[:2] == [
            ("first start", "environment.create", "default", ""),
            ("LQ_BOOTSTRAP_TOKEN", "token.create", "bootstrap", ""),
        ]

    def test_later_ones_change_nothing(
        self, client: redis.Redis, administration: Administration, settings: Settings
    ) -> None:
        before = dump(client)
        administration.prepare()
        Administration(connect(settings), settings).prepare()
        assert dump(client) == before

    def test_many_at_once(self, client: redis.Redis, settings: Settings) -> None:
        """Each with a secret of its own, as when none is fixed."""
        mine = replace(settings, bootstrap_secret="")
        started = [Administration(connect(mine), mine) for _ in range(8)]
        at_once(8, lambda number: started[number].prepare())
        shown = {each.secret(ACTOR).secret for each in started}
        assert len(shown) == 1
        rows = audit(started[0])
        assert len([row for row in rows if row.action != "secret.read"]) == 2
        assert client.hlen(keys.all_tokens) == 1

    def test_of_many_with_different_keys_at_once_one_is_right(
        self, client: redis.Redis, settings: Settings
    ) -> None:
        """The others refuse to start, and have sealed nothing."""

        def start(_: int) -> object:
            mine = replace(settings, master_keys=(Vault.new_key(),))
            administration = Administration(connect(mine), mine)
            try:
                administration.prepare()
            except ConfigurationError:
                return None
            return administration

        right = [each for each in at_once(8, start) if isinstance(each, Administration)]
        assert len(right) == 1
        assert right[0].secret(ACTOR).secret.reveal() == SECRET

    def test_without_fixed_ones_the_secret_is_random_and_there_is_no_token(
        self, settings: Settings
    ) -> None:
        mine = replace(settings, bootstrap_secret="", bootstrap_token="")
        started = Administration(connect(mine), mine)
        started.prepare()
        assert started.secret(ACTOR).secret.reveal() != SECRET
        assert len(started.secret(ACTOR).secret.key) == 32
        assert started.tokens(ENV, 5, None).rows == ()

    @pytest.mark.parametrize("step", ["found", "bootstrap"])
    def test_one_that_was_killed_in_between(
        self,
        client: redis.Redis,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
        step: str,
    ) -> None:
        class Killed(BaseException):
            pass

        def die(*_: object) -> None:
            raise Killed

        first = Administration(connect(settings), settings)
        store = EnvironmentStore if step == "found" else TokenStore
        with monkeypatch.context() as patch:
            patch.setattr(store, step, die)
            with pytest.raises(Killed):
                first.prepare()
        assert client.exists(keys.vault)
        assert bool(client.exists(keys.environment(ENV))) is (step == "bootstrap")
        second = Administration(connect(settings), settings)
        second.prepare()
        assert second.secret(ACTOR).secret.reveal() == SECRET
        assert Authentication(client).authenticate(TOKEN, "") is not None
        assert len(told(second)) == 3

    def test_the_fixed_secret_counts_only_when_the_environment_is_made(
        self, client: redis.Redis, administration: Administration, settings: Settings
    ) -> None:
        before = dump(client)
        other = replace(settings, bootstrap_secret=Secret.generate().reveal())
        Administration(connect(other), other).prepare()
        assert dump(client) == before
        rotated = administration.rotate_secret(ACTOR, 0).secret
        administration.prepare()
        assert administration.secret(ACTOR).secret == rotated

    def test_another_fixed_token_takes_the_place_of_the_one_before(
        self, client: redis.Redis, administration: Administration, settings: Settings
    ) -> None:
        other = replace(settings, bootstrap_token=Token.generate().text)
        Administration(connect(other), other).prepare()
        guard = Authentication(client)
        assert guard.authenticate(TOKEN, "") is None
        assert guard.authenticate(other.bootstrap_token, "") is not None
        # A process without the variable, as the command is one, lets it alone.
        none = replace(settings, bootstrap_token="")
        Administration(connect(none), none).prepare()
        assert Authentication(client).authenticate(other.bootstrap_token, "") is not None

    def test_once_revoked_it_stays_so(
        self, client: redis.Redis, administration: Administration, settings: Settings
    ) -> None:
        administration.revoke_token(ACTOR, "a" * 8)
        for _ in range(2):
            Administration(connect(settings), settings).prepare()
        assert Authentication(client).authenticate(TOKEN, "") is None

    @pytest.mark.parametrize("secret", ["whsec_pa55word", "whsec_", "whsec_QUJD", "pa55word"])
    def test_a_fixed_secret_that_is_none(
        self, client: redis.Redis, settings: Settings, secret: str
    ) -> None:
        mine = replace(settings, bootstrap_secret=secret)
        with pytest.raises(ConfigurationError) as caught:
            Administration(connect(mine), mine).prepare()
        assert "pa55word" not in "".join(traceback.format_exception(caught.value))
        assert not client.exists(keys.environment(ENV))

    @pytest.mark.parametrize("full", [True, False])
    def test_on_a_redis_that_takes_no_writes(
        self, client: redis.Redis, administration: Administration, settings: Settings, full: bool
    ) -> None:
        """F26, F28: what is started meanwhile is there when it's over, and can read until then."""
        if full:
            client.config_set("maxmemory", 1)
        else:
            client.replicaof("127.0.0.1", "1")
        try:
            started = Administration(connect(settings), settings)
            started.prepare()
            assert started.environment(ENV).name == "default"
            assert set(started.ready().failures) == {"redis"}
        finally:
            client.config_set("maxmemory", 0)
            client.replicaof("NO", "ONE")

    def test_on_a_full_and_empty_one(self, client: redis.Redis, settings: Settings) -> None:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StorageFull):
                Administration(connect(settings), settings).prepare()
            assert client.dbsize() == 0
        finally:
            client.config_set("maxmemory", 0)

    def test_on_one_that_is_away(self, settings: Settings) -> None:
        away = replace(settings, redis_url="unix:///nowhere/redis.sock")
        administration = Administration(connect(away), away)
        with pytest.raises(StorageUnavailable):
            administration.prepare()
        assert set(administration.ready().failures) == {"redis"}

    def test_without_a_master_key(self, settings: Settings) -> None:
        """F65."""
        for wrong in ((), ("pa55word",), (MASTER_KEY, "pa55word")):
            with pytest.raises(ConfigurationError, match="LQ_MASTER_KEYS") as caught:
                Administration(connect(settings), replace(settings, master_keys=wrong))
            assert "pa55word" not in str(caught.value)
            assert MASTER_KEY not in str(caught.value)


class TestWrongKey:
    """F65: whoever has another key seals nothing, because nobody else could open it."""

    @pytest.fixture
    def wrong(self, administration: Administration, settings: Settings) -> Administration:
        other = replace(settings, master_keys=(OTHER_KEY,), bootstrap_token=Token.generate().text)
        return Administration(connect(other), other)

    @pytest.mark.parametrize(
        ("act", "error"),
        [
            (lambda wrong: wrong.prepare(), ConfigurationError),
            (lambda wrong: wrong.create_environment("shop", "test"), SecretUnreadable),
            (lambda wrong: wrong.rotate_secret(ACTOR), SecretUnreadable),
            (lambda wrong: wrong.rotate_secret(ACTOR, 0), SecretUnreadable),
            (lambda wrong: wrong.secret(ACTOR), SecretUnreadable),
            (lambda wrong: wrong.queue_secret(ACTOR, "mail"), SecretUnreadable),
            (lambda wrong: list(wrong.reseal()), SecretUnreadable),
        ],
        ids=["prepare", "create", "rotate", "rotate at once", "show", "queue", "reseal"],
    )
    def test_it_changes_nothing(
        self,
        client: redis.Redis,
        wrong: Administration,
        act: Callable[[Administration], object],
        error: type[Exception],
    ) -> None:
        QueueStore(client).pause(ACTOR, "mail")
        before = dump(client)
        with pytest.raises(error, match="LQ_MASTER_KEYS") as caught:
            act(wrong)
        assert dump(client) == before
        text = "".join(traceback.format_exception(caught.value))
        assert OTHER_KEY not in text
        assert MASTER_KEY not in text

    def test_readiness_says_so(self, administration: Administration, wrong: Administration) -> None:
        assert administration.ready().failures == {}
        assert wrong.ready().failures.keys() == {"master_key"}
        assert OTHER_KEY not in str(wrong.ready())

    def test_beside_the_right_one_it_is_no_harm(
        self, administration: Administration, settings: Settings
    ) -> None:
        both = replace(settings, master_keys=(OTHER_KEY, MASTER_KEY))
        started = Administration(connect(both), both)
        started.prepare()
        assert started.ready().failures == {}
        assert started.secret(ACTOR).secret.reveal() == SECRET

    def test_a_database_that_was_emptied_is_told(
        self, client: redis.Redis, administration: Administration
    ) -> None:
        """F31."""
        assert administration.ready().failures == {}
        client.flushall()
        assert administration.ready().failures.keys() == {"instance"}


class TestEnvironments:
    @pytest.mark.parametrize("name", ["a", "0", "shop", "shop.eu-1_test", "a" * 64])
    def test_a_new_one(self, administration: Administration, name: str) -> None:
        made = administration.create_environment(name, "lambdaqueue env (root)")
        assert administration.environment_named(name) == made
        assert administration.environment(made.id) == made
        assert len(made.id) == 8
        assert told(administration, made.id) == [
            ("lambdaqueue env (root)", "environment.create", name, "")
        ]
        assert administration.tokens(made.id, 5, None).rows == ()
        secret = administration.secret(Actor(made.id, "x")).secret
        assert secret != administration.secret(ACTOR).secret

    @pytest.mark.parametrize(
        "name",
        ["", "A", "a b", "é", "-a", ".a", "_a", "a" * 65, "a\n", "a/b", "a:b", "*", "١", "]]"],
        ids=ascii,
    )
    def test_what_can_not_be_a_name(
        self, client: redis.Redis, administration: Administration, name: str
    ) -> None:
        before = dump(client)
        with pytest.raises(InvalidRequest) as caught:
            administration.create_environment(name, "test")
        assert caught.value.issues[0].path == ("name",)
        assert dump(client) == before

    def test_a_name_that_is_taken(
        self, client: redis.Redis, administration: Administration
    ) -> None:
        administration.create_environment("shop", "test")
        before = dump(client)
        for name in ("shop", "default"):
            with pytest.raises(Conflict):
                administration.create_environment(name, "test")
        assert dump(client) == before

    def test_the_same_name_at_once(self, administration: Administration) -> None:
        def make(_: int) -> object:
            try:
                return administration.create_environment("shop", "test")
            except Conflict:
                return None

        made = [info for info in at_once(6, make) if info]
        assert made == [administration.environment_named("shop")]
        assert len(administration.environments()) == 2

    def test_one_that_is_not_there(self, administration: Administration) -> None:
        nobody = Actor("unkn0wn0", "test")
        calls: list[Callable[[], object]] = [
            lambda: administration.environment(nobody.environment),
            lambda: administration.environment_named("unknown"),
            lambda: administration.change_environment(nobody, {"retry": None}),
            lambda: administration.issue_token(nobody, "a", PUSH),
            lambda: administration.revoke_token(nobody, "a" * 8),
            lambda: administration.secret(nobody),
            lambda: administration.rotate_secret(nobody),
            lambda: administration.queue_secret(nobody, "mail"),
        ]
        for call in calls:
            with pytest.raises(NotFound):
                call()
        assert administration.tokens(nobody.environment, 5, None).rows == ()
        assert audit(administration, nobody.environment) == []

    def test_its_retry_policy(self, administration: Administration) -> None:
        policy = RetryPolicy("list", delays=(1, 2), retries=2)
        assert administration.change_environment(ACTOR, {"retry": policy}).retry == policy
        assert administration.environment(ENV).retry == policy
        assert administration.change_environment(ACTOR, {}).retry == policy
        assert administration.change_environment(ACTOR, {"retry": None}).retry is None
        assert (
            told(administration)[2:]
            == [(ACTOR.name, "environment.update", "default", ACTOR.address)] * 2
        )


class TestTokens:
    def test_issued_shown_and_revoked(
        self, client: redis.Redis, administration: Administration
    ) -> None:
        token, info = administration.issue_token(ACTOR, "ci ]] é", PUSH, 4_000_000_000_000)
        assert (info.id, info.name, info.scopes) == (token.id, "ci ]] é", PUSH)
        assert info.expires == 4_000_000_000_000
        assert abs(info.created - EnvironmentStore(client).clock()) < 5_000
        assert info in administration.tokens(ENV, 5, None).rows
        identity = Authentication(client).authenticate(token.text, "")
        assert identity is not None
        assert identity.token_name == "ci ]] é"
        administration.revoke_token(ACTOR, token.id)
        assert Authentication(client).authenticate(token.text, "") is None
        assert told(administration)[2:] == [
            (ACTOR.name, "token.create", "ci ]] é", ACTOR.address),
            (ACTOR.name, "token.revoke", "ci ]] é", ACTOR.address),
        ]

    @pytest.mark.parametrize("revoked", [False, True])
    def test_the_operators_name_is_kept_for_his(
        self, client: redis.Redis, administration: Administration, revoked: bool
    ) -> None:
        """Two of one name, and the audit could not tell who it was."""
        if revoked:
            administration.revoke_token(ACTOR, "a" * 8)
        before = dump(client)
        with pytest.raises(Conflict):
            administration.issue_token(ACTOR, "bootstrap", PUSH)
        assert dump(client) == before

    @pytest.mark.parametrize("token_id", ["", "a" * 7, "a" * 9, "b" * 8, "é" * 8, TOKEN, "*"])
    def test_what_is_not_there_can_not_be_revoked(
        self, client: redis.Redis, administration: Administration, token_id: str
    ) -> None:
        before = dump(client)
        with pytest.raises(NotFound):
            administration.revoke_token(ACTOR, token_id)
        assert dump(client) == before

    def test_a_foreign_one_is_as_absent(self, administration: Administration) -> None:
        """B86."""
        other = Actor(administration.create_environment("shop", "test").id, "test")
        token, _ = administration.issue_token(other, "a", PUSH)
        with pytest.raises(NotFound) as foreign:
            administration.revoke_token(ACTOR, token.id)
        with pytest.raises(NotFound) as absent:
            administration.revoke_token(ACTOR, "b" * 8)
        assert str(foreign.value) == str(absent.value)
        administration.revoke_token(other, token.id)


class TestSecrets:
    def test_a_rotation(self, client: redis.Redis, administration: Administration) -> None:
        before = administration.secret(ACTOR)
        assert (before.previous, before.previous_until) == (None, None)
        made = administration.rotate_secret(ACTOR)
        assert made == administration.secret(ACTOR)
        assert made.previous == before.secret
        assert made.secret not in (before.secret, None)
        assert made.previous_until == made.since + OVERLAP
        assert OVERLAP == 24 * HOUR
        with pytest.raises(Conflict):
            administration.rotate_secret(ACTOR, HOUR)
        assert administration.secret(ACTOR) == made
        leaked = administration.rotate_secret(ACTOR, 0)
        assert leaked.previous is None
        again = administration.rotate_secret(ACTOR, HOUR)
        assert again.previous == leaked.secret
        assert again.previous_until == again.since + HOUR
        assert [row[1].removeprefix("secret.") for row in told(administration)[2:]] == [
            "read", "rotate", "read", "read", "rotate", "rotate",
        ]  # fmt: skip

    def test_a_secret_that_can_not_be_audited_is_not_shown(
        self, client: redis.Redis, administration: Administration
    ) -> None:
        """A full Redis takes the entry all the same, one that is read-only does not."""
        QueueStore(client).pause(ACTOR, "mail")
        calls: list[Callable[[], object]] = [
            lambda: administration.secret(ACTOR),
            lambda: administration.queue_secret(ACTOR, "mail"),
        ]
        client.replicaof("127.0.0.1", "1")
        try:
            for call in calls:
                with pytest.raises(StorageUnavailable):
                    call()
        finally:
            client.replicaof("NO", "ONE")
        client.config_set("maxmemory", 1)
        try:
            for call in calls:
                call()
        finally:
            client.config_set("maxmemory", 0)
        assert [row[1:3] for row in told(administration)[-2:]] == [
            ("secret.read", "secret"), ("secret.read", "mail"),
        ]  # fmt: skip

    def test_a_queues_own(self, client: redis.Redis, administration: Administration) -> None:
        other = Actor(administration.create_environment("shop", "test").id, "test")
        queues = QueueStore(client)
        for actor, queue in ((ACTOR, "a/b"), (ACTOR, "mail"), (other, "mail")):
            queues.pause(actor, queue)
        shown = [
            administration.queue_secret(actor, queue)
            for actor, queue in ((ACTOR, "a/b"), (ACTOR, "mail"), (other, "mail"))
        ]
        assert len({*shown, administration.secret(ACTOR).secret}) == 4
        assert administration.queue_secret(ACTOR, "a/b") == shown[0]
        assert (ACTOR.name, "secret.read", "a/b", ACTOR.address) in told(administration)
        with pytest.raises(NotFound):
            administration.queue_secret(ACTOR, "unknown")
        assert not client.exists(keys.queue(ENV, "unknown"))

    def test_asked_for_at_once_it_is_one(
        self, client: redis.Redis, administration: Administration
    ) -> None:
        QueueStore(client).pause(ACTOR, "mail")
        shown = at_once(6, lambda _: administration.queue_secret(ACTOR, "mail"))
        assert len(set(shown)) == 1

    @pytest.mark.parametrize(
        ("source", "to"),
        [
            (("other", ""), (ENV, "")),
            ((ENV, ""), (ENV, "mail")),
            ((ENV, "mail"), (ENV, "")),
            ((ENV, "mail"), (ENV, "a/b")),
            (("other", "mail"), (ENV, "mail")),
        ],
        ids=["environment", "into a queue", "out of a queue", "queue", "the same queue elsewhere"],
    )
    def test_moved_it_is_refused(
        self,
        client: redis.Redis,
        administration: Administration,
        source: tuple[str, str],
        to: tuple[str, str],
    ) -> None:
        """Whoever can write to Redis makes nobody sign with a secret that he knows."""
        other = administration.create_environment("shop", "test").id
        queues = QueueStore(client)
        for environment in (ENV, other):
            for queue in ("mail", "a/b"):
                queues.pause(Actor(environment, "x"), queue)
                administration.queue_secret(Actor(environment, "x"), queue)

        def place(of: tuple[str, str]) -> str:
            environment = other if of[0] == "other" else of[0]
            return keys.queue(environment, of[1]) if of[1] else keys.environment(environment)

        sealed = client.hget(place(source), "secret")
        assert isinstance(sealed, bytes)
        client.hset(place(to), "secret", sealed)
        with pytest.raises(SecretUnreadable, match="moved"):
            administration.queue_secret(ACTOR, to[1]) if to[1] else administration.secret(ACTOR)


class TestSealingAnew:
    """`lambdaqueue keys rotate`: first both keys everywhere, then this, then the new one alone."""

    @pytest.fixture
    def shop(self, client: redis.Redis, administration: Administration) -> str:
        """A second environment; both have all kinds of secrets."""
        shop = administration.create_environment("shop", "test").id
        for environment in (ENV, shop):
            actor = Actor(environment, "x")
            administration.rotate_secret(actor)
            for queue in ("mail", "a/b"):
                QueueStore(client).pause(actor, queue)
                administration.queue_secret(actor, queue)
        return shop

    @pytest.fixture
    def of(self, settings: Settings) -> Callable[..., Administration]:
        """Make one with these master keys."""

        def make(*master_keys: str) -> Administration:
            mine = replace(settings, master_keys=master_keys)
            return Administration(connect(mine), mine)

        return make

    def test_afterwards_the_new_key_is_enough(
        self,
        client: redis.Redis,
        administration: Administration,
        shop: str,
        of: Callable[..., Administration],
    ) -> None:
        before = everything(administration, ENV, shop)
        assert len(before) == 8
        both = of(OTHER_KEY, MASTER_KEY)
        both.prepare()
        assert list(both.reseal()) == [(1, 2, "default"), (2, 2, "shop")]
        new = of(OTHER_KEY)
        new.prepare()
        assert new.ready().failures == {}
        assert everything(new, ENV, shop) == before
        with pytest.raises(ConfigurationError):
            of(MASTER_KEY).prepare()
        assert administration.ready().failures.keys() == {"master_key"}
        for value in stored(client, keys.environment(ENV), keys.queue(shop, "mail")):
            with pytest.raises(SecretUnreadable):
                Vault([MASTER_KEY]).renew(value)

    def test_repeated_it_is_the_same(
        self, administration: Administration, shop: str, of: Callable[..., Administration]
    ) -> None:
        before = everything(administration, ENV, shop)
        for each in (of(OTHER_KEY, MASTER_KEY), of(OTHER_KEY, MASTER_KEY), of(OTHER_KEY)):
            assert len(list(each.reseal())) == 2
        assert everything(of(OTHER_KEY), ENV, shop) == before

    def test_broken_off_it_can_go_on_or_back(
        self, administration: Administration, shop: str, of: Callable[..., Administration]
    ) -> None:
        before = everything(administration, ENV, shop)
        half = of(OTHER_KEY, MASTER_KEY).reseal()
        assert next(half) == (1, 2, "default")
        half.close()  # type: ignore[attr-defined]
        with pytest.raises(ConfigurationError):
            of(OTHER_KEY).prepare()
        both = of(OTHER_KEY, MASTER_KEY)
        both.prepare()
        assert everything(both, ENV, shop) == before
        list(of(MASTER_KEY, OTHER_KEY).reseal())
        old = of(MASTER_KEY)
        old.prepare()
        assert everything(old, ENV, shop) == before
        list(of(OTHER_KEY, MASTER_KEY).reseal())
        assert everything(of(OTHER_KEY), ENV, shop) == before

    def test_a_rotation_in_the_middle_of_it_is_not_missed(
        self,
        administration: Administration,
        of: Callable[..., Administration],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The secret moves to where this has looked already, still under the old key."""
        first = administration.secret(ACTOR).secret
        both = of(OTHER_KEY, MASTER_KEY)
        places, waiting = EnvironmentStore.places, [True]

        def interrupted(self: EnvironmentStore, environment: str) -> Any:
            found = list(places(self, environment))
            if waiting and waiting.pop():
                both.rotate_secret(ACTOR)
            return found

        monkeypatch.setattr(EnvironmentStore, "places", interrupted)
        list(both.reseal())
        assert not waiting
        shown = of(OTHER_KEY).secret(ACTOR)
        assert shown.previous == first
        assert shown.secret != first

    def test_two_at_once(
        self, administration: Administration, shop: str, of: Callable[..., Administration]
    ) -> None:
        before = everything(administration, ENV, shop)
        at_once(3, lambda _: list(of(OTHER_KEY, MASTER_KEY).reseal()))
        assert everything(of(OTHER_KEY), ENV, shop) == before

    def test_one_that_no_key_opens_stops_it_before_the_check_value(
        self, client: redis.Redis, administration: Administration, shop: str,
        of: Callable[..., Administration],
    ) -> None:  # fmt: skip
        strange = Vault([Vault.new_key()]).seal(shop, Secret.generate())
        client.hset(keys.environment(shop), "previous", strange)
        check_value = client.get(keys.vault)
        with pytest.raises(SecretUnreadable):
            list(of(OTHER_KEY, MASTER_KEY).reseal())
        assert client.get(keys.vault) == check_value
        assert client.hget(keys.environment(shop), "previous") == strange

    def test_on_a_full_redis_nothing_is_half_done(
        self, client: redis.Redis, administration: Administration, shop: str,
        of: Callable[..., Administration],
    ) -> None:  # fmt: skip
        before = dump(client)
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StorageFull):
                list(of(OTHER_KEY, MASTER_KEY).reseal())
        finally:
            client.config_set("maxmemory", 0)
        assert dump(client) == before


def stored(client: redis.Redis, *places: str) -> list[bytes]:
    """Return what is sealed in some hashes."""
    found = [client.hget(place, name) for place in places for name in ("secret", "previous")]
    return [value for value in found if isinstance(value, bytes)]


class TestAudit:
    def test_pages(self, administration: Administration) -> None:
        for _ in range(3):
            administration.secret(ACTOR)
        first = administration.audit(ENV, 2, None)
        rest = administration.audit(ENV, 100, first.cursor)
        assert [*first.rows, *rest.rows] == audit(administration)[::-1]
        assert rest.cursor is None


def test_nothing_secret_is_stored_or_told(
    client: redis.Redis,
    settings: Settings,
    administration: Administration,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    token, info = administration.issue_token(ACTOR, "ci", PUSH)
    rotated = administration.rotate_secret(ACTOR)
    QueueStore(client).pause(ACTOR, "mail")
    own = administration.queue_secret(ACTOR, "mail")
    guard = Authentication(client)
    identity = guard.authenticate(token.text, "192.0.2.1")
    sealed = EnvironmentStore(client).sealed(ENV)
    secrets = [
        MASTER_KEY,
        TOKEN[13:],
        token.text[13:],
        *(each.reveal()[6:] for each in (rotated.secret, own, Secret.parse(SECRET))),
        *(repr(each.key) for each in (rotated.secret, own)),
    ]
    told_of = (
        administration, vars(administration), vars(administration)["_vault"], settings, token,
        info, rotated, own, identity, guard, sealed, ACTOR, administration.ready(),
        administration.tokens(ENV, 5, None), administration.audit(ENV, 100, None),
        TokenStore(client).find(token.id), caplog.text,
    )  # fmt: skip
    words = "".join(f"{each} {each!r}" for each in told_of)
    words += repr(values(client))
    for secret in secrets:
        assert secret not in words
