"""The server's settings: read from the environment once, checked, and passed on as a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lambdaqueue.addresses import AddressRules
from lambdaqueue.errors import ConfigurationError
from lambdaqueue.identity import TOKEN
from lambdaqueue.signing import Secret
from lambdaqueue.targets import TargetRules

__all__ = ["Settings"]

ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")

KIB = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set. Sizes are bytes, times seconds unless said otherwise."""

    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    redis_tls_verify: bool = True
    public_url: str = "http://127.0.0.1:8080"
    trusted_hosts: tuple[str, ...] = ()
    trusted_proxies: int = 0
    bootstrap_token: str = field(default="", repr=False)
    bootstrap_secret: str = field(default="", repr=False)
    master_keys: tuple[str, ...] = field(default=(), repr=False)
    development: bool = False
    addresses: AddressRules = field(default_factory=AddressRules)
    allow_unvalidated: bool = False
    dns_servers: tuple[str, ...] = ()
    ca_bundle: str = ""
    header_name: str = "LambdaQueue"
    max_payload: int = 256 * KIB
    max_batch: int = 8 * KIB * KIB
    history_max: int = 2_000_000
    slots: int = 200
    grace: float = 10.0
    log_level: str = "INFO"

    @property
    def targets(self) -> TargetRules:
        """Which URLs may be called."""
        return TargetRules(self.addresses, loopback=self.development)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from `env`, usually `os.environ`.

        Raises:
            ConfigurationError: a value is missing or breaks its rule; the message names it.
        """
        read, default = _Reader(env), cls()
        return cls(
            redis_url=read.url("REDIS_URL", default.redis_url, r"(rediss?|unix)://.+"),
            redis_tls_verify=read.choice("LQ_REDIS_TLS_VERIFY", "full", ("full", "none")) == "full",
            public_url=read.text("LQ_PUBLIC_URL", default.public_url, ORIGIN.pattern),
            trusted_hosts=read.words("LQ_TRUSTED_HOSTS"),
            trusted_proxies=read.number("LQ_TRUSTED_PROXIES", 0, 0, 10),
            bootstrap_token=read.text("LQ_BOOTSTRAP_TOKEN", "", TOKEN.pattern),
            bootstrap_secret=read.secret("LQ_BOOTSTRAP_SECRET"),
            master_keys=read.words("LQ_MASTER_KEYS"),
            development=read.flag("LQ_DEVELOPMENT"),
            addresses=AddressRules.parse(read.words("LQ_ALLOW_CIDRS")),
            allow_unvalidated=read.flag("LQ_ALLOW_UNVALIDATED"),
            dns_servers=read.words("LQ_DNS_SERVERS"),
            ca_bundle=read.text("LQ_CA_BUNDLE", "", r"/.+"),
            header_name=read.text("LQ_HEADER_NAME", default.header_name, r"[A-Za-z0-9\-]{1,64}"),
            max_payload=read.number("LQ_MAX_PAYLOAD", default.max_payload, 1, 64 * KIB * KIB),
            max_batch=read.number("LQ_MAX_BATCH", default.max_batch, 1, 256 * KIB * KIB),
            history_max=read.number("LQ_HISTORY_MAX", default.history_max, 0, 10**9),
            slots=read.number("LQ_SLOTS", default.slots, 1, 10_000),
            grace=float(read.number("LQ_GRACE", 10, 0, 3_600)),
            log_level=read.choice("LQ_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        )


class _Reader:
    """Reads one variable after another; every complaint names the variable and its rule."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str, default: str, pattern: str) -> str:
        value = self._env.get(name, "")
        if not value:
            return default
        if not re.fullmatch(pattern, value):
            # The value is left out: it may be a secret.
            raise ConfigurationError(f"{name} must match {pattern}")
        return value

    def url(self, name: str, default: str, pattern: str) -> str:
        value = self.text(name, default, pattern)
        try:
            urlsplit(value).port  # noqa: B018 - looked at, because that is when it's read
        except ValueError:
            # Without `from`: the reason quotes a piece of the URL, perhaps of its password.
            raise ConfigurationError(
                f"{name} is no URL: encode what is special in its user name and password"
            ) from None
        return value

    def secret(self, name: str) -> str:
        value = self.text(name, "", r"whsec_[A-Za-z0-9+/=]+")
        try:
            return Secret.parse(value).reveal() if value else ""
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self._env.get(name, "")
        if not value:
            return default
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ConfigurationError(f"{name} must be a whole number from {low} to {high}")
        return int(value)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self._env.get(name, "") or default
        if value not in allowed:
            raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}")
        return value

    def flag(self, name: str) -> bool:
        return self.choice(name, "0", ("0", "1")) == "1"

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(word for word in re.split(r"[,\s]+", self._env.get(name, "")) if word)
