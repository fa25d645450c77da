"""The use cases of those who manage: environments, tokens, secrets, the audit, readiness.

What happens here is written into the environment's audit by the script that does it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lambdaqueue import ids, keys
from lambdaqueue.commands import AuditEntry, EnvironmentInfo, Page, Readiness, SecretInfo
from lambdaqueue.config import Settings
from lambdaqueue.connection import Redis, connect
from lambdaqueue.environments import EnvironmentStore
from lambdaqueue.errors import (
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotFound,
    SecretUnreadable,
    StorageUnavailable,
)
from lambdaqueue.identity import ALL_SCOPES, Actor, Scope, Token, TokenInfo
from lambdaqueue.readiness import check, mark_instance
from lambdaqueue.removal import remove_environment
from lambdaqueue.retry import RetryPolicy
from lambdaqueue.signing import Secret
from lambdaqueue.signing_in import SigningIn
from lambdaqueue.tokens import TokenStore
from lambdaqueue.vault import Vault

__all__ = ["DEFAULT_NAME", "OVERLAP", "Administration", "open_administration"]

DEFAULT_NAME = "default"
"""The environment that the first start makes."""

ENVIRONMENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

BOOTSTRAP = "bootstrap"
"""What the token is called that the operator fixed."""

OVERLAP = 86_400_000
"""ms for which a secret that was replaced still counts, unless it's said otherwise."""

WRONG_KEY = (
    "LQ_MASTER_KEYS has not the key with which this database's secrets were sealed; set it as it "
    "was when they were"
)


def open_administration(settings: Settings) -> Administration:
    """Return one with a Redis connection pool of its own; nothing is dialled yet.

    Raises:
        ConfigurationError: LQ_MASTER_KEYS is missing or malformed.
    """
    return Administration(connect(settings), settings)


class Administration:
    """Everything that takes the scope `manage`, or the command. `now` (Unix ms) is for tests."""

    def __init__(self, client: Redis, settings: Settings, now: int | None = None) -> None:
        self._client = client
        self._settings = settings
        self._vault = Vault(settings.master_keys)
        self._environments = EnvironmentStore(client, now)
        self._tokens = TokenStore(client, now)
        self._instance: str | None = None

    def signing_in(self) -> SigningIn:
        """Return what knows people's accounts, on the same database."""
        return SigningIn(self._client)

    # The start of a process

    def prepare(self) -> None:
        """Do what every start does: check the master key, make the first environment.

        Its secret is `LQ_BOOTSTRAP_SECRET`, or a random one; `LQ_BOOTSTRAP_TOKEN` becomes a token
        with all scopes, in the place of the one that the variable held before.

        Raises:
            ConfigurationError: the master key is not the one this database was made with, or
                `LQ_BOOTSTRAP_TOKEN` has the id of another token.
            StorageUnavailable: Redis is away; nothing is known.
        """
        if not self._vault.has_sealed(self._environments.check_value(self._vault.check_value())):
            raise ConfigurationError(WRONG_KEY)
        first = keys.DEFAULT_ENVIRONMENT
        fixed = self._settings.bootstrap_secret
        secret = Secret.parse(fixed) if fixed else Secret.generate()
        sealed = self._vault.seal(first, secret)
        self._environments.found(first, DEFAULT_NAME, sealed, "first start")
        token = Token.parse(self._settings.bootstrap_token)
        if token is not None:
            self._tokens.bootstrap(first, self._described(token, BOOTSTRAP, ALL_SCOPES, None))

    def is_new(self) -> bool:
        """Tell whether no LambdaQueue has ever started on this database."""
        return self._environments.known_check_value() is None

    def ready(self) -> Readiness:
        """Tell whether Redis is there, writable, safe from eviction, still the same, and ours."""
        try:
            if self._instance is None:
                self._instance = mark_instance(self._client)
            check_value = self._environments.known_check_value()
        except StorageUnavailable as error:
            return Readiness({"redis": str(error)}, {})
        found = check(self._client, self._instance)
        if check_value is None or self._vault.has_sealed(check_value):
            return found
        return Readiness({**found.failures, "master_key": WRONG_KEY}, found.warnings)

    # Environments

    def environment(self, environment: str) -> EnvironmentInfo:
        """Return an environment; raises NotFound."""
        info = self._environments.info(environment)
        if info is None:
            raise NotFound("there is no such environment")
        return info

    def environment_named(self, name: str) -> EnvironmentInfo:
        """Return the environment that is called `name`; raises NotFound."""
        environment = self._environments.id_of(name)
        if environment is None:
            raise NotFound("there is no such environment")
        return self.environment(environment)

    def environments(self) -> list[EnvironmentInfo]:
        """Return all environments by name."""
        return self._environments.all()

    def environment_ids(self) -> dict[str, str]:
        """Return the ids of all environments by name, also of those that are ending."""
        return self._environments.ids()

    def create_environment(self, name: str, by: str) -> EnvironmentInfo:
        """Make an environment with a new secret; `by` is whom the audit names.

        Raises:
            InvalidRequest: that can't be a name. Conflict: there is one of that name.
            SecretUnreadable: the master key is a wrong one.
        """
        if ENVIRONMENT_NAME.fullmatch(name) is None:
            rule = "must be 1 to 64 of a-z 0-9 - _ . and begin with a letter or a digit"
            raise InvalidRequest.of("name", "pattern", rule)
        self._check_key()
        environment = ids.at_random()
        sealed = self._vault.seal(environment, Secret.generate())
        if not self._environments.found(environment, name, sealed, by):
            raise Conflict(f"there is an environment {name} already")
        return self.environment(environment)

    def remove_environment(self, name: str, by: str) -> Iterator[str]:
        """Remove an environment with all that it holds; see `removal`."""
        return remove_environment(self._client, name, by)

    def change_environment(self, actor: Actor, changes: Mapping[str, Any]) -> EnvironmentInfo:
        """Change what an owner may set: `retry` (a RetryPolicy, or None for the default)."""
        policy: RetryPolicy | None = changes.get("retry")
        if "retry" in changes:
            stored = json.dumps(policy.to_json()) if policy else ""
            self._environments.change(actor, {"retry": stored})
        return self.environment(actor.environment)

    # Tokens

    def issue_token(
        self, actor: Actor, name: str, scopes: frozenset[Scope], expires: int | None = None
    ) -> tuple[Token, TokenInfo]:
        """Make a token; it is nowhere to be had again. `expires` is Unix ms.

        Raises:
            Conflict: the environment has one of that name. NotFound: it is gone.
        """
        if name == BOOTSTRAP:
            raise Conflict(f"the name {BOOTSTRAP} is kept for LQ_BOOTSTRAP_TOKEN")
        token = Token.generate()
        info = self._described(token, name, scopes, expires)
        self._tokens.issue(actor, info)
        return token, info

    def tokens(self, environment: str, limit: int, cursor: str | None) -> Page[TokenInfo]:
        """List an environment's tokens in the order of their making."""
        return self._tokens.page(environment, limit, cursor)

    def revoke_token(self, actor: Actor, token_id: str) -> None:
        """Make a token useless, at once; raises NotFound."""
        # The command shows ids as the token begins, `lqk_<id>`.
        token_id = token_id if Token.is_id(token_id) else token_id.removeprefix("lqk_")
        if not Token.is_id(token_id):
            raise NotFound("there is no such token")
        self._tokens.revoke(actor, token_id)

    def _described(
        self, token: Token, name: str, scopes: frozenset[Scope], expires: int | None
    ) -> TokenInfo:
        created = self._environments.clock()
        return TokenInfo(token.id, name, scopes, created, expires, digest=token.digest)

    # Secrets

    def secret(self, actor: Actor) -> SecretInfo:
        """Show an environment's signature secret.

        Raises:
            NotFound
            SecretUnreadable: it was sealed with a master key that isn't here.
        """
        info = self._secret(actor.environment)
        self._environments.note(actor, "secret.read", "secret")
        return info

    def rotate_secret(self, actor: Actor, overlap: int = OVERLAP) -> SecretInfo:
        """Make a new secret; for `overlap` ms more deliveries are signed with the old one, too.

        Raises:
            NotFound
            Conflict: there is an overlap, and the one of the last rotation isn't over.
            SecretUnreadable: the master key is a wrong one.
        """
        self._check_key()
        sealed = self._vault.seal(actor.environment, Secret.generate())
        self._environments.rotate(actor, sealed, overlap)
        return self._secret(actor.environment)

    def queue_secret(self, actor: Actor, queue: str) -> Secret:
        """Show the secret of a queue whose targets aren't validated; made on first use.

        Raises:
            NotFound: there is no such queue.
            SecretUnreadable
        """
        self._check_key()
        ref = keys.queue_ref(actor.environment, queue)
        fresh = self._vault.seal(ref, Secret.generate())
        sealed = self._environments.own_secret(actor.environment, queue, fresh)
        secret = self._vault.open(ref, sealed)
        self._environments.note(actor, "secret.read", queue)
        return secret

    def reseal(self) -> Iterator[tuple[int, int, str]]:
        """Seal every secret anew with the newest master key; safe to break off and repeat.

        Yields, for each environment, its number from 1, how many there are, and its name.

        Raises:
            SecretUnreadable: a secret can't be opened; nothing of it was changed.
        """
        self._check_key()
        found = self._environments.all()
        for number, environment in enumerate(found, 1):
            while not self._resealed(environment.id):
                continue
            yield number, len(found), environment.name
        self._environments.replace_check_value(self._vault.check_value())

    def _resealed(self, environment: str) -> bool:
        """Tell whether all stood still meanwhile: a rotation moves a secret to another field."""
        store = self._environments
        return all(
            store.reseal(key, name, before, self._vault.renew(before))
            for key, name, before in store.places(environment)
        )

    def _secret(self, environment: str) -> SecretInfo:
        stored = self._environments.sealed(environment)
        secret = self._vault.open(environment, stored.secret)
        if stored.previous is None:
            return SecretInfo(secret, stored.since)
        previous = self._vault.open(environment, stored.previous)
        return SecretInfo(secret, stored.since, previous, stored.previous_until)

    def _check_key(self) -> None:
        """Seal nothing that others could not open."""
        known = self._environments.known_check_value()
        if known is not None and not self._vault.has_sealed(known):
            raise SecretUnreadable(WRONG_KEY)

    # The audit

    def audit(self, environment: str, limit: int, cursor: str | None) -> Page[AuditEntry]:
        """List who did what, newest first."""
        return self._environments.audit(environment, limit, cursor)
